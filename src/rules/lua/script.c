/* script: running a compiled script on a message.
 *
 * The usual call allocates nothing: function, argument tables and the name of the type are copies
 * of what the state already holds, then one protected call, then the result is read from the stack.
 * What a call may lack (the function in this state, a fresh argument table, a custom type's name)
 * is made by `prepare`, in a protected call of its own. */
#include "rules/lua/script.h"

#include <stdio.h>

#include "rules/lua/state.h"

static const struct ps_script_context no_context;

static enum ps_status refuse(struct ps_script_error *error, enum ps_script_error_kind kind,
                             const char *text)
{
    if (error)
        ps_script_error_set(error, kind, text, strlen(text));
    return PS_ESCRIPT;
}

/* --- before --- */

static size_t input_bytes(const struct ps_msg_content *in)
{
    size_t bytes = in->data_kind == PS_DATA_OBJECT ? 0 : in->data_len;
    for (uint32_t i = 0; in->data_kind == PS_DATA_OBJECT && i < in->kv_count; i++) {
        const struct ps_value *value = &in->kvs[i].value;
        bytes += in->kvs[i].key_len;
        bytes += value->type >= PS_VALUE_STRING ? value->len : sizeof value->integer;
    }
    for (uint32_t i = 0; i < in->metadata_count; i++)
        bytes += (size_t)in->metadata[i].key_len + in->metadata[i].value_len;
    return bytes;
}

static bool input_fits(const struct ps_lua *lua, const struct ps_lua_call *call)
{
    size_t limit = lua->limits.input_bytes;
    bool surely = call->msg->size_bytes > 0 && call->msg->size_bytes <= limit;
    return (surely || input_bytes(call->in) <= limit) && call->details_len <= limit;
}

static void load_function(lua_State *L, struct ps_lua_script *script)
{
    struct ps_script_bytecode code = ps_script_bytecode(script->code);
    if (luaL_loadbufferx(L, code.data, code.len, "=script", "b") != LUA_OK)
        lua_error(L);
    script->function_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static const char *type_name(const struct ps_msg_content *in, size_t *len)
{
    const char *name = in->type == PS_MSG_CUSTOM ? in->type_name : ps_msg_type_name(in->type);
    *len = in->type == PS_MSG_CUSTOM ? in->type_name_len : strlen(name);
    return name;
}

static void push_type(lua_State *L, const struct ps_msg_content *in)
{
    int *ref = &ps_lua_of(L)->type_refs[in->type];
    if (*ref != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, *ref);
        return;
    }
    size_t len;
    const char *name = type_name(in, &len);
    lua_pushlstring(L, name, len);
    if (in->type != PS_MSG_CUSTOM) {
        lua_pushvalue(L, -1);
        *ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
}

static int argument_count(const struct ps_lua_call *call)
{
    return call->script->kind == PS_SCRIPT_JSON ? 4 : 3;
}

enum { ARGUMENTS = 3 };

/* (msg table, metadata table)
 *  -> metadata table, msg table, function, msg, metadata, msgType and, for details, them */
static int prepare(lua_State *L)
{
    struct ps_lua *lua = ps_lua_of(L);
    const struct ps_lua_call *call = lua->call;
    if (!lua->msg_lazy) {
        ps_lua_lazy_push(L, PS_LUA_META_MSG);
        lua_replace(L, 1);
    }
    if (!lua->metadata_lazy) {
        ps_lua_lazy_push(L, PS_LUA_META_METADATA);
        lua_replace(L, 2);
    }
    if (call->script->function_ref == LUA_NOREF)
        load_function(L, call->script);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, call->script->function_ref);
    if (call->in->data_kind == PS_DATA_OBJECT)
        lua_pushvalue(L, 1);
    else
        ps_lua_push_data(L, call);
    lua_pushvalue(L, 2);
    push_type(L, call->in);
    if (call->details)
        ps_lua_json_read(L, call->details, call->details_len, call->ctx->keep_nulls);
    else if (argument_count(call) > ARGUMENTS)
        lua_pushnil(L);
    return 3 + argument_count(call);
}

static int push_prepared(struct ps_lua *lua)
{
    lua_State *L = lua->L;
    lua_pushcfunction(L, prepare);
    lua_pushvalue(L, PS_LUA_SLOT_MSG);
    lua_pushvalue(L, PS_LUA_SLOT_METADATA);
    int rc = lua_pcall(L, 2, 3 + argument_count(lua->call), PS_LUA_SLOT_ON_ERROR);
    if (rc != LUA_OK)
        return rc;
    lua_copy(L, PS_LUA_SLOT_COUNT + 1, PS_LUA_SLOT_METADATA);
    lua_copy(L, PS_LUA_SLOT_COUNT + 2, PS_LUA_SLOT_MSG);
    lua->msg_table = lua_topointer(L, PS_LUA_SLOT_MSG);
    lua->metadata_table = lua_topointer(L, PS_LUA_SLOT_METADATA);
    lua->msg_lazy = lua->metadata_lazy = true;
    return LUA_OK;
}

/* Push the function and its arguments. Returns: LUA_OK or what lua_pcall said. */
static int push_call(struct ps_lua *lua)
{
    const struct ps_lua_call *call = lua->call;
    int type_ref = lua->type_refs[call->in->type];
    if (call->script->function_ref == LUA_NOREF || type_ref == LUA_NOREF || !lua->msg_lazy ||
        !lua->metadata_lazy || call->in->data_kind != PS_DATA_OBJECT ||
        argument_count(call) > ARGUMENTS)
        return push_prepared(lua);
    lua_State *L = lua->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, call->script->function_ref);
    lua_pushvalue(L, PS_LUA_SLOT_MSG);
    lua_pushvalue(L, PS_LUA_SLOT_METADATA);
    lua_rawgeti(L, LUA_REGISTRYINDEX, type_ref);
    return LUA_OK;
}

/* --- after --- */

static bool is_limit(enum ps_script_error_kind kind)
{
    return kind == PS_SCRIPT_ERROR_LIMIT_CPU || kind == PS_SCRIPT_ERROR_LIMIT_TIME ||
           kind == PS_SCRIPT_ERROR_LIMIT_MEMORY;
}

/* The script raised: make lua->error tell why. */
static void describe_failure(struct ps_lua *lua, int rc)
{
    if (rc == LUA_ERRMEM && !lua->process_out_of_memory)
        ps_lua_trip(lua, PS_SCRIPT_ERROR_LIMIT_MEMORY);
    if (lua->error_known)
        return;
    size_t len = 0;
    const char *text =
        lua_type(lua->L, -1) == LUA_TSTRING ? lua_tolstring(lua->L, -1, &len) : "error in error";
    ps_script_error_set(&lua->error, PS_SCRIPT_ERROR_RUNTIME, text, len ? len : strlen(text));
}

static enum ps_status fail(struct ps_lua *lua, struct ps_lua_script *script,
                           struct ps_script_error *error)
{
    if (lua->process_out_of_memory) {
        ps_lua_close(lua);
        return PS_ENOMEM;
    }
    lua->usage.errors++;
    if (is_limit(lua->error.kind)) {
        lua->usage.limit_errors++;
        ps_lua_breaker_limit_hit(&script->breaker);
        ps_lua_close(lua); /* it was stopped anywhere, even inside a C function */
    }
    if (error)
        *error = lua->error;
    return PS_ESCRIPT;
}

static void clean_up(struct ps_lua *lua)
{
    lua->call = NULL;
    if (!lua->L)
        return;
    lua_settop(lua->L, PS_LUA_SLOT_COUNT);
    if (lua->globals_dirty && !ps_lua_globals_wipe(lua))
        ps_lua_close(lua);
}

/* --- one call --- */

union result {
    bool *filter;
    struct ps_script_labels *labels;
    struct ps_script_messages *messages;
    struct ps_script_text *text;
};

static bool read_filter(struct ps_lua *lua, bool *out)
{
    if (lua_isboolean(lua->L, -1)) {
        *out = lua_toboolean(lua->L, -1);
        return true;
    }
    char text[96];
    snprintf(text, sizeof text, "filter must return true or false, got %s",
             luaL_typename(lua->L, -1));
    ps_script_error_set(&lua->error, PS_SCRIPT_ERROR_BAD_RESULT, text, strlen(text));
    return false;
}

static bool read_result(struct ps_lua *lua, enum ps_script_kind kind, union result result)
{
    switch (kind) {
    case PS_SCRIPT_FILTER:
        return read_filter(lua, result.filter);
    case PS_SCRIPT_SWITCH:
        return ps_lua_result_labels(lua, result.labels);
    case PS_SCRIPT_TRANSFORM:
    case PS_SCRIPT_GENERATOR:
        return ps_lua_result_messages(lua, kind == PS_SCRIPT_GENERATOR, result.messages);
    case PS_SCRIPT_TEXT:
    case PS_SCRIPT_JSON:
        return ps_lua_result_text(lua, kind == PS_SCRIPT_TEXT, result.text);
    case PS_SCRIPT_KIND_COUNT:
        break;
    }
    PS_ASSERT(!"a script without a kind");
    return false;
}

static enum ps_status call_script(struct ps_lua *lua, struct ps_lua_call *call,
                                  enum ps_script_kind kind, union result result,
                                  struct ps_script_error *error)
{
    if (lua->used_bytes > lua->collected_bytes + lua->limits.call_memory_bytes)
        ps_lua_turn_end(lua); /* a turn of calls that leave much behind */
    ps_lua_call_begin(lua, call);
    lua->usage.calls++;
    int rc = push_call(lua);
    if (rc == LUA_OK)
        rc = lua_pcall(lua->L, argument_count(call), 1, PS_LUA_SLOT_ON_ERROR);
    bool fine = false;
    if (rc == LUA_OK && !lua->tripped)
        fine = read_result(lua, kind, result);
    else
        describe_failure(lua, rc);
    if (fine && call->script->breaker.hits + (uint64_t)call->script->breaker.pause_ms)
        ps_lua_breaker_good_call(&call->script->breaker);
    enum ps_status st = fine ? PS_OK : fail(lua, call->script, error);
    clean_up(lua);
    return st;
}

static inline enum ps_status run(struct ps_lua *lua, struct ps_script_code *code,
                                 struct ps_lua_call *call, enum ps_script_kind kind,
                                 union result result, struct ps_script_error *error)
{
    PS_ASSERT(!lua->call);
    call->in = &call->msg->content;
    if (!call->ctx)
        call->ctx = &no_context;
    if (lua->results.bytes)
        ps_arena_reset(&lua->results);
    call->script = ps_lua_script_of(lua, code);
    if (!call->script)
        return PS_ENOMEM;
    PS_ASSERT(call->script->kind == kind);
    if (ps_lua_breaker_paused(&call->script->breaker))
        return refuse(error, PS_SCRIPT_ERROR_SUSPENDED,
                      "script is paused: it hit limits too often");
    if (!input_fits(lua, call))
        return refuse(error, PS_SCRIPT_ERROR_TOO_LARGE, "message is too large for a script");
    enum ps_status st = lua->L ? PS_OK : ps_lua_open(lua);
    return st == PS_OK ? call_script(lua, call, kind, result, error) : st;
}

enum ps_status ps_lua_filter(struct ps_lua *lua, struct ps_script_code *code, struct ps_msg *msg,
                             const struct ps_script_context *ctx, bool *result,
                             struct ps_script_error *error)
{
    struct ps_lua_call call = { .msg = msg, .ctx = ctx };
    return run(lua, code, &call, PS_SCRIPT_FILTER, (union result){ .filter = result }, error);
}

enum ps_status ps_lua_switch(struct ps_lua *lua, struct ps_script_code *code, struct ps_msg *msg,
                             const struct ps_script_context *ctx, struct ps_script_labels *result,
                             struct ps_script_error *error)
{
    struct ps_lua_call call = { .msg = msg, .ctx = ctx };
    return run(lua, code, &call, PS_SCRIPT_SWITCH, (union result){ .labels = result }, error);
}

enum ps_status ps_lua_transform(struct ps_lua *lua, struct ps_script_code *code, struct ps_msg *msg,
                                const struct ps_script_context *ctx,
                                struct ps_script_messages *result, struct ps_script_error *error)
{
    struct ps_lua_call call = { .msg = msg, .ctx = ctx };
    return run(lua, code, &call, PS_SCRIPT_TRANSFORM, (union result){ .messages = result }, error);
}

enum ps_status ps_lua_generate(struct ps_lua *lua, struct ps_script_code *code,
                               struct ps_msg *previous, const struct ps_script_context *ctx,
                               struct ps_script_messages *result, struct ps_script_error *error)
{
    struct ps_lua_call call = { .msg = previous, .ctx = ctx };
    return run(lua, code, &call, PS_SCRIPT_GENERATOR, (union result){ .messages = result }, error);
}

enum ps_status ps_lua_text(struct ps_lua *lua, struct ps_script_code *code, struct ps_msg *msg,
                           const struct ps_script_context *ctx, struct ps_script_text *result,
                           struct ps_script_error *error)
{
    struct ps_lua_call call = { .msg = msg, .ctx = ctx };
    return run(lua, code, &call, PS_SCRIPT_TEXT, (union result){ .text = result }, error);
}

enum ps_status ps_lua_json(struct ps_lua *lua, struct ps_script_code *code, struct ps_msg *msg,
                           const struct ps_script_context *ctx, const char *details,
                           size_t details_len, struct ps_script_text *result,
                           struct ps_script_error *error)
{
    struct ps_lua_call call = {
        .msg = msg, .ctx = ctx, .details = details, .details_len = details_len
    };
    return run(lua, code, &call, PS_SCRIPT_JSON, (union result){ .text = result }, error);
}

void ps_lua_pause_state(const struct ps_lua *lua, const struct ps_script_code *code,
                        struct ps_script_pause *out)
{
    const struct ps_lua_script *script = ps_lua_script_find(lua, code);
    *out = (struct ps_script_pause){ 0 };
    if (!script)
        return;
    out->paused = ps_lua_breaker_paused(&script->breaker);
    out->until_mono_ms = out->paused ? script->breaker.until_ms : 0;
    out->pause_ms = script->breaker.pause_ms;
    out->pause_count = script->breaker.pause_count;
}
