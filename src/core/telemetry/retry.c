#include "core/telemetry/retry.h"

#include "core/clock.h"
#include "core/log.h"

enum {
    RETRY_FIRST_MS = 1000,
    RETRY_MAX_MS = 60000,
    SAY_EVERY_MS = 60000,
};

bool ps_retry_is_due(const struct ps_retry *retry)
{
    return !retry->at_ms || ps_clock_mono_ms() >= retry->at_ms;
}

static void log_failure(const char *event, enum ps_status st, const char *error)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, PS_LOG_ERROR, "telemetry", event))
        return;
    ps_log_text(&line, "status", ps_status_text(st));
    if (*error)
        ps_log_text(&line, "error", error);
    ps_log_end(&line);
}

void ps_retry_note(struct ps_retry *retry, enum ps_status st, const char *error)
{
    int64_t now_ms = ps_clock_mono_ms();
    if (st == PS_OK || st == PS_ENOTFOUND || st == PS_ECLOSED) {
        retry->at_ms = retry->wait_ms = 0;
        return;
    }
    if (!retry->said_ms || now_ms - retry->said_ms >= SAY_EVERY_MS) {
        log_failure(retry->event, st, error);
        retry->said_ms = now_ms;
    }
    retry->wait_ms = retry->wait_ms ? retry->wait_ms * 2 : RETRY_FIRST_MS;
    if (retry->wait_ms > RETRY_MAX_MS)
        retry->wait_ms = RETRY_MAX_MS;
    retry->at_ms = now_ms + retry->wait_ms;
}
