/* Rule chains: one root a tenant; a graph is replaced as a whole and comes back in its order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/clock.h"
#include "core/entity/default_chain.h"
#include "unit/core_entity/entity_world.h"

static struct ps_uuid make_chain(struct entity_world *world, const char *name)
{
    struct ps_rule_chain chain = { .tenant = world->tenant, .name = strdup(name) };
    assert_int_equal(ps_rule_chain_save(world->db, &chain, &world->why), PS_OK);
    struct ps_uuid id = chain.id;
    ps_rule_chain_deinit(&chain);
    return id;
}

static struct ps_uuid root_of(struct entity_world *world)
{
    struct ps_rule_chain chain;
    assert_int_equal(ps_rule_chain_get_root(world->db, &world->tenant, &chain), PS_OK);
    struct ps_uuid id = chain.id;
    ps_rule_chain_deinit(&chain);
    return id;
}

static struct ps_rule_graph load(struct entity_world *world, const struct ps_uuid *chain)
{
    struct ps_rule_graph graph;
    assert_int_equal(ps_rule_graph_get(world->db, chain, &graph), PS_OK);
    return graph;
}

static void the_default_graph_is_the_contracts(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid root = root_of(world);
    struct ps_rule_graph graph = load(world, &root);
    static const char *const names[] = { "Save Timeseries", "Save Client Attributes",
                                         "Message Type Switch", "Log RPC from Device",
                                         "Log Other" };
    static const struct {
        uint32_t to;
        const char *type;
    } connections[] = { { 0, "Post telemetry" },
                        { 1, "Post attributes" },
                        { 3, "RPC Request from Device" },
                        { 4, "Other" } };
    assert_int_equal(graph.version, 2);
    assert_int_equal(graph.node_count, 5);
    assert_int_equal(graph.first_node, 2);
    assert_int_equal(graph.failure_node, PS_RULE_NODE_NONE);
    assert_null(graph.notes);
    for (size_t i = 0; i < 5; i++) /* saved together: the order sent is the order answered */
        assert_string_equal(graph.nodes[i].name, names[i]);
    assert_string_equal(graph.nodes[0].type, "action.save_timeseries");
    assert_int_equal(graph.nodes[1].configuration_version, 3);
    assert_string_equal(graph.nodes[2].configuration, "{}");
    assert_string_equal(graph.nodes[2].additional_info, "{\"layoutX\":347,\"layoutY\":149}");
    assert_int_equal(graph.connection_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(graph.connections[i].from, 2);
        assert_int_equal(graph.connections[i].to, connections[i].to);
        assert_string_equal(graph.connections[i].type, connections[i].type);
    }
    struct ps_rule_chain chain;
    assert_int_equal(ps_rule_chain_get(world->db, &root, &chain), PS_OK);
    assert_true(ps_uuid_equal(&chain.first_node, &graph.nodes[2].id));
    assert_true(chain.root);
    ps_rule_chain_deinit(&chain);
    struct ps_uuid found;
    assert_int_equal(ps_rule_node_find_chain(world->db, &graph.nodes[4].id, &found), PS_OK);
    assert_true(ps_uuid_equal(&found, &root));
    assert_int_equal(ps_rule_node_find_chain(world->db, &root, &found), PS_ENOTFOUND);
    ps_rule_graph_deinit(&graph);
}

static void a_save_updates_inserts_and_deletes(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id = make_chain(world, "C");
    struct ps_rule_node nodes[3] = { { .type = "t", .name = "a" },
                                     { .type = "t", .name = "b", .configuration = "{\"x\":1}" },
                                     { .type = "t", .name = "c" } };
    struct ps_rule_connection connections[] = {
        { 1, 2, "Z" }, { 1, 2, "A" }, { 0, 1, "True" }, { 1, 2, "A" } /* twice is once */
    };
    struct ps_rule_graph graph = { .chain = id,
                                   .first_node = 0,
                                   .failure_node = 2,
                                   .nodes = nodes,
                                   .node_count = 3,
                                   .connections = connections,
                                   .connection_count = 4,
                                   .notes = "[]" };
    ps_clock_set_for_test(1000, -1);
    assert_int_equal(ps_rule_graph_save(world->db, &graph, &world->why), PS_OK);
    struct ps_rule_graph first = load(world, &id);
    assert_int_equal(first.version, 2);
    assert_int_equal(first.connection_count, 3);
    assert_string_equal(first.connections[0].type, "True");
    assert_string_equal(first.connections[1].type, "A");
    assert_string_equal(first.connections[2].type, "Z");
    assert_int_equal(first.failure_node, 2);
    assert_string_equal(first.notes, "[]");

    /* b stays and is renamed, a and c go, d comes and is sent before b */
    struct ps_rule_node next[2] = { { .type = "t", .name = "d" },
                                    { .type = "u",
                                      .name = "b2",
                                      .id = first.nodes[1].id,
                                      .debug_failures = true,
                                      .debug_all_until_ms = 7,
                                      .queue_name = "Main" } };
    struct ps_rule_connection one[] = { { 0, 1, "Success" } };
    graph = (struct ps_rule_graph){ .chain = id,
                                    .version = 2,
                                    .first_node = 0,
                                    .failure_node = PS_RULE_NODE_NONE,
                                    .nodes = next,
                                    .node_count = 2,
                                    .connections = one,
                                    .connection_count = 1 };
    ps_clock_set_for_test(2000, -1);
    assert_int_equal(ps_rule_graph_save(world->db, &graph, &world->why), PS_OK);
    ps_clock_set_for_test(-1, -1);
    struct ps_rule_graph second = load(world, &id);
    assert_int_equal(second.version, 3);
    assert_int_equal(second.node_count, 2);
    assert_true(ps_uuid_equal(&second.nodes[0].id, &first.nodes[1].id)); /* older comes first */
    assert_string_equal(second.nodes[0].name, "b2");
    assert_string_equal(second.nodes[0].type, "u");
    assert_string_equal(second.nodes[0].configuration, "{}");
    assert_true(second.nodes[0].created_ms == 1000);
    assert_true(second.nodes[0].debug_failures);
    assert_true(second.nodes[0].debug_all_until_ms == 7);
    assert_string_equal(second.nodes[0].queue_name, "Main");
    assert_string_equal(second.nodes[1].name, "d");
    assert_int_equal(second.first_node, 1); /* renumbered */
    assert_int_equal(second.failure_node, PS_RULE_NODE_NONE);
    assert_int_equal(second.connections[0].from, 1);
    assert_int_equal(second.connections[0].to, 0);
    assert_null(second.notes);
    ps_rule_graph_deinit(&first);
    ps_rule_graph_deinit(&second);
}

static void connections_are_sorted_by_index_not_by_id(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id = make_chain(world, "C");
    struct ps_rule_node nodes[3] = { { .type = "t", .name = "a" },
                                     { .type = "t", .name = "b" },
                                     { .type = "t", .name = "c" } };
    struct ps_rule_connection connections[] = { { 0, 1, "x" }, { 2, 1, "y" } };
    struct ps_rule_graph graph = { .chain = id,
                                   .first_node = 0,
                                   .failure_node = -1,
                                   .nodes = nodes,
                                   .node_count = 3,
                                   .connections = connections,
                                   .connection_count = 2 };
    assert_int_equal(ps_rule_graph_save(world->db, &graph, &world->why), PS_OK);
    /* as after an import, where ids say nothing about time: now b, c, a */
    assert_int_equal(ps_db_exec(world->db, "UPDATE rule_node SET created_ms = created_ms + 9"
                                           " WHERE name = 'a'"),
                     PS_OK);
    struct ps_rule_graph back = load(world, &id);
    assert_string_equal(back.nodes[2].name, "a");
    assert_int_equal(back.first_node, 2);
    assert_int_equal(back.connections[0].from, 1);
    assert_string_equal(back.connections[0].type, "y");
    assert_int_equal(back.connections[1].from, 2);
    assert_int_equal(back.connections[1].to, 0);
    ps_rule_graph_deinit(&back);
}

static void a_refused_save_changes_nothing(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id = make_chain(world, "C"), root = root_of(world);
    struct ps_rule_graph foreign = load(world, &root);
    struct ps_rule_node node = { .type = "t", .name = "kept" };
    struct ps_rule_graph graph = {
        .chain = id, .first_node = 0, .failure_node = -1, .nodes = &node, .node_count = 1
    };
    assert_int_equal(ps_rule_graph_save(world->db, &graph, &world->why), PS_OK);
    struct ps_rule_graph stored = load(world, &id);
    struct ps_uuid own = stored.nodes[0].id;
    ps_rule_graph_deinit(&stored);

    char long_type[300];
    memset(long_type, 'x', sizeof long_type);
    long_type[256] = '\0';
    struct ps_rule_node two[2] = { { .type = "t", .name = "a" }, { .type = "t", .name = "b" } };
    struct ps_rule_node of_other[1] = { { .type = "t", .name = "a", .id = foreign.nodes[0].id } };
    struct ps_rule_node twice[2] = { { .type = "t", .name = "a", .id = own },
                                     { .type = "t", .name = "b", .id = own } };
    struct ps_rule_node nameless[1] = { { .type = "t" } };
    struct ps_rule_connection from_out[] = { { 2, 0, "x" } }, to_out[] = { { 0, 2, "x" } };
    struct ps_rule_connection blank[] = { { 0, 1, " " } }, too_long[] = { { 0, 1, long_type } };
#define GRAPH(list, count, links, link_count, first, failure, v)                                   \
    {                                                                                              \
        .chain = id, .version = (v), .first_node = (first), .failure_node = (failure),             \
        .nodes = (list), .node_count = (count), .connections = (links),                            \
        .connection_count = (link_count)                                                           \
    }
    const struct {
        const char *name;
        struct ps_rule_graph graph;
        enum ps_status want;
    } cases[] = {
        { "first out of range", GRAPH(two, 2, NULL, 0, 2, -1, 0), PS_EINVAL },
        { "first below none", GRAPH(two, 2, NULL, 0, -2, -1, 0), PS_EINVAL },
        { "failure out of range", GRAPH(two, 2, NULL, 0, 0, 2, 0), PS_EINVAL },
        { "from out of range", GRAPH(two, 2, from_out, 1, 0, -1, 0), PS_EINVAL },
        { "to out of range", GRAPH(two, 2, to_out, 1, 0, -1, 0), PS_EINVAL },
        { "blank relation", GRAPH(two, 2, blank, 1, 0, -1, 0), PS_EINVAL },
        { "long relation", GRAPH(two, 2, too_long, 1, 0, -1, 0), PS_EINVAL },
        { "node of another chain", GRAPH(of_other, 1, NULL, 0, 0, -1, 0), PS_EINVAL },
        { "node twice", GRAPH(twice, 2, NULL, 0, 0, -1, 0), PS_EINVAL },
        { "node without name", GRAPH(nameless, 1, NULL, 0, 0, -1, 0), PS_EINVAL },
        { "old version", GRAPH(two, 2, NULL, 0, 0, -1, 1), PS_ECONFLICT },
        { "old version, node gone", GRAPH(of_other, 1, NULL, 0, 0, -1, 1), PS_ECONFLICT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum ps_status st = ps_rule_graph_save(world->db, &cases[i].graph, &world->why);
        if (st != cases[i].want)
            print_error("%s\n", cases[i].name);
        assert_int_equal(st, cases[i].want);
    }
    stored = load(world, &id);
    assert_int_equal(stored.version, 2);
    assert_int_equal(stored.node_count, 1);
    assert_true(ps_uuid_equal(&stored.nodes[0].id, &own));
    ps_rule_graph_deinit(&stored);
    stored = load(world, &root);
    assert_int_equal(stored.node_count, 5);
    assert_string_equal(stored.nodes[0].name, "Save Timeseries");
    ps_rule_graph_deinit(&stored);
    graph.chain = ps_uuid_random();
    assert_int_equal(ps_rule_graph_save(world->db, &graph, &world->why), PS_ENOTFOUND);
    assert_int_equal(ps_rule_graph_get(world->db, &graph.chain, &stored), PS_ENOTFOUND);
    ps_rule_graph_deinit(&foreign);
}

static void many_nodes_keep_their_order(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id = make_chain(world, "C");
    enum { MANY = 500 };
    static struct ps_rule_node nodes[MANY];
    static struct ps_rule_connection connections[MANY];
    static char names[MANY][8];
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "n%u", i);
        nodes[i] = (struct ps_rule_node){ .type = "t", .name = names[i] };
        connections[i] = (struct ps_rule_connection){ i, (i + 1) % MANY, "x" };
    }
    struct ps_rule_graph graph = { .chain = id,
                                   .first_node = 499,
                                   .failure_node = -1,
                                   .nodes = nodes,
                                   .node_count = MANY,
                                   .connections = connections,
                                   .connection_count = MANY };
    assert_int_equal(ps_rule_graph_save(world->db, &graph, &world->why), PS_OK);
    struct ps_rule_graph back = load(world, &id);
    assert_int_equal(back.node_count, MANY);
    assert_int_equal(back.connection_count, MANY);
    assert_int_equal(back.first_node, 499);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_string_equal(back.nodes[i].name, names[i]);
        assert_int_equal(back.connections[i].from, i);
        assert_int_equal(back.connections[i].to, (i + 1) % MANY);
    }
    /* sent back as it came: nothing moves; then emptied */
    assert_int_equal(ps_rule_graph_save(world->db, &back, &world->why), PS_OK);
    ps_rule_graph_deinit(&back);
    assert_int_equal(world_count(world, "rule_node"), MANY + 5);
    graph = (struct ps_rule_graph){ .chain = id, .first_node = -1, .failure_node = -1 };
    assert_int_equal(ps_rule_graph_save(world->db, &graph, &world->why), PS_OK);
    assert_int_equal(world_count(world, "rule_node"), 5);
    assert_int_equal(world_count(world, "rule_connection"), 4);
}

static void there_is_one_root(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid old = root_of(world), id = make_chain(world, "C");
    struct ps_rule_chain chain = { .tenant = world->tenant,
                                   .name = strdup("second root"),
                                   .root = true };
    assert_int_equal(ps_rule_chain_save(world->db, &chain, &world->why), PS_EINVAL);
    assert_string_equal(world->why.data,
                        "Another root rule chain is present in scope of current tenant!");
    chain.root = false;
    free(chain.type); /* defaulted by the refused save */
    chain.type = strdup("EDGE");
    assert_int_equal(ps_rule_chain_save(world->db, &chain, &world->why), PS_OK);
    assert_int_equal(ps_rule_chain_set_root(world->db, &chain.id), PS_EINVAL);
    ps_rule_chain_deinit(&chain);
    assert_int_equal(ps_rule_chain_set_root(world->db, &id), PS_OK);
    assert_int_equal(ps_rule_chain_set_root(world->db, &id), PS_OK);
    struct ps_uuid now = root_of(world), unknown = ps_uuid_random();
    assert_true(ps_uuid_equal(&now, &id));
    assert_int_equal(world_count(world, "rule_chain WHERE root = 1"), 1);
    assert_int_equal(ps_rule_chain_set_root(world->db, &unknown), PS_ENOTFOUND);
    assert_int_equal(ps_rule_chain_get(world->db, &id, &chain), PS_OK);
    assert_int_equal(chain.version, 2); /* the second call changed nothing */
    chain.root = false;                 /* saving cannot leave the tenant without one */
    assert_int_equal(ps_rule_chain_save(world->db, &chain, &world->why), PS_OK);
    assert_true(chain.root);
    chain.version = 1;
    assert_int_equal(ps_rule_chain_save(world->db, &chain, &world->why), PS_ECONFLICT);
    ps_rule_chain_deinit(&chain);
    assert_int_equal(ps_rule_chain_get(world->db, &old, &chain), PS_OK);
    assert_false(chain.root);
    ps_rule_chain_deinit(&chain);
}

static void a_chain_in_use_is_not_deleted(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid root = root_of(world), used = make_chain(world, "used"),
                   target = make_chain(world, "target"), caller = make_chain(world, "caller");
    struct ps_device_profile profile = { .tenant = world->tenant,
                                         .name = strdup("p"),
                                         .default_rule_chain = used };
    char configuration[80], text[PS_UUID_TEXT_SIZE];
    assert_int_equal(ps_device_profile_save(world->db, &profile, &world->why), PS_OK);
    assert_int_equal(ps_rule_chain_delete(world->db, &root, true, &world->why), PS_EDENIED);
    assert_string_equal(world->why.data, "Deletion of Root Tenant Rule Chain is prohibited!");
    assert_int_equal(ps_rule_chain_delete(world->db, &used, true, &world->why), PS_EDENIED);
    ps_uuid_format(&target, text);
    snprintf(configuration, sizeof configuration, "{\"ruleChainId\":\"%s\"}", text);
    struct ps_rule_node node = { .type = "flow.rule_chain",
                                 .name = "go",
                                 .configuration = configuration };
    struct ps_rule_graph graph = {
        .chain = caller, .first_node = 0, .failure_node = -1, .nodes = &node, .node_count = 1
    };
    assert_int_equal(ps_rule_graph_save(world->db, &graph, &world->why), PS_OK);
    assert_int_equal(ps_rule_chain_delete(world->db, &target, false, &world->why), PS_ECONFLICT);
    assert_string_equal(world->why.data, "Rule chain is used by other rule chains: caller");
    assert_int_equal(ps_rule_chain_delete(world->db, &target, true, &world->why), PS_OK);
    assert_int_equal(ps_rule_chain_delete(world->db, &target, true, &world->why), PS_ENOTFOUND);
    assert_int_equal(ps_rule_chain_delete(world->db, &caller, false, &world->why), PS_OK);
    assert_int_equal(world_count(world, "rule_node"), 5); /* its node went too */
    ps_device_profile_deinit(&profile);
}

static void lists_are_of_a_tenant_and_type(void **state)
{
    struct entity_world *world = *state;
    (void)make_chain(world, "Same");
    (void)make_chain(world, "Same"); /* names are not unique */
    (void)world_tenant(world, "Other");
    struct ps_rule_chain_filter filter = { .tenant = world->tenant, .type = "CORE" };
    struct ps_page_query page = { .page_size = 10, .text_search = "SAME", .sort_property = "name" };
    struct ps_rule_chain_list list;
    assert_int_equal(ps_rule_chain_list(world->db, &filter, &page, &list), PS_OK);
    assert_int_equal(list.total, 2);
    ps_rule_chain_list_deinit(&list);
    filter.type = "EDGE";
    assert_int_equal(ps_rule_chain_list(world->db, &filter, &page, &list), PS_OK);
    assert_int_equal(list.total, 0);
    ps_rule_chain_list_deinit(&list);
    filter = (struct ps_rule_chain_filter){ .tenant = PS_UUID_NULL };
    page.text_search = NULL;
    assert_int_equal(ps_rule_chain_list(world->db, &filter, &page, &list), PS_OK);
    assert_int_equal(list.total, 4);
    ps_rule_chain_list_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(the_default_graph_is_the_contracts),
        WORLD_TEST(a_save_updates_inserts_and_deletes),
        WORLD_TEST(connections_are_sorted_by_index_not_by_id),
        WORLD_TEST(a_refused_save_changes_nothing),
        WORLD_TEST(many_nodes_keep_their_order),
        WORLD_TEST(there_is_one_root),
        WORLD_TEST(a_chain_in_use_is_not_deleted),
        WORLD_TEST(lists_are_of_a_tenant_and_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
