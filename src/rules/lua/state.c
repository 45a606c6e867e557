/* state: life of a Lua state and the cage around it.
 *
 * Three things can stop a script. The count hook runs each thousand instructions. C helpers charge
 * their work, because no hook runs inside a C function. The allocator refuses growth over a cap;
 * Lua then collects all garbage and asks again, and only a second refusal is final. Big blocks are
 * charged too, and make the hook come often: one instruction on a string of megabytes (compare,
 * join, convert) takes milliseconds.
 *
 * The clock is first looked at a thousand units into a call: short scripts pay no clock. */
#include "rules/lua/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    BLOCK_BYTES_PER_UNIT = 64,
    BLOCK_BIG_BYTES = 16 * KIB,
    BLOCK_HUGE_BYTES = 128 * KIB,
    INTERVAL_BIG = 100,
    INTERVAL_HUGE = 4,
    RESULT_STACK = 40,              /* slots that reading a result may use */
    GARBAGE_STEP_BYTES = 256 * KIB, /* growth that makes the end of a turn collect */
};

const struct ps_lua_limits PS_LUA_LIMITS_DEFAULT = {
    .instructions = 1000000,
    .wall_ms = 50,
    .call_memory_bytes = 8 * MIB,
    .state_memory_bytes = 64 * MIB,
    .input_bytes = 256 * KIB,
    .result_bytes = 256 * KIB,
    .log_bytes = 4 * KIB,
};

static void on_count(lua_State *L, lua_Debug *frame);

static void hook_set(struct ps_lua *lua, int interval)
{
    lua->hook_interval = interval;
    lua_sethook(lua->L, on_count, LUA_MASKCOUNT, interval);
}

void ps_lua_trip(struct ps_lua *lua, enum ps_script_error_kind kind)
{
    if (lua->tripped)
        return;
    char text[96];
    if (kind == PS_SCRIPT_ERROR_LIMIT_CPU)
        snprintf(text, sizeof text, "more than %lld instructions",
                 (long long)lua->limits.instructions);
    else if (kind == PS_SCRIPT_ERROR_LIMIT_TIME)
        snprintf(text, sizeof text, "ran longer than %lld ms", (long long)lua->limits.wall_ms);
    else
        snprintf(text, sizeof text, "needs more than %zu bytes of memory",
                 lua->limits.call_memory_bytes);
    lua->tripped = kind;
    ps_script_error_set(&lua->error, kind, text, strlen(text));
    lua->error_known = true;
    if (lua->L) {
        ps_lua_trace(lua, lua->L);
        hook_set(lua, 1);
    }
}

void ps_lua_raise_tripped(lua_State *L)
{
    lua_pushnil(L);
    lua_error(L);
    __builtin_unreachable();
}

/* Lua collects by itself when the core is refused memory, but the buffers of its C library just
 * give up; so garbage goes before the cap is near. */
static void collect_early(struct ps_lua *lua)
{
    size_t cap = lua->limits.call_memory_bytes;
    if (lua->used_bytes < lua->early_floor_bytes + cap / 4)
        return;
    lua_gc(lua->L, LUA_GCCOLLECT);
    lua->early_floor_bytes = lua->used_bytes;
}

bool ps_lua_spend_slow(struct ps_lua *lua)
{
    if (lua->tripped)
        return false;
    lua->unclocked = 0;
    collect_early(lua);
    if (lua->budget <= 0) {
        ps_lua_trip(lua, PS_SCRIPT_ERROR_LIMIT_CPU);
        return false;
    }
    int64_t now_ns = ps_clock_mono_ns();
    if (!lua->started_ns)
        lua->started_ns = now_ns;
    if (now_ns - lua->started_ns <= lua->limits.wall_ms * 1000000)
        return true;
    ps_lua_trip(lua, PS_SCRIPT_ERROR_LIMIT_TIME);
    return false;
}

static void on_count(lua_State *L, lua_Debug *frame)
{
    (void)frame;
    struct ps_lua *lua = ps_lua_of(L);
    lua->budget -= lua->hook_interval;
    lua->unclocked += lua->hook_interval;
    if (!ps_lua_spend_slow(lua))
        ps_lua_raise_tripped(L);
}

void ps_lua_check_size(lua_State *L, size_t bytes)
{
    struct ps_lua *lua = ps_lua_of(L);
    if (bytes <= lua->limits.call_memory_bytes)
        return;
    ps_lua_trip(lua, PS_SCRIPT_ERROR_LIMIT_MEMORY);
    ps_lua_raise_tripped(L);
}

/* --- memory --- */

static bool growth_allowed(struct ps_lua *lua, size_t growth)
{
    size_t after = lua->used_bytes + growth;
    size_t call_cap = lua->call_floor_bytes + lua->limits.call_memory_bytes;
    if (after >= lua->used_bytes && after <= call_cap && after <= lua->limits.state_memory_bytes) {
        lua->refused = false;
        return true;
    }
    if (lua->refused) /* Lua has collected since: there is really no more */
        ps_lua_trip(lua, PS_SCRIPT_ERROR_LIMIT_MEMORY);
    lua->refused = true;
    return false;
}

static void charge_block(struct ps_lua *lua, size_t bytes)
{
    lua->budget -= (int64_t)(bytes / BLOCK_BYTES_PER_UNIT);
    lua->unclocked += (int64_t)(bytes / BLOCK_BYTES_PER_UNIT);
    int interval = bytes > BLOCK_HUGE_BYTES ? INTERVAL_HUGE : INTERVAL_BIG;
    if (lua->call && interval < lua->hook_interval)
        hook_set(lua, interval);
}

static void *allocate(void *arg, void *block, size_t old_bytes, size_t bytes)
{
    struct ps_lua *lua = arg;
    if (!block)
        old_bytes = 0; /* then it tells the kind of object */
    if (bytes == 0) {
        lua->used_bytes -= old_bytes;
        free(block);
        return NULL;
    }
    if (bytes > old_bytes) {
        if (!growth_allowed(lua, bytes - old_bytes))
            return NULL;
        if (bytes > BLOCK_BIG_BYTES)
            charge_block(lua, bytes);
    }
    void *moved = realloc(block, bytes);
    if (!moved) {
        lua->process_out_of_memory = true;
        return NULL;
    }
    lua->used_bytes += bytes - old_bytes;
    if (lua->used_bytes > lua->call_peak_bytes)
        lua->call_peak_bytes = lua->used_bytes;
    return moved;
}

/* --- life --- */

static int open_protected(lua_State *L)
{
    ps_lua_sandbox_build(L);
    return PS_LUA_SLOT_COUNT;
}

static int on_panic(lua_State *L)
{
    (void)L;
    PS_ASSERT(!"a Lua error outside a protected call");
    return 0;
}

static void forget_state(struct ps_lua *lua)
{
    lua->msg_lazy = lua->metadata_lazy = false;
    lua->globals_dirty = false;
    lua->process_out_of_memory = false;
    for (size_t i = 0; i < PS_MSG_TYPE_COUNT; i++)
        lua->type_refs[i] = LUA_NOREF;
    ps_lua_scripts_unload(lua);
}

enum ps_status ps_lua_open(struct ps_lua *lua)
{
    if (lua->L)
        return PS_OK;
    ps_lua_call_begin(lua, NULL);
    lua_State *L = lua_newstate(allocate, lua);
    if (!L)
        return PS_ENOMEM;
    *(struct ps_lua **)lua_getextraspace(L) = lua;
    lua_atpanic(L, on_panic);
    lua->L = L;
    lua->hook_interval = PS_LUA_HOOK_INTERVAL;
    lua_gc(L, LUA_GCSTOP);
    lua_pushcfunction(L, open_protected);
    if (lua_pcall(L, 0, PS_LUA_SLOT_COUNT, 0) != LUA_OK || !lua_checkstack(L, RESULT_STACK)) {
        ps_lua_close(lua);
        return PS_ENOMEM;
    }
    lua_gc(L, LUA_GCGEN, 0, 0);
    lua_gc(L, LUA_GCSTOP);
    lua->msg_table = lua_topointer(L, PS_LUA_SLOT_MSG);
    lua->metadata_table = lua_topointer(L, PS_LUA_SLOT_METADATA);
    lua->msg_lazy = lua->metadata_lazy = true;
    lua->collected_bytes = lua->all_collected_bytes = lua->used_bytes;
    lua->usage.reopened++;
    return PS_OK;
}

void ps_lua_close(struct ps_lua *lua)
{
    if (!lua->L)
        return;
    forget_state(lua);
    lua_State *L = lua->L;
    lua->L = NULL; /* the hook and the allocator must not touch it any more */
    lua_close(L);
    PS_ASSERT(lua->used_bytes == 0);
}

enum ps_status ps_lua_create(const struct ps_lua_limits *limits, struct ps_lua **out)
{
    struct ps_lua *lua = calloc(1, sizeof *lua);
    if (!lua)
        return PS_ENOMEM;
    lua->limits = *limits;
    forget_state(lua);
    *out = lua;
    return PS_OK;
}

void ps_lua_destroy(struct ps_lua *lua)
{
    if (!lua)
        return;
    ps_lua_close(lua);
    ps_lua_scripts_release(lua);
    ps_arena_deinit(&lua->results);
    ps_buf_deinit(&lua->text);
    ps_buf_deinit(&lua->sorted);
    free(lua->spans);
    free(lua);
}

void ps_lua_call_begin(struct ps_lua *lua, const struct ps_lua_call *call)
{
    lua->call = call;
    lua->call_floor_bytes = lua->call_peak_bytes = lua->early_floor_bytes = lua->used_bytes;
    lua->refused = false;
    lua->tripped = PS_SCRIPT_ERROR_NONE;
    lua->budget = lua->limits.instructions;
    lua->unclocked = 0;
    lua->started_ns = 0;
    lua->error_known = false;
    lua->process_out_of_memory = false;
    lua->log_left_bytes = lua->limits.log_bytes;
    if (lua->L)
        hook_set(lua, PS_LUA_HOOK_INTERVAL);
}

void ps_lua_turn_end(struct ps_lua *lua)
{
    if (!lua->L || lua->used_bytes < lua->collected_bytes + GARBAGE_STEP_BYTES)
        return;
    ps_lua_call_begin(lua, NULL);
    lua_gc(lua->L, LUA_GCSTEP, 0);
    if (lua->used_bytes > 2 * lua->all_collected_bytes + GARBAGE_STEP_BYTES) {
        lua_gc(lua->L, LUA_GCCOLLECT); /* a minor collection leaves old garbage */
        lua->all_collected_bytes = lua->used_bytes;
    }
    lua->collected_bytes = lua->used_bytes;
}

void ps_lua_usage(const struct ps_lua *lua, struct ps_lua_usage *out)
{
    *out = lua->usage;
    out->instructions = lua->limits.instructions - lua->budget;
    out->call_bytes_peak = lua->call_peak_bytes - lua->call_floor_bytes;
    out->state_bytes = lua->used_bytes;
}
