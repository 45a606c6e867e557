/* rule_chain: saved chains and their graphs. Sections 7.12 of the REST contract, 2 of the rules'.
 *
 * What a node's type and configuration mean, and whether a graph may run, is the rules' to say:
 * they normalise and validate before the save. Here a graph is rows, replaced as a whole. */
#ifndef PS_CORE_ENTITY_RULE_CHAIN_H
#define PS_CORE_ENTITY_RULE_CHAIN_H

#include "core/entity/page.h"
#include "core/storage/db.h"
#include "core/text.h"

struct ps_rule_chain {
    struct ps_uuid id; /* null = not saved yet */
    int64_t created_ms;
    struct ps_uuid tenant;
    char *name;
    char *type;                /* "CORE" or "EDGE"; NULL on save = CORE */
    struct ps_uuid first_node; /* read only; PS_UUID_NULL if none */
    bool root;
    bool debug_mode;
    char *configuration; /* JSON text */
    char *external_id;
    int64_t version; /* 0 on save = overwrite */
    char *additional_info;
};

struct ps_rule_chain_list {
    struct ps_rule_chain *items;
    size_t count;
    int64_t total;
};

struct ps_rule_node {
    struct ps_uuid id; /* null on save = a new node */
    int64_t created_ms;
    char *type, *name;
    char *configuration; /* JSON text; NULL on save = {} */
    int64_t configuration_version;
    bool debug_failures;
    int64_t debug_all_until_ms;
    bool singleton_mode;
    char *queue_name;
    char *additional_info;
    char *external_id;
};

struct ps_rule_connection {
    uint32_t from, to; /* indices into nodes */
    char *type;
};

enum { PS_RULE_NODE_NONE = -1 };

struct ps_rule_graph {
    struct ps_uuid chain;
    int64_t version;                  /* the chain's; 0 on save = overwrite */
    int64_t first_node, failure_node; /* index, or PS_RULE_NODE_NONE */
    struct ps_rule_node *nodes;       /* calloc'ed array; on load by created_ms, then id */
    size_t node_count;
    struct ps_rule_connection *connections; /* on load by from, to, type */
    size_t connection_count;
    char *notes; /* JSON text of an array, or NULL */
};

void ps_rule_chain_deinit(struct ps_rule_chain *chain);
void ps_rule_chain_list_deinit(struct ps_rule_chain_list *list);
void ps_rule_graph_deinit(struct ps_rule_graph *graph);

/** Of any tenant: the caller checks. */
PS_MUST_CHECK
enum ps_status ps_rule_chain_get(struct ps_db *db, const struct ps_uuid *id,
                                 struct ps_rule_chain *out);
PS_MUST_CHECK
enum ps_status ps_rule_chain_get_root(struct ps_db *db, const struct ps_uuid *tenant,
                                      struct ps_rule_chain *out);

/* Which chains; null members do not filter (a null tenant: chains of all tenants). */
struct ps_rule_chain_filter {
    struct ps_uuid tenant;
    const char *type;
};
/** Sort: createdTime, name, root. Search: name. */
PS_MUST_CHECK
enum ps_status ps_rule_chain_list(struct ps_db *db, const struct ps_rule_chain_filter *filter,
                                  const struct ps_page_query *page, struct ps_rule_chain_list *out);

/** Create (null id, an empty graph) or replace; first_node is ignored. Returns: PS_OK; PS_EINVAL no
 *  name, or another root exists; PS_ENOTFOUND; PS_ECONFLICT. `why` is the contract's message. */
PS_MUST_CHECK
enum ps_status ps_rule_chain_save(struct ps_db *db, struct ps_rule_chain *chain,
                                  struct ps_text *why);

/** Make it the tenant's root instead of the present one; no change if it is already.
 *  Returns: PS_OK; PS_ENOTFOUND. Atomic on its own. */
PS_MUST_CHECK
enum ps_status ps_rule_chain_set_root(struct ps_db *db, const struct ps_uuid *id);

/**
 * Delete a chain with its nodes.
 *
 * @param force  also if nodes of other chains point at it
 * Returns: PS_OK; PS_ENOTFOUND; PS_EDENIED it is the root or a profile uses it; PS_ECONFLICT other
 *          chains point at it. `why` says which.
 * Thread:  writer. Atomic on its own.
 */
PS_MUST_CHECK
enum ps_status ps_rule_chain_delete(struct ps_db *db, const struct ps_uuid *id, bool force,
                                    struct ps_text *why);

/** The graph of a chain. Returns: PS_OK *out is the caller's to deinit; PS_ENOTFOUND. */
PS_MUST_CHECK
enum ps_status ps_rule_graph_get(struct ps_db *db, const struct ps_uuid *chain,
                                 struct ps_rule_graph *out);

/**
 * Replace the graph of graph->chain. Nodes with an id of this chain are updated, those without are
 * made, stored ones that are absent are deleted.
 *
 * Returns: PS_OK the graph is stored, load it for the answer; PS_ENOTFOUND no such chain;
 *          PS_ECONFLICT another version is stored; PS_EINVAL an index is out of range, a node id
 *          is not of this chain or given twice, a relation is blank or too long; `why` says what.
 * Thread:  writer. Atomic on its own.
 */
PS_MUST_CHECK
enum ps_status ps_rule_graph_save(struct ps_db *db, const struct ps_rule_graph *graph,
                                  struct ps_text *why);

/** The chain and node of a node id, e.g. for debug events. */
PS_MUST_CHECK
enum ps_status ps_rule_node_find_chain(struct ps_db *db, const struct ps_uuid *node,
                                       struct ps_uuid *chain);

#endif
