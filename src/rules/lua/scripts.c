/* scripts: the scripts one Lua state knows, found by their code, the least recently used forgotten.
 *
 * An entry outlives the Lua state: after a limit error the function is loaded again, but what the
 * breaker remembers stays. */
#include <stdlib.h>

#include "rules/lua/state.h"

static size_t bucket_of(const struct ps_script_code *code)
{
    uintptr_t address = (uintptr_t)code;
    return (address >> 4 ^ address >> 12) % PS_LUA_BUCKETS;
}

static struct ps_lua_script *find(const struct ps_lua *lua, const struct ps_script_code *code)
{
    struct ps_lua_script *script = lua->buckets[bucket_of(code)];
    while (script && script->code != code)
        script = script->bucket_next;
    return script;
}

const struct ps_lua_script *ps_lua_script_find(const struct ps_lua *lua,
                                               const struct ps_script_code *code)
{
    return find(lua, code);
}

static void age_unlink(struct ps_lua *lua, struct ps_lua_script *script)
{
    *(script->newer ? &script->newer->older : &lua->newest) = script->older;
    *(script->older ? &script->older->newer : &lua->oldest) = script->newer;
}

static void age_link_newest(struct ps_lua *lua, struct ps_lua_script *script)
{
    script->newer = NULL;
    script->older = lua->newest;
    *(lua->newest ? &lua->newest->newer : &lua->oldest) = script;
    lua->newest = script;
}

static void forget(struct ps_lua *lua, struct ps_lua_script *script)
{
    struct ps_lua_script **link = &lua->buckets[bucket_of(script->code)];
    while (*link != script)
        link = &(*link)->bucket_next;
    *link = script->bucket_next;
    age_unlink(lua, script);
    lua->script_count--;
    if (lua->L)
        luaL_unref(lua->L, LUA_REGISTRYINDEX, script->function_ref);
    ps_script_release(script->code);
    free(script);
}

struct ps_lua_script *ps_lua_script_other(struct ps_lua *lua, struct ps_script_code *code)
{
    struct ps_lua_script *script = find(lua, code);
    if (script) {
        age_unlink(lua, script);
        age_link_newest(lua, script);
        return script;
    }
    script = calloc(1, sizeof *script);
    if (!script)
        return NULL;
    if (lua->script_count == PS_LUA_SCRIPTS_MAX)
        forget(lua, lua->oldest);
    script->code = ps_script_retain(code);
    script->kind = ps_script_kind(code);
    script->function_ref = LUA_NOREF;
    script->bucket_next = lua->buckets[bucket_of(code)];
    lua->buckets[bucket_of(code)] = script;
    age_link_newest(lua, script);
    lua->script_count++;
    return script;
}

void ps_lua_scripts_unload(struct ps_lua *lua)
{
    for (struct ps_lua_script *script = lua->newest; script; script = script->older)
        script->function_ref = LUA_NOREF;
}

void ps_lua_scripts_release(struct ps_lua *lua)
{
    while (lua->newest)
        forget(lua, lua->newest);
}
