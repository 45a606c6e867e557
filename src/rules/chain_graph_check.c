/* chain_graph_check: what can only be seen of the graph as a whole.
 *
 * Every check is linear in nodes and connections and keeps its own stack: a ladder of 500 nodes has
 * more paths than there are atoms, and none of them is walked twice. Connections are sorted by
 * their source when this is called. */
#include "rules/chain_build.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct ps_chain_place at(size_t node)
{
    return (struct ps_chain_place){ .node_index = (int)node };
}

/* starts[n] .. starts[n + 1]: the connections that leave node n. */
static uint32_t *index_sources(struct ps_chain_build *build)
{
    const struct ps_chain *chain = build->chain;
    uint32_t *starts = calloc(chain->node_count + 1, sizeof *starts);
    if (!starts) {
        build->out_of_memory = true;
        return NULL;
    }
    for (size_t i = 0; i < chain->connection_count; i++)
        starts[chain->connections[i].from + 1]++;
    for (size_t n = 0; n < chain->node_count; n++)
        starts[n + 1] += starts[n];
    return starts;
}

/* --- V5: cycles, by colouring --- */

enum colour { WHITE, GREY, BLACK };

struct walk {
    const struct ps_chain *chain;
    const uint32_t *starts;
    uint8_t *colours;
    uint32_t *path, *next; /* the way from the root; per node, the connection to try next */
};

/* Depth first from `root`. Returns: a node on a cycle, or -1. */
static int find_cycle_from(struct walk *walk, uint32_t root)
{
    size_t depth = 0;
    walk->path[depth++] = root;
    walk->colours[root] = GREY;
    walk->next[root] = walk->starts[root];
    while (depth) {
        uint32_t node = walk->path[depth - 1];
        if (walk->next[node] == walk->starts[node + 1]) {
            walk->colours[node] = BLACK;
            depth--;
            continue;
        }
        uint32_t to = walk->chain->connections[walk->next[node]++].to;
        if (walk->colours[to] == GREY)
            return (int)to;
        if (walk->colours[to] == WHITE) {
            walk->colours[to] = GREY;
            walk->next[to] = walk->starts[to];
            walk->path[depth++] = to;
        }
    }
    return -1;
}

static void check_cycles(struct ps_chain_build *build, const uint32_t *starts)
{
    const struct ps_chain *chain = build->chain;
    struct walk walk = {
        .chain = chain,
        .starts = starts,
        .colours = calloc(chain->node_count + 1, sizeof *walk.colours),
        .path = calloc(chain->node_count + 1, sizeof *walk.path),
        .next = calloc(chain->node_count + 1, sizeof *walk.next),
    };
    build->out_of_memory = build->out_of_memory || !walk.colours || !walk.path || !walk.next;
    int found = -1;
    for (uint32_t n = 0; !build->out_of_memory && found < 0 && n < chain->node_count; n++)
        if (walk.colours[n] == WHITE)
            found = find_cycle_from(&walk, n);
    if (found >= 0)
        ps_chain_error(build, PS_CHAIN_CYCLE, at((size_t)found),
                       "Can't create circling relations in rule chain.");
    free(walk.colours);
    free(walk.path);
    free(walk.next);
}

/* --- V11: what no message reaches, failures nobody sees --- */

static void mark_reachable(const struct ps_chain *chain, const uint32_t *starts, int32_t root,
                           bool *seen, uint32_t *stack)
{
    size_t depth = 0;
    if (root < 0 || seen[root])
        return;
    seen[root] = true;
    stack[depth++] = (uint32_t)root;
    while (depth) {
        uint32_t node = stack[--depth];
        for (uint32_t i = starts[node]; i < starts[node + 1]; i++) {
            uint32_t to = chain->connections[i].to;
            if (!seen[to]) {
                seen[to] = true;
                stack[depth++] = to;
            }
        }
    }
}

static void check_reachable(struct ps_chain_build *build, const uint32_t *starts)
{
    const struct ps_chain *chain = build->chain;
    struct ps_chain_place first = { .node_index = -1, .field = "firstNodeIndex" };
    if (chain->first_node < 0) {
        if (chain->node_count)
            ps_chain_warn(build, PS_CHAIN_UNREACHABLE, first,
                          "the chain has no first node: messages end here unprocessed");
        return;
    }
    bool *seen = calloc(chain->node_count, sizeof *seen);
    uint32_t *stack = calloc(chain->node_count, sizeof *stack);
    if (seen && stack) {
        mark_reachable(chain, starts, chain->first_node, seen, stack);
        mark_reachable(chain, starts, chain->failure_node, seen, stack);
        for (size_t n = 0; n < chain->node_count; n++)
            if (!seen[n])
                ps_chain_warn(build, PS_CHAIN_UNREACHABLE, at(n),
                              "no message reaches node '%.100s'", chain->nodes[n].name);
    } else {
        build->out_of_memory = true;
    }
    free(seen);
    free(stack);
}

static void check_failures(struct ps_chain_build *build, const uint32_t *starts)
{
    const struct ps_chain *chain = build->chain;
    if (chain->failure_node >= 0)
        return;
    for (size_t n = 0; n < chain->node_count; n++) {
        const struct ps_node_kind *kind = chain->nodes[n].kind;
        bool handled = !kind || !kind->stores;
        for (uint32_t i = starts[n]; !handled && i < starts[n + 1]; i++)
            handled = strcasecmp(chain->connections[i].relation, "Failure") == 0;
        if (!handled)
            ps_chain_warn(build, PS_CHAIN_UNREACHABLE, at(n),
                          "Failure of node '%.100s' is not connected", chain->nodes[n].name);
    }
}

/* --- V10: relations a node does not tell --- */

static bool kind_tells(const struct ps_node_kind *kind, const char *relation)
{
    if (!kind || kind->custom_relations || strcasecmp(relation, "Failure") == 0)
        return true;
    for (const char *const *known = kind->relations; known && *known; known++)
        if (strcasecmp(*known, relation) == 0)
            return true;
    return false;
}

static void check_relations(struct ps_chain_build *build)
{
    const struct ps_chain *chain = build->chain;
    for (size_t i = 0; i < chain->connection_count; i++) {
        const struct ps_chain_connection *connection = &chain->connections[i];
        const struct ps_chain_node *from = &chain->nodes[connection->from];
        if (!kind_tells(from->kind, connection->relation))
            ps_chain_warn(build, PS_CHAIN_RELATION, at(connection->from),
                          "node type %s does not tell '%.100s'", from->type, connection->relation);
    }
}

/* --- V14 --- */

static bool is_output(const struct ps_chain_node *node)
{
    return node->kind && strcmp(node->kind->type, "flow.output") == 0;
}

static void check_outputs(struct ps_chain_build *build)
{
    const struct ps_chain *chain = build->chain;
    for (size_t n = 0; n < chain->node_count; n++) {
        for (size_t before = 0; is_output(&chain->nodes[n]) && before < n; before++) {
            if (is_output(&chain->nodes[before]) &&
                strcasecmp(chain->nodes[before].name, chain->nodes[n].name) == 0) {
                ps_chain_warn(build, PS_CHAIN_OUTPUT_NAME, at(n),
                              "another output node has the name '%.100s': both are one label",
                              chain->nodes[n].name);
                break;
            }
        }
    }
}

/* --- V6, V12: other chains --- */

struct chain_walk {
    struct ps_uuid *seen; /* also the queue: what is behind `next` has been asked */
    size_t count, cap, next;
};

static bool walk_add(struct chain_walk *walk, const struct ps_uuid *chain)
{
    for (size_t i = 0; i < walk->count; i++)
        if (ps_uuid_equal(&walk->seen[i], chain))
            return true;
    if (walk->count == walk->cap) {
        size_t cap = walk->cap ? walk->cap * 2 : 16;
        struct ps_uuid *grown = realloc(walk->seen, cap * sizeof *grown);
        if (!grown)
            return false;
        walk->seen = grown;
        walk->cap = cap;
    }
    walk->seen[walk->count++] = *chain;
    return true;
}

/* Does a message that enters `target` come back to `self`? Chains asked before are not asked
 * again: they did not lead back then either. */
static bool leads_back(struct ps_chain_build *build, struct chain_walk *walk,
                       const struct ps_uuid *target, const struct ps_uuid *self,
                       struct ps_uuid *scratch)
{
    const struct ps_chain_world *world = build->checks->world;
    if (!walk_add(walk, target))
        build->out_of_memory = true;
    while (walk->next < walk->count && !build->out_of_memory) {
        struct ps_uuid chain = walk->seen[walk->next++];
        size_t count = world->chain_targets(world->user, &chain, scratch, PS_CHAIN_NODES_MAX);
        for (size_t i = 0; i < count; i++) {
            if (ps_uuid_equal(&scratch[i], self))
                return true;
            if (!walk_add(walk, &scratch[i]))
                build->out_of_memory = true;
        }
    }
    return false;
}

static void check_target(struct ps_chain_build *build, size_t node, const struct ps_uuid *target,
                         struct chain_walk *walk, struct ps_uuid *scratch)
{
    const struct ps_chain_world *world = build->checks->world;
    const struct ps_uuid *self = &build->chain->id;
    struct ps_chain_place place = { .node_index = (int)node, .field = "ruleChainId" };
    if (ps_uuid_equal(target, self))
        ps_chain_error(build, PS_CHAIN_CHAIN_CYCLE, place, "node '%.100s' calls its own chain",
                       build->chain->nodes[node].name);
    else if (world->chain_exists && !world->chain_exists(world->user, target))
        ps_chain_error(build, PS_CHAIN_FOREIGN_ENTITY, place,
                       "the rule chain of node '%.100s' does not exist",
                       build->chain->nodes[node].name);
    else if (world->chain_targets && leads_back(build, walk, target, self, scratch))
        ps_chain_error(build, PS_CHAIN_CHAIN_CYCLE, place,
                       "the rule chain of node '%.100s' leads back to this one",
                       build->chain->nodes[node].name);
}

static void check_other_chains(struct ps_chain_build *build)
{
    struct chain_walk walk = { 0 };
    struct ps_uuid target;
    if (!build->checks->world || build->checks->mode == PS_CHAIN_LOAD)
        return;
    struct ps_uuid *scratch = calloc(PS_CHAIN_NODES_MAX, sizeof *scratch);
    build->out_of_memory = build->out_of_memory || !scratch;
    for (size_t n = 0; n < build->chain->node_count && !build->out_of_memory; n++)
        if (ps_chain_node_target(&build->chain->nodes[n], &target))
            check_target(build, n, &target, &walk, scratch);
    free(scratch);
    free(walk.seen);
}

void ps_chain_graph_check(struct ps_chain_build *build)
{
    uint32_t *starts = index_sources(build);
    if (!starts)
        return;
    check_cycles(build, starts);
    check_reachable(build, starts);
    check_failures(build, starts);
    check_relations(build);
    check_outputs(build);
    check_other_chains(build);
    free(starts);
}
