/* json_read: strict JSON text (RFC 8259) straight onto the Lua stack (contract 5.3).
 *
 * Recursive descent, at most 64 deep. Members that are null are absent, elements that are null are
 * json.null, so positions hold; arrays are marked. Equal keys: the last one wins. Raises on
 * anything else, so it runs inside a protected call; its only memory is Lua's. */
#include <math.h>

#include "core/decimal.h"
#include "rules/lua/state.h"

struct reader {
    lua_State *L;
    const char *start, *at, *end;
    bool keep_nulls;
};

static void read_value(struct reader *r, int depth);

_Noreturn static void fail(struct reader *r, const char *what)
{
    luaL_error(r->L, "json: %s at byte %I", what, (LUAI_UACINT)(r->at - r->start));
    __builtin_unreachable();
}

/* json.null: a light userdata nobody else can make; its address is never shown. */
static const char null_mark;

void ps_lua_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&null_mark);
}

bool ps_lua_is_null(lua_State *L, int index)
{
    return lua_islightuserdata(L, index) && lua_touserdata(L, index) == (void *)&null_mark;
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static void expect_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        fail(r, "unexpected character");
    r->at += len;
}

/* --- strings --- */

static unsigned read_hex4(struct reader *r)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = r->at < r->end ? *r->at : '\0';
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            fail(r, "bad \\u escape");
        value = value << 4 | digit;
        r->at++;
    }
    return value;
}

static void add_code_point(luaL_Buffer *out, unsigned code)
{
    if (code < 0x80) {
        luaL_addchar(out, (char)code);
        return;
    }
    if (code < 0x800) {
        luaL_addchar(out, (char)(0xC0 | code >> 6));
    } else {
        if (code < 0x10000) {
            luaL_addchar(out, (char)(0xE0 | code >> 12));
        } else {
            luaL_addchar(out, (char)(0xF0 | code >> 18));
            luaL_addchar(out, (char)(0x80 | (code >> 12 & 0x3F)));
        }
        luaL_addchar(out, (char)(0x80 | (code >> 6 & 0x3F)));
    }
    luaL_addchar(out, (char)(0x80 | (code & 0x3F)));
}

static void read_unicode_escape(struct reader *r, luaL_Buffer *out)
{
    unsigned code = read_hex4(r);
    if (code >= 0xD800 && code < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' &&
        r->at[1] == 'u') {
        const char *second = r->at;
        r->at += 2;
        unsigned low = read_hex4(r);
        if (low >= 0xDC00 && low < 0xE000)
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        else
            r->at = second;
    }
    add_code_point(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code); /* half a pair */
}

static void read_escape(struct reader *r, luaL_Buffer *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = r->at < r->end ? *r->at++ : '\0';
    const char *known = c ? strchr(from, c) : NULL;
    if (known)
        luaL_addchar(out, to[known - from]);
    else if (c == 'u')
        read_unicode_escape(r, out);
    else
        fail(r, "bad escape");
}

/* The opening quote is taken. */
static void read_string(struct reader *r)
{
    const char *from = r->at;
    while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (unsigned char)*r->at >= 0x20)
        r->at++;
    if (r->at < r->end && *r->at == '"') { /* the usual case */
        lua_pushlstring(r->L, from, (size_t)(r->at++ - from));
        return;
    }
    luaL_Buffer out;
    luaL_buffinit(r->L, &out);
    luaL_addlstring(&out, from, (size_t)(r->at - from));
    for (;;) {
        if (r->at == r->end)
            fail(r, "string without end");
        char c = *r->at;
        if ((unsigned char)c < 0x20)
            fail(r, "control character in a string");
        r->at++;
        if (c == '"')
            break;
        if (c == '\\')
            read_escape(r, &out);
        else
            luaL_addchar(&out, c);
    }
    luaL_pushresult(&out);
}

/* --- numbers --- */

static size_t skip_digits(struct reader *r)
{
    const char *from = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - from);
}

static void read_number(struct reader *r)
{
    const char *from = r->at;
    bool integral = true;
    if (*r->at == '-')
        r->at++;
    const char *digits = r->at;
    size_t count = skip_digits(r);
    if (count == 0 || (count > 1 && *digits == '0'))
        fail(r, "bad number");
    if (r->at < r->end && *r->at == '.') {
        integral = false;
        r->at++;
        if (skip_digits(r) == 0)
            fail(r, "bad number");
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        integral = false;
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        if (skip_digits(r) == 0)
            fail(r, "bad number");
    }
    struct ps_decimal decimal;
    ps_decimal_split(from, (size_t)(r->at - from), &decimal);
    int64_t integer;
    if (integral && ps_decimal_truncate(&decimal, &integer)) {
        lua_pushinteger(r->L, integer);
        return;
    }
    double real = ps_decimal_to_double(&decimal);
    if (!isfinite(real))
        fail(r, "number too large");
    lua_pushnumber(r->L, real);
}

/* --- tables --- */

/* The opening bracket is taken. */
static void read_array(struct reader *r, int depth)
{
    lua_newtable(r->L);
    ps_lua_meta_push(r->L, PS_LUA_META_ARRAY);
    lua_setmetatable(r->L, -2);
    if (take(r, ']'))
        return;
    lua_Integer count = 0;
    do {
        read_value(r, depth);
        lua_rawseti(r->L, -2, ++count);
    } while (take(r, ','));
    if (!take(r, ']'))
        fail(r, "expected ',' or ']'");
}

/* The opening brace is taken. */
static void read_object(struct reader *r, int depth)
{
    lua_newtable(r->L);
    if (take(r, '}'))
        return;
    do {
        if (!take(r, '"'))
            fail(r, "expected a key");
        read_string(r);
        if (!take(r, ':'))
            fail(r, "expected ':'");
        read_value(r, depth);
        if (!r->keep_nulls && ps_lua_is_null(r->L, -1)) {
            lua_pop(r->L, 1);
            lua_pushnil(r->L); /* also takes away an earlier member of that key */
        }
        lua_rawset(r->L, -3);
    } while (take(r, ','));
    if (!take(r, '}'))
        fail(r, "expected ',' or '}'");
}

static void read_value(struct reader *r, int depth)
{
    ps_lua_charge(r->L, 3);
    if (depth == PS_LUA_DEPTH_MAX)
        fail(r, "nested deeper than 64");
    skip_blanks(r);
    char c = r->at < r->end ? *r->at : '\0';
    if (c == '{') {
        r->at++;
        read_object(r, depth + 1);
    } else if (c == '[') {
        r->at++;
        read_array(r, depth + 1);
    } else if (c == '"') {
        r->at++;
        read_string(r);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        read_number(r);
    } else if (c == 't' || c == 'f') {
        expect_word(r, c == 't' ? "true" : "false");
        lua_pushboolean(r->L, c == 't');
    } else if (c == 'n') {
        expect_word(r, "null");
        ps_lua_push_null(r->L);
    } else {
        fail(r, r->at == r->end ? "unexpected end" : "unexpected character");
    }
}

void ps_lua_json_read(lua_State *L, const char *text, size_t len, bool keep_nulls)
{
    struct reader r = {
        .L = L, .start = text, .at = text, .end = text + len, .keep_nulls = keep_nulls
    };
    luaL_checkstack(L, 3 * PS_LUA_DEPTH_MAX + 8, NULL);
    ps_lua_charge_bytes(L, len * 2);
    read_value(&r, 0);
    skip_blanks(&r);
    if (r.at != r.end)
        fail(&r, "text behind the value");
}
