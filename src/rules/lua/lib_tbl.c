/* lib_tbl: `tbl`: what JSON documents are usually needed for. Raw access throughout. */
#include <stdlib.h>

#include "core/json_text.h"
#include "rules/lua/state.h"

static void checked_table(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    ps_lua_table_ready(L, index);
    if (ps_lua_is_ctx(L, index)) {
        ps_lua_ctx_push_copy(L);
        lua_replace(L, index);
    }
}

/* Push the member of the table on top that a part of a path names; pops the table. */
static void get_member(lua_State *L, const char *part, size_t len)
{
    ps_lua_table_ready(L, -1);
    lua_pushlstring(L, part, len);
    if (lua_rawget(L, -2) == LUA_TNIL && len > 0 && len <= 9 && strspn(part, "0123456789") >= len) {
        lua_pop(L, 1);
        lua_rawgeti(L, -1, (lua_Integer)strtol(part, NULL, 10) + 1);
    }
    lua_remove(L, -2);
}

/* (t, path[, default]): the value at "a.b.0.c" */
static int tbl_get(lua_State *L)
{
    size_t len;
    luaL_checkany(L, 1);
    const char *path = luaL_checklstring(L, 2, &len), *end = path + len;
    lua_settop(L, 3);
    ps_lua_charge_bytes(L, 64 + len);
    lua_pushvalue(L, 1);
    for (;;) {
        const char *dot = memchr(path, '.', (size_t)(end - path));
        if (!lua_istable(L, -1)) {
            lua_pushnil(L);
            break;
        }
        get_member(L, path, (size_t)((dot ? dot : end) - path));
        ps_lua_charge(L, 4);
        if (!dot)
            break;
        path = dot + 1;
    }
    if (lua_isnil(L, -1) || ps_lua_is_null(L, -1))
        lua_pushvalue(L, 3);
    return 1;
}

/* --- flatten --- */

struct flattening {
    int target; /* index of the flat table */
    int separator;
};

static void flatten_into(lua_State *L, const struct flattening *f, int table, int prefix,
                         int depth);

/* Push the text of a key: array positions count from 0, as in paths. */
static void push_key_text(lua_State *L, int key, bool array)
{
    if (array && lua_isinteger(L, key))
        lua_pushinteger(L, lua_tointeger(L, key) - 1);
    else
        lua_pushvalue(L, key);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
}

static bool is_empty_table(lua_State *L, int index)
{
    lua_pushnil(L);
    if (!lua_next(L, index))
        return true;
    lua_pop(L, 2);
    return false;
}

/* One member: its key is at `key`, its value right above. */
static void flatten_member(lua_State *L, const struct flattening *f, int key, int prefix,
                           bool array, int depth)
{
    if (lua_type(L, key) != LUA_TSTRING && lua_type(L, key) != LUA_TNUMBER)
        luaL_error(L, "tbl.flatten: a %s cannot be a key", luaL_typename(L, key));
    if (prefix) {
        lua_pushvalue(L, prefix);
        lua_pushvalue(L, f->separator);
    }
    push_key_text(L, key, array);
    if (prefix)
        lua_concat(L, 3);
    int name = lua_gettop(L);
    if (lua_istable(L, key + 1))
        ps_lua_table_ready(L, key + 1);
    if (lua_istable(L, key + 1) && !is_empty_table(L, key + 1)) {
        flatten_into(L, f, key + 1, name, depth + 1);
        return;
    }
    lua_pushvalue(L, key + 1);
    lua_rawset(L, f->target);
}

static void flatten_into(lua_State *L, const struct flattening *f, int table, int prefix, int depth)
{
    size_t count;
    if (depth > PS_LUA_DEPTH_MAX)
        luaL_error(L, "tbl.flatten: nested deeper than %d (or a cycle)", PS_LUA_DEPTH_MAX);
    luaL_checkstack(L, 12, NULL);
    bool array = ps_lua_table_is_array(ps_lua_of(L), L, table, &count);
    int top = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        ps_lua_charge(L, 25);
        flatten_member(L, f, top + 1, prefix, array, depth);
        lua_settop(L, top + 1);
    }
}

static int tbl_flatten(lua_State *L)
{
    checked_table(L, 1);
    luaL_optstring(L, 2, ".");
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_pushliteral(L, ".");
    }
    lua_settop(L, 2);
    lua_newtable(L);
    flatten_into(L, &(struct flattening){ .target = 3, .separator = 2 }, 1, 0, 1);
    lua_settop(L, 3);
    return 1;
}

/* --- keys --- */

struct key {
    const char *text;
    size_t len;
};

static int compare_keys(const void *a, const void *b)
{
    const struct key *left = a, *right = b;
    int order = memcmp(left->text, right->text, left->len < right->len ? left->len : right->len);
    return order ? order : (left->len > right->len) - (left->len < right->len);
}

/* Keys as text, in the order of their bytes, as the encoder has them. */
static int tbl_keys(lua_State *L)
{
    checked_table(L, 1);
    lua_settop(L, 1);
    size_t count = 0;
    lua_newtable(L); /* of the texts, to hold them */
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        ps_lua_charge(L, 12);
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
            return luaL_error(L, "tbl.keys: a %s cannot be a key", luaL_typename(L, -1));
        push_key_text(L, lua_gettop(L), false);
        lua_rawseti(L, 2, (lua_Integer)++count);
    }
    struct key *keys = lua_newuserdatauv(L, (count + 1) * sizeof *keys, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        keys[i].text = lua_tolstring(L, -1, &keys[i].len);
        lua_pop(L, 1);
    }
    if (count > 1)
        qsort(keys, count, sizeof *keys, compare_keys);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(L, keys[i].text, keys[i].len);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    ps_lua_meta_push(L, PS_LUA_META_ARRAY);
    lua_setmetatable(L, -2);
    return 1;
}

/* --- copies --- */

/* Push a deep copy of the table at `index`; array marks are kept, other metatables are not. */
static void push_copy(lua_State *L, int index, int depth)
{
    if (depth > PS_LUA_DEPTH_MAX)
        luaL_error(L, "tbl.copy: nested deeper than %d (or a cycle)", PS_LUA_DEPTH_MAX);
    luaL_checkstack(L, 8, NULL);
    ps_lua_table_ready(L, index);
    ps_lua_charge(L, 15);
    lua_newtable(L);
    int copy = lua_gettop(L);
    if (ps_lua_table_is_marked(ps_lua_of(L), L, index)) {
        ps_lua_meta_push(L, PS_LUA_META_ARRAY);
        lua_setmetatable(L, copy);
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        ps_lua_charge(L, 4);
        lua_pushvalue(L, -2);
        if (lua_istable(L, -2))
            push_copy(L, copy + 2, depth + 1);
        else
            lua_pushvalue(L, -2);
        lua_rawset(L, copy);
        lua_pop(L, 1);
    }
}

static int tbl_copy(lua_State *L)
{
    checked_table(L, 1);
    push_copy(L, 1, 1);
    return 1;
}

static int tbl_merge(lua_State *L)
{
    checked_table(L, 1);
    checked_table(L, 2);
    lua_settop(L, 2);
    lua_newtable(L);
    for (int source = 1; source <= 2; source++) {
        lua_pushnil(L);
        while (lua_next(L, source)) {
            ps_lua_charge(L, 4);
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, 3);
        }
    }
    return 1;
}

static int tbl_is_empty(lua_State *L)
{
    checked_table(L, 1);
    lua_pushboolean(L, is_empty_table(L, 1));
    return 1;
}

const luaL_Reg ps_lua_lib_tbl[] = {
    { "get", tbl_get },   { "flatten", tbl_flatten }, { "keys", tbl_keys },
    { "copy", tbl_copy }, { "merge", tbl_merge },     { "is_empty", tbl_is_empty },
    { NULL, NULL },
};
