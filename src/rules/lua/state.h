/* state: the inside of a ps_lua, for the files of this room only.
 *
 * One Lua state of one tenant on one shard, with what cages it: an allocator with two caps, a
 * budget of instructions that the count hook and the C helpers both spend, a clock looked at now
 * and then. When a limit is hit, `tripped` says which; from then on every instruction and every
 * charge raises again, so nothing a script does (pcall, handlers, __close) can go on. */
#ifndef PS_RULES_LUA_STATE_H
#define PS_RULES_LUA_STATE_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "core/buf.h"
#include "core/arena.h"
#include "rules/lua/script.h"

_Static_assert(LUA_VERSION_NUM == 504, "scripts are Lua 5.4, see rule-engine contract 5.1");

enum {
    PS_LUA_DEPTH_MAX = 64,       /* of JSON and of tables we walk */
    PS_LUA_SCRIPTS_MAX = 1000,   /* functions a state keeps */
    PS_LUA_BUCKETS = 256,        /* of the table of scripts */
    PS_LUA_HOOK_INTERVAL = 1000, /* instructions; fewer while big blocks are about */
};

/* The stack below a call: always there, so that a call pushes copies and allocates nothing. */
enum {
    PS_LUA_SLOT_ON_ERROR = 1,
    PS_LUA_SLOT_ENV,
    PS_LUA_SLOT_MSG,
    PS_LUA_SLOT_METADATA,
    PS_LUA_SLOT_NAMES, /* strings that reading a result looks up, see result.c */
    PS_LUA_SLOT_COUNT = PS_LUA_SLOT_NAMES,
};

/* Hidden metatables, kept in the registry. */
enum ps_lua_meta {
    PS_LUA_META_ARRAY, /* marks arrays */
    PS_LUA_META_GUARD, /* of tables that are metatables, see meta.c */
    PS_LUA_META_MSG,   /* of the lazy argument tables, see lazy.c */
    PS_LUA_META_METADATA,
    PS_LUA_META_COUNT
};

struct ps_lua_breaker {
    int64_t limit_hits_ms[10]; /* a ring, oldest at `hits % 10` */
    uint64_t hits;
    int64_t until_ms, pause_ms;
    uint64_t pause_count;
};

/* One script as a state knows it. */
struct ps_lua_script {
    struct ps_script_code *code; /* retained */
    enum ps_script_kind kind;
    int function_ref; /* LUA_NOREF: not loaded into the present Lua state */
    struct ps_lua_breaker breaker;
    struct ps_lua_script *bucket_next;
    struct ps_lua_script *newer, *older; /* by last use */
};

/* The message a call is about. */
struct ps_lua_call {
    struct ps_lua_script *script;
    struct ps_msg *msg;
    const struct ps_msg_content *in;
    const struct ps_script_context *ctx;
    const char *details;
    size_t details_len;
};

/* One member of a table that is being written: where its value's text lies. */
struct ps_lua_span {
    const char *key; /* in Lua's string, or NULL: see `number` */
    size_t key_len;
    char number[40];
    size_t from, len;
};

struct ps_lua {
    struct ps_lua_limits limits;
    lua_State *L; /* NULL: none yet, or thrown away */

    /* memory of the Lua state */
    size_t used_bytes, call_floor_bytes, call_peak_bytes;
    size_t early_floor_bytes; /* used when the running call last collected, or began */
    size_t collected_bytes, all_collected_bytes; /* used after the latest step, full collection */
    bool refused; /* the latest growth was refused and has not succeeded since */
    bool process_out_of_memory;

    /* the running call */
    const struct ps_lua_call *call; /* NULL between calls */
    enum ps_script_error_kind tripped;
    int64_t budget;     /* instructions left */
    int64_t unclocked;  /* spent since the clock was looked at */
    int64_t started_ns; /* 0: the clock was not looked at yet */
    int hook_interval;
    bool error_known; /* `error` tells of the error that is on its way up */
    struct ps_script_error error;
    size_t log_left_bytes;

    /* argument tables: true while they are empty and answer from the message */
    bool msg_lazy, metadata_lazy;
    const void *msg_table, *metadata_table, *array_mark, *ctx_table;
    int meta_refs[PS_LUA_META_COUNT];
    bool globals_dirty;
    int type_refs[PS_MSG_TYPE_COUNT]; /* registry: the names of known types */

    struct ps_lua_script *buckets[PS_LUA_BUCKETS];
    struct ps_lua_script *newest, *oldest;
    size_t script_count;

    /* memory of C helpers, here so that a raised error leaks nothing */
    struct ps_buf text, sorted;
    struct ps_lua_span *spans;
    size_t span_count, span_cap;
    struct ps_arena results;

    struct ps_lua_usage usage;
};

static inline struct ps_lua *ps_lua_of(lua_State *L)
{
    return *(struct ps_lua **)lua_getextraspace(L);
}

/** Make the Lua state if there is none. Returns: PS_OK or PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_lua_open(struct ps_lua *lua);
/** Throw the Lua state away; scripts and breakers stay known. */
void ps_lua_close(struct ps_lua *lua);

/** Full budget, no error, hook set: what every call starts with. */
void ps_lua_call_begin(struct ps_lua *lua, const struct ps_lua_call *call);

/** Note that a limit was hit, with where. Does not raise. The first one counts. */
void ps_lua_trip(struct ps_lua *lua, enum ps_script_error_kind kind);
/** Raise an error whose story is in `tripped`; allocates nothing. */
_Noreturn void ps_lua_raise_tripped(lua_State *L);

static inline void ps_lua_meta_push(lua_State *L, enum ps_lua_meta meta)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ps_lua_of(L)->meta_refs[meta]);
}

/** Spend without raising. Returns: false if a limit is hit. */
bool ps_lua_spend_slow(struct ps_lua *lua);
static inline bool ps_lua_spend(struct ps_lua *lua, size_t units)
{
    lua->budget -= (int64_t)units;
    lua->unclocked += (int64_t)units;
    if (__builtin_expect(lua->budget > 0 && lua->unclocked < 1000 && !lua->tripped, 1))
        return true;
    return ps_lua_spend_slow(lua);
}

/** Spend for a helper's work, about one unit for 10 ns; raises at a limit. */
static inline void ps_lua_charge(lua_State *L, size_t units)
{
    if (!ps_lua_spend(ps_lua_of(L), units))
        ps_lua_raise_tripped(L);
}

/** Spend for touching so many bytes once. */
static inline void ps_lua_charge_bytes(lua_State *L, size_t bytes)
{
    ps_lua_charge(L, 1 + bytes / 32);
}

/** Raise LIMIT_MEMORY before trying what cannot succeed. */
void ps_lua_check_size(lua_State *L, size_t bytes);

/** Message handler of every call: tells lua->error what went wrong and where. */
int ps_lua_on_error(lua_State *L);
/** Fill lua->error's line and trace from the running frames. Allocates nothing. */
void ps_lua_trace(struct ps_lua *lua, lua_State *L);
/** Set an error's message, cut to fit and made UTF-8. */
void ps_script_error_set(struct ps_script_error *error, enum ps_script_error_kind kind,
                         const char *text, size_t len);

/* scripts.c: the scripts a state knows */
/** The entry of a code, made if need be, now the newest. Returns: NULL if memory is short. */
struct ps_lua_script *ps_lua_script_other(struct ps_lua *lua, struct ps_script_code *code);
static inline struct ps_lua_script *ps_lua_script_of(struct ps_lua *lua,
                                                     struct ps_script_code *code)
{
    if (lua->newest && lua->newest->code == code)
        return lua->newest;
    return ps_lua_script_other(lua, code);
}
const struct ps_lua_script *ps_lua_script_find(const struct ps_lua *lua,
                                               const struct ps_script_code *code);
void ps_lua_scripts_unload(struct ps_lua *lua); /* the Lua state is going away */
void ps_lua_scripts_release(struct ps_lua *lua);

/* breaker.c */
bool ps_lua_breaker_waiting(const struct ps_lua_breaker *breaker);
static inline bool ps_lua_breaker_paused(const struct ps_lua_breaker *breaker)
{
    return breaker->until_ms && ps_lua_breaker_waiting(breaker);
}
void ps_lua_breaker_limit_hit(struct ps_lua_breaker *breaker);
void ps_lua_breaker_good_call(struct ps_lua_breaker *breaker);

/* code.c: what a state needs of a compiled script */
struct ps_script_bytecode {
    const char *data;
    size_t len;
};
struct ps_script_bytecode ps_script_bytecode(const struct ps_script_code *code);

/* sandbox.c: fills a new state's slots; raises */
void ps_lua_sandbox_build(lua_State *L);
/** True for the names the sandbox offers as globals. */
bool ps_lua_global_known(const char *name);
/** Forget the globals a call has set. Returns: false if that is better done by a new state. */
bool ps_lua_globals_wipe(struct ps_lua *lua);

/* meta.c */
int ps_lua_setmetatable(lua_State *L);
int ps_lua_getmetatable(lua_State *L);
int ps_lua_rawset(lua_State *L);
void ps_lua_guard_push(lua_State *L); /* makes the guard metatable */
/** Make a frozen table: replaces the table on top by a read-only front of it. */
void ps_lua_freeze(lua_State *L);
/** If the table is frozen, push what is behind it. */
bool ps_lua_frozen_push(lua_State *L, int index);

/* lazy.c: argument tables that answer from the message until they are touched */
void ps_lua_lazy_metas_build(lua_State *L);
void ps_lua_lazy_push(lua_State *L, enum ps_lua_meta meta); /* makes an empty lazy table */
/** Make sure the table at `index` is a plain, filled one; raises. */
void ps_lua_table_ready(lua_State *L, int index);
static inline bool ps_lua_is_lazy(const struct ps_lua *lua, const void *table)
{
    return (lua->msg_lazy && table == lua->msg_table) ||
           (lua->metadata_lazy && table == lua->metadata_table);
}
/** The same where nothing may raise. Returns: false if it cannot be filled. */
bool ps_lua_table_fill(struct ps_lua *lua, lua_State *L, int index);
/** Push the msg argument of a message whose data is no object; raises. */
void ps_lua_push_data(lua_State *L, const struct ps_lua_call *call);
void ps_lua_push_value(lua_State *L, const struct ps_value *value, bool keep_nulls);

/* json_read.c: push the value of a strict JSON text; raises */
void ps_lua_json_read(lua_State *L, const char *text, size_t len, bool keep_nulls);
void ps_lua_push_null(lua_State *L);
bool ps_lua_is_null(lua_State *L, int index);

/* json_write.c: Lua values as JSON text; none of it raises */
struct ps_lua_writer {
    struct ps_lua *lua;
    lua_State *L;
    struct ps_buf *out;
    size_t bytes_max;
    bool indent;
    enum ps_script_error_kind kind; /* why it failed: BAD_RESULT, TOO_LARGE or a limit */
    char why[160];
};
bool ps_lua_json_write(struct ps_lua_writer *writer, int index);
/** True if the table is an array by 5.3; `count` is its length. */
bool ps_lua_table_is_array(struct ps_lua *lua, lua_State *L, int index, size_t *count);
bool ps_lua_table_is_marked(struct ps_lua *lua, lua_State *L, int index);
size_t ps_lua_utf8_valid_len(const char *text, size_t len); /* of the valid part in front */

/* lib_*.c */
struct ps_lua_library {
    const char *name;
    const luaL_Reg *functions;
};
extern const luaL_Reg ps_lua_lib_json[], ps_lua_lib_time[], ps_lua_lib_bytes[], ps_lua_lib_hex[],
    ps_lua_lib_base64[], ps_lua_lib_hash[], ps_lua_lib_num[], ps_lua_lib_tbl[], ps_lua_lib_str[],
    ps_lua_lib_url[], ps_lua_lib_geo[], ps_lua_lib_uuid[], ps_lua_lib_log[], ps_lua_lib_string[],
    ps_lua_lib_table[], ps_lua_lib_pattern[];
int ps_lua_print(lua_State *L);
int ps_lua_tostring(lua_State *L);
/** Push the text of any value, without addresses; may call __tostring. Returns: the text. */
const char *ps_lua_push_text(lua_State *L, int index, size_t *len);
void ps_lua_ctx_push(lua_State *L); /* makes the table `ctx` */
/** Push a plain table with all that ctx shows. */
void ps_lua_ctx_push_copy(lua_State *L);
bool ps_lua_is_ctx(lua_State *L, int index);

/* result.c: from what a script returned to what the caller asked for; none of it raises */
void ps_lua_result_names_push(lua_State *L); /* raises; fills PS_LUA_SLOT_NAMES */
bool ps_lua_result_messages(struct ps_lua *lua, bool one_only, struct ps_script_messages *out);
bool ps_lua_result_labels(struct ps_lua *lua, struct ps_script_labels *out);
bool ps_lua_result_text(struct ps_lua *lua, bool bare_strings, struct ps_script_text *out);

#endif
