#include "core/json_lenient.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/json_text.h"
#include "core/utf8.h"

enum { MEMBERS_FIRST_CAP = 64, NON_EXECUTE_PREFIX_LEN = 4 };

struct ps_json_member {
    size_t name_at, value_at, end; /* offsets in the compact text: "name":value */
    uint32_t latest;               /* member whose value this name ends up with */
    bool dropped;                  /* a later spelling of an earlier name */
};

#define BLANK_ENDS (PS_JSON_BLANK | PS_JSON_ENDS)
#define COMMENT_ENDS (PS_JSON_COMMENT | PS_JSON_ENDS)
#define HIGH_16(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x

const uint8_t ps_json_class[256] = {
    ['\t'] = BLANK_ENDS,
    ['\n'] = BLANK_ENDS,
    ['\r'] = BLANK_ENDS,
    [' '] = BLANK_ENDS,
    ['\f'] = PS_JSON_ENDS,
    ['/'] = COMMENT_ENDS,
    ['#'] = COMMENT_ENDS,
    ['\\'] = PS_JSON_ENDS | PS_JSON_SPECIAL,
    ['{'] = PS_JSON_ENDS,
    ['}'] = PS_JSON_ENDS,
    ['['] = PS_JSON_ENDS,
    [']'] = PS_JSON_ENDS,
    [':'] = PS_JSON_ENDS,
    [','] = PS_JSON_ENDS,
    [';'] = PS_JSON_ENDS,
    ['='] = PS_JSON_ENDS,
    [128] = HIGH_16(PS_JSON_SPECIAL),
    HIGH_16(PS_JSON_SPECIAL),
    HIGH_16(PS_JSON_SPECIAL),
    HIGH_16(PS_JSON_SPECIAL),
    HIGH_16(PS_JSON_SPECIAL),
    HIGH_16(PS_JSON_SPECIAL),
    HIGH_16(PS_JSON_SPECIAL),
    HIGH_16(PS_JSON_SPECIAL),
};

void ps_json_reader_deinit(struct ps_json_reader *reader)
{
    ps_buf_deinit(&reader->decoded);
    free(reader->members);
    ps_name_table_deinit(&reader->names);
    *reader = (struct ps_json_reader){ 0 };
}

const char *ps_json_fail(struct ps_json_reader *reader, const char *at, enum ps_status st,
                         const char *what)
{
    reader->status = st;
    ps_text_set(reader->why, "%s at byte %zu", what, (size_t)(at - reader->start));
    return NULL;
}

static const char *malformed(struct ps_json_reader *reader, const char *at, const char *what)
{
    return ps_json_fail(reader, at, PS_EPROTO, at == reader->end ? "unexpected end" : what);
}

static const char *no_memory(struct ps_json_reader *reader, const char *at)
{
    return ps_json_fail(reader, at, PS_ENOMEM, ps_status_text(PS_ENOMEM));
}

/* ---- blanks and comments ---- */

static const char *skip_line(const struct ps_json_reader *reader, const char *p)
{
    while (p < reader->end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

static const char *skip_block_comment(struct ps_json_reader *reader, const char *p)
{
    const char *body = p + 2;
    const char *close = memmem(body, (size_t)(reader->end - body), "*/", 2);
    return close ? close + 2 : ps_json_fail(reader, p, PS_EPROTO, "comment without end");
}

const char *ps_json_skip_blank(struct ps_json_reader *reader, const char *p)
{
    while (p && p < reader->end && ps_json_is(*p, PS_JSON_BLANK | PS_JSON_COMMENT)) {
        bool slash_next = reader->end - p > 1 && p[1] == '/';
        bool star_next = reader->end - p > 1 && p[1] == '*';
        if (ps_json_is(*p, PS_JSON_BLANK))
            p++;
        else if (*p == '#' || slash_next)
            p = skip_line(reader, p);
        else if (star_next)
            p = skip_block_comment(reader, p);
        else
            return p; /* a lone '/': no token starts with it */
    }
    return p;
}

const char *ps_json_read_start(struct ps_json_reader *reader)
{
    const char *p = reader->start;
    if (reader->end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
        p += 3;
    p = ps_json_skip_blank(reader, p);
    if (!p || reader->end - p < NON_EXECUTE_PREFIX_LEN + 1 ||
        memcmp(p, ")]}'", NON_EXECUTE_PREFIX_LEN) != 0)
        return p;
    const char *line_end = p + NON_EXECUTE_PREFIX_LEN;
    if (*line_end != '\n' && *line_end != '\r')
        return p;
    return ps_json_skip_blank(reader, line_end);
}

enum ps_status ps_json_read_end(struct ps_json_reader *reader, const char *p)
{
    while (p < reader->end && ps_json_is(*p, PS_JSON_BLANK))
        p++;
    if (p == reader->end)
        return PS_OK;
    ps_json_fail(reader, p, PS_EPROTO, "text after the value");
    return reader->status;
}

/* ---- quoted text ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits after \u; -1 if they are not there. */
static int32_t read_hex4(const char *p, const char *end)
{
    if (end - p < 4)
        return -1;
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static void put_code_point(struct ps_buf *out, uint32_t c)
{
    if (c < 0x80) {
        ps_buf_put_char(out, (char)c);
    } else if (c < 0x800) {
        ps_buf_put(out, (char[]){ (char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F)) }, 2);
    } else if (c < 0x10000) {
        char bytes[3] = { (char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3F)),
                          (char)(0x80 | (c & 0x3F)) };
        ps_buf_put(out, bytes, sizeof bytes);
    } else {
        char bytes[4] = { (char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3F)),
                          (char)(0x80 | (c >> 6 & 0x3F)), (char)(0x80 | (c & 0x3F)) };
        ps_buf_put(out, bytes, sizeof bytes);
    }
}

/* p is after "\u"; a surrogate without its partner becomes U+FFFD. */
static const char *decode_unicode(struct ps_json_reader *reader, const char *p, const char *end)
{
    int32_t unit = read_hex4(p, end);
    if (unit < 0)
        return malformed(reader, p, "bad \\u escape");
    p += 4;
    if (unit < 0xD800 || unit > 0xDFFF) {
        put_code_point(&reader->decoded, (uint32_t)unit);
        return p;
    }
    int32_t low = -1;
    if (unit < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u')
        low = read_hex4(p + 2, end);
    if (low < 0xDC00 || low > 0xDFFF) {
        ps_buf_put(&reader->decoded, PS_UTF8_REPLACEMENT, PS_UTF8_REPLACEMENT_LEN);
        return p;
    }
    put_code_point(&reader->decoded,
                   0x10000u + (((uint32_t)unit - 0xD800u) << 10) + ((uint32_t)low - 0xDC00u));
    return p + 6;
}

/* p is after the backslash. */
static const char *decode_escape(struct ps_json_reader *reader, const char *p, const char *end)
{
    static const char names[] = "\"\\/'bfnrt", bytes[] = "\"\\/'\b\f\n\r\t";
    if (p == end)
        return malformed(reader, p, "bad escape");
    if (*p == 'u')
        return decode_unicode(reader, p + 1, end);
    const char *name = memchr(names, *p, sizeof names - 1);
    if (!name)
        return malformed(reader, p, "bad escape");
    ps_buf_put_char(&reader->decoded, bytes[name - names]);
    return p + 1;
}

/* Copy [p, end) into reader->decoded with escapes (if there are any) and bad UTF-8 replaced. */
static const char *decode_text(struct ps_json_reader *reader, const char *p, const char *end)
{
    ps_buf_clear(&reader->decoded);
    while (p && p < end) {
        const char *run = p;
        while (p < end && !ps_json_is(*p, PS_JSON_SPECIAL))
            p++;
        ps_buf_put(&reader->decoded, run, (size_t)(p - run));
        if (p == end)
            break;
        if (*p == '\\') {
            p = decode_escape(reader, p + 1, end);
            continue;
        }
        size_t bad, len = ps_utf8_sequence(p, (size_t)(end - p), &bad);
        if (len)
            ps_buf_put(&reader->decoded, p, len);
        else
            ps_buf_put(&reader->decoded, PS_UTF8_REPLACEMENT, PS_UTF8_REPLACEMENT_LEN);
        p += len ? len : bad;
    }
    if (p && !ps_buf_ok(&reader->decoded))
        return no_memory(reader, p);
    return p;
}

/* True if the text can be used as it stands: no escape, well-formed UTF-8. */
static bool is_plain_text(const char *p, const char *end)
{
    while (p < end) {
        size_t bad;
        if (*p == '\\')
            return false;
        size_t len = ps_utf8_sequence(p, (size_t)(end - p), &bad);
        if (len == 0)
            return false;
        p += len;
    }
    return true;
}

/* Fill in the text of a string token; false if decoding failed. */
static bool take_text(struct ps_json_reader *reader, const char *p, const char *end,
                      struct ps_json_token *out)
{
    out->decoded = !is_plain_text(p, end);
    out->text = p;
    out->len = (size_t)(end - p);
    if (!out->decoded)
        return true;
    if (!decode_text(reader, p, end))
        return false;
    out->text = reader->decoded.data ? reader->decoded.data : "";
    out->len = reader->decoded.len;
    return true;
}

static const char *read_quoted(struct ps_json_reader *reader, const char *p,
                               struct ps_json_token *out)
{
    char quote = *p++;
    const char *close = p;
    while (close < reader->end && *close != quote)
        close += *close == '\\' ? 2 : 1;
    if (close >= reader->end)
        return malformed(reader, reader->end, "string without end");
    out->kind = PS_JSON_QUOTED;
    return take_text(reader, p, close, out) ? close + 1 : NULL;
}

/* ---- words ---- */

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && (unsigned char)(*p - '0') < 10)
        p++;
    return p;
}

/* -? (0 | [1-9] digits*) (. digits)? ([eE] [+-]? digits)? */
static bool is_strict_number(const char *p, const char *end)
{
    p += p < end && *p == '-';
    const char *digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return false;
    if (p < end && *p == '.') {
        digits = p + 1;
        p = skip_digits(digits, end);
        if (p == digits)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        digits = p;
        p = skip_digits(digits, end);
        if (p == digits)
            return false;
    }
    return p == end;
}

static bool is_word(const char *p, const char *end, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(end - p) == len && strncasecmp(p, word, len) == 0;
}

static enum ps_json_kind classify_word(const char *p, const char *end)
{
    if (is_word(p, end, "true"))
        return PS_JSON_TRUE;
    if (is_word(p, end, "false"))
        return PS_JSON_FALSE;
    if (is_word(p, end, "null"))
        return PS_JSON_NULL;
    return is_strict_number(p, end) ? PS_JSON_NUMBER : PS_JSON_UNQUOTED;
}

/* The end of the unquoted token at p; p itself if none starts there. */
static const char *word_end(const struct ps_json_reader *reader, const char *p)
{
    while (p < reader->end && !ps_json_is(*p, PS_JSON_ENDS))
        p++;
    return p;
}

const char *ps_json_read_scalar(struct ps_json_reader *reader, const char *p,
                                struct ps_json_token *out)
{
    if (p < reader->end && (*p == '"' || *p == '\''))
        return read_quoted(reader, p, out);
    const char *end = word_end(reader, p);
    if (end == p)
        return malformed(reader, p, "expected a value");
    out->kind = classify_word(p, end);
    return take_text(reader, p, end, out) ? end : NULL;
}

const char *ps_json_read_name(struct ps_json_reader *reader, const char *p,
                              struct ps_json_token *out)
{
    if (p < reader->end && (*p == '"' || *p == '\''))
        return read_quoted(reader, p, out);
    const char *end = word_end(reader, p);
    if (end == p)
        return malformed(reader, p, "expected a name");
    out->kind = PS_JSON_UNQUOTED;
    return take_text(reader, p, end, out) ? end : NULL;
}

const char *ps_json_read_colon(struct ps_json_reader *reader, const char *p)
{
    p = ps_json_skip_blank(reader, p);
    if (!p)
        return NULL;
    if (p == reader->end || (*p != ':' && *p != '='))
        return malformed(reader, p, "expected ':'");
    bool arrow = *p == '=' && reader->end - p > 1 && p[1] == '>';
    return ps_json_skip_blank(reader, p + (arrow ? 2 : 1));
}

/* ---- any value, re-serialised ---- */

/* An open container. */
struct frame {
    bool is_object;
    size_t text_at;      /* where its content starts in the compact text */
    size_t first_member; /* objects: where its names start in reader->members */
};

struct compaction {
    struct ps_json_reader *reader;
    struct ps_buf *out;
    unsigned outer_depth, level;
    struct frame frames[PS_JSON_DEPTH_MAX];
};

static struct ps_json_member *add_member(struct ps_json_reader *reader)
{
    if (reader->member_count == reader->member_cap) {
        size_t cap = reader->member_cap ? reader->member_cap * 2 : MEMBERS_FIRST_CAP;
        struct ps_json_member *members = realloc(reader->members, cap * sizeof *members);
        if (!members)
            return NULL;
        reader->members = members;
        reader->member_cap = cap;
    }
    return &reader->members[reader->member_count++];
}

static const char *compact_scalar(struct compaction *c, const char *p)
{
    struct ps_json_token token;
    p = ps_json_read_scalar(c->reader, p, &token);
    if (!p)
        return NULL;
    switch (token.kind) {
    case PS_JSON_NULL:
        ps_buf_put(c->out, "null", 4);
        break;
    case PS_JSON_TRUE:
        ps_buf_put(c->out, "true", 4);
        break;
    case PS_JSON_FALSE:
        ps_buf_put(c->out, "false", 5);
        break;
    case PS_JSON_NUMBER:
        ps_buf_put(c->out, token.text, token.len);
        break;
    case PS_JSON_QUOTED:
    case PS_JSON_UNQUOTED:
        ps_json_put_string(c->out, token.text, token.len);
        break;
    }
    return p;
}

/* Name and colon; the value is next. */
static const char *compact_name(struct compaction *c, const char *p)
{
    struct ps_json_token token;
    p = ps_json_read_name(c->reader, p, &token);
    if (!p)
        return NULL;
    struct ps_json_member *member = add_member(c->reader);
    if (!member)
        return no_memory(c->reader, p);
    *member = (struct ps_json_member){ .name_at = c->out->len };
    ps_json_put_string(c->out, token.text, token.len);
    ps_buf_put_char(c->out, ':');
    member->value_at = c->out->len;
    return ps_json_read_colon(c->reader, p);
}

/* Find names that came before. Returns: how many members are to be dropped; -1 no memory. */
static int64_t mark_duplicates(struct compaction *c, struct ps_json_member *members, size_t count)
{
    if (ps_name_table_begin(&c->reader->names, count) != PS_OK)
        return -1;
    int64_t dropped = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct ps_json_member *m = &members[i];
        uint32_t len = (uint32_t)(m->value_at - m->name_at);
        uint32_t first = ps_name_table_enter(&c->reader->names, c->out->data + m->name_at, len, i);
        m->dropped = first != i;
        members[first].latest = i;
        dropped += m->dropped;
    }
    return dropped;
}

/* Write the object's content anew: each name at its first place, with its last value. */
static void drop_duplicates(struct compaction *c, const struct ps_json_member *members,
                            size_t count, size_t text_at)
{
    struct ps_buf *kept = &c->reader->decoded; /* no token is in use at the end of an object */
    ps_buf_clear(kept);
    for (size_t i = 0; i < count; i++) {
        const struct ps_json_member *m = &members[i], *latest = &members[m->latest];
        if (m->dropped)
            continue;
        if (kept->len)
            ps_buf_put_char(kept, ',');
        ps_buf_put(kept, c->out->data + m->name_at, m->value_at - m->name_at);
        ps_buf_put(kept, c->out->data + latest->value_at, latest->end - latest->value_at);
    }
    c->out->len = text_at;
    if (ps_buf_ok(kept))
        ps_buf_put(c->out, kept->data, kept->len);
    else
        c->out->failed = true;
}

/* The object that ends with the compact text has all its members. */
static bool settle_members(struct compaction *c, const struct frame *frame)
{
    struct ps_json_reader *reader = c->reader;
    size_t count = reader->member_count - frame->first_member;
    reader->member_count = frame->first_member;
    if (!ps_buf_ok(c->out))
        return false; /* offsets into the text mean nothing now */
    if (count < 2)
        return true;
    struct ps_json_member *members = reader->members + frame->first_member;
    int64_t dropped = mark_duplicates(c, members, count);
    if (dropped > 0)
        drop_duplicates(c, members, count, frame->text_at);
    return dropped >= 0;
}

static const char *close_container(struct compaction *c, const char *p)
{
    struct frame *frame = &c->frames[--c->level];
    if (frame->is_object && !settle_members(c, frame))
        return no_memory(c->reader, p);
    ps_buf_put_char(c->out, *p);
    return p + 1;
}

/* p is at '{' or '['. On return the first value of the container is next, or, if it has none, it is
 * closed again: `*is_value` then says that this container is a complete value. */
static const char *open_container(struct compaction *c, const char *p, bool *is_value)
{
    if (c->outer_depth + c->level >= PS_JSON_DEPTH_MAX)
        return malformed(c->reader, p, "nested too deeply");
    bool is_object = *p == '{';
    ps_buf_put_char(c->out, *p);
    c->frames[c->level++] = (struct frame){ .is_object = is_object,
                                            .text_at = c->out->len,
                                            .first_member = c->reader->member_count };
    p = ps_json_skip_blank(c->reader, p + 1);
    if (!p)
        return NULL;
    *is_value = p < c->reader->end && *p == (is_object ? '}' : ']');
    if (*is_value)
        return close_container(c, p);
    return is_object ? compact_name(c, p) : p;
}

/* One step at a place where a value is due. */
static const char *compact_value_start(struct compaction *c, const char *p, bool *is_value)
{
    *is_value = true;
    if (p < c->reader->end && (*p == '{' || *p == '['))
        return open_container(c, p, is_value);
    bool in_array = c->level > 0 && !c->frames[c->level - 1].is_object;
    if (in_array && p < c->reader->end && (*p == ',' || *p == ';' || *p == ']')) {
        ps_buf_put(c->out, "null", 4); /* an omitted item */
        return p;
    }
    return compact_scalar(c, p);
}

/* One step after a value: a separator (the next value is due) or the end of the container. */
static const char *compact_value_end(struct compaction *c, const char *p, bool *is_value)
{
    struct frame *frame = &c->frames[c->level - 1];
    if (frame->is_object)
        c->reader->members[c->reader->member_count - 1].end = c->out->len;
    p = ps_json_skip_blank(c->reader, p);
    if (!p)
        return NULL;
    if (p < c->reader->end && *p == (frame->is_object ? '}' : ']'))
        return close_container(c, p);
    if (p == c->reader->end || (*p != ',' && *p != ';'))
        return malformed(c->reader, p, "expected ',' or the end of the container");
    *is_value = false;
    ps_buf_put_char(c->out, ',');
    p = ps_json_skip_blank(c->reader, p + 1);
    return p && frame->is_object ? compact_name(c, p) : p;
}

const char *ps_json_read_compact(struct ps_json_reader *reader, const char *p, unsigned depth,
                                 struct ps_buf *out)
{
    struct compaction c; /* not zeroed: 255 frames, of which few are used */
    c.reader = reader;
    c.out = out;
    c.outer_depth = depth;
    c.level = 0;
    reader->member_count = 0;
    bool is_value = false;
    while (p && !(is_value && c.level == 0))
        p = is_value ? compact_value_end(&c, p, &is_value) : compact_value_start(&c, p, &is_value);
    if (p && !ps_buf_ok(out))
        return no_memory(reader, p);
    return p;
}
