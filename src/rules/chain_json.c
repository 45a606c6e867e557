/* chain_json: a chain as the answers of REST and exports show it. */
#include "rules/chain.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *entity_id(const char *type, const struct ps_uuid *id)
{
    char text[PS_UUID_TEXT_SIZE];
    ps_uuid_format(id, text);
    return json_pack("{s:s, s:s}", "entityType", type, "id", text);
}

static bool is_zero(const struct ps_uuid *id)
{
    static const struct ps_uuid zero;
    return ps_uuid_equal(id, &zero);
}

static json_t *type_text(const struct ps_chain_node *node, enum ps_chain_format format)
{
    if (format == PS_CHAIN_REFERENCE_CLASSES && node->kind && node->kind->reference_class)
        return json_sprintf(PS_NODE_REFERENCE_PACKAGE "%s", node->kind->reference_class);
    return json_string(node->type);
}

static json_t *node_json(const struct ps_chain *chain, const struct ps_chain_node *node,
                         enum ps_chain_format format)
{
    json_t *json = json_object();
    if (!is_zero(&node->id)) {
        json_object_set_new(json, "id", entity_id("RULE_NODE", &node->id));
        json_object_set_new(json, "createdTime", json_integer(node->created_ms));
    }
    json_object_set_new(json, "ruleChainId", entity_id("RULE_CHAIN", &chain->id));
    json_object_set_new(json, "type", type_text(node, format));
    json_object_set_new(json, "name", json_string(node->name));
    json_object_set_new(json, "debugSettings",
                        json_pack("{s:b, s:b, s:I}", "failuresEnabled", node->debug_failures,
                                  "allEnabled", 0, "allEnabledUntil",
                                  (json_int_t)node->debug_all_until_ms));
    json_object_set_new(json, "singletonMode", json_boolean(node->singleton));
    json_object_set_new(json, "queueName",
                        node->queue_name ? json_string(node->queue_name) : json_null());
    json_object_set_new(json, "configurationVersion", json_integer(node->configuration_version));
    json_object_set(json, "configuration", node->configuration);
    json_object_set(json, "externalId", node->external_id);
    json_object_set(json, "additionalInfo", node->additional_info);
    if (node->invalid)
        json_object_set_new(json, "state", json_string("INVALID"));
    return json;
}

static json_t *index_or_null(int32_t index)
{
    return index < 0 ? json_null() : json_integer(index);
}

json_t *ps_chain_json(const struct ps_chain *chain, enum ps_chain_format format)
{
    json_t *json = json_object(), *nodes = json_array(), *connections = json_array();
    for (size_t i = 0; i < chain->node_count; i++)
        json_array_append_new(nodes, node_json(chain, &chain->nodes[i], format));
    for (size_t i = 0; i < chain->connection_count; i++) {
        const struct ps_chain_connection *connection = &chain->connections[i];
        json_array_append_new(connections,
                              json_pack("{s:I, s:I, s:s}", "fromIndex",
                                        (json_int_t)connection->from, "toIndex",
                                        (json_int_t)connection->to, "type", connection->relation));
    }
    json_object_set_new(json, "ruleChainId", entity_id("RULE_CHAIN", &chain->id));
    if (chain->has_version)
        json_object_set_new(json, "version", json_integer(chain->version));
    json_object_set_new(json, "firstNodeIndex", index_or_null(chain->first_node));
    json_object_set_new(json, "nodes", nodes);
    json_object_set_new(json, "connections", connections);
    json_object_set_new(json, "ruleChainConnections", json_array());
    json_object_set_new(json, "failureNodeIndex", index_or_null(chain->failure_node));
    if (chain->notes)
        json_object_set(json, "notes", chain->notes);
    if (chain->warnings.count)
        json_object_set_new(json, "warnings", ps_chain_issues_json(&chain->warnings));
    return json;
}

json_t *ps_chain_issues_json(const struct ps_chain_issues *issues)
{
    json_t *list = json_array();
    for (size_t i = 0; i < issues->count; i++) {
        const struct ps_chain_issue *issue = &issues->list[i];
        json_t *json = json_object();
        if (issue->node_index >= 0)
            json_object_set_new(json, "nodeIndex", json_integer(issue->node_index));
        if (issue->field[0])
            json_object_set_new(json, "field", json_string(issue->field));
        if (issue->line > 0)
            json_object_set_new(json, "line", json_integer(issue->line));
        json_object_set_new(json, "code", json_string(ps_chain_code_name(issue->code)));
        json_object_set_new(json, "message", json_string(issue->message));
        json_array_append_new(list, json);
    }
    return list;
}
