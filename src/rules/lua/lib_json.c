/* lib_json: `json`: decode, encode, arrays told apart from objects. */
#include "rules/lua/state.h"

static int json_decode(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    ps_lua_json_read(L, text, len, ps_lua_of(L)->call->ctx->keep_nulls);
    return 1;
}

static int json_encode(lua_State *L)
{
    struct ps_lua *lua = ps_lua_of(L);
    luaL_checkany(L, 1);
    lua_settop(L, 2);
    struct ps_lua_writer writer = {
        .lua = lua, .L = L, .out = &lua->text, .bytes_max = lua->limits.call_memory_bytes
    };
    if (lua_istable(L, 2)) {
        lua_getfield(L, 2, "indent");
        writer.indent = lua_toboolean(L, -1);
    }
    if (ps_lua_is_ctx(L, 1)) {
        ps_lua_ctx_push_copy(L);
        lua_replace(L, 1);
    }
    ps_buf_clear(&lua->text);
    if (!ps_lua_json_write(&writer, 1)) {
        if (lua->tripped)
            ps_lua_raise_tripped(L);
        return luaL_error(L, "json.encode: %s", writer.why);
    }
    lua_pushlstring(L, lua->text.data, lua->text.len);
    return 1;
}

static int json_array(lua_State *L)
{
    struct ps_lua *lua = ps_lua_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    ps_lua_table_ready(L, 1);
    if (ps_lua_table_is_marked(lua, L, 1))
        return 1;
    if (lua_getmetatable(L, 1))
        return luaL_error(L, "json.array: the table has a metatable");
    ps_lua_meta_push(L, PS_LUA_META_ARRAY);
    lua_setmetatable(L, 1);
    return 1;
}

static int json_is_array(lua_State *L)
{
    size_t count;
    luaL_checkany(L, 1);
    if (lua_istable(L, 1)) {
        ps_lua_table_ready(L, 1);
        ps_lua_charge(L, 1 + lua_rawlen(L, 1) / 4);
    }
    lua_pushboolean(L, lua_istable(L, 1) && ps_lua_table_is_array(ps_lua_of(L), L, 1, &count));
    return 1;
}

const luaL_Reg ps_lua_lib_json[] = {
    { "decode", json_decode },
    { "encode", json_encode },
    { "array", json_array },
    { "is_array", json_is_array },
    { NULL, NULL },
};
