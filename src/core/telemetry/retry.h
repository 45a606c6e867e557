/* retry: something that failed and is tried again: later each time, and talked about now and then.
 */
#ifndef PS_CORE_TELEMETRY_RETRY_H
#define PS_CORE_TELEMETRY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

/* `event` is set by the owner, the rest is zero at first. */
struct ps_retry {
    const char *event;               /* of the log line: "seal_failed" */
    int64_t at_ms, wait_ms, said_ms; /* monotonic; at_ms 0 = nothing failed */
};

/** Whether it is time, again or at all. */
bool ps_retry_is_due(const struct ps_retry *retry);

/**
 * What came of a try. PS_OK, and PS_ENOTFOUND (nothing to do) and PS_ECLOSED (told to stop), are
 * fine; all else is logged, once a minute at most, and tried again in a second, then two, and so on
 * up to a minute.
 *
 * @param error  what the one that failed said, naming the file; "" if it said nothing
 */
void ps_retry_note(struct ps_retry *retry, enum ps_status st, const char *error);

#endif
