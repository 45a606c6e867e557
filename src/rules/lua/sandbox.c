/* sandbox: what a script can see, and the basic functions that had to change.
 *
 * A script's globals are an empty environment in front of the library; what it sets there is wiped
 * after the call. Library tables are frozen fronts. Of Lua's own libraries only harmless functions
 * are taken over; loading code, coroutines (each would start a fresh count of instructions), the
 * collector, files and the debug interface are not there at all (contract 5.5). */
#include "rules/lua/state.h"

enum { GLOBALS_WIPED_MAX = 64 };

/* --- text of values --- */

const char *ps_lua_push_text(lua_State *L, int index, size_t *len)
{
    index = lua_absindex(L, index);
    if (ps_lua_is_null(L, index)) {
        lua_pushliteral(L, "null");
    } else if (luaL_callmeta(L, index, "__tostring")) {
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "'__tostring' must return a string");
    } else if (lua_isstring(L, index)) {
        return luaL_tolstring(L, index, len);
    } else if (lua_isboolean(L, index)) {
        lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    } else {
        lua_pushstring(L, luaL_typename(L, index)); /* no addresses */
    }
    return lua_tolstring(L, -1, len);
}

int ps_lua_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    ps_lua_push_text(L, 1, NULL);
    return 1;
}

/* --- protected calls: limits go through --- */

static int finish_pcall(lua_State *L, int rc, int first)
{
    struct ps_lua *lua = ps_lua_of(L);
    if (rc == LUA_ERRMEM || (rc != LUA_OK && lua->refused))
        ps_lua_trip(lua, PS_SCRIPT_ERROR_LIMIT_MEMORY);
    if (lua->tripped)
        ps_lua_raise_tripped(L);
    if (rc == LUA_OK)
        return lua_gettop(L) - first;
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int safe_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return finish_pcall(L, lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0), 0);
}

static int call_handler(lua_State *L)
{
    if (ps_lua_of(L)->tripped)
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int safe_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    int arguments = lua_gettop(L) - 2;
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, call_handler, 1);
    lua_replace(L, 2); /* function, handler, arguments */
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 1);
    lua_replace(L, 1); /* true, handler, arguments, function */
    lua_insert(L, 3);  /* true, handler, function, arguments */
    int rc = lua_pcall(L, arguments, LUA_MULTRET, 2);
    lua_remove(L, 2);
    return finish_pcall(L, rc, 0);
}

/* --- walking and raw access --- */

static int safe_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    ps_lua_table_ready(L, 1);
    if (ps_lua_frozen_push(L, 1))
        lua_replace(L, 1);
    if (lua_next(L, 1))
        return 2;
    lua_pushnil(L);
    return 1;
}

static int safe_pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_istable(L, 1))
        ps_lua_table_ready(L, 1);
    if (ps_lua_is_ctx(L, 1)) {
        lua_pushcfunction(L, safe_next);
        ps_lua_ctx_push_copy(L);
        lua_pushnil(L);
    } else if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 3);
    } else {
        luaL_checktype(L, 1, LUA_TTABLE);
        lua_pushcfunction(L, safe_next);
        lua_pushvalue(L, 1);
        lua_pushnil(L);
    }
    return 3;
}

static int safe_rawget(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    ps_lua_table_ready(L, 1);
    if (ps_lua_frozen_push(L, 1))
        lua_replace(L, 1);
    lua_rawget(L, 1);
    return 1;
}

static int safe_rawlen(lua_State *L)
{
    int type = lua_type(L, 1);
    luaL_argexpected(L, type == LUA_TTABLE || type == LUA_TSTRING, 1, "table or string");
    if (type == LUA_TTABLE)
        ps_lua_table_ready(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

static const luaL_Reg own_base[] = {
    { "next", safe_next },
    { "pairs", safe_pairs },
    { "pcall", safe_pcall },
    { "xpcall", safe_xpcall },
    { "tostring", ps_lua_tostring },
    { "rawget", safe_rawget },
    { "rawset", ps_lua_rawset },
    { "rawlen", safe_rawlen },
    { "getmetatable", ps_lua_getmetatable },
    { "setmetatable", ps_lua_setmetatable },
    { "print", ps_lua_print },
    { NULL, NULL },
};

static const char *const stock_base[] = { "assert",   "error", "ipairs",   "select",
                                          "tonumber", "type",  "rawequal", NULL };
/* Their work is bounded by what they allocate, and that is charged. */
static const char *const stock_string[] = { "byte", "char",     "len", "lower",  "upper", "reverse",
                                            "pack", "packsize", "sub", "unpack", NULL };

static const struct ps_lua_library libraries[] = {
    { "json", ps_lua_lib_json }, { "time", ps_lua_lib_time },     { "bytes", ps_lua_lib_bytes },
    { "hex", ps_lua_lib_hex },   { "base64", ps_lua_lib_base64 }, { "hash", ps_lua_lib_hash },
    { "num", ps_lua_lib_num },   { "tbl", ps_lua_lib_tbl },       { "str", ps_lua_lib_str },
    { "url", ps_lua_lib_url },   { "geo", ps_lua_lib_geo },       { "uuid", ps_lua_lib_uuid },
    { "log", ps_lua_lib_log },   { "table", ps_lua_lib_table },
};

static bool in_list(const char *const *list, const char *name)
{
    while (*list && strcmp(*list, name) != 0)
        list++;
    return *list;
}

bool ps_lua_global_known(const char *name)
{
    static const char *const made_apart[] = { "math", "utf8", "string", "ctx", NULL };
    if (in_list(stock_base, name) || in_list(made_apart, name))
        return true;
    for (const luaL_Reg *reg = own_base; reg->name; reg++) {
        if (strcmp(reg->name, name) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        if (strcmp(libraries[i].name, name) == 0)
            return true;
    }
    return false;
}

/* --- building; the library under construction is at index 1 --- */

enum { LIBRARY = 1 };

static void take_stock(lua_State *L, int from, int to, const char *const *names)
{
    for (; *names; names++) {
        PS_ASSERT(lua_getfield(L, from, *names) == LUA_TFUNCTION);
        lua_setfield(L, to, *names);
    }
}

static void build_base(lua_State *L)
{
    luaL_requiref(L, "_G", luaopen_base, 0);
    take_stock(L, lua_gettop(L), LIBRARY, stock_base);
    lua_pop(L, 1);
    lua_pushvalue(L, LIBRARY);
    luaL_setfuncs(L, own_base, 0);
    lua_pop(L, 1);
}

/* Our functions beside Lua's, and behind ("text"):method() too. */
static void build_string(lua_State *L)
{
    lua_newtable(L);
    int own = lua_gettop(L), stock = own + 1;
    luaL_requiref(L, "string", luaopen_string, 0);
    take_stock(L, stock, own, stock_string);
    lua_pushvalue(L, own);
    luaL_setfuncs(L, ps_lua_lib_pattern, 0);
    lua_getfield(L, stock, "format");
    luaL_setfuncs(L, ps_lua_lib_string, 1);
    lua_pushliteral(L, "");
    PS_ASSERT(lua_getmetatable(L, -1));
    lua_pushvalue(L, own);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_settop(L, own);
    ps_lua_freeze(L);
    lua_setfield(L, LIBRARY, "string");
}

static void build_stock_library(lua_State *L, const char *name, lua_CFunction open)
{
    luaL_requiref(L, name, open, 0);
    lua_pushnil(L);
    lua_setfield(L, -2, "randomseed"); /* of math; no other has it */
    ps_lua_freeze(L);
    lua_setfield(L, LIBRARY, name);
}

static void build_libraries(lua_State *L)
{
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        lua_newtable(L);
        luaL_setfuncs(L, libraries[i].functions, 0);
        if (libraries[i].functions == ps_lua_lib_json) {
            ps_lua_push_null(L);
            lua_setfield(L, -2, "null");
        }
        ps_lua_freeze(L);
        lua_setfield(L, LIBRARY, libraries[i].name);
    }
}

static void build_metas(lua_State *L)
{
    struct ps_lua *lua = ps_lua_of(L);
    lua_newtable(L);
    lua->array_mark = lua_topointer(L, -1);
    lua->meta_refs[PS_LUA_META_ARRAY] = luaL_ref(L, LUA_REGISTRYINDEX);
    ps_lua_guard_push(L);
    lua->meta_refs[PS_LUA_META_GUARD] = luaL_ref(L, LUA_REGISTRYINDEX);
    ps_lua_lazy_metas_build(L);
}

/* The first write of a name comes here; the call's end then knows there is something to wipe. */
static int global_newindex(lua_State *L)
{
    ps_lua_of(L)->globals_dirty = true;
    lua_rawset(L, 1);
    return 0;
}

static void push_environment(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, LIBRARY);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, global_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); /* what lua_load gives to functions */
}

void ps_lua_sandbox_build(lua_State *L)
{
    lua_newtable(L);
    PS_ASSERT(lua_gettop(L) == LIBRARY);
    build_metas(L);
    build_base(L);
    build_string(L);
    build_stock_library(L, "math", luaopen_math);
    build_stock_library(L, "utf8", luaopen_utf8);
    build_libraries(L);
    ps_lua_ctx_push(L);
    lua_setfield(L, LIBRARY, "ctx");
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE); /* the last way to Lua's own tables */

    lua_pushcfunction(L, ps_lua_on_error);
    push_environment(L);
    ps_lua_lazy_push(L, PS_LUA_META_MSG);
    ps_lua_lazy_push(L, PS_LUA_META_METADATA);
    ps_lua_result_names_push(L);
}

bool ps_lua_globals_wipe(struct ps_lua *lua)
{
    lua_State *L = lua->L;
    lua->globals_dirty = false;
    size_t wiped = 0;
    lua_pushnil(L);
    while (lua_next(L, PS_LUA_SLOT_ENV)) {
        if (++wiped > GLOBALS_WIPED_MAX)
            return false;
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, PS_LUA_SLOT_ENV); /* the key is there: allocates nothing */
    }
    return true;
}
