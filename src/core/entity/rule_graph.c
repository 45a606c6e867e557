/* rule_graph: the nodes and connections of a chain, loaded and replaced as a whole.
 *
 * Rows name nodes by id; a graph names them by index. Ids of new nodes are version 7 UUIDs (RFC
 * 9562) with a counter, so nodes that are saved together keep their order. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/entity/name.h"
#include "core/entity/row.h"
#include "core/entity/rule_chain.h"

enum { NODES_MAX = 4096 }; /* of the counter in an id; the rules' limit is lower */

static void node_deinit(struct ps_rule_node *node)
{
    free(node->type);
    free(node->name);
    free(node->configuration);
    free(node->queue_name);
    free(node->additional_info);
    free(node->external_id);
}

void ps_rule_graph_deinit(struct ps_rule_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++)
        node_deinit(&graph->nodes[i]);
    for (size_t i = 0; i < graph->connection_count; i++)
        free(graph->connections[i].type);
    free(graph->nodes);
    free(graph->connections);
    free(graph->notes);
    *graph = (struct ps_rule_graph){ 0 };
}

/* Which index an id has: pairs sorted by id. */
struct node_index {
    struct ps_uuid id;
    uint32_t index;
};

static int compare_ids(const void *a, const void *b)
{
    const struct node_index *left = a, *right = b;
    return memcmp(left->id.bytes, right->id.bytes, sizeof left->id.bytes);
}

static struct node_index *find_index(struct node_index *sorted, size_t count,
                                     const struct ps_uuid *id)
{
    struct node_index wanted = { .id = *id };
    return count ? bsearch(&wanted, sorted, count, sizeof *sorted, compare_ids) : NULL;
}

/* ---- load ---- */

/* Room for one more in a zeroed array that grows by doubling. */
static void *grow(void *items, size_t count, size_t item_size)
{
    if (count & (count - 1) || (count > 0 && count < 8))
        return items; /* capacity is 8, or the power of two above count */
    return reallocarray(items, count ? 2 * count : 8, item_size);
}

static enum ps_status read_node(struct ps_row *row, struct ps_rule_node *out)
{
    struct ps_rule_node node = { .id = ps_row_uuid(row) };
    node.created_ms = ps_row_int(row);
    node.type = ps_row_text(row);
    node.name = ps_row_text(row);
    node.configuration = ps_row_text(row);
    node.configuration_version = ps_row_int(row);
    node.debug_failures = ps_row_int(row) != 0;
    node.debug_all_until_ms = ps_row_int(row);
    node.singleton_mode = ps_row_int(row) != 0;
    node.queue_name = ps_row_text(row);
    node.additional_info = ps_row_text(row);
    node.external_id = ps_row_text(row);
    if (row->failed) {
        node_deinit(&node);
        return PS_ENOMEM;
    }
    *out = node;
    return PS_OK;
}

static enum ps_status load_nodes(struct ps_db *db, struct ps_rule_graph *graph)
{
    struct ps_args args;
    bool found;
    enum ps_status st = ps_args_prepare(
        db,
        "SELECT id, created_ms, type, name, configuration, configuration_version, debug_failures,"
        " debug_all_until_ms, singleton_mode, queue_name, additional_info, external_id"
        " FROM rule_node WHERE chain = ? ORDER BY created_ms, id",
        &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, &graph->chain);
    while ((st = ps_stmt_step(args.stmt, &found)) == PS_OK && found) {
        struct ps_rule_node *nodes = grow(graph->nodes, graph->node_count, sizeof *nodes);
        if (!nodes) {
            st = PS_ENOMEM;
            break;
        }
        graph->nodes = nodes;
        struct ps_row row = { .stmt = args.stmt };
        st = read_node(&row, &nodes[graph->node_count]);
        if (st != PS_OK)
            break;
        graph->node_count++;
    }
    ps_stmt_reset(args.stmt);
    return st;
}

static int compare_connections(const void *a, const void *b)
{
    const struct ps_rule_connection *left = a, *right = b;
    if (left->from != right->from)
        return left->from < right->from ? -1 : 1;
    if (left->to != right->to)
        return left->to < right->to ? -1 : 1;
    return strcmp(left->type, right->type);
}

static enum ps_status add_connection(struct ps_rule_graph *graph, struct node_index *sorted,
                                     struct ps_row *row)
{
    struct ps_uuid from_id = ps_row_uuid(row), to_id = ps_row_uuid(row);
    const struct node_index *from = find_index(sorted, graph->node_count, &from_id);
    const struct node_index *to = find_index(sorted, graph->node_count, &to_id);
    if (!from || !to)
        return PS_ESTORE; /* the foreign keys forbid it */
    struct ps_rule_connection *connections =
        grow(graph->connections, graph->connection_count, sizeof *connections);
    if (!connections)
        return PS_ENOMEM;
    graph->connections = connections;
    char *type = ps_row_text(row);
    if (!type)
        return PS_ENOMEM;
    connections[graph->connection_count++] =
        (struct ps_rule_connection){ .from = from->index, .to = to->index, .type = type };
    return PS_OK;
}

static enum ps_status load_connections(struct ps_db *db, struct ps_rule_graph *graph,
                                       struct node_index *sorted)
{
    struct ps_args args;
    bool found;
    enum ps_status st = ps_args_prepare(
        db, "SELECT from_node, to_node, type FROM rule_connection WHERE chain = ?", &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, &graph->chain);
    while ((st = ps_stmt_step(args.stmt, &found)) == PS_OK && found) {
        struct ps_row row = { .stmt = args.stmt };
        st = add_connection(graph, sorted, &row);
        if (st != PS_OK)
            break;
    }
    ps_stmt_reset(args.stmt);
    if (st == PS_OK && graph->connection_count > 0)
        qsort(graph->connections, graph->connection_count, sizeof *graph->connections,
              compare_connections);
    return st;
}

static struct node_index *index_nodes(const struct ps_rule_graph *graph)
{
    struct node_index *sorted = calloc(graph->node_count + 1, sizeof *sorted);
    if (!sorted)
        return NULL;
    for (size_t i = 0; i < graph->node_count; i++)
        sorted[i] = (struct node_index){ graph->nodes[i].id, (uint32_t)i };
    qsort(sorted, graph->node_count, sizeof *sorted, compare_ids);
    return sorted;
}

static int64_t index_or_none(struct node_index *sorted, size_t count, const struct ps_uuid *id)
{
    const struct node_index *found = find_index(sorted, count, id);
    return found ? (int64_t)found->index : PS_RULE_NODE_NONE;
}

/* What a graph has that is a column of its chain. */
struct chain_row {
    int64_t version;
    struct ps_uuid first_node, failure_node;
    char *notes;
};

#define SELECT_CHAIN "SELECT version, first_node, failure_node, notes FROM rule_chain WHERE id = ?"

static enum ps_status read_chain_row(struct ps_row *row, void *out)
{
    struct chain_row chain = { .version = ps_row_int(row) };
    chain.first_node = ps_row_uuid(row);
    chain.failure_node = ps_row_uuid(row);
    chain.notes = ps_row_text(row);
    if (row->failed)
        return PS_ENOMEM;
    *(struct chain_row *)out = chain;
    return PS_OK;
}

static enum ps_status load_graph(struct ps_db *db, struct ps_rule_graph *graph)
{
    struct chain_row chain;
    enum ps_status st = ps_row_find_by_id(db, SELECT_CHAIN, &graph->chain, read_chain_row, &chain);
    if (st != PS_OK)
        return st;
    graph->version = chain.version;
    graph->notes = chain.notes;
    st = load_nodes(db, graph);
    if (st != PS_OK)
        return st;
    struct node_index *sorted = index_nodes(graph);
    if (!sorted)
        return PS_ENOMEM;
    graph->first_node = index_or_none(sorted, graph->node_count, &chain.first_node);
    graph->failure_node = index_or_none(sorted, graph->node_count, &chain.failure_node);
    st = load_connections(db, graph, sorted);
    free(sorted);
    return st;
}

enum ps_status ps_rule_graph_get(struct ps_db *db, const struct ps_uuid *chain,
                                 struct ps_rule_graph *out)
{
    struct ps_rule_graph graph = { .chain = *chain };
    bool own_snapshot = !ps_db_in_transaction(db); /* its three reads belong together */
    enum ps_status st = own_snapshot ? ps_db_begin_read(db) : PS_OK;
    if (st == PS_OK)
        st = load_graph(db, &graph);
    if (own_snapshot)
        ps_db_rollback(db);
    if (st != PS_OK)
        ps_rule_graph_deinit(&graph);
    else
        *out = graph;
    return st;
}

/* ---- save ---- */

/* One save on its way. */
struct graph_save {
    struct ps_db *db;
    const struct ps_rule_graph *graph;
    struct ps_rule_graph stored; /* only its nodes' ids matter */
    struct ps_uuid *ids;         /* of graph->nodes, given or new */
    int64_t now_ms;
    struct ps_text *why;
};

static bool is_index(const struct ps_rule_graph *graph, int64_t index)
{
    return index == PS_RULE_NODE_NONE || (index >= 0 && (uint64_t)index < graph->node_count);
}

static enum ps_status check_connections(const struct ps_rule_graph *graph, struct ps_text *why)
{
    for (size_t i = 0; i < graph->connection_count; i++) {
        const struct ps_rule_connection *connection = &graph->connections[i];
        if (connection->from >= graph->node_count || connection->to >= graph->node_count) {
            ps_text_set(why, "Connection %zu: node index is out of range!", i);
            return PS_EINVAL;
        }
        enum ps_status st = ps_name_check(connection->type, "Connection", "type", why);
        if (st != PS_OK)
            return st;
    }
    return PS_OK;
}

static enum ps_status check_graph(const struct ps_rule_graph *graph, struct ps_text *why)
{
    if (graph->node_count > NODES_MAX) {
        ps_text_set(why, "Rule chain has more than %d nodes!", NODES_MAX);
        return PS_EINVAL;
    }
    if (!is_index(graph, graph->first_node) || !is_index(graph, graph->failure_node)) {
        ps_text_set(why, "First or failure node index is out of range!");
        return PS_EINVAL;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        enum ps_status st = ps_name_check(graph->nodes[i].name, "Rule node", "name", why);
        if (st == PS_OK)
            st = ps_name_check(graph->nodes[i].type, "Rule node", "type", why);
        if (st != PS_OK)
            return st;
    }
    return check_connections(graph, why);
}

/* Version 7 with the counter in rand_a: increasing within one save. */
static struct ps_uuid make_node_id(int64_t now_ms, size_t counter)
{
    struct ps_uuid id = ps_uuid_random();
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)((uint64_t)now_ms >> (40 - 8 * i));
    id.bytes[6] = (uint8_t)(0x70 | (counter >> 8 & 0x0f));
    id.bytes[7] = (uint8_t)counter;
    return id;
}

/* Every given id must be one of this chain, once; the others get new ones. */
static enum ps_status assign_ids(struct graph_save *save)
{
    struct node_index *sorted = index_nodes(&save->stored);
    bool *used = calloc(save->stored.node_count + 1, sizeof *used);
    enum ps_status st = sorted && used ? PS_OK : PS_ENOMEM;
    for (size_t i = 0; i < save->graph->node_count && st == PS_OK; i++) {
        const struct ps_uuid *given = &save->graph->nodes[i].id;
        if (ps_uuid_is_null(given)) {
            save->ids[i] = make_node_id(save->now_ms, i);
            continue;
        }
        const struct node_index *found = find_index(sorted, save->stored.node_count, given);
        if (!found || used[found->index]) {
            ps_text_set(save->why,
                        found ? "Rule node %zu: id is given twice!"
                              : "Rule node %zu: id is not a node of this rule chain!",
                        i);
            st = PS_EINVAL;
            break;
        }
        used[found->index] = true;
        save->ids[i] = *given;
    }
    for (size_t i = 0; i < save->stored.node_count && st == PS_OK; i++) {
        if (!used[i])
            st = ps_row_change_by_id(save->db, "DELETE FROM rule_node WHERE id = ?",
                                     &save->stored.nodes[i].id);
    }
    free(sorted);
    free(used);
    return st;
}

static enum ps_status put_node(struct graph_save *save, size_t index)
{
    const struct ps_rule_node *node = &save->graph->nodes[index];
    struct ps_args args;
    enum ps_status st = ps_args_prepare(
        save->db,
        "INSERT INTO rule_node(id, created_ms, chain, type, name, configuration,"
        " configuration_version, debug_failures, debug_all_until_ms, singleton_mode, queue_name,"
        " additional_info, external_id) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(id) DO UPDATE SET type = excluded.type, name = excluded.name,"
        " configuration = excluded.configuration,"
        " configuration_version = excluded.configuration_version,"
        " debug_failures = excluded.debug_failures,"
        " debug_all_until_ms = excluded.debug_all_until_ms,"
        " singleton_mode = excluded.singleton_mode, queue_name = excluded.queue_name,"
        " additional_info = excluded.additional_info, external_id = excluded.external_id",
        &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, &save->ids[index]);
    ps_args_int(&args, save->now_ms);
    ps_args_uuid(&args, &save->graph->chain);
    ps_args_text(&args, node->type);
    ps_args_text(&args, node->name);
    ps_args_text(&args, node->configuration ? node->configuration : "{}");
    ps_args_int(&args, node->configuration_version);
    ps_args_int(&args, node->debug_failures);
    ps_args_int(&args, node->debug_all_until_ms);
    ps_args_int(&args, node->singleton_mode);
    ps_args_text(&args, node->queue_name);
    ps_args_text(&args, node->additional_info);
    ps_args_text(&args, node->external_id);
    return ps_stmt_run(args.stmt);
}

static enum ps_status put_connection(struct graph_save *save,
                                     const struct ps_rule_connection *connection)
{
    struct ps_args args;
    enum ps_status st =
        ps_args_prepare(save->db,
                        "INSERT INTO rule_connection(chain, from_node, to_node, type)"
                        " VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING",
                        &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, &save->graph->chain);
    ps_args_uuid(&args, &save->ids[connection->from]);
    ps_args_uuid(&args, &save->ids[connection->to]);
    ps_args_text(&args, connection->type);
    return ps_stmt_run(args.stmt);
}

static void bind_node(struct graph_save *save, struct ps_args *args, int64_t index)
{
    ps_args_reference(args, index == PS_RULE_NODE_NONE ? &PS_UUID_NULL : &save->ids[index]);
}

static enum ps_status update_chain(struct graph_save *save)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(save->db,
                                        "UPDATE rule_chain SET first_node = ?, failure_node = ?,"
                                        " notes = ?, version = version + 1 WHERE id = ?",
                                        &args);
    if (st != PS_OK)
        return st;
    bind_node(save, &args, save->graph->first_node);
    bind_node(save, &args, save->graph->failure_node);
    ps_args_text(&args, save->graph->notes);
    ps_args_uuid(&args, &save->graph->chain);
    return ps_stmt_run(args.stmt);
}

static enum ps_status replace_rows(struct graph_save *save)
{
    const struct ps_rule_graph *graph = save->graph;
    enum ps_status st =
        ps_row_clear_by_id(save->db, "DELETE FROM rule_connection WHERE chain = ?", &graph->chain);
    if (st == PS_OK)
        st = assign_ids(save);
    if (st == PS_OK)
        st = update_chain(save);
    for (size_t i = 0; i < graph->node_count && st == PS_OK; i++)
        st = put_node(save, i);
    for (size_t i = 0; i < graph->connection_count && st == PS_OK; i++)
        st = put_connection(save, &graph->connections[i]);
    return st;
}

/* Before anything else: who saves an old graph should hear that, not what has become of its nodes.
 */
static enum ps_status check_version(struct graph_save *save)
{
    struct chain_row chain;
    enum ps_status st =
        ps_row_find_by_id(save->db, SELECT_CHAIN, &save->graph->chain, read_chain_row, &chain);
    if (st != PS_OK)
        return st;
    free(chain.notes);
    if (save->graph->version == 0 || save->graph->version == chain.version)
        return PS_OK;
    ps_text_set(save->why, "Rule chain was already changed by someone else");
    return PS_ECONFLICT;
}

static enum ps_status save_graph(struct graph_save *save)
{
    enum ps_status st = check_version(save);
    if (st != PS_OK)
        return st;
    save->stored.chain = save->graph->chain;
    st = load_nodes(save->db, &save->stored);
    save->ids = calloc(save->graph->node_count + 1, sizeof *save->ids);
    if (st == PS_OK && !save->ids)
        st = PS_ENOMEM;
    if (st == PS_OK)
        st = replace_rows(save);
    free(save->ids);
    ps_rule_graph_deinit(&save->stored);
    return st;
}

enum ps_status ps_rule_graph_save(struct ps_db *db, const struct ps_rule_graph *graph,
                                  struct ps_text *why)
{
    enum ps_status st = check_graph(graph, why);
    if (st == PS_OK)
        st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    struct graph_save save = { .db = db, .graph = graph, .now_ms = ps_clock_now_ms(), .why = why };
    return ps_row_finish(db, save_graph(&save));
}
