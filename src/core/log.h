/* log: levelled lines, event name first, then key=value; logfmt or JSON, one line per event.
 *
 *     ps_log(PS_LOG_INFO, "mqtt", "session_opened", "device", "%s", id, "version", "%d", 4, NULL);
 *
 * is awkward; so fields are added to a line that is built on the stack:
 *
 *     struct ps_log_line line;
 *     if (ps_log_begin(&line, PS_LOG_INFO, "mqtt", "session_opened")) {
 *         ps_log_text(&line, "device", name);
 *         ps_log_int(&line, "version", 4);
 *         ps_log_end(&line);
 *     }
 *
 * ps_log_begin() is false, and cheap, if the area's level is higher. Values are escaped; a line is
 * written with one write(2) to standard error, so lines of threads never mix. Thread: any. */
#ifndef PS_CORE_LOG_H
#define PS_CORE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"
#include "core/uuid.h"

enum ps_log_level { PS_LOG_DEBUG, PS_LOG_INFO, PS_LOG_WARN, PS_LOG_ERROR, PS_LOG_OFF };
enum ps_log_format { PS_LOG_LOGFMT, PS_LOG_JSON };

enum { PS_LOG_LINE_SIZE = 2048 };

struct ps_log_line {
    enum ps_log_format format;
    bool cut; /* something did not fit; the line says so at its end */
    size_t len;
    char data[PS_LOG_LINE_SIZE];
};

/** Set once at start (and on reload). The level applies to all areas that have none of their own.
 */
void ps_log_configure(enum ps_log_level level, enum ps_log_format format);

/**
 * Replace the levels of single areas: "mqtt=debug,rules=warn"; "" = none has its own.
 * Returns: PS_OK; PS_EINVAL with `why` and nothing changed (ps_log_check_levels() only looks).
 */
PS_MUST_CHECK
enum ps_status ps_log_set_levels(const char *levels, struct ps_text *why);
PS_MUST_CHECK
enum ps_status ps_log_check_levels(const char *levels, struct ps_text *why);

bool ps_log_begin(struct ps_log_line *line, enum ps_log_level level, const char *area,
                  const char *event);
void ps_log_text(struct ps_log_line *line, const char *key, const char *value);
void ps_log_span(struct ps_log_line *line, const char *key, const char *value, size_t len);
void ps_log_int(struct ps_log_line *line, const char *key, int64_t value);
void ps_log_uuid(struct ps_log_line *line, const char *key, const struct ps_uuid *value);
void ps_log_end(struct ps_log_line *line);

/** A line with one field: the usual short case. `key` NULL = no field. */
void ps_log_event(enum ps_log_level level, const char *area, const char *event, const char *key,
                  const char *value);

#endif
