/* lib_codec: `hex`, `base64` and `url`: bytes as text and back. */
#include <ctype.h>

#include "rules/lua/state.h"

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (unsigned char)tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hex_encode(lua_State *L)
{
    static const char digits[] = "0123456789abcdef";
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len);
    ps_lua_check_size(L, len * 2);
    ps_lua_charge_bytes(L, len * 4);
    luaL_Buffer out;
    char *at = luaL_buffinitsize(L, &out, len * 2);
    for (size_t i = 0; i < len; i++) {
        *at++ = digits[(unsigned char)bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    luaL_pushresultsize(&out, len * 2);
    return 1;
}

/* Blanks and ':' between digits and a 0x in front are what people paste. */
static int hex_decode(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    ps_lua_charge_bytes(L, len * 4);
    luaL_Buffer out;
    char *start = luaL_buffinitsize(L, &out, len / 2 + 1), *at = start;
    int high = -1;
    size_t i = len >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 2 : 0;
    for (; i < len; i++) {
        if (isspace((unsigned char)text[i]) || text[i] == ':')
            continue;
        int digit = hex_digit((unsigned char)text[i]);
        if (digit < 0)
            return luaL_error(L, "hex.decode: not a hex digit at byte %I", (LUAI_UACINT)i + 1);
        if (high >= 0)
            *at++ = (char)(high << 4 | digit);
        high = high >= 0 ? -1 : digit;
    }
    if (high >= 0)
        return luaL_error(L, "hex.decode: odd number of digits");
    luaL_pushresultsize(&out, (size_t)(at - start));
    return 1;
}

/* --- base64 --- */

static int base64_encode(lua_State *L)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len;
    const unsigned char *bytes = (const unsigned char *)luaL_checklstring(L, 1, &len);
    size_t text_len = (len + 2) / 3 * 4;
    ps_lua_check_size(L, text_len);
    ps_lua_charge_bytes(L, len * 4);
    luaL_Buffer out;
    char *at = luaL_buffinitsize(L, &out, text_len);
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        *at++ = digits[group >> 18];
        *at++ = digits[group >> 12 & 63];
        *at++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[group & 63] : '=';
    }
    luaL_pushresultsize(&out, text_len);
    return 1;
}

static int base64_digit(unsigned char c)
{
    if (isupper(c))
        return c - 'A';
    if (islower(c))
        return c - 'a' + 26;
    if (isdigit(c))
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Both alphabets, with or without padding; line breaks and blanks are skipped. */
static int base64_decode(lua_State *L)
{
    size_t len, digits = 0, padding = 0;
    const char *text = luaL_checklstring(L, 1, &len);
    ps_lua_charge_bytes(L, len * 4);
    luaL_Buffer out;
    char *start = luaL_buffinitsize(L, &out, len / 4 * 3 + 3), *at = start;
    uint32_t group = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (isspace(c))
            continue;
        int digit = base64_digit(c);
        if (c == '=' && digits + padding > 0)
            padding++;
        else if (digit < 0 || padding > 0)
            return luaL_error(L, "base64.decode: bad character at byte %I", (LUAI_UACINT)i + 1);
        if (c == '=')
            continue;
        group = group << 6 | (uint32_t)digit;
        if (++digits % 4 == 0) {
            *at++ = (char)(group >> 16);
            *at++ = (char)(group >> 8);
            *at++ = (char)group;
        }
    }
    size_t rest = digits % 4;
    if (rest == 1 || (padding > 0 && (digits + padding) % 4 != 0) || padding > 2)
        return luaL_error(L, "base64.decode: wrong length");
    if (rest >= 2)
        *at++ = (char)(group >> (rest == 2 ? 4 : 10));
    if (rest == 3)
        *at++ = (char)(group >> 2);
    luaL_pushresultsize(&out, (size_t)(at - start));
    return 1;
}

/* --- url --- */

/* RFC 3986: all but the unreserved characters. */
static int url_encode(lua_State *L)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    ps_lua_charge_bytes(L, len * 4);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            luaL_addchar(&out, (char)c);
        } else {
            luaL_addchar(&out, '%');
            luaL_addchar(&out, digits[c >> 4]);
            luaL_addchar(&out, digits[c & 15]);
        }
    }
    luaL_pushresult(&out);
    return 1;
}

static int url_decode(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    ps_lua_charge_bytes(L, len * 4);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            luaL_addchar(&out, text[i] == '+' ? ' ' : text[i]);
            continue;
        }
        int high = i + 2 < len ? hex_digit((unsigned char)text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit((unsigned char)text[i + 2]) : -1;
        if (low < 0)
            return luaL_error(L, "url.decode: bad escape at byte %I", (LUAI_UACINT)i + 1);
        luaL_addchar(&out, (char)(high << 4 | low));
        i += 2;
    }
    luaL_pushresult(&out);
    return 1;
}

const luaL_Reg ps_lua_lib_hex[] = {
    { "encode", hex_encode },
    { "decode", hex_decode },
    { NULL, NULL },
};

const luaL_Reg ps_lua_lib_base64[] = {
    { "encode", base64_encode },
    { "decode", base64_decode },
    { NULL, NULL },
};

const luaL_Reg ps_lua_lib_url[] = {
    { "encode", url_encode },
    { "decode", url_decode },
    { NULL, NULL },
};
