/* error: what went wrong in a script, told in the user's terms.
 *
 * The message handler sees an error while the frames that made it still stand, so the line and the
 * trace are taken there. Limits are told at the moment they trip. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json_text.h"
#include "rules/lua/state.h"

static const char chunk_prefix[] = "script:";

const char *ps_script_error_kind_name(enum ps_script_error_kind kind)
{
    static const char *const names[] = {
#define ERROR_NAME(name) #name,
        PS_SCRIPT_ERROR_LIST(ERROR_NAME)
#undef ERROR_NAME
    };
    return names[kind];
}

void ps_script_error_put_text(const struct ps_script_error *error, struct ps_buf *out)
{
    if (error->line > 0)
        ps_buf_printf(out, "%s%d: ", chunk_prefix, error->line);
    ps_buf_put_text(out, error->message);
}

void ps_script_error_put_json(const struct ps_script_error *error, struct ps_buf *out)
{
    ps_buf_printf(out, "{\"kind\":\"%s\",\"message\":", ps_script_error_kind_name(error->kind));
    ps_json_put_string(out, error->message, strlen(error->message));
    ps_buf_printf(out, ",\"line\":%d,\"trace\":[", error->line);
    for (unsigned i = 0; i < error->trace_count; i++) {
        if (i)
            ps_buf_put_char(out, ',');
        ps_json_put_string(out, error->trace[i], strlen(error->trace[i]));
    }
    ps_buf_put_text(out, "]}");
}

/* Copy, cut to fit; bytes that are no UTF-8 become '?'. */
static void copy_text(char *out, size_t size, const char *text, size_t len)
{
    size_t used = 0;
    while (len > 0 && used + 1 < size) {
        size_t room = size - 1 - used;
        size_t valid = ps_lua_utf8_valid_len(text, len < room ? len : room);
        memcpy(out + used, text, valid);
        used += valid;
        text += valid;
        len -= valid;
        if (len > 0 && used + 1 < size) {
            if (valid < room && room < len + valid && ps_lua_utf8_valid_len(text, len) > 0)
                break; /* a good character that is cut by the end of the room */
            out[used++] = '?';
            text++;
            len--;
        }
    }
    out[used] = '\0';
}

void ps_script_error_set(struct ps_script_error *error, enum ps_script_error_kind kind,
                         const char *text, size_t len)
{
    error->kind = kind;
    error->line = 0;
    error->trace_count = 0;
    size_t prefix_len = sizeof chunk_prefix - 1;
    if (len > prefix_len && memcmp(text, chunk_prefix, prefix_len) == 0) {
        size_t i = prefix_len;
        int line = 0;
        while (i < len && isdigit((unsigned char)text[i]) && line < 1000000)
            line = line * 10 + (text[i++] - '0');
        if (i > prefix_len && i + 1 < len && text[i] == ':' && text[i + 1] == ' ') {
            error->line = line;
            text += i + 2;
            len -= i + 2;
        }
    }
    copy_text(error->message, sizeof error->message, text, len);
}

static void put_frame(struct ps_script_error *error, const lua_Debug *frame, bool outermost)
{
    char *out = error->trace[error->trace_count++];
    if (outermost)
        snprintf(out, PS_SCRIPT_TRACE_SIZE, "line %d in main chunk", frame->currentline);
    else if (frame->name)
        snprintf(out, PS_SCRIPT_TRACE_SIZE, "line %d in function '%.60s'", frame->currentline,
                 frame->name);
    else
        snprintf(out, PS_SCRIPT_TRACE_SIZE, "line %d in function <%d>", frame->currentline,
                 frame->linedefined);
}

void ps_lua_trace(struct ps_lua *lua, lua_State *L)
{
    struct ps_script_error *error = &lua->error;
    lua_Debug frame;
    for (int level = 0; error->trace_count < PS_SCRIPT_TRACE_MAX && lua_getstack(L, level, &frame);
         level++) {
        lua_getinfo(L, "Sln", &frame);
        if (frame.currentline <= 0)
            continue; /* a C function */
        if (error->line == 0)
            error->line = frame.currentline;
        lua_Debug outer;
        put_frame(error, &frame, !lua_getstack(L, level + 1, &outer));
    }
}

static void tell_value(struct ps_lua *lua, lua_State *L, int index)
{
    ps_buf_clear(&lua->text);
    struct ps_lua_writer writer = {
        .lua = lua, .L = L, .out = &lua->text, .bytes_max = PS_SCRIPT_MESSAGE_SIZE * 4
    };
    if (ps_lua_json_write(&writer, index))
        ps_script_error_set(&lua->error, PS_SCRIPT_ERROR_RUNTIME, lua->text.data, lua->text.len);
    else
        ps_script_error_set(&lua->error, PS_SCRIPT_ERROR_RUNTIME, "error value is not text", 23);
}

int ps_lua_on_error(lua_State *L)
{
    struct ps_lua *lua = ps_lua_of(L);
    if (lua->refused) /* a buffer of Lua's C library says so in plain words only */
        ps_lua_trip(lua, PS_SCRIPT_ERROR_LIMIT_MEMORY);
    if (lua->error_known)
        return 1;
    lua->error_known = true;
    if (lua_type(L, 1) == LUA_TSTRING) {
        size_t len;
        const char *text = lua_tolstring(L, 1, &len);
        ps_script_error_set(&lua->error, PS_SCRIPT_ERROR_RUNTIME, text, len);
    } else {
        tell_value(lua, L, 1);
    }
    ps_lua_trace(lua, L);
    return 1;
}
