/* program: from a checked chain to arrays that a run walks without looking anything up.
 *
 * Everything lives in one block per array; routes of a node are adjacent, and so are the targets
 * of a route. `orders` keeps each target's place among the chain's connections, so that a step
 * which tells several relations still follows them in connection order. */
#include "rules/program.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "rules/chain.h"

static char *copy_text(const char *text)
{
    return strdup(text ? text : "");
}

static enum ps_status init_node(struct ps_program_node *slot, const struct ps_chain_node *from,
                                struct ps_node_counters *counters)
{
    struct ps_node *node = &slot->node;
    node->id = from->id;
    node->counters = counters;
    node->name = copy_text(from->name);
    if (!node->name)
        return PS_ENOMEM;
    node->kind = from->kind;
    if (from->invalid) {
        node->invalid = copy_text(from->invalid);
        return node->invalid ? PS_OK : PS_ENOMEM;
    }
    if (from->script)
        node->script = ps_script_retain(from->script);
    node->keep_nulls = json_is_true(json_object_get(from->configuration, "keepNulls"));
    if (!node->kind->init)
        return PS_OK;
    struct ps_text why = { "" };
    enum ps_status st = node->kind->init(node, from->configuration, &why);
    if (st != PS_EINVAL)
        return st;
    node->invalid = copy_text(why.data); /* stored by an older version that took it */
    return node->invalid ? PS_OK : PS_ENOMEM;
}

static void deinit_node(struct ps_node *node)
{
    if (node->kind && node->kind->deinit)
        node->kind->deinit(node);
    ps_script_release(node->script);
    free((char *)node->name);
    free((char *)node->invalid);
}

/* The route of (node, relation), made on first use. Routes of a node are at its end of the array:
 * callers go through nodes in order. */
static struct ps_route *route_for(struct ps_program *program, struct ps_program_node *node,
                                  const char *label)
{
    struct ps_relation relation = ps_relation_of(label, strlen(label));
    for (uint32_t i = 0; i < node->route_count; i++) {
        struct ps_route *route = &program->routes[node->route_first + i];
        if (ps_relation_equal(&route->relation, &relation))
            return route;
    }
    char *name = copy_text(label);
    if (!name)
        return NULL;
    struct ps_route *route = &program->routes[program->route_count++];
    *route = (struct ps_route){ .relation = relation };
    route->relation.name = name;
    node->route_count++;
    return route;
}

static enum ps_status count_routes(struct ps_program *program, const struct ps_chain *chain,
                                   const uint32_t *by_from, size_t first, size_t end, uint32_t node)
{
    struct ps_program_node *slot = &program->nodes[node];
    slot->route_first = program->route_count;
    for (size_t i = first; i < end; i++) {
        struct ps_route *route = route_for(program, slot, chain->connections[by_from[i]].relation);
        if (!route)
            return PS_ENOMEM;
        route->count++;
    }
    return PS_OK;
}

static void fill_targets(struct ps_program *program, const struct ps_chain *chain,
                         const uint32_t *by_from, size_t first, size_t end, uint32_t node)
{
    struct ps_program_node *slot = &program->nodes[node];
    for (uint32_t r = 0; r < slot->route_count; r++) {
        struct ps_route *route = &program->routes[slot->route_first + r];
        route->first = program->target_count;
        program->target_count += route->count;
        route->count = 0;
    }
    for (size_t i = first; i < end; i++) {
        const struct ps_chain_connection *connection = &chain->connections[by_from[i]];
        struct ps_route *route = route_for(program, slot, connection->relation);
        uint32_t at = route->first + route->count++;
        program->targets[at] = connection->to;
        program->orders[at] = by_from[i];
    }
}

/* Connection indexes grouped by their source, in order: a counting sort. `starts` gets node_count
 * + 1 bounds. */
static void group_by_source(const struct ps_chain *chain, uint32_t *starts, uint32_t *by_from)
{
    for (size_t i = 0; i < chain->connection_count; i++)
        starts[chain->connections[i].from + 1]++;
    for (size_t n = 0; n < chain->node_count; n++)
        starts[n + 1] += starts[n];
    for (size_t i = 0; i < chain->connection_count; i++)
        by_from[starts[chain->connections[i].from]++] = (uint32_t)i;
    for (size_t n = chain->node_count; n > 0; n--)
        starts[n] = starts[n - 1];
    starts[0] = 0;
}

static enum ps_status build_routes(struct ps_program *program, const struct ps_chain *chain)
{
    enum ps_status st = PS_ENOMEM;
    uint32_t *starts = calloc(chain->node_count + 2, sizeof *starts);
    uint32_t *by_from = calloc(chain->connection_count + 1, sizeof *by_from);
    if (!starts || !by_from)
        goto done;
    group_by_source(chain, starts, by_from);
    st = PS_OK;
    for (uint32_t n = 0; st == PS_OK && n < program->node_count; n++) {
        st = count_routes(program, chain, by_from, starts[n], starts[n + 1], n);
        if (st == PS_OK)
            fill_targets(program, chain, by_from, starts[n], starts[n + 1], n);
    }
done:
    free(starts);
    free(by_from);
    return st;
}

static void collect_calls(struct ps_program *program, const struct ps_chain *chain)
{
    for (size_t i = 0; i < chain->node_count; i++) {
        struct ps_uuid target;
        if (ps_chain_node_target(&chain->nodes[i], &target))
            program->calls[program->call_count++] = target;
    }
}

static enum ps_status build(struct ps_program *program, const struct ps_chain *chain,
                            const char *name)
{
    size_t nodes = chain->node_count, connections = chain->connection_count;
    program->name = copy_text(name);
    program->nodes = calloc(nodes + 1, sizeof *program->nodes);
    program->counters = calloc(nodes + 1, sizeof *program->counters);
    program->calls = calloc(nodes + 1, sizeof *program->calls);
    program->routes = calloc(connections + 1, sizeof *program->routes);
    program->targets = calloc(connections + 1, sizeof *program->targets);
    program->orders = calloc(connections + 1, sizeof *program->orders);
    if (!program->name || !program->nodes || !program->counters || !program->calls ||
        !program->routes || !program->targets || !program->orders)
        return PS_ENOMEM;
    program->first_node = chain->first_node;
    program->failure_node = chain->failure_node;
    for (size_t i = 0; i < nodes; i++) {
        program->node_count++; /* before init: a half-built node is undone too */
        enum ps_status st = init_node(&program->nodes[i], &chain->nodes[i], &program->counters[i]);
        if (st != PS_OK)
            return st;
    }
    collect_calls(program, chain);
    return build_routes(program, chain);
}

static void destroy(struct ps_program *program)
{
    for (uint32_t i = 0; i < program->node_count; i++)
        deinit_node(&program->nodes[i].node);
    for (uint32_t i = 0; i < program->route_count; i++)
        free((char *)program->routes[i].relation.name);
    free(program->nodes);
    free(program->counters);
    free(program->routes);
    free(program->targets);
    free(program->orders);
    free(program->calls);
    free((char *)program->name);
    free(program);
}

enum ps_status ps_program_compile(const struct ps_chain *chain,
                                  const struct ps_program_identity *identity,
                                  struct ps_program **out)
{
    if (chain->errors.count)
        return PS_EINVAL;
    struct ps_program *program = calloc(1, sizeof *program);
    if (!program)
        return PS_ENOMEM;
    atomic_init(&program->references, 1);
    program->tenant = identity->tenant;
    program->chain = identity->chain;
    enum ps_status st = build(program, chain, identity->name);
    if (st != PS_OK) {
        destroy(program);
        return st;
    }
    *out = program;
    return PS_OK;
}

struct ps_program *ps_program_retain(const struct ps_program *program)
{
    struct ps_program *counted = (struct ps_program *)program; /* the count is not its content */
    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
    return counted;
}

void ps_program_release(const struct ps_program *program)
{
    struct ps_program *counted = (struct ps_program *)program;
    if (counted && atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) == 1)
        destroy(counted);
}
