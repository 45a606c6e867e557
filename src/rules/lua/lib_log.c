/* lib_log: `log` and `print`: into the debug event of this call and the server's log.
 *
 * A call may write so many bytes in all; the rest is dropped without an error. How many lines a
 * second a node may write is the sink's business. */
#include "rules/lua/state.h"

static int write_line(lua_State *L, enum ps_script_log_level level)
{
    struct ps_lua *lua = ps_lua_of(L);
    int count = lua_gettop(L);
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1)
            luaL_addchar(&line, ' ');
        ps_lua_push_text(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    ps_lua_charge_bytes(L, 64 + len);
    if (len > lua->log_left_bytes)
        len = lua->log_left_bytes;
    lua->log_left_bytes -= len;
    const struct ps_script_context *ctx = lua->call->ctx;
    if (ctx->log && (len > 0 || lua->log_left_bytes > 0))
        ctx->log(ctx->log_arg, level, text, len);
    return 0;
}

static int log_debug(lua_State *L)
{
    return write_line(L, PS_SCRIPT_LOG_DEBUG);
}

static int log_info(lua_State *L)
{
    return write_line(L, PS_SCRIPT_LOG_INFO);
}

static int log_warn(lua_State *L)
{
    return write_line(L, PS_SCRIPT_LOG_WARN);
}

static int log_error(lua_State *L)
{
    return write_line(L, PS_SCRIPT_LOG_ERROR);
}

int ps_lua_print(lua_State *L)
{
    return write_line(L, PS_SCRIPT_LOG_INFO);
}

const luaL_Reg ps_lua_lib_log[] = {
    { "debug", log_debug }, { "info", log_info }, { "warn", log_warn },
    { "error", log_error }, { NULL, NULL },
};
