/* node: the table of node kinds, and what a kind may do with a message.
 *
 * A kind is one constant. A node is an object of a kind inside a compiled program: made once from
 * its JSON configuration, immutable afterwards and shared by all shards (what it counts, it counts
 * with atomics). For each message it does exactly one of: tell next, tell failure, end the branch,
 * or suspend it and later do one of the three.
 *
 * Not here: walking the graph, guards, what becomes of failures (run). */
#ifndef PS_RULES_NODE_H
#define PS_RULES_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/log.h"
#include "core/msg.h"
#include "core/status.h"
#include "core/text.h"
#include "core/uuid.h"
#include "rules/host.h"
#include "rules/lua/script.h"
#include "rules/relation.h"

struct json_t;
struct ps_node;
struct ps_pending;
struct ps_program;
struct ps_run;

enum ps_step {
    PS_STEP_NEXT,    /* go on along `relations` with the message(s) of the step */
    PS_STEP_FAILURE, /* go on along Failure; `failure` says why */
    PS_STEP_ACK,     /* the branch ends well here */
    PS_STEP_PENDING, /* the node took a ps_pending and completes it later, once */
    PS_STEP_CALL,    /* enter the chain `chain`; an output node there comes back as a relation */
    PS_STEP_RETURN,  /* leave the chain by relations[0] of the calling node */
};

enum ps_failure_kind {
    PS_FAILURE_NODE,          /* what the node's "Errors" column names */
    PS_FAILURE_SCRIPT,        /* a Lua error; `script_kind` tells which */
    PS_FAILURE_INVALID,       /* the node has no usable configuration in this version */
    PS_FAILURE_STORE,         /* the host could not take the effect; `status` tells why */
    PS_FAILURE_CHAIN_MISSING, /* not handled by Failure, as the contract has it (3.3) */
    PS_FAILURE_LIMIT,         /* a guard of 3.6 */
    PS_FAILURE_TIMEOUT,       /* the message's deadline passed */
};

enum { PS_FAILURE_TEXT_SIZE = 640 };

struct ps_failure {
    enum ps_failure_kind kind;
    enum ps_script_error_kind script_kind; /* PS_FAILURE_SCRIPT */
    enum ps_status status;
    char text[PS_FAILURE_TEXT_SIZE]; /* terminated UTF-8 */
};

enum { PS_STEP_RELATIONS_MAX = 32 };

/* What a step tells. Borrowed text must live until the step returned and no longer. */
struct ps_step_out {
    unsigned relation_count;
    struct ps_relation relations[PS_STEP_RELATIONS_MAX];
    struct ps_msg *msg;          /* one reference for the run; NULL: the message that came in */
    struct ps_msg **more;        /* further messages, each one reference; malloc'ed, for the run */
    uint32_t more_count;         /* they follow the same relations, after `msg` */
    const struct ps_uuid *chain; /* PS_STEP_CALL; must live as long as the node */
    struct ps_failure failure;   /* PS_STEP_FAILURE */
};

/* One message at one node. */
struct ps_visit {
    struct ps_run *run;
    struct ps_host *host;
    const struct ps_program *program;
    struct ps_msg *msg; /* borrowed; shared with other branches, so never changed */
};

/* One member of a kind's configuration (V8). The last entry of a table has no name. */
enum ps_option_type {
    PS_OPTION_BOOL,
    PS_OPTION_INT,
    PS_OPTION_STRING,
    PS_OPTION_ENUM,        /* STRING, one of `choices` */
    PS_OPTION_STRING_LIST, /* array of not blank strings */
    PS_OPTION_UUID,        /* STRING, or null if not required */
    PS_OPTION_OBJECT,
    PS_OPTION_ANY,
};

struct ps_option_field {
    const char *name;
    enum ps_option_type type;
    bool required;              /* refused if absent; others get `fallback` */
    const char *fallback;       /* JSON text of the default; NULL: stays absent */
    int64_t min, max;           /* PS_OPTION_INT; both 0: any */
    const char *const *choices; /* PS_OPTION_ENUM, ended by NULL */
};

struct ps_node_kind {
    const char *type; /* "filter.script" */
    const char
        *reference_class; /* "filter.TbJsFilterNode": behind the reference's package; or NULL */
    const struct ps_option_field *fields; /* NULL: {} */
    const char *const *relations;         /* declared besides Failure, ended by NULL; NULL: none */
    bool custom_relations;                /* any relation is fine (V10) */
    bool has_script; /* `script` in the configuration, compiled as `script_kind` */
    bool stores;     /* a save or a sink: Failure should be connected (V11) */
    enum ps_script_kind script_kind;
    const char *default_script;

    /* `config` has been checked against `fields` and has its defaults. May allocate node->state.
     * PS_EINVAL with `why`: a configuration error (refused at save). NULL: nothing to do. */
    enum ps_status (*init)(struct ps_node *node, const struct json_t *config, struct ps_text *why);
    enum ps_step (*run)(const struct ps_node *node, const struct ps_visit *visit,
                        struct ps_step_out *out); /* never blocks; NULL: not in this version */
    void (*timer)(const struct ps_node *node, const struct ps_visit *visit, uint64_t timer_id);
    void (*deinit)(struct ps_node *node); /* copes with a half-built node; NULL: nothing to do */
};

/* What all shards count at a node. */
struct ps_node_counters {
    _Atomic uint64_t log_window; /* second << 8 | lines in it; see ps_node_log() */
};

struct ps_node {
    const struct ps_node_kind *kind; /* NULL: a type nobody knows, kept from an import */
    struct ps_uuid id;
    const char *name;                  /* terminated, owned by the program */
    const char *invalid;               /* why every message takes Failure; NULL: usable */
    struct ps_script_code *script;     /* one reference; NULL if the kind has none */
    bool keep_nulls;                   /* node option of scripts (5.3) */
    struct ps_node_counters *counters; /* of the program */
    void *state;                       /* the kind's own, from init */
};

/** The kind of a short id or of a reference class name (with its package in front); NULL if
 *  unknown. Known kinds without `run` are types this build lacks. */
const struct ps_node_kind *ps_node_kind_find(const char *type);
/** All kinds, for the palette: index 0 ..; NULL at the end. */
const struct ps_node_kind *ps_node_kind_at(unsigned index);
#define PS_NODE_REFERENCE_PACKAGE "org.thingsboard.rule.engine."

/* --- for the run functions of kinds --- */

enum { PS_NODE_LOG_LINES_PER_S = 10 };

/** One line in the server log with tenant and node, at most 10 a second a node; the rest is
 *  counted as dropped. */
void ps_node_log(const struct ps_node *node, const struct ps_visit *visit, enum ps_log_level level,
                 const char *text, size_t len);
/** The context of a script call at this node; its log goes to ps_node_log(). `call` must live as
 *  long as the context. */
struct ps_node_script_call {
    const struct ps_node *node;
    const struct ps_visit *visit;
    struct ps_lua *lua;
    struct ps_script_context context;
    struct ps_script_error error;
};
/** False: no Lua state to be had; `out` tells the failure. */
bool ps_node_script_call_init(struct ps_node_script_call *call, const struct ps_node *node,
                              const struct ps_visit *visit, struct ps_step_out *out);

/** Tell one numbered relation with the message that came in. */
static inline enum ps_step ps_step_next(struct ps_step_out *out, enum ps_relation_id id)
{
    out->relations[0] = ps_relation_known(id);
    out->relation_count = 1;
    return PS_STEP_NEXT;
}

/** Fill `failure` and return PS_STEP_FAILURE. */
enum ps_step ps_step_failure(struct ps_step_out *out, enum ps_failure_kind kind,
                             enum ps_status status, const char *format, ...) PS_PRINTF(4, 5);
/** The failure of a script call that returned `st`. */
enum ps_step ps_step_script_failure(struct ps_step_out *out, enum ps_status st,
                                    const struct ps_script_error *error);

#endif
