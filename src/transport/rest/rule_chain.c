/* rule_chain: chains and their graphs: section 7.12 of the REST contract.
 *
 * A graph is checked here, stored in one transaction, compiled and made live before the answer, so
 * a message that is processed after the answer runs the new graph. */
#include "core/entity/rule_chain.h"

#include <jansson.h>
#include <string.h>

#include "core/clock.h"
#include "core/storage/writer.h"
#include "rules/chain.h"
#include "rules/chains.h"
#include "transport/rest/call.h"
#include "transport/rest/json_in.h"
#include "transport/rest/live_chain.h"
#include "transport/rest/routes.h"

enum { DEBUG_MAX_MS = 15 * 60 * 1000 }; /* of the default tenant profile */

/* --- JSON --- */

static void put_chain(struct ps_buf *buf, const struct ps_rule_chain *chain)
{
    ps_answer_item(buf);
    ps_buf_put_char(buf, '{');
    ps_answer_ref(buf, "id", PS_ENTITY_RULE_CHAIN, &chain->id);
    ps_answer_int(buf, "createdTime", chain->created_ms);
    ps_answer_ref(buf, "tenantId", PS_ENTITY_TENANT, &chain->tenant);
    ps_answer_text(buf, "name", chain->name);
    ps_answer_text(buf, "type", chain->type);
    ps_answer_ref_or_null(buf, "firstRuleNodeId", PS_ENTITY_RULE_NODE, &chain->first_node);
    ps_answer_bool(buf, "root", chain->root);
    ps_answer_bool(buf, "debugMode", chain->debug_mode);
    ps_answer_raw(buf, "configuration", chain->configuration);
    ps_answer_external_id(buf, PS_ENTITY_RULE_CHAIN, chain->external_id);
    ps_answer_int(buf, "version", chain->version);
    ps_answer_raw(buf, "additionalInfo", chain->additional_info);
    ps_buf_put_char(buf, '}');
}

/* --- read --- */

static bool find_chain(struct ps_rest_call *call, const struct ps_uuid *id,
                       enum ps_operation operation, struct ps_rule_chain *out)
{
    struct ps_rule_chain chain;
    enum ps_status st = ps_rule_chain_get(call->db, id, &chain);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_RULE_CHAIN, id);
        return false;
    }
    struct ps_ownership owner = { chain.tenant, PS_UUID_NULL, PS_UUID_NULL };
    if (!ps_rest_allowed(call, PS_RESOURCE_RULE_CHAIN, operation, &owner, PS_ENTITY_RULE_CHAIN,
                         id)) {
        ps_rule_chain_deinit(&chain);
        return false;
    }
    *out = chain;
    return true;
}

/* As above, for calls that need no more than its being there. */
static bool check_chain(struct ps_rest_call *call, const struct ps_uuid *id,
                        enum ps_operation operation)
{
    struct ps_rule_chain chain;
    if (!find_chain(call, id, operation, &chain))
        return false;
    ps_rule_chain_deinit(&chain);
    return true;
}

static void answer_chain(struct ps_rest_call *call, const struct ps_uuid *id)
{
    struct ps_rule_chain chain;
    if (!find_chain(call, id, PS_READ, &chain))
        return;
    put_chain(ps_rest_json(call), &chain);
    ps_rule_chain_deinit(&chain);
}

void ps_rest_rule_chain_get(struct ps_rest_call *call)
{
    struct ps_uuid id;
    if (ps_rest_uuid(call, call->captures[0], &id))
        answer_chain(call, &id);
}

void ps_rest_rule_chain_list(struct ps_rest_call *call)
{
    struct ps_page_query page;
    struct ps_rule_chain_list list;
    const char *type = ps_rest_param(call, "type");
    const struct ps_rule_chain_filter filter = {
        .tenant = call->principal->tenant,
        .type = type && *type ? type : NULL,
    };
    if (!ps_rest_page(call, &page))
        return;
    enum ps_status st = ps_rule_chain_list(call->db, &filter, &page, &list);
    if (st != PS_OK) {
        ps_http_reply_failure(call->reply, st, "Unknown sort property");
        return;
    }
    struct ps_buf *buf = ps_rest_page_begin(call);
    for (size_t i = 0; i < list.count; i++)
        put_chain(buf, &list.items[i]);
    ps_rest_page_end(call, &page, list.total);
    ps_rule_chain_list_deinit(&list);
}

/* --- save a chain --- */

struct chain_save {
    struct ps_rule_chain chain;
    struct ps_text why;
};

static enum ps_status save_chain(struct ps_db *db, void *arg)
{
    struct chain_save *save = arg;
    return ps_rule_chain_save(db, &save->chain, &save->why);
}

static bool read_chain(struct ps_rest_call *call, struct ps_rule_chain *chain)
{
    struct ps_json_in in;
    if (!ps_json_in_open(&in, call))
        return false;
    chain->tenant = call->principal->tenant;
    ps_json_in_id(&in, "id", &chain->id);
    chain->name = ps_json_in_copy(&in, "name");
    chain->type = ps_json_in_copy(&in, "type");
    chain->root = ps_json_in_bool(&in, "root", false);
    chain->debug_mode = ps_json_in_bool(&in, "debugMode", false);
    chain->configuration = ps_json_in_raw(&in, "configuration");
    chain->additional_info = ps_json_in_raw(&in, "additionalInfo");
    chain->external_id = ps_json_in_external_id(&in);
    chain->version = ps_json_in_int(&in, "version", 0);
    bool ok = ps_json_in_ok(&in);
    ps_json_in_close(&in);
    return ok;
}

static enum ps_status publish(struct ps_rest_call *call, const struct ps_uuid *tenant,
                              const struct ps_uuid *id, bool root)
{
    const struct ps_services *services = call->services;
    enum ps_status st =
        ps_live_chain_publish(call->db, services->scripts, services->chains, tenant, id);
    if (st == PS_OK && root)
        st = ps_chains_set_root(services->chains, tenant, id);
    return st;
}

void ps_rest_rule_chain_save(struct ps_rest_call *call)
{
    struct chain_save save = { .chain = { .id = PS_UUID_NULL } };
    struct ps_rule_chain *chain = &save.chain;
    if (read_chain(call, chain) &&
        (ps_uuid_is_null(&chain->id) || check_chain(call, &chain->id, PS_UPDATE))) {
        enum ps_status st = ps_writer_call(call->services->writer, save_chain, &save);
        if (st == PS_OK)
            st = publish(call, &chain->tenant, &chain->id, chain->root);
        if (ps_rest_changed(call, st, &save.why))
            answer_chain(call, &chain->id);
    }
    ps_rule_chain_deinit(chain);
}

/* --- root, delete --- */

struct chain_change {
    struct ps_uuid id;
    bool force;
    struct ps_text why;
};

static enum ps_status set_root(struct ps_db *db, void *arg)
{
    struct chain_change *change = arg;
    return ps_rule_chain_set_root(db, &change->id);
}

void ps_rest_rule_chain_set_root(struct ps_rest_call *call)
{
    struct chain_change change = { .force = false };
    if (!ps_rest_uuid(call, call->captures[0], &change.id) ||
        !check_chain(call, &change.id, PS_UPDATE))
        return;
    enum ps_status st = ps_writer_call(call->services->writer, set_root, &change);
    if (st == PS_OK)
        st = ps_chains_set_root(call->services->chains, &call->principal->tenant, &change.id);
    if (ps_rest_changed(call, st, NULL))
        answer_chain(call, &change.id);
}

static enum ps_status delete_chain(struct ps_db *db, void *arg)
{
    struct chain_change *change = arg;
    return ps_rule_chain_delete(db, &change->id, change->force, &change->why);
}

void ps_rest_rule_chain_delete(struct ps_rest_call *call)
{
    struct chain_change change = { .force = false };
    if (!ps_rest_uuid(call, call->captures[0], &change.id) ||
        !ps_rest_bool(call, "force", &change.force) || !check_chain(call, &change.id, PS_DELETE))
        return;
    enum ps_status st = ps_writer_call(call->services->writer, delete_chain, &change);
    if (st == PS_EDENIED) { /* the chain's, not the caller's fault */
        ps_rest_bad_request(call, "%s", change.why.data);
        return;
    }
    if (st == PS_OK)
        st = ps_chains_remove(call->services->chains, &call->principal->tenant, &change.id);
    if (ps_rest_changed(call, st, &change.why))
        ps_http_reply_empty(call->reply);
}

/* --- metadata: read --- */

static void answer_metadata(struct ps_rest_call *call, const struct ps_uuid *id,
                            enum ps_chain_format format)
{
    struct ps_chain *chain;
    enum ps_status st = ps_live_chain_read(call->db, call->services->scripts, id, &chain);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_RULE_CHAIN, id);
        return;
    }
    json_t *json = ps_chain_json(chain, format);
    ps_chain_destroy(chain);
    if (!json) {
        ps_http_reply_failure(call->reply, PS_ENOMEM, NULL);
        return;
    }
    ps_answer_put_json(ps_rest_json(call), json);
    json_decref(json);
}

static bool parse_format(struct ps_rest_call *call, enum ps_chain_format *out)
{
    const char *text = ps_rest_param(call, "format");
    *out = PS_CHAIN_SHORT_IDS;
    if (!text || !*text)
        return true;
    if (strcmp(text, "reference") != 0) {
        ps_rest_bad_request(call, "Unknown format '%s': reference", text);
        return false;
    }
    *out = PS_CHAIN_REFERENCE_CLASSES;
    return true;
}

void ps_rest_rule_chain_metadata_get(struct ps_rest_call *call)
{
    struct ps_uuid id;
    enum ps_chain_format format;
    if (parse_format(call, &format) && ps_rest_uuid(call, call->captures[0], &id) &&
        check_chain(call, &id, PS_READ))
        answer_metadata(call, &id, format);
}

/* --- metadata: check --- */

static bool chain_exists(void *user, const struct ps_uuid *id)
{
    struct ps_rest_call *call = user;
    struct ps_rule_chain chain;
    if (ps_rule_chain_get(call->db, id, &chain) != PS_OK)
        return false;
    bool ours = ps_uuid_equal(&chain.tenant, &call->principal->tenant);
    ps_rule_chain_deinit(&chain);
    return ours;
}

static size_t chain_targets(void *user, const struct ps_uuid *chain, struct ps_uuid *out,
                            size_t max)
{
    struct ps_rest_call *call = user;
    return ps_chains_targets(call->services->chains, &call->principal->tenant, chain, out, max);
}

static enum ps_status parse_metadata(struct ps_rest_call *call, const json_t *json,
                                     struct ps_chain **out, struct ps_text *why)
{
    const struct ps_chain_world world = { call, chain_exists, chain_targets };
    const struct ps_chain_checks checks = {
        .mode = PS_CHAIN_SAVE,
        .scripts = call->services->scripts,
        .body_bytes = call->http->body.len,
        .now_ms = ps_clock_now_ms(),
        .debug_max_ms = DEBUG_MAX_MS,
        .world = &world,
    };
    return ps_chain_parse(json, &checks, out, why);
}

static void put_issues(struct ps_buf *buf, const char *name, const struct ps_chain_issues *issues)
{
    json_t *json = ps_chain_issues_json(issues);
    ps_answer_name(buf, name);
    if (json)
        ps_answer_put_json(buf, json);
    else
        ps_buf_put_text(buf, "[]");
    json_decref(json);
}

/* The error body of section 2 with the list of everything that is wrong. */
static void refuse_graph(struct ps_rest_call *call, const struct ps_chain *chain)
{
    struct ps_buf *buf = &call->reply->body;
    ps_rest_bad_request(call, "%s", chain->errors.list[0].message);
    if (buf->len == 0)
        return;
    buf->len--; /* its closing brace */
    put_issues(buf, "errors", &chain->errors);
    ps_buf_put_char(buf, '}');
}

/* --- metadata: save --- */

struct graph_save {
    struct ps_rule_graph graph;
    struct ps_text why;
};

static bool has_node(const struct ps_rule_graph *graph, const struct ps_uuid *id)
{
    for (size_t i = 0; i < graph->node_count; i++)
        if (ps_uuid_equal(&graph->nodes[i].id, id))
            return true;
    return false;
}

/* An id that is not of this chain (a copied graph) makes a new node. */
static enum ps_status save_graph(struct ps_db *db, void *arg)
{
    struct graph_save *save = arg;
    struct ps_rule_graph stored;
    enum ps_status st = ps_rule_graph_get(db, &save->graph.chain, &stored);
    if (st != PS_OK)
        return st;
    for (size_t i = 0; i < save->graph.node_count; i++)
        if (!has_node(&stored, &save->graph.nodes[i].id))
            save->graph.nodes[i].id = PS_UUID_NULL;
    ps_rule_graph_deinit(&stored);
    return ps_rule_graph_save(db, &save->graph, &save->why);
}

static void store_graph(struct ps_rest_call *call, const struct ps_chain *chain)
{
    struct graph_save save = { .graph = { .chain = PS_UUID_NULL } };
    enum ps_status st = ps_chain_to_graph(chain, &chain->id, &save.graph);
    if (ps_rest_changed(call, st, NULL)) {
        st = ps_writer_call(call->services->writer, save_graph, &save);
        if (st == PS_OK)
            st = publish(call, &call->principal->tenant, &chain->id, false);
        if (st == PS_ENOTFOUND)
            ps_rest_not_found(call, PS_ENTITY_RULE_CHAIN, &chain->id);
        else if (st == PS_ECONFLICT)
            ps_http_reply_failure(call->reply, st,
                                  save.why.data[0]
                                      ? save.why.data
                                      : "Rule chain was already changed by someone else");
        else if (ps_rest_changed(call, st, &save.why))
            answer_metadata(call, &chain->id, PS_CHAIN_SHORT_IDS);
    }
    ps_rule_graph_deinit(&save.graph);
}

/* The body as a checked chain that the caller may change, or an answer. */
static struct ps_chain *read_graph(struct ps_rest_call *call)
{
    struct ps_json_in in;
    struct ps_chain *chain = NULL;
    struct ps_text why = { "" };
    if (!ps_json_in_open(&in, call))
        return NULL;
    enum ps_status st = parse_metadata(call, in.root, &chain, &why);
    ps_json_in_close(&in);
    return ps_rest_changed(call, st, &why) ? chain : NULL;
}

void ps_rest_rule_chain_metadata_save(struct ps_rest_call *call)
{
    struct ps_chain *chain = read_graph(call);
    if (!chain)
        return;
    if (ps_uuid_is_null(&chain->id))
        ps_rest_bad_request(call, "ruleChainId should be specified!");
    else if (check_chain(call, &chain->id, PS_UPDATE)) {
        if (chain->errors.count > 0)
            refuse_graph(call, chain);
        else
            store_graph(call, chain);
    }
    ps_chain_destroy(chain);
}

void ps_rest_rule_chain_validate(struct ps_rest_call *call)
{
    struct ps_chain *chain = read_graph(call);
    if (!chain)
        return;
    struct ps_buf *buf = ps_rest_json(call);
    ps_buf_put_char(buf, '{');
    put_issues(buf, "errors", &chain->errors);
    put_issues(buf, "warnings", &chain->warnings);
    ps_buf_put_char(buf, '}');
    ps_chain_destroy(chain);
}
