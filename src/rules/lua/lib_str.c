/* lib_str: `str`: plain text work that patterns make awkward. */
#include <ctype.h>

#include "rules/lua/state.h"

static int str_split(lua_State *L)
{
    size_t len, separator_len;
    const char *text = luaL_checklstring(L, 1, &len), *end = text + len;
    const char *separator = luaL_checklstring(L, 2, &separator_len);
    luaL_argcheck(L, separator_len > 0, 2, "separator is empty");
    ps_lua_charge_bytes(L, len * 2);
    lua_newtable(L);
    ps_lua_meta_push(L, PS_LUA_META_ARRAY);
    lua_setmetatable(L, -2);
    lua_Integer count = 0;
    for (;;) {
        const char *found = memmem(text, (size_t)(end - text), separator, separator_len);
        lua_pushlstring(L, text, (size_t)((found ? found : end) - text));
        lua_rawseti(L, -2, ++count);
        ps_lua_charge(L, 3);
        if (!found)
            return 1;
        text = found + separator_len;
    }
}

static int str_trim(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    ps_lua_charge_bytes(L, len);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    while (len > 0 && isspace((unsigned char)*text)) {
        text++;
        len--;
    }
    lua_pushlstring(L, text, len);
    return 1;
}

static int str_starts(lua_State *L)
{
    size_t len, prefix_len;
    const char *text = luaL_checklstring(L, 1, &len);
    const char *prefix = luaL_checklstring(L, 2, &prefix_len);
    ps_lua_charge_bytes(L, prefix_len);
    lua_pushboolean(L, prefix_len <= len && memcmp(text, prefix, prefix_len) == 0);
    return 1;
}

static int str_ends(lua_State *L)
{
    size_t len, suffix_len;
    const char *text = luaL_checklstring(L, 1, &len);
    const char *suffix = luaL_checklstring(L, 2, &suffix_len);
    ps_lua_charge_bytes(L, suffix_len);
    lua_pushboolean(L,
                    suffix_len <= len && memcmp(text + len - suffix_len, suffix, suffix_len) == 0);
    return 1;
}

/* (s, n[, c]): `s` with copies of `c` on one side until it has n bytes */
static int pad(lua_State *L, bool in_front)
{
    size_t len, fill_len;
    luaL_checklstring(L, 1, &len);
    lua_Integer wanted = luaL_checkinteger(L, 2);
    const char *fill = luaL_optlstring(L, 3, " ", &fill_len);
    luaL_argcheck(L, fill_len > 0, 3, "nothing to pad with");
    if (wanted <= (lua_Integer)len) {
        lua_settop(L, 1);
        return 1;
    }
    size_t missing = (size_t)wanted - len;
    ps_lua_check_size(L, (size_t)wanted);
    ps_lua_charge_bytes(L, missing * 4);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    if (!in_front) {
        lua_pushvalue(L, 1);
        luaL_addvalue(&out);
    }
    char *at = luaL_prepbuffsize(&out, missing);
    for (size_t i = 0; i < missing; i++)
        at[i] = fill[i % fill_len];
    luaL_addsize(&out, missing);
    if (in_front) {
        lua_pushvalue(L, 1);
        luaL_addvalue(&out);
    }
    luaL_pushresult(&out);
    return 1;
}

static int str_pad_start(lua_State *L)
{
    return pad(L, true);
}

static int str_pad_end(lua_State *L)
{
    return pad(L, false);
}

const luaL_Reg ps_lua_lib_str[] = {
    { "split", str_split }, { "trim", str_trim },           { "starts", str_starts },
    { "ends", str_ends },   { "pad_start", str_pad_start }, { "pad_end", str_pad_end },
    { NULL, NULL },
};
