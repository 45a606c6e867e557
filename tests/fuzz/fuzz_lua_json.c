/* Any bytes through json.decode; what decodes must encode, and the encoding must be a fixed point.
 * It is done in Lua, so the readers of values and results are in it too. */
#include <stdlib.h>
#include <string.h>

#include "rules/lua/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char source[] = "local ok, v = pcall(json.decode, msg)\n"
                             "if not ok then return { msg = {} } end\n"
                             "local ok, a = pcall(json.encode, v)\n"
                             "if not ok then return { msg = {} } end\n" /* not UTF-8 */
                             "local b = json.encode(json.decode(a))\n"
                             "if a ~= b then error('not a fixed point: ' .. a .. ' ' .. b) end\n"
                             "return { msg = v, metadata = { m = v } }";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ps_script_cache *cache;
    static struct ps_lua *lua;
    static struct ps_script_code *code;
    if (!cache) {
        struct ps_lua_limits limits = PS_LUA_LIMITS_DEFAULT;
        limits.wall_ms = 10000;
        PS_ASSERT(ps_script_cache_create(&cache) == PS_OK);
        PS_ASSERT(ps_lua_create(&limits, &lua) == PS_OK);
        PS_ASSERT(ps_script_compile(cache, PS_SCRIPT_TRANSFORM, source, strlen(source), &code, NULL,
                                    NULL) == PS_OK);
    }
    struct ps_msg_content content = { .data_kind = PS_DATA_BINARY,
                                      .data = (const char *)data,
                                      .data_len = (uint32_t)size };
    struct ps_entity_id device = { PS_ENTITY_DEVICE, { { 2 } } };
    struct ps_msg *msg;
    if (size > 4096 ||
        ps_msg_create(&device.id, &device, &PS_UUID_NULL, 1, &content, &msg) != PS_OK)
        return 0;
    struct ps_script_messages messages;
    struct ps_script_error error;
    enum ps_status st = ps_lua_transform(lua, code, msg, NULL, &messages, &error);
    PS_ASSERT(st == PS_OK || !strstr(error.message, "fixed point"));
    ps_lua_turn_end(lua);
    ps_msg_release(msg);
    return 0;
}
