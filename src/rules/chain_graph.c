/* chain_graph: a chain to and from the rows that store it. */
#include "rules/chain.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/entity/rule_chain.h"

/* --- to rows --- */

/* JSON text of a member; NULL for null. `failed` if memory is short. */
static char *dump(const json_t *json, bool *failed)
{
    if (!json || json_is_null(json))
        return NULL;
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    *failed = *failed || !text;
    return text;
}

static char *copy(const char *text, bool *failed)
{
    char *made = text ? strdup(text) : NULL;
    *failed = *failed || (text && !made);
    return made;
}

static bool fill_node(const struct ps_chain_node *from, struct ps_rule_node *to)
{
    bool failed = false;
    to->id = from->id;
    to->created_ms = from->created_ms;
    to->type = copy(from->type, &failed);
    to->name = copy(from->name, &failed);
    to->configuration = dump(from->configuration, &failed);
    to->configuration_version = from->configuration_version;
    to->debug_failures = from->debug_failures;
    to->debug_all_until_ms = from->debug_all_until_ms;
    to->singleton_mode = from->singleton;
    to->queue_name = copy(from->queue_name, &failed);
    to->additional_info = dump(from->additional_info, &failed);
    to->external_id = dump(from->external_id, &failed);
    return !failed;
}

static bool fill(const struct ps_chain *chain, struct ps_rule_graph *graph)
{
    bool failed = false;
    graph->nodes = calloc(chain->node_count + 1, sizeof *graph->nodes);
    graph->connections = calloc(chain->connection_count + 1, sizeof *graph->connections);
    if (!graph->nodes || !graph->connections)
        return false;
    for (size_t i = 0; i < chain->node_count; i++) {
        graph->node_count++;
        if (!fill_node(&chain->nodes[i], &graph->nodes[i]))
            return false;
    }
    for (size_t i = 0; i < chain->connection_count; i++) {
        const struct ps_chain_connection *from = &chain->connections[i];
        graph->connections[graph->connection_count++] = (struct ps_rule_connection){
            .from = from->from, .to = from->to, .type = copy(from->relation, &failed)
        };
    }
    graph->notes = dump(chain->notes, &failed);
    return !failed;
}

enum ps_status ps_chain_to_graph(const struct ps_chain *chain, const struct ps_uuid *chain_id,
                                 struct ps_rule_graph *out)
{
    struct ps_rule_graph graph = {
        .chain = *chain_id,
        .version = chain->has_version ? chain->version : 0,
        .first_node = chain->first_node,
        .failure_node = chain->failure_node,
    };
    if (!fill(chain, &graph)) {
        ps_rule_graph_deinit(&graph);
        return PS_ENOMEM;
    }
    *out = graph;
    return PS_OK;
}

/* --- from rows --- */

/* Text of the store as JSON; what is not JSON any more reads as null. */
static json_t *load(const char *text)
{
    json_t *json = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    return json ? json : json_null();
}

static json_t *id_text(const struct ps_uuid *id)
{
    char text[PS_UUID_TEXT_SIZE];
    ps_uuid_format(id, text);
    return json_string(text);
}

static json_t *node_metadata(const struct ps_rule_node *node)
{
    return json_pack("{s:o, s:I, s:s, s:s, s:o, s:I, s:{s:b, s:I}, s:b, s:s?, s:o, s:o}", "id",
                     id_text(&node->id), "createdTime", (json_int_t)node->created_ms, "type",
                     node->type ? node->type : "", "name", node->name ? node->name : "",
                     "configuration", load(node->configuration), "configurationVersion",
                     (json_int_t)node->configuration_version, "debugSettings", "failuresEnabled",
                     node->debug_failures, "allEnabledUntil", (json_int_t)node->debug_all_until_ms,
                     "singletonMode", node->singleton_mode, "queueName", node->queue_name,
                     "additionalInfo", load(node->additional_info), "externalId",
                     load(node->external_id));
}

static json_t *index_json(int64_t index)
{
    return index < 0 ? json_null() : json_integer(index);
}

static json_t *graph_metadata(const struct ps_rule_graph *graph)
{
    json_t *nodes = json_array(), *connections = json_array();
    for (size_t i = 0; i < graph->node_count; i++)
        json_array_append_new(nodes, node_metadata(&graph->nodes[i]));
    for (size_t i = 0; i < graph->connection_count; i++)
        json_array_append_new(
            connections,
            json_pack("{s:I, s:I, s:s}", "fromIndex", (json_int_t)graph->connections[i].from,
                      "toIndex", (json_int_t)graph->connections[i].to, "type",
                      graph->connections[i].type ? graph->connections[i].type : ""));
    return json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "ruleChainId", id_text(&graph->chain),
                     "version", (json_int_t)graph->version, "firstNodeIndex",
                     index_json(graph->first_node), "failureNodeIndex",
                     index_json(graph->failure_node), "nodes", nodes, "connections", connections,
                     "notes", load(graph->notes));
}

enum ps_status ps_chain_from_graph(const struct ps_rule_graph *graph,
                                   const struct ps_chain_checks *checks, struct ps_chain **out,
                                   struct ps_text *why)
{
    struct ps_chain_checks loading = *checks;
    loading.mode = PS_CHAIN_LOAD;
    loading.body_bytes = 0;
    loading.world = NULL;
    json_t *metadata = graph_metadata(graph);
    if (!metadata)
        return PS_ENOMEM;
    enum ps_status st = ps_chain_parse(metadata, &loading, out, why);
    json_decref(metadata);
    return st;
}
