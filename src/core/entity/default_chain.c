#include "core/entity/default_chain.h"

#include "core/entity/row.h"
#include "core/entity/rule_chain.h"

/* Rules contract 10.1. The rows borrow these constants: a graph to be saved is only read. */
static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

static const struct node_row {
    const char *type, *name, *configuration;
    int64_t configuration_version;
    const char *additional_info;
} node_rows[] = {
    { "action.save_timeseries", "Save Timeseries",
      "{\"defaultTTL\":0,\"useServerTs\":false,"
      "\"processingSettings\":{\"type\":\"ON_EVERY_MESSAGE\"}}",
      1, "{\"layoutX\":824,\"layoutY\":156}" },
    { "action.save_attributes", "Save Client Attributes",
      "{\"processingSettings\":{\"type\":\"ON_EVERY_MESSAGE\"},\"scope\":\"CLIENT_SCOPE\","
      "\"notifyDevice\":false,\"sendAttributesUpdatedNotification\":false,"
      "\"updateAttributesOnlyOnValueChange\":true}",
      3, "{\"layoutX\":825,\"layoutY\":52}" },
    { "filter.msg_type_switch", "Message Type Switch", "{}", 0,
      "{\"layoutX\":347,\"layoutY\":149}" },
    { "action.log", "Log RPC from Device",
      "{\"script\":\"return \\\"rpc \\\" .. json.encode(msg) .. \\\" \\\" .. "
      "json.encode(metadata)\"}",
      0, "{\"layoutX\":825,\"layoutY\":266}" },
    { "action.log", "Log Other", "{\"script\":\"return msgType .. \\\" \\\" .. json.encode(msg)\"}",
      0, "{\"layoutX\":825,\"layoutY\":379}" },
};

enum { NODES = sizeof node_rows / sizeof *node_rows, SWITCH = 2 };

static const struct connection_row {
    uint32_t to;
    const char *type;
} connection_rows[] = {
    { 0, "Post telemetry" },
    { 1, "Post attributes" },
    { 3, "RPC Request from Device" },
    { 4, "Other" },
};

enum { CONNECTIONS = sizeof connection_rows / sizeof *connection_rows };

static enum ps_status save_graph(struct ps_db *db, const struct ps_uuid *chain)
{
    struct ps_rule_node nodes[NODES];
    struct ps_rule_connection connections[CONNECTIONS];
    for (size_t i = 0; i < NODES; i++)
        nodes[i] =
            (struct ps_rule_node){ .type = text(node_rows[i].type),
                                   .name = text(node_rows[i].name),
                                   .configuration = text(node_rows[i].configuration),
                                   .configuration_version = node_rows[i].configuration_version,
                                   .additional_info = text(node_rows[i].additional_info) };
    for (size_t i = 0; i < CONNECTIONS; i++)
        connections[i] = (struct ps_rule_connection){ .from = SWITCH,
                                                      .to = connection_rows[i].to,
                                                      .type = text(connection_rows[i].type) };
    struct ps_rule_graph graph = { .chain = *chain,
                                   .first_node = SWITCH,
                                   .failure_node = PS_RULE_NODE_NONE,
                                   .nodes = nodes,
                                   .node_count = NODES,
                                   .connections = connections,
                                   .connection_count = CONNECTIONS };
    return ps_rule_graph_save(db, &graph, NULL);
}

static enum ps_status save_chain(struct ps_db *db, const struct ps_uuid *tenant, const char *name,
                                 bool root, struct ps_uuid *out)
{
    struct ps_rule_chain chain = { .tenant = *tenant, .root = root };
    chain.name = text(name);
    chain.type = text("CORE");
    enum ps_status st = ps_rule_chain_save(db, &chain, NULL);
    if (st == PS_OK)
        st = save_graph(db, &chain.id);
    if (st == PS_OK && out)
        *out = chain.id;
    return st;
}

enum ps_status ps_default_chain_create(struct ps_db *db, const struct ps_uuid *tenant,
                                       const char *name, bool root, struct ps_uuid *out)
{
    enum ps_status st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    return ps_row_finish(db, save_chain(db, tenant, name, root, out));
}
