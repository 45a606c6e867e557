/* lib_table: Lua's `table`, each function charging the span it walks.
 *
 * The stock functions run a span of any length inside one call where no hook fires. Access honours
 * metamethods as theirs does; an argument table is filled first. */
#include "rules/lua/state.h"

enum { UNPACK_MAX = 200000 };

static lua_Integer length_of(lua_State *L, int index)
{
    luaL_argexpected(L, lua_istable(L, index), index, "table");
    ps_lua_table_ready(L, index);
    return luaL_len(L, index);
}

/* Charges from..to and raises if the count is beyond all bounds. Returns: the count. */
static lua_Integer charge_span(lua_State *L, lua_Integer from, lua_Integer to)
{
    if (from > to)
        return 0;
    lua_Unsigned count = (lua_Unsigned)to - (lua_Unsigned)from;
    ps_lua_charge(L, count > INT32_MAX ? INT32_MAX : (size_t)count + 1);
    return (lua_Integer)count + 1;
}

static int table_concat(lua_State *L)
{
    lua_Integer len = length_of(L, 1);
    size_t separator_len;
    const char *separator = luaL_optlstring(L, 2, "", &separator_len);
    lua_Integer from = luaL_optinteger(L, 3, 1), to = luaL_optinteger(L, 4, len);
    charge_span(L, from, to);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (lua_Integer i = from; i <= to; i++) {
        lua_geti(L, 1, i);
        if (!lua_isstring(L, -1))
            return luaL_error(L, "invalid value (at index %I) in table for 'concat'",
                              (LUAI_UACINT)i);
        ps_lua_charge_bytes(L, lua_rawlen(L, -1));
        luaL_addvalue(&out);
        if (i == to)
            break;
        luaL_addlstring(&out, separator, separator_len);
    }
    luaL_pushresult(&out);
    return 1;
}

static int table_insert(lua_State *L)
{
    lua_Integer end = (lua_Integer)((lua_Unsigned)length_of(L, 1) + 1), at = end;
    int count = lua_gettop(L);
    if (count != 2 && count != 3)
        return luaL_error(L, "wrong number of arguments to 'insert'");
    if (count == 3) {
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, (lua_Unsigned)at - 1u < (lua_Unsigned)end, 2, "position out of bounds");
        charge_span(L, at, end);
        for (lua_Integer i = end; i > at; i--) {
            lua_geti(L, 1, i - 1);
            lua_seti(L, 1, i);
        }
    }
    lua_settop(L, count);
    lua_seti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    lua_Integer len = length_of(L, 1), at = luaL_optinteger(L, 2, len);
    luaL_argcheck(L, at == len || (lua_Unsigned)at - 1u <= (lua_Unsigned)len, 2,
                  "position out of bounds");
    charge_span(L, at, len);
    lua_geti(L, 1, at);
    for (; at < len; at++) {
        lua_geti(L, 1, at + 1);
        lua_seti(L, 1, at);
    }
    lua_pushnil(L);
    lua_seti(L, 1, at);
    return 1;
}

static int table_move(lua_State *L)
{
    lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
    lua_Integer at = luaL_checkinteger(L, 4);
    int target = lua_isnoneornil(L, 5) ? 1 : 5;
    luaL_argexpected(L, lua_istable(L, 1), 1, "table");
    luaL_argexpected(L, lua_istable(L, target), target, "table");
    ps_lua_table_ready(L, 1);
    ps_lua_table_ready(L, target);
    if (to >= from) {
        luaL_argcheck(L, from > 0 || to < LUA_MAXINTEGER + from, 3, "too many elements to move");
        lua_Integer count = charge_span(L, from, to);
        luaL_argcheck(L, at <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
        bool backwards = at > from && at <= to && lua_rawequal(L, 1, target);
        for (lua_Integer i = 0; i < count; i++) {
            lua_Integer k = backwards ? count - 1 - i : i;
            lua_geti(L, 1, from + k);
            lua_seti(L, target, at + k);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

static int table_pack(lua_State *L)
{
    int count = lua_gettop(L);
    ps_lua_charge(L, (size_t)count + 1);
    lua_createtable(L, count, 1);
    lua_insert(L, 1);
    for (int i = count; i >= 1; i--)
        lua_seti(L, 1, i);
    lua_pushinteger(L, count);
    lua_setfield(L, 1, "n");
    return 1;
}

static int table_unpack(lua_State *L)
{
    if (lua_istable(L, 1))
        ps_lua_table_ready(L, 1);
    lua_Integer from = luaL_optinteger(L, 2, 1);
    lua_Integer to = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);
    lua_Integer count = charge_span(L, from, to);
    if (count > UNPACK_MAX || !lua_checkstack(L, (int)count))
        return luaL_error(L, "too many results to unpack");
    for (lua_Integer i = 0; i < count; i++)
        lua_geti(L, 1, from + i);
    return (int)count;
}

/* --- sort: heap sort, whose work is bounded whatever the comparison answers --- */

/* Is the value at stack index `a` less than that at `b`? */
static bool sorts_before(lua_State *L, int a, int b)
{
    ps_lua_charge(L, 4);
    if (lua_isnil(L, 2))
        return lua_compare(L, a, b, LUA_OPLT);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, a - 1);
    lua_pushvalue(L, b - 2);
    lua_call(L, 2, 1);
    bool before = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return before;
}

/* Let t[root] sink to its place in the heap t[1..end]. */
static void sink(lua_State *L, lua_Integer root, lua_Integer end)
{
    lua_geti(L, 1, root);
    lua_Integer hole = root;
    while (hole <= end / 2) {
        lua_Integer child = hole * 2;
        lua_geti(L, 1, child);
        if (child < end) {
            lua_geti(L, 1, child + 1);
            if (sorts_before(L, -2, -1)) {
                lua_remove(L, -2);
                child++;
            } else {
                lua_pop(L, 1);
            }
        }
        if (!sorts_before(L, -2, -1)) {
            lua_pop(L, 1);
            break;
        }
        lua_seti(L, 1, hole);
        hole = child;
    }
    lua_seti(L, 1, hole);
}

static int table_sort(lua_State *L)
{
    lua_Integer len = length_of(L, 1);
    if (len < 2)
        return 0;
    luaL_argcheck(L, len < INT32_MAX, 1, "array too big");
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    for (lua_Integer root = len / 2; root >= 1; root--)
        sink(L, root, len);
    for (lua_Integer end = len; end > 1; end--) {
        lua_geti(L, 1, 1);
        lua_geti(L, 1, end);
        lua_seti(L, 1, 1);
        lua_seti(L, 1, end);
        sink(L, 1, end - 1);
    }
    return 0;
}

const luaL_Reg ps_lua_lib_table[] = {
    { "concat", table_concat }, { "insert", table_insert },
    { "move", table_move },     { "pack", table_pack },
    { "remove", table_remove }, { "sort", table_sort },
    { "unpack", table_unpack }, { NULL, NULL },
};
