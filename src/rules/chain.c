/* chain: metadata JSON in, a normal form and a list of complaints out.
 *
 * The reader is generous in form (legacy members, class names, nulls) and strict in content. It
 * goes on after a complaint, so that an editor can show all of them at once; only what is not a
 * metadata object at all ends it. Checks of one node's configuration are in chain_node, checks
 * over the graph in chain_graph_check. */
#include "rules/chain.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/chain_build.h"

/* --- issues --- */

static const char *const code_names[] = {
#define CODE_NAME(name) [PS_CHAIN_##name] = #name,
    PS_CHAIN_CODE_LIST(CODE_NAME)
#undef CODE_NAME
};

const char *ps_chain_code_name(enum ps_chain_code code)
{
    return code_names[code];
}

/* Lists grow by doubling from 4: the capacity is the next such size over the count. */
static struct ps_chain_issue *add_issue(struct ps_chain_build *build,
                                        struct ps_chain_issues *issues)
{
    if (issues->count >= PS_CHAIN_ISSUES_MAX)
        return NULL;
    bool full =
        issues->count == 0 || (issues->count >= 4 && !(issues->count & (issues->count - 1)));
    if (full) {
        size_t cap = issues->count ? issues->count * 2 : 4;
        struct ps_chain_issue *grown = realloc(issues->list, cap * sizeof *grown);
        if (!grown) {
            build->out_of_memory = true;
            return NULL;
        }
        issues->list = grown;
    }
    return &issues->list[issues->count++];
}

static void add_issue_text(struct ps_chain_build *build, struct ps_chain_issues *issues,
                           enum ps_chain_code code, struct ps_chain_place place, const char *text)
{
    struct ps_chain_issue *issue = add_issue(build, issues);
    if (!issue)
        return;
    issue->code = code;
    issue->node_index = place.node_index;
    issue->line = place.line;
    snprintf(issue->field, sizeof issue->field, "%s", place.field ? place.field : "");
    snprintf(issue->message, sizeof issue->message, "%s", text);
}

void ps_chain_error(struct ps_chain_build *build, enum ps_chain_code code,
                    struct ps_chain_place place, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add_issue_text(build, &build->chain->errors, code, place, text);
}

void ps_chain_warn(struct ps_chain_build *build, enum ps_chain_code code,
                   struct ps_chain_place place, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add_issue_text(build, &build->chain->warnings, code, place, text);
}

static void set_invalid(struct ps_chain_build *build, int node, const char *text)
{
    char **invalid = &build->chain->nodes[node].invalid;
    if (*invalid)
        return;
    *invalid = strdup(text);
    if (!*invalid)
        build->out_of_memory = true;
}

void ps_chain_node_error(struct ps_chain_build *build, enum ps_chain_code code,
                         struct ps_chain_place place, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bool loading = build->checks->mode == PS_CHAIN_LOAD;
    add_issue_text(build, loading ? &build->chain->warnings : &build->chain->errors, code, place,
                   text);
    if (loading)
        set_invalid(build, place.node_index, text);
}

void ps_chain_node_invalid(struct ps_chain_build *build, size_t node, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct ps_chain_place place = { .node_index = (int)node, .field = "type" };
    add_issue_text(build, &build->chain->warnings, PS_CHAIN_NODE_TYPE, place, text);
    set_invalid(build, (int)node, text);
}

static struct ps_chain_place at_node(size_t node, const char *field)
{
    return (struct ps_chain_place){ .node_index = (int)node, .field = field };
}

static const struct ps_chain_place nowhere = { .node_index = -1 };

/* --- small readings --- */

static bool read_entity_uuid(const json_t *value, struct ps_uuid *out)
{
    const json_t *id = json_is_object(value) ? json_object_get(value, "id") : value;
    const char *text = json_string_value(id);
    return text && ps_uuid_parse(text, strlen(text), out) == PS_OK;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

enum ps_status ps_chain_name_check(const char *name, struct ps_text *why)
{
    if (!name || is_blank(name)) {
        ps_text_set(why, "Rule chain name should be specified!");
        return PS_EINVAL;
    }
    if (count_characters(name) > PS_CHAIN_NAME_LEN_MAX) {
        ps_text_set(why, "name length must be equal or less than %d", PS_CHAIN_NAME_LEN_MAX);
        return PS_EINVAL;
    }
    return PS_OK;
}

static char *copy_or_fail(struct ps_chain_build *build, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        build->out_of_memory = true;
    return copy;
}

/* --- nodes --- */

static void read_node_type(struct ps_chain_build *build, size_t index, const char *type)
{
    struct ps_chain_node *node = &build->chain->nodes[index];
    static const char sync[] = PS_NODE_REFERENCE_PACKAGE "transaction.TbSynchronization";
    static const char cassandra[] =
        PS_NODE_REFERENCE_PACKAGE "action.TbSaveToCustomCassandraTableNode";
    bool passes_through = strncmp(type, sync, sizeof sync - 1) == 0;
    node->kind = ps_node_kind_find(passes_through ? "flow.nop" : type);
    node->type = copy_or_fail(build, node->kind ? node->kind->type : type);
    if (passes_through)
        ps_chain_warn(build, PS_CHAIN_NODE_TYPE, at_node(index, "type"),
                      "%.120s passes messages on: order is kept without it", type);
    else if (strcmp(type, cassandra) == 0)
        ps_chain_node_invalid(build, index,
                              "saving to a Cassandra table is not available, use sink.postgres");
    else if (!node->kind && build->checks->mode == PS_CHAIN_SAVE)
        ps_chain_error(build, PS_CHAIN_NODE_TYPE, at_node(index, "type"),
                       "unknown node type '%.120s'", type);
    else if (!node->kind)
        ps_chain_node_invalid(build, index, "unknown node type '%.120s'", type);
    else if (!node->kind->run)
        ps_chain_node_invalid(build, index, "node type %s is not available in this version",
                              node->kind->type);
}

static void read_node_name(struct ps_chain_build *build, size_t index, const json_t *json)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    if (!name || is_blank(name))
        ps_chain_error(build, PS_CHAIN_NAME, at_node(index, "name"),
                       "node name should be specified");
    else if (count_characters(name) > PS_CHAIN_NAME_LEN_MAX)
        ps_chain_error(build, PS_CHAIN_NAME, at_node(index, "name"),
                       "node name is longer than %d characters", PS_CHAIN_NAME_LEN_MAX);
    build->chain->nodes[index].name = copy_or_fail(build, name ? name : "");
}

/* debugSettings, or the older debugMode; "all" is always for a limited time. */
static void read_node_debug(struct ps_chain_build *build, struct ps_chain_node *node,
                            const json_t *json)
{
    const json_t *settings = json_object_get(json, "debugSettings");
    bool legacy = json_is_true(json_object_get(json, "debugMode"));
    bool all = legacy || json_is_true(json_object_get(settings, "allEnabled"));
    node->debug_failures = legacy || json_is_true(json_object_get(settings, "failuresEnabled"));
    int64_t until = json_integer_value(json_object_get(settings, "allEnabledUntil"));
    int64_t latest = build->checks->now_ms + build->checks->debug_max_ms;
    if (build->checks->mode == PS_CHAIN_LOAD)
        node->debug_all_until_ms = until;
    else
        node->debug_all_until_ms = all || until > latest ? latest : until < 0 ? 0 : until;
}

static json_t *object_copy(struct ps_chain_build *build, const json_t *value)
{
    json_t *copy = json_is_object(value) ? json_deep_copy(value) : json_object();
    if (!copy)
        build->out_of_memory = true;
    return copy;
}

static void read_node_rest(struct ps_chain_build *build, size_t index, const json_t *json)
{
    struct ps_chain_node *node = &build->chain->nodes[index];
    const json_t *id = json_object_get(json, "id");
    if (id && !json_is_null(id) && !read_entity_uuid(id, &node->id))
        ps_chain_error(build, PS_CHAIN_CONFIG, at_node(index, "id"), "id is not a node id");
    node->created_ms = json_integer_value(json_object_get(json, "createdTime"));
    node->configuration_version = json_integer_value(json_object_get(json, "configurationVersion"));
    node->singleton = json_is_true(json_object_get(json, "singletonMode"));
    const char *queue = json_string_value(json_object_get(json, "queueName"));
    if (queue && *queue)
        node->queue_name = copy_or_fail(build, queue);
    node->additional_info = object_copy(build, json_object_get(json, "additionalInfo"));
    const json_t *external = json_object_get(json, "externalId");
    node->external_id = external ? json_deep_copy(external) : json_null();
    read_node_debug(build, node, json);
}

static void read_node(struct ps_chain_build *build, size_t index, const json_t *json)
{
    struct ps_chain_node *node = &build->chain->nodes[index];
    const json_t *config = json_object_get(json, "configuration");
    const char *type = json_string_value(json_object_get(json, "type"));
    node->configuration = object_copy(build, config);
    read_node_type(build, index, type ? type : "");
    read_node_name(build, index, json);
    read_node_rest(build, index, json);
    if (config && !json_is_null(config) && !json_is_object(config))
        ps_chain_node_error(build, PS_CHAIN_CONFIG, at_node(index, "configuration"),
                            "configuration is not an object");
    else if (node->kind && !build->out_of_memory)
        ps_chain_node_configure(build, index);
}

/* --- legacy connections to other chains --- */

/* A node in the place of a ruleChainConnections entry; read as any other. */
static json_t *legacy_node(const json_t *entry)
{
    struct ps_uuid target = { { 0 } };
    char id[PS_UUID_TEXT_SIZE];
    bool named = read_entity_uuid(json_object_get(entry, "targetRuleChainId"), &target);
    ps_uuid_format(&target, id);
    const json_t *info = json_object_get(entry, "additionalInfo");
    const char *name = json_string_value(json_object_get(info, "ruleChainNodeName"));
    return json_pack("{s:s, s:s, s:{s:s?}, s:o}", "type", "flow.rule_chain", "name",
                     name && !is_blank(name) ? name : "Rule chain", "configuration", "ruleChainId",
                     named ? id : NULL, "additionalInfo",
                     json_is_object(info) ? json_deep_copy(info) : json_object());
}

/* --- connections --- */

static bool read_index(const json_t *json, const char *member, size_t bound, uint32_t *out)
{
    const json_t *value = json_object_get(json, member);
    json_int_t index = json_integer_value(value);
    if (!json_is_integer(value) || index < 0 || (size_t)index >= bound)
        return false;
    *out = (uint32_t)index;
    return true;
}

static bool relation_is_fine(struct ps_chain_build *build, const char *relation, int from)
{
    struct ps_chain_place place = { .node_index = from, .field = "type" };
    if (!relation || is_blank(relation)) {
        ps_chain_error(build, PS_CHAIN_INDEX, place, "the relation of a connection is blank");
        return false;
    }
    if (strlen(relation) > PS_RELATION_LEN_MAX) {
        ps_chain_error(build, PS_CHAIN_INDEX, place, "a relation is longer than %d bytes",
                       PS_RELATION_LEN_MAX);
        return false;
    }
    return true;
}

static void add_connection(struct ps_chain_build *build, uint32_t from, uint32_t to,
                           const char *relation)
{
    struct ps_chain *chain = build->chain;
    if (!relation_is_fine(build, relation, (int)from))
        return;
    if (from == to) {
        ps_chain_error(build, PS_CHAIN_SELF_LOOP, at_node(from, NULL),
                       "Can't create the relation to yourself.");
        return;
    }
    char *copy = copy_or_fail(build, relation);
    if (copy)
        chain->connections[chain->connection_count++] =
            (struct ps_chain_connection){ .from = from, .to = to, .relation = copy };
}

static void read_connection(struct ps_chain_build *build, const json_t *json, size_t place)
{
    uint32_t from, to;
    size_t bound = build->chain->node_count;
    if (!read_index(json, "fromIndex", bound, &from) || !read_index(json, "toIndex", bound, &to)) {
        ps_chain_error(build, PS_CHAIN_INDEX, nowhere,
                       "connection %zu: an index is not that of a node", place);
        return;
    }
    add_connection(build, from, to, json_string_value(json_object_get(json, "type")));
}

/* Entry `place` of ruleChainConnections has become node `node`. */
static void read_legacy_connection(struct ps_chain_build *build, const json_t *json, size_t place,
                                   uint32_t node)
{
    uint32_t from;
    if (!read_index(json, "fromIndex", node, &from)) {
        ps_chain_error(build, PS_CHAIN_INDEX, nowhere,
                       "rule chain connection %zu: fromIndex is not that of a node", place);
        return;
    }
    add_connection(build, from, node, json_string_value(json_object_get(json, "type")));
}

/* By (from, to, relation), as answers are sorted; this is also the order of running. */
static int compare_connections(const void *a, const void *b)
{
    const struct ps_chain_connection *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    return strcmp(x->relation, y->relation);
}

/* Sort, and leave out what says the same twice: a target runs once per relation. */
static void tidy_connections(struct ps_chain *chain)
{
    size_t kept = 0;
    if (chain->connection_count == 0)
        return;
    qsort(chain->connections, chain->connection_count, sizeof *chain->connections,
          compare_connections);
    for (size_t i = 1; i < chain->connection_count; i++) {
        if (compare_connections(&chain->connections[kept], &chain->connections[i]) == 0)
            free(chain->connections[i].relation);
        else
            chain->connections[++kept] = chain->connections[i];
    }
    chain->connection_count = kept + 1;
}

/* --- the whole --- */

static int32_t read_special_node(struct ps_chain_build *build, const json_t *metadata,
                                 const char *member, enum ps_chain_code code)
{
    const json_t *value = json_object_get(metadata, member);
    uint32_t index;
    if (!value || json_is_null(value))
        return -1;
    if (read_index(metadata, member, build->chain->node_count, &index))
        return (int32_t)index;
    struct ps_chain_place place = { .node_index = -1, .field = member };
    ps_chain_error(build, code, place, "%s is not the index of a node", member);
    return -1;
}

static bool within_limits(struct ps_chain_build *build, size_t nodes, size_t connections)
{
    if (build->checks->body_bytes > PS_CHAIN_BYTES_MAX)
        ps_chain_error(build, PS_CHAIN_LIMIT, nowhere, "metadata is larger than %d KiB",
                       PS_CHAIN_BYTES_MAX / 1024);
    if (nodes > PS_CHAIN_NODES_MAX)
        ps_chain_error(build, PS_CHAIN_LIMIT, nowhere, "%zu nodes are more than %d", nodes,
                       PS_CHAIN_NODES_MAX);
    if (connections > PS_CHAIN_CONNECTIONS_MAX)
        ps_chain_error(build, PS_CHAIN_LIMIT, nowhere, "%zu connections are more than %d",
                       connections, PS_CHAIN_CONNECTIONS_MAX);
    return build->chain->errors.count == 0;
}

static void read_nodes(struct ps_chain_build *build, const json_t *nodes, const json_t *legacy)
{
    size_t own = json_array_size(nodes);
    struct ps_chain *chain = build->chain;
    for (size_t i = 0; i < own && !build->out_of_memory; i++) {
        chain->node_count++; /* first: a half-read node is undone too */
        read_node(build, i, json_array_get(nodes, i));
    }
    for (size_t i = 0; i < json_array_size(legacy) && !build->out_of_memory; i++) {
        json_t *node = legacy_node(json_array_get(legacy, i));
        if (!node) {
            build->out_of_memory = true;
            return;
        }
        chain->node_count++;
        read_node(build, own + i, node);
        json_decref(node);
    }
}

static void read_graph(struct ps_chain_build *build, const json_t *metadata)
{
    const json_t *nodes = json_object_get(metadata, "nodes");
    const json_t *connections = json_object_get(metadata, "connections");
    const json_t *legacy = json_object_get(metadata, "ruleChainConnections");
    size_t own = json_array_size(nodes), extra = json_array_size(legacy);
    size_t connection_count = json_array_size(connections) + extra;
    struct ps_chain *chain = build->chain;
    if (!within_limits(build, own + extra, connection_count))
        return;
    chain->nodes = calloc(own + extra + 1, sizeof *chain->nodes);
    chain->connections = calloc(connection_count + 1, sizeof *chain->connections);
    if (!chain->nodes || !chain->connections) {
        build->out_of_memory = true;
        return;
    }
    read_nodes(build, nodes, legacy);
    if (build->out_of_memory)
        return;
    for (size_t i = 0; i < json_array_size(connections); i++)
        read_connection(build, json_array_get(connections, i), i);
    for (size_t i = 0; i < extra; i++)
        read_legacy_connection(build, json_array_get(legacy, i), i, (uint32_t)(own + i));
    tidy_connections(chain);
    chain->first_node = read_special_node(build, metadata, "firstNodeIndex", PS_CHAIN_FIRST_NODE);
    chain->failure_node = read_special_node(build, metadata, "failureNodeIndex", PS_CHAIN_INDEX);
    ps_chain_graph_check(build);
}

static bool list_or_absent(const json_t *metadata, const char *member, struct ps_text *why)
{
    const json_t *list = json_object_get(metadata, member), *element;
    size_t i;
    if (!list || json_is_null(list))
        return true;
    if (!json_is_array(list)) {
        ps_text_set(why, "%s is not an array", member);
        return false;
    }
    json_array_foreach((json_t *)list, i, element)
    {
        if (!json_is_object(element)) {
            ps_text_set(why, "%s[%zu] is not an object", member, i);
            return false;
        }
    }
    return true;
}

static void read_head(struct ps_chain_build *build, const json_t *metadata)
{
    struct ps_chain *chain = build->chain;
    const json_t *version = json_object_get(metadata, "version");
    const json_t *notes = json_object_get(metadata, "notes");
    chain->first_node = chain->failure_node = -1;
    if (!read_entity_uuid(json_object_get(metadata, "ruleChainId"), &chain->id))
        chain->id = build->checks->chain;
    chain->has_version = json_is_integer(version);
    chain->version = json_integer_value(version);
    if (json_is_array(notes)) {
        chain->notes = json_deep_copy(notes);
        build->out_of_memory = build->out_of_memory || !chain->notes;
    }
}

enum ps_status ps_chain_parse(const json_t *metadata, const struct ps_chain_checks *checks,
                              struct ps_chain **out, struct ps_text *why)
{
    if (!json_is_object(metadata)) {
        ps_text_set(why, "metadata is not an object");
        return PS_EINVAL;
    }
    if (!list_or_absent(metadata, "nodes", why) || !list_or_absent(metadata, "connections", why) ||
        !list_or_absent(metadata, "ruleChainConnections", why))
        return PS_EINVAL;
    struct ps_chain_build build = { .chain = calloc(1, sizeof(struct ps_chain)), .checks = checks };
    if (!build.chain)
        return PS_ENOMEM;
    read_head(&build, metadata);
    read_graph(&build, metadata);
    if (build.out_of_memory) {
        ps_chain_destroy(build.chain);
        return PS_ENOMEM;
    }
    *out = build.chain;
    return PS_OK;
}

enum ps_status ps_chain_parse_text(const char *text, size_t len,
                                   const struct ps_chain_checks *checks, struct ps_chain **out,
                                   struct ps_text *why)
{
    json_error_t error;
    json_t *metadata = json_loadb(text, len, 0, &error);
    if (!metadata) {
        ps_text_set(why, "JSON parse error: line %d column %d: %s", error.line, error.column,
                    error.text);
        return PS_EINVAL;
    }
    struct ps_chain_checks with_size = *checks;
    with_size.body_bytes = len;
    enum ps_status st = ps_chain_parse(metadata, &with_size, out, why);
    json_decref(metadata);
    return st;
}

void ps_chain_destroy(struct ps_chain *chain)
{
    if (!chain)
        return;
    for (size_t i = 0; i < chain->node_count; i++) {
        struct ps_chain_node *node = &chain->nodes[i];
        free(node->type);
        free(node->name);
        free(node->queue_name);
        free(node->invalid);
        json_decref(node->configuration);
        json_decref(node->additional_info);
        json_decref(node->external_id);
        ps_script_release(node->script);
    }
    for (size_t i = 0; i < chain->connection_count; i++)
        free(chain->connections[i].relation);
    free(chain->nodes);
    free(chain->connections);
    free(chain->errors.list);
    free(chain->warnings.list);
    json_decref(chain->notes);
    free(chain);
}

bool ps_chain_node_target(const struct ps_chain_node *node, struct ps_uuid *out)
{
    if (!node->kind || strcmp(node->kind->type, "flow.rule_chain") != 0)
        return false;
    const char *id = json_string_value(json_object_get(node->configuration, "ruleChainId"));
    return id && ps_uuid_parse(id, strlen(id), out) == PS_OK;
}
