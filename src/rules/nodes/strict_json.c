/* strict_json: a scanner without a tree.
 *
 * Nested containers are skipped by counting brackets outside strings; they were valid JSON when
 * they came in. Whatever does not look like it is PS_EPROTO, never a guess. */
#include "rules/nodes/strict_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
    const char *at, *end;
};

void ps_strict_object_deinit(struct ps_strict_object *object)
{
    free(object->kvs);
    free(object->text);
    memset(object, 0, sizeof *object);
}

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool take(struct cursor *c, char wanted)
{
    skip_blanks(c);
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

/* --- strings --- */

/* The raw span between quotes; `at` is on the opening one. */
static bool scan_string(struct cursor *c, const char **raw, size_t *raw_len, bool *escaped)
{
    if (!take(c, '"'))
        return false;
    *raw = c->at;
    *escaped = false;
    for (; c->at < c->end; c->at++) {
        if (*c->at == '"') {
            *raw_len = (size_t)(c->at++ - *raw);
            return true;
        }
        if (*c->at == '\\') {
            *escaped = true;
            c->at++;
        }
    }
    return false;
}

static bool hex4(const char *text, const char *end, uint32_t *out)
{
    if (end - text < 4)
        return false;
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char ch = text[i];
        unsigned digit = ch >= '0' && ch <= '9'   ? (unsigned)(ch - '0')
                         : ch >= 'a' && ch <= 'f' ? (unsigned)(ch - 'a' + 10)
                         : ch >= 'A' && ch <= 'F' ? (unsigned)(ch - 'A' + 10)
                                                  : 16u;
        if (digit > 15)
            return false;
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *to++ = (char)(0xE0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    } else {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3F));
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    }
    return to;
}

/* After "\u": one code point, surrogate pairs joined, lone halves replaced. */
static bool unescape_unicode(const char **from, const char *end, char **to)
{
    uint32_t code, low;
    if (!hex4(*from, end, &code))
        return false;
    *from += 4;
    if (code >= 0xD800 && code < 0xDC00 && end - *from >= 6 && (*from)[0] == '\\' &&
        (*from)[1] == 'u' && hex4(*from + 2, end, &low) && low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        *from += 6;
    } else if (code >= 0xD800 && code < 0xE000) {
        code = 0xFFFD;
    }
    *to = put_utf8(*to, code);
    return true;
}

/* Decode `raw` into `to`, which has room for raw_len bytes: no escape gets longer. */
static bool unescape(const char *raw, size_t raw_len, char *to, size_t *to_len)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *end = raw + raw_len;
    char *start = to;
    while (raw < end) {
        if (*raw != '\\') {
            *to++ = *raw++;
            continue;
        }
        if (++raw == end)
            return false;
        char kind = *raw++;
        const char *simple = kind ? strchr(names, kind) : NULL;
        if (simple)
            *to++ = bytes[simple - names];
        else if (kind != 'u' || !unescape_unicode(&raw, end, &to))
            return false;
    }
    *to_len = (size_t)(to - start);
    return true;
}

static enum ps_status read_string(struct ps_strict_object *object, struct cursor *c,
                                  const char **text, uint32_t *len)
{
    const char *raw;
    size_t raw_len;
    bool escaped;
    if (!scan_string(c, &raw, &raw_len, &escaped))
        return PS_EPROTO;
    if (escaped) {
        char *to = object->text + object->text_len; /* reserved by parse for the whole input */
        if (!unescape(raw, raw_len, to, &raw_len))
            return PS_EPROTO;
        object->text_len += raw_len;
        raw = to;
    }
    *text = raw;
    *len = (uint32_t)raw_len;
    return PS_OK;
}

/* --- other values --- */

static bool skip_container(struct cursor *c)
{
    int depth = 0;
    while (c->at < c->end) {
        char ch = *c->at;
        if (ch == '"') {
            const char *raw;
            size_t len;
            bool escaped;
            if (!scan_string(c, &raw, &len, &escaped))
                return false;
            continue;
        }
        c->at++;
        if (ch == '{' || ch == '[')
            depth++;
        else if ((ch == '}' || ch == ']') && --depth == 0)
            return true;
    }
    return false;
}

static bool word(struct cursor *c, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, text, len) != 0)
        return false;
    c->at += len;
    return true;
}

static enum ps_status read_number(struct ps_strict_object *object, struct cursor *c,
                                  struct ps_value *value)
{
    char digits[64], *copy = digits, *stop;
    const char *start = c->at;
    bool integer = true;
    for (; c->at < c->end && *c->at && strchr("+-.eE0123456789", *c->at); c->at++)
        integer = integer && !strchr(".eE", *c->at);
    size_t len = (size_t)(c->at - start);
    if (len == 0)
        return PS_EPROTO;
    if (len >= sizeof digits && !(copy = malloc(len + 1)))
        return PS_ENOMEM;
    memcpy(copy, start, len);
    copy[len] = '\0';
    errno = 0;
    if (integer) {
        *value = (struct ps_value){ .type = PS_VALUE_LONG, .integer = strtoll(copy, &stop, 10) };
        if (errno == ERANGE)
            object->integers_widened++;
    }
    if (!integer || errno == ERANGE)
        *value = (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = strtod(copy, &stop) };
    bool whole = *stop == '\0';
    if (copy != digits)
        free(copy);
    return whole ? PS_OK : PS_EPROTO;
}

static enum ps_status read_value(struct ps_strict_object *object, struct cursor *c,
                                 struct ps_value *value)
{
    skip_blanks(c);
    const char *start = c->at;
    if (c->at == c->end)
        return PS_EPROTO;
    *value = (struct ps_value){ .type = PS_VALUE_NULL };
    switch (*c->at) {
    case '"':
        value->type = PS_VALUE_STRING;
        return read_string(object, c, &value->text, &value->len);
    case '{':
    case '[':
        if (!skip_container(c))
            return PS_EPROTO;
        value->type = PS_VALUE_JSON;
        value->text = start;
        value->len = (uint32_t)(c->at - start);
        return PS_OK;
    case 't':
    case 'f':
        value->type = PS_VALUE_BOOLEAN;
        value->boolean = *start == 't';
        return word(c, value->boolean ? "true" : "false") ? PS_OK : PS_EPROTO;
    case 'n':
        return word(c, "null") ? PS_OK : PS_EPROTO;
    default:
        return read_number(object, c, value);
    }
}

/* --- objects and arrays --- */

static enum ps_status add_member(struct ps_strict_object *object, const struct ps_kv *kv)
{
    if (object->count == object->cap) {
        uint32_t cap = object->cap ? object->cap * 2 : 16;
        struct ps_kv *grown = realloc(object->kvs, cap * sizeof *grown);
        if (!grown)
            return PS_ENOMEM;
        object->kvs = grown;
        object->cap = cap;
    }
    object->kvs[object->count++] = *kv;
    return PS_OK;
}

static enum ps_status read_members(struct ps_strict_object *object, struct cursor *c)
{
    if (!take(c, '{'))
        return PS_EPROTO;
    if (take(c, '}'))
        return PS_OK;
    do {
        struct ps_kv kv;
        enum ps_status st = read_string(object, c, &kv.key, &kv.key_len);
        if (st != PS_OK)
            return st;
        if (!take(c, ':'))
            return PS_EPROTO;
        st = read_value(object, c, &kv.value);
        if (st == PS_OK)
            st = add_member(object, &kv);
        if (st != PS_OK)
            return st;
    } while (take(c, ','));
    return take(c, '}') ? PS_OK : PS_EPROTO;
}

enum ps_status ps_strict_object_parse(struct ps_strict_object *object, const char *text, size_t len)
{
    struct cursor c = { text, text + len };
    object->count = 0;
    object->text_len = 0;
    if (len > object->text_cap) {
        char *grown = realloc(object->text, len);
        if (!grown)
            return PS_ENOMEM;
        object->text = grown;
        object->text_cap = len;
    }
    enum ps_status st = read_members(object, &c);
    skip_blanks(&c);
    return st == PS_OK && c.at != c.end ? PS_EPROTO : st;
}

static bool skip_element(struct cursor *c)
{
    skip_blanks(c);
    if (c->at == c->end)
        return false;
    const char *raw;
    size_t len;
    bool escaped;
    if (*c->at == '"')
        return scan_string(c, &raw, &len, &escaped);
    if (*c->at == '{' || *c->at == '[')
        return skip_container(c);
    const char *start = c->at;
    while (c->at < c->end && *c->at != ',' && *c->at != ']')
        c->at++;
    return c->at > start;
}

bool ps_strict_array_next(const char *text, size_t len, size_t *at, const char **element,
                          size_t *element_len, bool *valid)
{
    struct cursor c = { text + *at, text + len };
    bool first = *at == 0;
    *valid = take(&c, first ? '[' : ',');
    if (first && *valid && take(&c, ']')) {
        skip_blanks(&c);
        *valid = c.at == c.end;
        return false;
    }
    if (!*valid) {
        *valid = !first && take(&c, ']') && (skip_blanks(&c), c.at == c.end);
        return false;
    }
    skip_blanks(&c);
    *element = c.at;
    *valid = skip_element(&c);
    *element_len = (size_t)(c.at - *element);
    *at = (size_t)(c.at - text);
    return *valid;
}
