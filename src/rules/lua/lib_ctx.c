/* lib_ctx: `ctx`, where and for whom a script runs; made text only when asked for. */
#include "rules/lua/state.h"

static void push_uuid(lua_State *L, const struct ps_uuid *uuid)
{
    char text[PS_UUID_TEXT_SIZE];
    if (!uuid || ps_uuid_is_null(uuid)) {
        lua_pushnil(L);
        return;
    }
    ps_uuid_format(uuid, text);
    lua_pushstring(L, text);
}

static void push_tenant(lua_State *L, const struct ps_lua_call *call)
{
    push_uuid(L, &call->msg->tenant);
}

static void push_originator_type(lua_State *L, const struct ps_lua_call *call)
{
    if (call->msg->originator.type == PS_ENTITY_NONE)
        lua_pushnil(L);
    else
        lua_pushstring(L, ps_entity_type_name(call->msg->originator.type));
}

static void push_originator_id(lua_State *L, const struct ps_lua_call *call)
{
    push_uuid(L, &call->msg->originator.id);
}

static void push_customer(lua_State *L, const struct ps_lua_call *call)
{
    push_uuid(L, &call->msg->customer);
}

static void push_msg_id(lua_State *L, const struct ps_lua_call *call)
{
    push_uuid(L, ps_msg_id(call->msg));
}

static void push_ts(lua_State *L, const struct ps_lua_call *call)
{
    lua_pushinteger(L, call->msg->created_ms);
}

static void push_rule_chain(lua_State *L, const struct ps_lua_call *call)
{
    push_uuid(L, call->ctx->rule_chain);
}

static void push_node(lua_State *L, const struct ps_lua_call *call)
{
    push_uuid(L, call->ctx->node);
}

static void push_node_name(lua_State *L, const struct ps_lua_call *call)
{
    lua_pushstring(L, call->ctx->node_name); /* nil for NULL */
}

static void push_attempt(lua_State *L, const struct ps_lua_call *call)
{
    lua_pushinteger(L, call->ctx->attempt);
}

static const struct field {
    const char *name;
    void (*push)(lua_State *L, const struct ps_lua_call *call);
} fields[] = {
    { "tenantId", push_tenant },
    { "originatorType", push_originator_type },
    { "originatorId", push_originator_id },
    { "customerId", push_customer },
    { "msgId", push_msg_id },
    { "ts", push_ts },
    { "ruleChainId", push_rule_chain },
    { "nodeId", push_node },
    { "nodeName", push_node_name },
    { "attempt", push_attempt },
};

enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

static int ctx_index(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    const char *name = lua_tostring(L, 2);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            fields[i].push(L, ps_lua_of(L)->call);
            return 1;
        }
    }
    return 0;
}

static int ctx_newindex(lua_State *L)
{
    return luaL_error(L, "attempt to change a read-only table");
}

void ps_lua_ctx_push(lua_State *L)
{
    lua_newtable(L);
    ps_lua_of(L)->ctx_table = lua_topointer(L, -1);
    lua_createtable(L, 0, 4);
    lua_pushcfunction(L, ctx_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, ctx_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

void ps_lua_ctx_push_copy(lua_State *L)
{
    lua_createtable(L, 0, FIELD_COUNT);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        fields[i].push(L, ps_lua_of(L)->call);
        lua_setfield(L, -2, fields[i].name);
    }
}

bool ps_lua_is_ctx(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TTABLE && lua_topointer(L, index) == ps_lua_of(L)->ctx_table;
}
