/* script: Lua scripts of rule nodes: compile once, run in a caged state.
 *
 * A script is the body of a function (rule-engine contract, section 5). Compiling gives an
 * immutable, counted `struct ps_script_code` shared by all threads; equal texts of one kind are the
 * same object. Running happens in a `struct ps_lua`: one Lua state of one shard and one tenant,
 * without locks. A script can do no harm but spend its limits: instructions, wall time, memory,
 * sizes. After any LIMIT_* error the Lua state is thrown away and made anew; ten of them in ten
 * seconds suspend the script for a while. No value survives a call.
 *
 * Not here: what nodes do with results, log rate limits of nodes, lifecycle events. */
#ifndef PS_RULES_LUA_SCRIPT_H
#define PS_RULES_LUA_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/msg.h"
#include "core/status.h"
#include "core/uuid.h"

enum ps_script_kind {
    PS_SCRIPT_FILTER,    /* msg, metadata, msgType -> boolean */
    PS_SCRIPT_SWITCH,    /* ... -> string or array of strings */
    PS_SCRIPT_TRANSFORM, /* ... -> { msg, metadata, msgType }, an array of these, nil */
    PS_SCRIPT_GENERATOR, /* prevMsg, prevMetadata, prevMsgType -> as a transform's, one or none */
    PS_SCRIPT_TEXT,      /* msg, metadata, msgType -> text */
    PS_SCRIPT_JSON,      /* msg, metadata, msgType, prevDetails -> any JSON value */
    PS_SCRIPT_KIND_COUNT
};

#define PS_SCRIPT_ERROR_LIST(X)                                                                    \
    X(NONE)                                                                                        \
    X(COMPILE)                                                                                     \
    X(RUNTIME)                                                                                     \
    X(LIMIT_CPU)                                                                                   \
    X(LIMIT_TIME)                                                                                  \
    X(LIMIT_MEMORY)                                                                                \
    X(BAD_RESULT)                                                                                  \
    X(TOO_LARGE)                                                                                   \
    X(SUSPENDED)

enum ps_script_error_kind {
#define PS_SCRIPT_ERROR_ENUM(name) PS_SCRIPT_ERROR_##name,
    PS_SCRIPT_ERROR_LIST(PS_SCRIPT_ERROR_ENUM)
#undef PS_SCRIPT_ERROR_ENUM
};

enum {
    PS_SCRIPT_SOURCE_BYTES_MAX = 64 * 1024,
    PS_SCRIPT_MESSAGE_SIZE = 512,
    PS_SCRIPT_TRACE_MAX = 10,
    PS_SCRIPT_TRACE_SIZE = 96,
    PS_SCRIPT_WARNINGS_MAX = 16,
};

/* Why a script did not give its result (contract 5.7). Filled only on failure. */
struct ps_script_error {
    enum ps_script_error_kind kind;
    int line;                             /* the user's line, from 1; 0 if unknown */
    char message[PS_SCRIPT_MESSAGE_SIZE]; /* without the "script:3: " in front; UTF-8 */
    unsigned trace_count;
    char trace[PS_SCRIPT_TRACE_MAX][PS_SCRIPT_TRACE_SIZE]; /* "line 3 in function 'f'" */
};

/** "LIMIT_CPU" for PS_SCRIPT_ERROR_LIMIT_CPU. */
const char *ps_script_error_kind_name(enum ps_script_error_kind kind);
/** Append the text form: "script:3: attempt to compare nil with number". */
void ps_script_error_put_text(const struct ps_script_error *error, struct ps_buf *out);
/** Append the JSON form: {"kind":..,"message":..,"line":..,"trace":[..]}. */
void ps_script_error_put_json(const struct ps_script_error *error, struct ps_buf *out);

/* A global name that is not of the library: read (always nil) or assigned (gone after the call). */
struct ps_script_warning {
    int line; /* of the first such use */
    bool assigned;
    char name[64];
};

struct ps_script_warnings {
    unsigned count; /* at most PS_SCRIPT_WARNINGS_MAX are told */
    struct ps_script_warning list[PS_SCRIPT_WARNINGS_MAX];
};

struct ps_script_cache; /* compiled scripts by kind and SHA-256; thread-safe */
struct ps_script_code;  /* one compiled script; immutable */

PS_MUST_CHECK
enum ps_status ps_script_cache_create(struct ps_script_cache **out);
/** All codes must have been released before. */
void ps_script_cache_destroy(struct ps_script_cache *cache);
/** Distinct scripts now held. Thread: any. */
size_t ps_script_cache_count(struct ps_script_cache *cache);

/**
 * Compile a script, or find the same text compiled before.
 *
 * @param source    text, any bytes; not kept
 * @param out       one reference for the caller, ended by ps_script_release()
 * @param error     why it failed; may be NULL
 * @param warnings  globals read or assigned (V9); may be NULL
 *
 * Returns: PS_OK; PS_ESCRIPT (kind COMPILE or TOO_LARGE); PS_ENOMEM
 * Thread:  any
 */
PS_MUST_CHECK
enum ps_status ps_script_compile(struct ps_script_cache *cache, enum ps_script_kind kind,
                                 const char *source, size_t len, struct ps_script_code **out,
                                 struct ps_script_error *error,
                                 struct ps_script_warnings *warnings);
struct ps_script_code *ps_script_retain(struct ps_script_code *code);
void ps_script_release(struct ps_script_code *code); /* NULL is fine */
enum ps_script_kind ps_script_kind(const struct ps_script_code *code);

/* Ceilings of one state and of one call (contract 5.6). */
struct ps_lua_limits {
    int64_t instructions;      /* VM instructions and helpers' work a call */
    int64_t wall_ms;           /* a call */
    size_t call_memory_bytes;  /* growth a call */
    size_t state_memory_bytes; /* of the Lua state */
    size_t input_bytes;        /* data and metadata */
    size_t result_bytes;
    size_t log_bytes; /* log output a call */
};

/** The system ceiling: 1,000,000; 50 ms; 8 MiB; 64 MiB; 256 KiB; 256 KiB; 4 KiB. */
extern const struct ps_lua_limits PS_LUA_LIMITS_DEFAULT;

enum ps_script_log_level {
    PS_SCRIPT_LOG_DEBUG,
    PS_SCRIPT_LOG_INFO,
    PS_SCRIPT_LOG_WARN,
    PS_SCRIPT_LOG_ERROR,
};

/* Where a script runs: what `ctx` shows beside the message's own fields, and where its log goes.
 * A zeroed struct is fine: null ids, empty name, no log. */
struct ps_script_context {
    const struct ps_uuid *rule_chain, *node; /* NULL: ctx shows nil */
    const char *node_name;                   /* terminated; NULL: nil */
    unsigned attempt;                        /* 0 for the first try */
    bool keep_nulls;                         /* node option keepNulls (contract 5.3) */
    /* Called while the script runs; must not call back into the ps_lua. NULL: dropped. */
    void (*log)(void *arg, enum ps_script_log_level level, const char *text, size_t len);
    void *log_arg;
};

struct ps_lua; /* the Lua state of one tenant on one shard */

/** No Lua state is made before the first call. Thread: the one that will run it. */
PS_MUST_CHECK
enum ps_status ps_lua_create(const struct ps_lua_limits *limits, struct ps_lua **out);
void ps_lua_destroy(struct ps_lua *lua); /* NULL is fine */

/* Results. All text is borrowed: from the ps_lua until its next call, and where a transform leaves
 * a member alone, from the input message. */
struct ps_script_labels {
    size_t count; /* 0: no route */
    struct ps_script_label {
        const char *text; /* terminated */
        size_t len;
    } * list;
};

struct ps_script_messages {
    size_t count; /* 0: drop (a generator: nothing this time) */
    struct ps_msg_content *list;
};

struct ps_script_text {
    const char *data; /* terminated */
    size_t len;
};

/*
 * The calls. `code` must be of the kind the call's name says. `msg` is not changed, but may get its
 * id (ctx.msgId). `error` may be NULL.
 *
 * Returns: PS_OK      the result is set
 *          PS_ESCRIPT `error` says why (all kinds but COMPILE)
 *          PS_ENOMEM  the process is out of memory
 * Thread:  the one that owns `lua`; the wall limit bounds the time
 */
PS_MUST_CHECK
enum ps_status ps_lua_filter(struct ps_lua *lua, struct ps_script_code *code, struct ps_msg *msg,
                             const struct ps_script_context *ctx, bool *result,
                             struct ps_script_error *error);
PS_MUST_CHECK
enum ps_status ps_lua_switch(struct ps_lua *lua, struct ps_script_code *code, struct ps_msg *msg,
                             const struct ps_script_context *ctx, struct ps_script_labels *result,
                             struct ps_script_error *error);
PS_MUST_CHECK
enum ps_status ps_lua_transform(struct ps_lua *lua, struct ps_script_code *code, struct ps_msg *msg,
                                const struct ps_script_context *ctx,
                                struct ps_script_messages *result, struct ps_script_error *error);
/** `previous` is the last message made, or an empty one of type "" ({}, {}, "") the first time. */
PS_MUST_CHECK
enum ps_status ps_lua_generate(struct ps_lua *lua, struct ps_script_code *code,
                               struct ps_msg *previous, const struct ps_script_context *ctx,
                               struct ps_script_messages *result, struct ps_script_error *error);
PS_MUST_CHECK
enum ps_status ps_lua_text(struct ps_lua *lua, struct ps_script_code *code, struct ps_msg *msg,
                           const struct ps_script_context *ctx, struct ps_script_text *result,
                           struct ps_script_error *error);
/** `details` is the JSON text of the alarm's old details, NULL if there are none. */
PS_MUST_CHECK
enum ps_status ps_lua_json(struct ps_lua *lua, struct ps_script_code *code, struct ps_msg *msg,
                           const struct ps_script_context *ctx, const char *details,
                           size_t details_len, struct ps_script_text *result,
                           struct ps_script_error *error);

/** End of an actor's turn: collect garbage if there is enough of it. Thread: the owner's. */
void ps_lua_turn_end(struct ps_lua *lua);

/* What the breaker thinks of a script in this state. */
struct ps_script_pause {
    bool paused;
    int64_t until_mono_ms; /* if paused */
    int64_t pause_ms;      /* length of the latest pause since the last good call; 0 if none */
    uint64_t pause_count;  /* pauses since the ps_lua was made: a change is a lifecycle event */
};
void ps_lua_pause_state(const struct ps_lua *lua, const struct ps_script_code *code,
                        struct ps_script_pause *out);

/* What the last call cost and what the state holds, for the test endpoint and for metrics. */
struct ps_lua_usage {
    int64_t instructions;   /* of the last call; to the thousand unless a limit was near */
    size_t call_bytes_peak; /* highest growth during the last call */
    size_t state_bytes;     /* now */
    uint64_t calls, errors, limit_errors, reopened;
};
void ps_lua_usage(const struct ps_lua *lua, struct ps_lua_usage *out);

#endif
