/* chain: the saved form of a rule chain: its metadata JSON, parsed, repaired and checked.
 *
 * Input is what REST clients, imports and the store give (rule-engine contract 2.2): short ids or
 * the reference's class names, legacy ruleChainConnections, debugMode, luaScript. The result is one
 * normal form, with every complaint listed by node (2.3): errors refuse a save, warnings do not.
 * A node that cannot run here is kept as it is, marked INVALID.
 *
 * Not here: rows and versions (core/entity), what a node does with a message (program, run). */
#ifndef PS_RULES_CHAIN_H
#define PS_RULES_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"
#include "core/uuid.h"
#include "rules/node.h"

struct json_t;

#define PS_CHAIN_CODE_LIST(X)                                                                      \
    X(NAME)                                                                                        \
    X(FIRST_NODE)                                                                                  \
    X(INDEX)                                                                                       \
    X(SELF_LOOP)                                                                                   \
    X(CYCLE)                                                                                       \
    X(CHAIN_CYCLE)                                                                                 \
    X(NODE_TYPE)                                                                                   \
    X(CONFIG)                                                                                      \
    X(LUA)                                                                                         \
    X(RELATION)                                                                                    \
    X(UNREACHABLE)                                                                                 \
    X(FOREIGN_ENTITY)                                                                              \
    X(LIMIT)                                                                                       \
    X(OUTPUT_NAME)

enum ps_chain_code {
#define PS_CHAIN_CODE_ENUM(name) PS_CHAIN_##name,
    PS_CHAIN_CODE_LIST(PS_CHAIN_CODE_ENUM)
#undef PS_CHAIN_CODE_ENUM
};

enum {
    PS_CHAIN_NODES_MAX = 500,
    PS_CHAIN_CONNECTIONS_MAX = 2000,
    PS_CHAIN_BYTES_MAX = 512 * 1024,
    PS_CHAIN_NAME_LEN_MAX = 255, /* characters */
    PS_CHAIN_ISSUES_MAX = 200,   /* errors, and as many warnings; more are not listed */
};

struct ps_chain_issue {
    enum ps_chain_code code;
    int node_index; /* -1: of no node */
    int line;       /* of the script, from 1; 0: none */
    char field[64]; /* "" : none */
    char message[256];
};

struct ps_chain_issues {
    size_t count;
    struct ps_chain_issue *list;
};

struct ps_chain_node {
    struct ps_uuid id;               /* all-zero: a new node */
    int64_t created_ms;              /* as it came; 0 if absent */
    const struct ps_node_kind *kind; /* NULL: unknown type, kept from an import */
    char *type;                      /* short id; of unknown types the text as it came */
    char *name;
    struct json_t *configuration;   /* object, in normal form */
    struct json_t *additional_info; /* object */
    struct json_t *external_id;     /* any value, usually null */
    int64_t configuration_version;
    bool debug_failures;
    int64_t debug_all_until_ms; /* 0: off */
    bool singleton;
    char *queue_name;              /* NULL: none */
    char *invalid;                 /* why state is INVALID; NULL: usable */
    struct ps_script_code *script; /* one reference; NULL if none or INVALID */
};

struct ps_chain_connection {
    uint32_t from, to;
    char *relation;
};

struct ps_chain {
    struct ps_uuid id; /* ruleChainId.id; all-zero if absent */
    bool has_version;
    int64_t version;
    int32_t first_node, failure_node; /* -1: none */
    size_t node_count, connection_count;
    struct ps_chain_node *nodes;
    struct ps_chain_connection *connections;
    struct json_t *notes; /* array, or NULL if absent */
    struct ps_chain_issues errors, warnings;
};

enum ps_chain_mode {
    PS_CHAIN_SAVE,   /* unknown node types are errors */
    PS_CHAIN_IMPORT, /* unknown node types are kept INVALID */
    PS_CHAIN_LOAD,   /* from the store: as import, and nothing is asked of the world */
};

/* What a check wants to know about the tenant's other chains. */
struct ps_chain_world {
    void *user;
    /* Is there such a chain in this tenant? NULL: not checked (V12). */
    bool (*chain_exists)(void *user, const struct ps_uuid *chain);
    /* Chains that `chain` calls: fills at most `max`, returns how many. NULL: no V6. */
    size_t (*chain_targets)(void *user, const struct ps_uuid *chain, struct ps_uuid *out,
                            size_t max);
};

struct ps_chain_checks {
    enum ps_chain_mode mode;
    struct ps_script_cache *scripts;    /* compiles the scripts (V9) */
    struct ps_uuid chain;               /* its own id, for V6; all-zero: taken from the JSON */
    size_t body_bytes;                  /* of the JSON text, for V13; 0 = not known */
    int64_t now_ms, debug_max_ms;       /* allEnabled:true becomes now_ms + debug_max_ms */
    const struct ps_chain_world *world; /* NULL: V6 and V12 are left out */
};

/**
 * Parse and check metadata JSON.
 *
 * Returns: PS_OK      *out is the chain; with errors (out->errors.count) it must not be saved
 *          PS_EINVAL  not a metadata object at all, `why` says what; nothing is set
 *          PS_ENOMEM
 * Thread:  any
 */
PS_MUST_CHECK
enum ps_status ps_chain_parse(const struct json_t *metadata, const struct ps_chain_checks *checks,
                              struct ps_chain **out, struct ps_text *why);
/** The same from text. */
PS_MUST_CHECK
enum ps_status ps_chain_parse_text(const char *text, size_t len,
                                   const struct ps_chain_checks *checks, struct ps_chain **out,
                                   struct ps_text *why);
void ps_chain_destroy(struct ps_chain *chain); /* NULL is fine */

/**
 * The rows of a chain, for ps_rule_graph_save(): node ids as they came (null for new nodes).
 * @param out  PS_OK: the caller's to ps_rule_graph_deinit()
 */
struct ps_rule_graph;
PS_MUST_CHECK
enum ps_status ps_chain_to_graph(const struct ps_chain *chain, const struct ps_uuid *chain_id,
                                 struct ps_rule_graph *out);
/** A stored graph as a chain, parsed in mode PS_CHAIN_LOAD: what cannot run is INVALID, never an
 *  error. `checks` gives scripts and chain id. Returns: as ps_chain_parse(). */
PS_MUST_CHECK
enum ps_status ps_chain_from_graph(const struct ps_rule_graph *graph,
                                   const struct ps_chain_checks *checks, struct ps_chain **out,
                                   struct ps_text *why);

enum ps_chain_format { PS_CHAIN_SHORT_IDS, PS_CHAIN_REFERENCE_CLASSES };

/** Metadata JSON of the answers: normal form, ruleChainConnections [] , `warnings` if there are
 *  any. One reference for the caller; NULL if memory is short. */
struct json_t *ps_chain_json(const struct ps_chain *chain, enum ps_chain_format format);
/** [{"nodeIndex","field","line","code","message"}]; members that do not apply are left out. */
struct json_t *ps_chain_issues_json(const struct ps_chain_issues *issues);
const char *ps_chain_code_name(enum ps_chain_code code); /* "FIRST_NODE" */

/** The chain a flow.rule_chain node names; false for other nodes and without a name. */
bool ps_chain_node_target(const struct ps_chain_node *node, struct ps_uuid *out);

/** V1: a chain's name. Returns: PS_OK or PS_EINVAL with `why`. */
PS_MUST_CHECK
enum ps_status ps_chain_name_check(const char *name, struct ps_text *why);

/** Metadata JSON text of a tenant's first root chain (contract 10.1, without its RPC node). */
const char *ps_default_root_chain_metadata(void);
#define PS_DEFAULT_ROOT_CHAIN_NAME "Root Rule Chain"

#endif
