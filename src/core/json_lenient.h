/* json_lenient: the tokens of the lenient grammar (device contract, section 3.2).
 *
 * Everything here copes with any bytes and takes its time: payload_json reads common spellings by
 * itself and comes here for the rest. A read function gets a position and returns the next one;
 * NULL means failed, with `status` and `why` set. Positions never pass `end`.
 *
 * Containers are walked with an explicit stack of PS_JSON_DEPTH_MAX frames, never by recursion.
 * Not here: the shapes and types of payloads (payload_json). */
#ifndef PS_CORE_JSON_LENIENT_H
#define PS_CORE_JSON_LENIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/name_table.h"
#include "core/status.h"
#include "core/text.h"

enum { PS_JSON_DEPTH_MAX = 255 };

/* Classes of bytes, for ps_json_class. */
enum {
    PS_JSON_BLANK = 1,   /* space, tab, LF, CR */
    PS_JSON_COMMENT = 2, /* '/' and '#' */
    PS_JSON_ENDS = 4,    /* ends an unquoted token */
    PS_JSON_SPECIAL = 8, /* in a quoted token: needs a second look ('\\', bytes over 127) */
};

extern const uint8_t ps_json_class[256];

static inline bool ps_json_is(char c, unsigned classes)
{
    return (ps_json_class[(unsigned char)c] & classes) != 0;
}

enum ps_json_kind {
    PS_JSON_NULL,
    PS_JSON_TRUE,
    PS_JSON_FALSE,
    PS_JSON_NUMBER,   /* a number of strict JSON */
    PS_JSON_QUOTED,   /* "text" or 'text' */
    PS_JSON_UNQUOTED, /* any other word */
};

struct ps_json_token {
    enum ps_json_kind kind;
    bool decoded;     /* text lives in reader->decoded, until the next token */
    const char *text; /* strings: content, well-formed UTF-8; else as written */
    size_t len;
};

struct ps_json_member; /* one name seen in an object that is still open */

/* Zeroed, then start and end set. Its buffers stay warm from document to document. */
struct ps_json_reader {
    const char *start, *end;
    struct ps_text *why; /* may be NULL */
    enum ps_status status;

    struct ps_buf decoded;
    struct ps_json_member *members;
    size_t member_count, member_cap;
    struct ps_name_table names;
};

void ps_json_reader_deinit(struct ps_json_reader *reader);

/** Note a failure at `at` ("<what> at byte <offset>"). Returns: NULL. */
const char *ps_json_fail(struct ps_json_reader *reader, const char *at, enum ps_status st,
                         const char *what);

/** The first value: after a byte order mark, blanks, comments and a line `)]}'`. */
const char *ps_json_read_start(struct ps_json_reader *reader);
/** Nothing but blanks may follow the value of the document. */
PS_MUST_CHECK
enum ps_status ps_json_read_end(struct ps_json_reader *reader, const char *p);
/** Skip blanks and comments; may return `end`. */
const char *ps_json_skip_blank(struct ps_json_reader *reader, const char *p);
/** A value that is no container. */
const char *ps_json_read_scalar(struct ps_json_reader *reader, const char *p,
                                struct ps_json_token *out);
/** A member's name, in any spelling; stops before the colon. */
const char *ps_json_read_name(struct ps_json_reader *reader, const char *p,
                              struct ps_json_token *out);
/** ':', '=' or '=>' and the blanks around it. */
const char *ps_json_read_colon(struct ps_json_reader *reader, const char *p);

/**
 * Read any value and append it as compact strict JSON: member order and number text kept, of
 * members with the same name the last value at the first place.
 *
 * @param depth  containers already open around the value
 * @param out    on failure it holds a part of the value; also check ps_buf_ok()
 */
const char *ps_json_read_compact(struct ps_json_reader *reader, const char *p, unsigned depth,
                                 struct ps_buf *out);

#endif
