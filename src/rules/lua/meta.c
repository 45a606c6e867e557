/* meta: metatables without their traps.
 *
 * A finaliser (__gc) runs with hooks off, weak tables (__mode) make collections slow beyond bound:
 * neither may enter a metatable. For __gc the moment of setmetatable is what counts. __mode could
 * be put in later, so every table that serves as a metatable is itself guarded: it gets a metatable
 * whose __newindex refuses the two names. If it has one of its own already, it gets a private copy
 * of that with the guard added; getmetatable shows the original.
 *
 * A frozen table is an empty front: reads go through to the table behind it, writes raise. */
#include "rules/lua/state.h"

/* Keys no script can make: addresses of ours. */
static const char guard_key, original_key, behind_key;

static bool raw_has(lua_State *L, int index, const char *name)
{
    index = lua_absindex(L, index);
    lua_pushstring(L, name);
    bool has = lua_rawget(L, index) != LUA_TNIL;
    lua_pop(L, 1);
    return has;
}

static bool forbidden(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING)
        return false;
    const char *name = lua_tostring(L, index);
    return strcmp(name, "__gc") == 0 || strcmp(name, "__mode") == 0;
}

static int refuse(lua_State *L)
{
    return luaL_error(L, "a metatable must not have '__gc' or '__mode'");
}

/* __newindex of tables that are metatables: (table, key, value) */
static int guarded_newindex(lua_State *L)
{
    if (forbidden(L, 2) && !lua_isnil(L, 3))
        return refuse(L);
    if (lua_isnil(L, 2))
        return luaL_error(L, "table index is nil");
    if (lua_type(L, 2) == LUA_TNUMBER && lua_tonumber(L, 2) != lua_tonumber(L, 2))
        return luaL_error(L, "table index is NaN");
    lua_rawset(L, 1);
    return 0;
}

static void put_guard(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (!raw_has(L, index, "__newindex")) {
        lua_pushcfunction(L, guarded_newindex);
        lua_setfield(L, index, "__newindex");
    }
    lua_pushboolean(L, 1);
    lua_rawsetp(L, index, &guard_key);
}

void ps_lua_guard_push(lua_State *L)
{
    lua_createtable(L, 0, 2);
    put_guard(L, -1);
}

/* Is the table's metatable a guard, that is: does the table serve as a metatable? */
static bool is_guarded(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    bool guarded = lua_rawgetp(L, -1, &guard_key) != LUA_TNIL;
    lua_pop(L, 2);
    return guarded;
}

static bool is_array_mark(lua_State *L, int index)
{
    return lua_topointer(L, index) == ps_lua_of(L)->array_mark;
}

/* Push a private copy of the metatable at `index` that guards what it is given to. */
static void push_guarding_copy(lua_State *L, int index)
{
    lua_newtable(L);
    int copy = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        ps_lua_charge(L, 2);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, copy);
    }
    put_guard(L, copy);
    lua_pushvalue(L, index);
    lua_rawsetp(L, copy, &original_key);
}

/* Give the table at `index` the metatable on top (or nil), guarded; pops it. */
static void set_guarded(lua_State *L, int index)
{
    int given = lua_gettop(L);
    if (lua_isnil(L, given) || is_array_mark(L, given))
        ps_lua_meta_push(L, PS_LUA_META_GUARD);
    else
        push_guarding_copy(L, given);
    lua_setmetatable(L, index);
    lua_settop(L, given - 1);
}

static void guard(lua_State *L, int index)
{
    if (is_guarded(L, index))
        return;
    if (!lua_getmetatable(L, index))
        lua_pushnil(L);
    set_guarded(L, index);
}

int ps_lua_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    lua_settop(L, 2);
    ps_lua_table_ready(L, 1);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (lua_istable(L, 2)) {
        ps_lua_table_ready(L, 2);
        if (raw_has(L, 2, "__gc") || raw_has(L, 2, "__mode"))
            return refuse(L);
        guard(L, 2);
    }
    if (is_guarded(L, 1)) {
        set_guarded(L, 1);
        return 1;
    }
    lua_setmetatable(L, 1);
    return 1;
}

int ps_lua_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    if (lua_istable(L, 1))
        ps_lua_table_ready(L, 1);
    if (!lua_getmetatable(L, 1) || is_array_mark(L, -1)) {
        lua_pushnil(L);
        return 1;
    }
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return 1;
    if (lua_rawgetp(L, -1, &guard_key) != LUA_TNIL)
        lua_rawgetp(L, -2, &original_key); /* nil if it had none of its own */
    else
        lua_pop(L, 1);
    return 1;
}

int ps_lua_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (ps_lua_frozen_push(L, 1) || ps_lua_is_ctx(L, 1))
        return luaL_error(L, "attempt to change a read-only table");
    if (forbidden(L, 2) && !lua_isnil(L, 3))
        return refuse(L);
    ps_lua_table_ready(L, 1);
    lua_rawset(L, 1);
    return 1;
}

/* --- frozen tables --- */

static int frozen_newindex(lua_State *L)
{
    return luaL_error(L, "attempt to change a read-only table");
}

void ps_lua_freeze(lua_State *L)
{
    int behind = lua_gettop(L);
    lua_newtable(L);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, behind);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, frozen_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, behind);
    lua_rawsetp(L, -2, &behind_key);
    lua_setmetatable(L, -2);
    lua_replace(L, behind);
}

bool ps_lua_frozen_push(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    if (lua_rawgetp(L, -1, &behind_key) == LUA_TNIL) {
        lua_pop(L, 2);
        return false;
    }
    lua_remove(L, -2);
    return true;
}
