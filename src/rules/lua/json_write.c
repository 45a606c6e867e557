/* json_write: Lua values as strict compact JSON text (contract 5.3).
 *
 * Nothing here raises, so it serves json.encode inside a call and results outside of one. Members
 * come in the table's own order; their texts are written as they come, then put in the order of
 * their keys' bytes. Work is charged; size and depth are bounded, which also ends cycles. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json_text.h"
#include "core/utf8.h"
#include "rules/lua/state.h"

enum { SPANS_FIRST = 32 };

static bool write_value(struct ps_lua_writer *w, int index, int depth);

PS_PRINTF(3, 4)
static bool fail(struct ps_lua_writer *w, enum ps_script_error_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(w->why, sizeof w->why, format, args);
    va_end(args);
    w->kind = kind;
    return false;
}

static bool check(struct ps_lua_writer *w, size_t units)
{
    if (!ps_lua_spend(w->lua, units))
        return fail(w, w->lua->tripped, "limit");
    if (!ps_buf_ok(w->out))
        return fail(w, PS_SCRIPT_ERROR_LIMIT_MEMORY, "out of memory");
    if (w->out->len > w->bytes_max)
        return fail(w, PS_SCRIPT_ERROR_TOO_LARGE, "more than %zu bytes of JSON", w->bytes_max);
    return true;
}

size_t ps_lua_utf8_valid_len(const char *text, size_t len)
{
    size_t at = 0, bad;
    while (at < len) {
        size_t step =
            (unsigned char)text[at] < 0x80 ? 1 : ps_utf8_sequence(text + at, len - at, &bad);
        if (step == 0)
            break;
        at += step;
    }
    return at;
}

static bool write_string(struct ps_lua_writer *w, const char *text, size_t len)
{
    if (w->out->len + len > w->bytes_max)
        return fail(w, PS_SCRIPT_ERROR_TOO_LARGE, "more than %zu bytes of JSON", w->bytes_max);
    if (ps_lua_utf8_valid_len(text, len) != len)
        return fail(w, PS_SCRIPT_ERROR_BAD_RESULT,
                    "string is not UTF-8 (encode it as base64 or hex first)");
    ps_json_put_string(w->out, text, len);
    return check(w, 3 + len / 16);
}

static bool write_number(struct ps_lua_writer *w, int index)
{
    if (lua_isinteger(w->L, index)) {
        ps_json_put_long(w->out, lua_tointeger(w->L, index));
    } else {
        double value = lua_tonumber(w->L, index);
        if (!isfinite(value))
            return fail(w, PS_SCRIPT_ERROR_BAD_RESULT, "%s has no JSON form",
                        isnan(value) ? "NaN" : "infinity");
        ps_json_put_double(w->out, value);
    }
    return check(w, 4);
}

static void new_line(struct ps_lua_writer *w, struct ps_buf *out, int depth)
{
    if (!w->indent)
        return;
    ps_buf_put_char(out, '\n');
    for (int i = 0; i < depth; i++)
        ps_buf_put(out, "  ", 2);
}

static bool write_array(struct ps_lua_writer *w, int index, size_t count, int depth)
{
    ps_buf_put_char(w->out, '[');
    for (size_t i = 1; i <= count; i++) {
        if (i > 1)
            ps_buf_put_char(w->out, ',');
        new_line(w, w->out, depth);
        lua_rawgeti(w->L, index, (lua_Integer)i);
        if (!write_value(w, lua_gettop(w->L), depth))
            return false;
        lua_pop(w->L, 1);
    }
    if (count)
        new_line(w, w->out, depth - 1);
    ps_buf_put_char(w->out, ']');
    return check(w, 1);
}

/* --- objects --- */

static struct ps_lua_span *new_span(struct ps_lua_writer *w)
{
    struct ps_lua *lua = w->lua;
    if (lua->span_count == lua->span_cap) {
        size_t cap = lua->span_cap ? lua->span_cap * 2 : SPANS_FIRST;
        struct ps_lua_span *spans = realloc(lua->spans, cap * sizeof *spans);
        if (!spans) {
            fail(w, PS_SCRIPT_ERROR_LIMIT_MEMORY, "out of memory");
            return NULL;
        }
        lua->spans = spans;
        lua->span_cap = cap;
    }
    return &lua->spans[lua->span_count++];
}

static bool set_key(struct ps_lua_writer *w, struct ps_lua_span *span, int index)
{
    if (lua_type(w->L, index) == LUA_TSTRING) {
        span->key = lua_tolstring(w->L, index, &span->key_len); /* the table keeps it */
        if (ps_lua_utf8_valid_len(span->key, span->key_len) != span->key_len)
            return fail(w, PS_SCRIPT_ERROR_BAD_RESULT, "key is not UTF-8");
        return true;
    }
    if (lua_type(w->L, index) != LUA_TNUMBER)
        return fail(w, PS_SCRIPT_ERROR_BAD_RESULT, "a %s cannot be a key",
                    luaL_typename(w->L, index));
    span->key = NULL;
    if (lua_isinteger(w->L, index))
        span->key_len = ps_long_format(lua_tointeger(w->L, index), span->number);
    else
        span->key_len = ps_double_format(lua_tonumber(w->L, index), span->number);
    return true;
}

static const char *span_key(const struct ps_lua_span *span)
{
    return span->key ? span->key : span->number;
}

static int compare_spans(const void *a, const void *b)
{
    const struct ps_lua_span *left = a, *right = b;
    size_t shorter = left->key_len < right->key_len ? left->key_len : right->key_len;
    int order = memcmp(span_key(left), span_key(right), shorter);
    return order ? order : (left->key_len > right->key_len) - (left->key_len < right->key_len);
}

/* The members' texts lie from `start` on in any order: write them again in the order of keys. */
static bool put_sorted(struct ps_lua_writer *w, size_t start, size_t first_span, int depth)
{
    struct ps_lua *lua = w->lua;
    struct ps_lua_span *spans = lua->spans ? lua->spans + first_span : NULL;
    size_t count = lua->span_count - first_span;
    if (count > 1)
        qsort(spans, count, sizeof *spans, compare_spans);
    struct ps_buf *sorted = &lua->sorted;
    ps_buf_clear(sorted);
    for (size_t i = 0; i < count; i++) {
        if (i && compare_spans(&spans[i - 1], &spans[i]) == 0)
            return fail(w, PS_SCRIPT_ERROR_BAD_RESULT, "two keys become \"%.60s\"",
                        span_key(&spans[i]));
        ps_buf_put_char(sorted, i ? ',' : '{');
        new_line(w, sorted, depth);
        ps_json_put_string(sorted, span_key(&spans[i]), spans[i].key_len);
        ps_buf_put(sorted, w->indent ? ": " : ":", w->indent ? 2 : 1);
        ps_buf_put(sorted, w->out->data + spans[i].from, spans[i].len);
    }
    if (count)
        new_line(w, sorted, depth - 1);
    ps_buf_put_text(sorted, count ? "}" : "{}");
    if (!ps_buf_ok(sorted))
        return fail(w, PS_SCRIPT_ERROR_LIMIT_MEMORY, "out of memory");
    w->out->len = start;
    ps_buf_put(w->out, sorted->data, sorted->len);
    lua->span_count = first_span;
    return check(w, 4 * count + sorted->len / 16);
}

static bool write_object(struct ps_lua_writer *w, int index, int depth)
{
    lua_State *L = w->L;
    size_t start = w->out->len, first_span = w->lua->span_count, keys_len = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        struct ps_lua_span span = { .from = w->out->len };
        int value = lua_gettop(L);
        if (!set_key(w, &span, value - 1))
            return false;
        keys_len += span.key_len + 4;
        if (!write_value(w, value, depth))
            return false;
        if (w->out->len + keys_len > w->bytes_max)
            return fail(w, PS_SCRIPT_ERROR_TOO_LARGE, "more than %zu bytes of JSON", w->bytes_max);
        span.len = w->out->len - span.from;
        struct ps_lua_span *kept = new_span(w);
        if (!kept)
            return false;
        *kept = span;
        lua_settop(L, value - 1);
    }
    return put_sorted(w, start, first_span, depth);
}

/* --- tables --- */

bool ps_lua_table_is_marked(struct ps_lua *lua, lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    bool marked = lua_topointer(L, -1) == lua->array_mark;
    lua_pop(L, 1);
    return marked;
}

bool ps_lua_table_is_array(struct ps_lua *lua, lua_State *L, int index, size_t *count)
{
    *count = lua_rawlen(L, index);
    if (ps_lua_table_is_marked(lua, L, index))
        return true;
    if (*count == 0)
        return false;
    index = lua_absindex(L, index);
    size_t seen = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        if (key < 1 || (lua_Unsigned)key > *count) {
            lua_pop(L, 1);
            return false;
        }
        seen++;
    }
    return seen == *count;
}

static bool write_table(struct ps_lua_writer *w, int index, int depth)
{
    if (depth > PS_LUA_DEPTH_MAX)
        return fail(w, PS_SCRIPT_ERROR_BAD_RESULT, "nested deeper than %d (or a cycle)",
                    PS_LUA_DEPTH_MAX);
    if (!ps_lua_table_fill(w->lua, w->L, index))
        return fail(w, w->lua->tripped ? w->lua->tripped : PS_SCRIPT_ERROR_BAD_RESULT,
                    "argument table cannot be read");
    size_t count;
    bool array = ps_lua_table_is_array(w->lua, w->L, index, &count);
    if (count > w->bytes_max)
        return fail(w, PS_SCRIPT_ERROR_TOO_LARGE, "more than %zu bytes of JSON", w->bytes_max);
    if (!check(w, 12 + count / 4))
        return false;
    return array ? write_array(w, index, count, depth) : write_object(w, index, depth);
}

static bool write_value(struct ps_lua_writer *w, int index, int depth)
{
    switch (lua_type(w->L, index)) {
    case LUA_TNIL:
        ps_buf_put(w->out, "null", 4);
        return check(w, 1);
    case LUA_TBOOLEAN:
        ps_buf_put_text(w->out, lua_toboolean(w->L, index) ? "true" : "false");
        return check(w, 1);
    case LUA_TNUMBER:
        return write_number(w, index);
    case LUA_TSTRING: {
        size_t len;
        const char *text = lua_tolstring(w->L, index, &len);
        return write_string(w, text, len);
    }
    case LUA_TTABLE:
        return write_table(w, index, depth + 1);
    default:
        if (ps_lua_is_null(w->L, index)) {
            ps_buf_put(w->out, "null", 4);
            return check(w, 1);
        }
        return fail(w, PS_SCRIPT_ERROR_BAD_RESULT, "a %s has no JSON form",
                    luaL_typename(w->L, index));
    }
}

bool ps_lua_json_write(struct ps_lua_writer *w, int index)
{
    index = lua_absindex(w->L, index);
    w->lua->span_count = 0;
    w->why[0] = '\0';
    int top = lua_gettop(w->L);
    bool fine = lua_checkstack(w->L, 4 * PS_LUA_DEPTH_MAX + 16)
                    ? write_value(w, index, 0)
                    : fail(w, PS_SCRIPT_ERROR_LIMIT_MEMORY, "out of memory");
    lua_settop(w->L, top);
    return fine;
}
