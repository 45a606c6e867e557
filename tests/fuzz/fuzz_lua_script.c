/* Any bytes as a script: compile, run as filter, transform and text with small limits, twice in one
 * state. Nothing may crash, hang, leak or change what the next script sees. */
#include <stdlib.h>
#include <string.h>

#include "rules/lua/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ps_kv kvs[] = {
    { "temperature", 11, { .type = PS_VALUE_DOUBLE, .real = 21.5 } },
    { "n", 1, { .type = PS_VALUE_LONG, .integer = 40 } },
    { "s", 1, { .type = PS_VALUE_STRING, .len = 2, .text = "ab" } },
    { "o", 1, { .type = PS_VALUE_JSON, .len = 14, .text = "{\"a\":[1,null]}" } },
};
static const struct ps_pair metadata[] = { { "deviceName", "A", 10, 1 } };

static const char probe_source[] =
    "for _, g in ipairs({ math, string, table, json, tbl }) do assert(type(g) == 'table') end\n"
    "assert(not pcall(function() math.floor = 1 end) and math.floor(1.5) == 1)\n"
    "assert(msg.n == 40 and metadata.deviceName == 'A' and #tbl.keys(msg) == 4)\n"
    "assert(not leak and not x and not t and ('a'):upper() == 'A')\n"
    "return true";

static struct ps_script_cache *cache;
static struct ps_lua *lua;
static struct ps_msg *msg;
static struct ps_script_code *probe;

static void set_up(void)
{
    struct ps_lua_limits limits = PS_LUA_LIMITS_DEFAULT;
    limits.instructions = 20000;
    limits.wall_ms = 10000;
    limits.call_memory_bytes = 512 * 1024;
    struct ps_msg_content content = { .data_kind = PS_DATA_OBJECT,
                                      .kvs = kvs,
                                      .kv_count = 4,
                                      .metadata = metadata,
                                      .metadata_count = 1 };
    struct ps_entity_id device = { PS_ENTITY_DEVICE, { { 2 } } };
    PS_ASSERT(ps_script_cache_create(&cache) == PS_OK);
    PS_ASSERT(ps_lua_create(&limits, &lua) == PS_OK);
    PS_ASSERT(ps_msg_create(&device.id, &device, &PS_UUID_NULL, 1, &content, &msg) == PS_OK);
    PS_ASSERT(ps_script_compile(cache, PS_SCRIPT_FILTER, probe_source, strlen(probe_source), &probe,
                                NULL, NULL) == PS_OK);
}

static void run_all(const char *source, size_t len)
{
    struct ps_script_error error;
    struct ps_script_code *code;
    struct ps_script_warnings warnings;
    bool flag;
    struct ps_script_messages messages;
    struct ps_script_text text;
    for (enum ps_script_kind kind = PS_SCRIPT_FILTER; kind <= PS_SCRIPT_TEXT; kind++) {
        if (kind != PS_SCRIPT_FILTER && kind != PS_SCRIPT_TRANSFORM && kind != PS_SCRIPT_TEXT)
            continue;
        if (ps_script_compile(cache, kind, source, len, &code, &error, &warnings) != PS_OK)
            return;
        enum ps_status st;
        if (kind == PS_SCRIPT_FILTER)
            st = ps_lua_filter(lua, code, msg, NULL, &flag, &error);
        else if (kind == PS_SCRIPT_TRANSFORM)
            st = ps_lua_transform(lua, code, msg, NULL, &messages, &error);
        else
            st = ps_lua_text(lua, code, msg, NULL, &text, &error);
        PS_ASSERT(st == PS_OK || st == PS_ESCRIPT);
        ps_script_release(code);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!cache)
        set_up();
    if (size > 4096)
        return 0;
    run_all((const char *)data, size);
    bool fine = false;
    struct ps_script_error error;
    PS_ASSERT(ps_lua_filter(lua, probe, msg, NULL, &fine, &error) == PS_OK && fine);
    ps_lua_turn_end(lua);
    return 0;
}
