/* program: a compiled rule chain: nodes, routes, scripts.
 *
 * Immutable once made, counted with atomics, shared by all shards. A message that has started stays
 * on the program it started with; swapping the pointer in the directory (chains) makes a new one
 * live. */
#ifndef PS_RULES_PROGRAM_H
#define PS_RULES_PROGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"
#include "core/uuid.h"
#include "rules/node.h"

struct ps_chain;

/* Connections of one node with one relation: targets[first .. first+count) in connection order. */
struct ps_route {
    struct ps_relation relation; /* name owned by the program */
    uint32_t first, count;
};

struct ps_program_node {
    struct ps_node node;
    uint32_t route_first, route_count; /* in routes[] */
};

struct ps_program {
    _Atomic uint32_t references;
    struct ps_uuid tenant, chain;
    const char *name;     /* of the chain */
    int32_t first_node;   /* -1: an empty chain, messages end well */
    int32_t failure_node; /* -1: none */
    uint32_t node_count, route_count, target_count, call_count;
    struct ps_program_node *nodes;
    struct ps_route *routes;
    uint32_t *targets;                 /* node indexes */
    uint32_t *orders;                  /* of targets[i]: its place among the chain's connections */
    struct ps_node_counters *counters; /* of nodes[i] */
    struct ps_uuid *calls;             /* chains that flow.rule_chain nodes name (V6) */
};

struct ps_program_identity {
    struct ps_uuid tenant, chain;
    const char *name; /* of the chain; copied */
};

/**
 * Compile a parsed chain. INVALID nodes stay in the program and fail their messages.
 *
 * @param chain  without errors; not kept, its scripts are retained
 * @param out    one reference
 * Returns: PS_OK; PS_EINVAL the chain has errors; PS_ENOMEM
 * Thread:  any
 */
PS_MUST_CHECK
enum ps_status ps_program_compile(const struct ps_chain *chain,
                                  const struct ps_program_identity *identity,
                                  struct ps_program **out);
struct ps_program *ps_program_retain(const struct ps_program *program);
void ps_program_release(const struct ps_program *program); /* NULL is fine */

/** The route of a node for a relation, or NULL: nothing is connected. */
static inline const struct ps_route *ps_program_route(const struct ps_program *program,
                                                      uint32_t node,
                                                      const struct ps_relation *relation)
{
    const struct ps_program_node *slot = &program->nodes[node];
    const struct ps_route *route = &program->routes[slot->route_first];
    for (uint32_t i = 0; i < slot->route_count; i++, route++)
        if (ps_relation_equal(&route->relation, relation))
            return route;
    return NULL;
}

#endif
