/* lazy: argument tables that answer from the message until they are touched.
 *
 * Most scripts read a key or two. So `msg` and `metadata` start as empty tables whose hidden
 * metatable asks C for a key; nothing is copied, nothing allocated, and since no value survives a
 * call, an untouched table serves the next call again. Whatever could tell the difference (writing,
 * next, pairs, raw access, a metatable, encoding) first fills the table and takes the metatable
 * away: from then on it is a plain table. Only # needs no care: keys are text, so it is 0 always.
 */
#include "rules/lua/state.h"

enum {
    KEYS_SEARCHED_MAX = 32, /* beyond, filling once beats searching at each access */
    SLOTS_USUAL = 8,
};

static const char previous_details_key[] = "prevAlarmDetails";

void ps_lua_push_value(lua_State *L, const struct ps_value *value, bool keep_nulls)
{
    switch (value->type) {
    case PS_VALUE_BOOLEAN:
        lua_pushboolean(L, value->boolean);
        return;
    case PS_VALUE_LONG:
        lua_pushinteger(L, value->integer);
        return;
    case PS_VALUE_DOUBLE:
        lua_pushnumber(L, value->real);
        return;
    case PS_VALUE_STRING:
        lua_pushlstring(L, value->text, value->len);
        return;
    case PS_VALUE_JSON:
        ps_lua_json_read(L, value->text, value->len, keep_nulls);
        return;
    case PS_VALUE_NULL:
        break;
    }
    if (keep_nulls)
        ps_lua_push_null(L);
    else
        lua_pushnil(L);
}

void ps_lua_push_data(lua_State *L, const struct ps_lua_call *call)
{
    if (call->in->data_kind == PS_DATA_BINARY)
        lua_pushlstring(L, call->in->data, call->in->data_len);
    else
        ps_lua_json_read(L, call->in->data, call->in->data_len, call->ctx->keep_nulls);
}

/* --- filling --- */

static void become_plain(lua_State *L, int index)
{
    lua_pushnil(L);
    lua_setmetatable(L, index);
}

static void fill_msg(struct ps_lua *lua, lua_State *L, int index)
{
    const struct ps_msg_content *in = lua->call->in;
    lua->msg_lazy = false;
    become_plain(L, index);
    for (uint32_t i = 0; i < in->kv_count; i++) {
        const struct ps_kv *kv = &in->kvs[i];
        lua_pushlstring(L, kv->key, kv->key_len);
        ps_lua_push_value(L, &kv->value, lua->call->ctx->keep_nulls);
        lua_rawset(L, index);
        ps_lua_charge(L, 2);
    }
}

static void fill_metadata(struct ps_lua *lua, lua_State *L, int index)
{
    const struct ps_lua_call *call = lua->call;
    lua->metadata_lazy = false;
    become_plain(L, index);
    for (uint32_t i = 0; i < call->in->metadata_count; i++) {
        const struct ps_pair *pair = &call->in->metadata[i];
        lua_pushlstring(L, pair->key, pair->key_len);
        lua_pushlstring(L, pair->value, pair->value_len);
        lua_rawset(L, index);
        ps_lua_charge(L, 2);
    }
    if (call->details) {
        lua_pushstring(L, previous_details_key);
        lua_pushlstring(L, call->details, call->details_len);
        lua_rawset(L, index);
    }
}

void ps_lua_table_ready(lua_State *L, int index)
{
    struct ps_lua *lua = ps_lua_of(L);
    index = lua_absindex(L, index);
    const void *table = lua_topointer(L, index);
    if (!ps_lua_is_lazy(lua, table))
        return;
    luaL_checkstack(L, 8, NULL);
    if (table == lua->msg_table)
        fill_msg(lua, L, index);
    else
        fill_metadata(lua, L, index);
}

static int fill_protected(lua_State *L)
{
    ps_lua_table_ready(L, 1);
    return 0;
}

bool ps_lua_table_fill(struct ps_lua *lua, lua_State *L, int index)
{
    if (!ps_lua_is_lazy(lua, lua_topointer(L, index)))
        return true;
    index = lua_absindex(L, index);
    lua_pushcfunction(L, fill_protected);
    lua_pushvalue(L, index);
    int rc = lua_pcall(L, 1, 0, 0);
    if (rc == LUA_ERRMEM)
        ps_lua_trip(lua, PS_SCRIPT_ERROR_LIMIT_MEMORY);
    if (rc != LUA_OK)
        lua_pop(L, 1);
    return rc == LUA_OK;
}

/* --- the metamethods --- */

static const struct ps_kv *find_kv(const struct ps_msg_content *in, const char *key, size_t len)
{
    for (uint32_t i = 0; i < in->kv_count; i++) {
        const struct ps_kv *kv = &in->kvs[i];
        if (kv->key_len == len && memcmp(kv->key, key, len) == 0)
            return kv;
    }
    return NULL;
}

static int fill_and_get(lua_State *L)
{
    ps_lua_table_ready(L, 1);
    lua_pushvalue(L, 2);
    lua_rawget(L, 1);
    return 1;
}

static int msg_index(lua_State *L)
{
    const struct ps_lua_call *call = ps_lua_of(L)->call;
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    size_t len;
    const char *key = lua_tolstring(L, 2, &len);
    if (call->in->kv_count > KEYS_SEARCHED_MAX)
        return fill_and_get(L);
    const struct ps_kv *kv = find_kv(call->in, key, len);
    if (!kv)
        return 0;
    if (kv->value.type == PS_VALUE_JSON)
        return fill_and_get(L); /* a table: the same one at each access */
    ps_lua_push_value(L, &kv->value, call->ctx->keep_nulls);
    return 1;
}

static int metadata_index(lua_State *L)
{
    const struct ps_lua_call *call = ps_lua_of(L)->call;
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    size_t len;
    const char *key = lua_tolstring(L, 2, &len);
    if (call->in->metadata_count > KEYS_SEARCHED_MAX || call->details)
        return fill_and_get(L);
    for (uint32_t i = 0; i < call->in->metadata_count; i++) {
        const struct ps_pair *pair = &call->in->metadata[i];
        if (pair->key_len == len && memcmp(pair->key, key, len) == 0) {
            lua_pushlstring(L, pair->value, pair->value_len);
            return 1;
        }
    }
    return 0;
}

static int lazy_newindex(lua_State *L)
{
    if (lua_isnil(L, 2))
        return luaL_error(L, "table index is nil");
    if (lua_type(L, 2) == LUA_TNUMBER && lua_tonumber(L, 2) != lua_tonumber(L, 2))
        return luaL_error(L, "table index is NaN");
    lua_settop(L, 3);
    ps_lua_table_ready(L, 1);
    lua_rawset(L, 1);
    return 0;
}

static void build_meta(lua_State *L, enum ps_lua_meta meta, lua_CFunction index)
{
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, lazy_newindex);
    lua_setfield(L, -2, "__newindex");
    ps_lua_of(L)->meta_refs[meta] = luaL_ref(L, LUA_REGISTRYINDEX);
}

void ps_lua_lazy_metas_build(lua_State *L)
{
    build_meta(L, PS_LUA_META_MSG, msg_index);
    build_meta(L, PS_LUA_META_METADATA, metadata_index);
}

void ps_lua_lazy_push(lua_State *L, enum ps_lua_meta meta)
{
    lua_createtable(L, 0, SLOTS_USUAL);
    ps_lua_meta_push(L, meta);
    lua_setmetatable(L, -2);
}
