#include "core/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/utf8.h"

enum {
    AREAS_MAX = 32,
    AREA_NAME_SIZE = 24,
    TAIL_SIZE = 24, /* kept free for what ends a line: closing quote, cut marker, brace, newline */
};

struct area_level {
    char name[AREA_NAME_SIZE];
    enum ps_log_level level;
};

struct area_levels {
    struct area_level rows[AREAS_MAX];
    size_t count;
};

/* The one state of the process that is not handed around: every line ends at the same standard
 * error, and a log handle in each struct of the house would say nothing. `least` answers most
 * calls; the table is looked at only for lines that at least one area wants. */
static _Atomic int least_level = PS_LOG_INFO;
static _Atomic int chosen_format = PS_LOG_LOGFMT;
static pthread_rwlock_t levels_lock = PTHREAD_RWLOCK_INITIALIZER;
static enum ps_log_level common_level = PS_LOG_INFO; /* under levels_lock */
static struct area_levels own_levels;                /* under levels_lock */

static const char *const level_names[] = { "debug", "info", "warn", "error", "off" };

/* ---- which lines are wanted --------------------------------------------- */

/* Caller holds levels_lock for writing. */
static void note_least_level(void)
{
    enum ps_log_level least = common_level;
    for (size_t i = 0; i < own_levels.count; i++)
        if (own_levels.rows[i].level < least)
            least = own_levels.rows[i].level;
    atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
}

void ps_log_configure(enum ps_log_level level, enum ps_log_format format)
{
    pthread_rwlock_wrlock(&levels_lock);
    common_level = level;
    note_least_level();
    pthread_rwlock_unlock(&levels_lock);
    atomic_store_explicit(&chosen_format, (int)format, memory_order_relaxed);
}

static bool parse_level(const char *text, size_t len, enum ps_log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++)
        if (strlen(level_names[i]) == len && memcmp(level_names[i], text, len) == 0) {
            *out = (enum ps_log_level)i;
            return true;
        }
    return false;
}

/* One "area=level". */
static enum ps_status parse_area(const char *text, size_t len, struct area_level *out,
                                 struct ps_text *why)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals ? (size_t)(equals - text) : 0;
    if (name_len == 0 || name_len >= AREA_NAME_SIZE) {
        ps_text_set(why, "\"%.*s\" is not area=level", (int)(len < 60 ? len : 60), text);
        return PS_EINVAL;
    }
    if (!parse_level(equals + 1, len - name_len - 1, &out->level)) {
        ps_text_set(why, "level of \"%.*s\" must be one of debug, info, warn, error, off",
                    (int)name_len, text);
        return PS_EINVAL;
    }
    memcpy(out->name, text, name_len);
    out->name[name_len] = '\0';
    return PS_OK;
}

static enum ps_status parse_levels(const char *text, struct area_levels *out, struct ps_text *why)
{
    out->count = 0;
    while (*text) {
        size_t len = strcspn(text, ",");
        if (out->count == AREAS_MAX) {
            ps_text_set(why, "more than %d areas", AREAS_MAX);
            return PS_EINVAL;
        }
        enum ps_status st = parse_area(text, len, &out->rows[out->count], why);
        if (st != PS_OK)
            return st;
        out->count++;
        text += len;
        if (*text == ',' && *++text == '\0') {
            ps_text_set(why, "nothing after the last comma");
            return PS_EINVAL;
        }
    }
    return PS_OK;
}

enum ps_status ps_log_check_levels(const char *levels, struct ps_text *why)
{
    struct area_levels parsed;
    return parse_levels(levels, &parsed, why);
}

enum ps_status ps_log_set_levels(const char *levels, struct ps_text *why)
{
    struct area_levels parsed;
    enum ps_status st = parse_levels(levels, &parsed, why);
    if (st != PS_OK)
        return st;
    pthread_rwlock_wrlock(&levels_lock);
    own_levels = parsed;
    note_least_level();
    pthread_rwlock_unlock(&levels_lock);
    return PS_OK;
}

static enum ps_log_level level_of_area(const char *area)
{
    pthread_rwlock_rdlock(&levels_lock);
    enum ps_log_level level = common_level;
    for (size_t i = 0; i < own_levels.count; i++)
        if (strcmp(own_levels.rows[i].name, area) == 0)
            level = own_levels.rows[i].level; /* the last one wins */
    pthread_rwlock_unlock(&levels_lock);
    return level;
}

static bool is_wanted(enum ps_log_level level, const char *area)
{
    if (level >= PS_LOG_OFF ||
        (int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return false;
    return level >= level_of_area(area);
}

/* ---- building a line ---------------------------------------------------- */

static size_t room(const struct ps_log_line *line)
{
    /* A closing quote may already stand in the tail. */
    size_t limit = PS_LOG_LINE_SIZE - TAIL_SIZE;
    return line->len < limit ? limit - line->len : 0;
}

/* All of it or nothing; once something did not fit, nothing more is taken. */
static bool put(struct ps_log_line *line, const char *text, size_t len)
{
    if (line->cut || len > room(line)) {
        line->cut = true;
        return false;
    }
    memcpy(line->data + line->len, text, len);
    line->len += len;
    return true;
}

static void put_tail(struct ps_log_line *line, const char *text)
{
    size_t len = strlen(text);
    PS_ASSERT(line->len + len <= PS_LOG_LINE_SIZE);
    memcpy(line->data + line->len, text, len);
    line->len += len;
}

/* `{"key":`, `,"key":` or `key=` with its separator. */
static bool put_key(struct ps_log_line *line, const char *key)
{
    char text[96];
    bool first = line->len == 0;
    int len;
    if (line->format == PS_LOG_JSON)
        len = snprintf(text, sizeof text, "%c\"%.80s\":", first ? '{' : ',', key);
    else
        len = snprintf(text, sizeof text, "%s%.80s=", first ? "" : " ", key);
    return put(line, text, (size_t)len);
}

static bool is_plain(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return len > 0;
}

/* One character, escaped as JSON wants it (logfmt readers understand the same). */
static bool put_char(struct ps_log_line *line, const char *value, size_t len)
{
    char text[8];
    switch (*value) {
    case '"':
        return put(line, "\\\"", 2);
    case '\\':
        return put(line, "\\\\", 2);
    case '\n':
        return put(line, "\\n", 2);
    case '\r':
        return put(line, "\\r", 2);
    case '\t':
        return put(line, "\\t", 2);
    }
    if ((unsigned char)*value >= 0x20 && *value != 0x7f)
        return put(line, value, len);
    snprintf(text, sizeof text, "\\u%04x", (unsigned char)*value);
    return put(line, text, 6);
}

static void put_quoted(struct ps_log_line *line, const char *value, size_t len)
{
    if (!put(line, "\"", 1))
        return;
    for (size_t i = 0; i < len;) {
        size_t bad = 1, char_len = ps_utf8_sequence(value + i, len - i, &bad);
        bool fits = char_len ? put_char(line, value + i, char_len)
                             : put(line, PS_UTF8_REPLACEMENT, PS_UTF8_REPLACEMENT_LEN);
        if (!fits)
            break;
        i += char_len ? char_len : bad;
    }
    put_tail(line, "\"");
}

void ps_log_span(struct ps_log_line *line, const char *key, const char *value, size_t len)
{
    /* A key whose value has no room for a few bytes would only be noise. */
    if (room(line) < strlen(key) + 16)
        line->cut = true;
    if (!put_key(line, key))
        return;
    if (line->format == PS_LOG_LOGFMT && is_plain(value, len) && len <= room(line))
        put(line, value, len);
    else
        put_quoted(line, value, len);
}

void ps_log_text(struct ps_log_line *line, const char *key, const char *value)
{
    ps_log_span(line, key, value ? value : "", value ? strlen(value) : 0);
}

void ps_log_int(struct ps_log_line *line, const char *key, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRId64, value);
    if (room(line) < strlen(key) + 4 + (size_t)len)
        line->cut = true;
    if (put_key(line, key))
        put(line, text, (size_t)len);
}

void ps_log_uuid(struct ps_log_line *line, const char *key, const struct ps_uuid *value)
{
    char text[PS_UUID_TEXT_SIZE];
    ps_uuid_format(value, text);
    ps_log_span(line, key, text, PS_UUID_TEXT_SIZE - 1);
}

/* RFC 3339, UTC, milliseconds: 2026-11-21T04:11:01.123Z */
static void put_time(struct ps_log_line *line)
{
    int64_t now_ms = ps_clock_now_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char text[40];
    gmtime_r(&seconds, &utc);
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(text + len, sizeof text - len, ".%03dZ", (int)(now_ms % 1000));
    ps_log_span(line, "ts", text, len);
}

bool ps_log_begin(struct ps_log_line *line, enum ps_log_level level, const char *area,
                  const char *event)
{
    if (!is_wanted(level, area))
        return false;
    line->format = (enum ps_log_format)atomic_load_explicit(&chosen_format, memory_order_relaxed);
    line->cut = false;
    line->len = 0;
    put_time(line);
    ps_log_text(line, "level", level_names[level]);
    ps_log_text(line, "area", area);
    ps_log_text(line, "event", event);
    return true;
}

void ps_log_end(struct ps_log_line *line)
{
    bool json = line->format == PS_LOG_JSON;
    if (line->cut)
        put_tail(line, json ? ",\"cut\":true" : " cut=true");
    put_tail(line, json ? "}\n" : "\n");
    /* One write, so lines of threads never mix. A log nobody reads must not stop the server: what
     * standard error does not take is lost. */
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line->data, line->len);
    } while (written < 0 && errno == EINTR);
}

void ps_log_event(enum ps_log_level level, const char *area, const char *event, const char *key,
                  const char *value)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, level, area, event))
        return;
    if (key)
        ps_log_text(&line, key, value);
    ps_log_end(&line);
}
