/* lib_string: the functions of `string` that could not stay as they are.
 *
 * rep, because it loops without end on an empty text and asks for memory before it knows the cap;
 * format, because %p and the text of tables show addresses. Patterns are in lib_pattern. */
#include <ctype.h>

#include "rules/lua/state.h"

static int string_rep(lua_State *L)
{
    size_t len, separator_len;
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Integer count = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &separator_len);
    if (count <= 0 || len + separator_len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    size_t bytes;
    if (__builtin_mul_overflow(len + separator_len, (size_t)count, &bytes))
        bytes = SIZE_MAX;
    ps_lua_check_size(L, bytes);
    ps_lua_charge_bytes(L, bytes);
    bytes -= separator_len;
    luaL_Buffer out;
    char *start = luaL_buffinitsize(L, &out, bytes + separator_len);
    memcpy(start, text, len);
    memcpy(start + len, separator, separator_len);
    for (size_t done = len + separator_len; done < bytes; done *= 2) /* what is there, again */
        memcpy(start + done, start, done < bytes - done ? done : bytes - done);
    luaL_pushresultsize(&out, bytes);
    return 1;
}

/* (format, ...) with the stock format as upvalue */
static int string_format(lua_State *L)
{
    size_t len;
    int count = lua_gettop(L);
    const char *format = luaL_checklstring(L, 1, &len);
    ps_lua_charge_bytes(L, 64 + len * 4);
    int argument = 1;
    for (size_t i = 0; i < len; i++) {
        if (format[i] != '%')
            continue;
        if (++i < len && format[i] == '%')
            continue;
        while (i < len && strchr("-+ #0.", format[i]) && format[i])
            i++;
        while (i < len && (isdigit((unsigned char)format[i]) || format[i] == '.'))
            i++;
        char conversion = i < len ? format[i] : '\0';
        argument++;
        if (conversion == 'p')
            return luaL_error(L, "invalid conversion '%%p' to 'format'");
        if (conversion != 's' || argument > count)
            continue;
        size_t text_len;
        ps_lua_push_text(L, argument, &text_len);
        lua_replace(L, argument);
        ps_lua_charge_bytes(L, text_len);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, count, 1);
    return 1;
}

const luaL_Reg ps_lua_lib_string[] = {
    { "rep", string_rep },
    { "format", string_format },
    { NULL, NULL },
};
