#include "unit/rules/rules_world.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "core/json_text.h"
#include "core/payload_json.h"
#include "rules/nodes/strict_json.h"

static struct world *world_of(struct ps_host *host)
{
    return (struct world *)host;
}

static enum ps_status answer(struct world *world, struct ps_text *why)
{
    if (world->save_answer != PS_OK)
        ps_text_set(why, "the host says no");
    return world->save_answer;
}

static enum ps_status save_telemetry(struct ps_host *host, const struct ps_msg *msg,
                                     const struct ps_save_telemetry *save, struct ps_text *why)
{
    struct world *world = world_of(host);
    (void)msg;
    if (world->save_answer != PS_OK)
        return answer(world, why);
    ps_buf_printf(&world->effects, "telemetry ts=%lld ttl=%lld %s%s%s ", (long long)save->ts_ms,
                  (long long)save->ttl_s, save->keep_history ? "H" : "-",
                  save->keep_latest ? "L" : "-", save->tell_subscribers ? "S" : "-");
    ps_json_put_object(&world->effects, save->kvs, save->kv_count);
    ps_buf_put_char(&world->effects, '\n');
    return PS_OK;
}

static enum ps_status save_attributes(struct ps_host *host, const struct ps_msg *msg,
                                      const struct ps_save_attributes *save, struct ps_text *why)
{
    static const char *const scopes[] = {
        [PS_SCOPE_CLIENT] = "CLIENT", [PS_SCOPE_SHARED] = "SHARED", [PS_SCOPE_SERVER] = "SERVER"
    };
    struct world *world = world_of(host);
    (void)msg;
    if (world->save_answer != PS_OK)
        return answer(world, why);
    ps_buf_printf(&world->effects, "attributes %s %s%s%s%s ", scopes[save->scope],
                  save->only_changed ? "C" : "-", save->notify_device ? "N" : "-",
                  save->tell_rule_chain ? "R" : "-", save->tell_subscribers ? "S" : "-");
    ps_json_put_object(&world->effects, save->kvs, save->kv_count);
    ps_buf_put_char(&world->effects, '\n');
    return PS_OK;
}

static struct ps_lua *lua(struct ps_host *host, const struct ps_uuid *tenant)
{
    (void)tenant;
    return world_of(host)->no_lua ? NULL : world_of(host)->lua;
}

static const struct ps_host_ops ops = { .save_telemetry = save_telemetry,
                                        .save_attributes = save_attributes,
                                        .lua = lua };

static void ack_now(void *user, struct ps_msg *root, struct ps_host *host)
{
    struct world *world = user;
    assert_ptr_equal(host, &world->host);
    assert_non_null(root);
    world->acked_now++;
    ps_buf_put_text(&world->visits, "<ack> ");
}

static void finished(void *user, struct ps_msg *root, struct ps_host *host,
                     const struct ps_run_outcome *outcome)
{
    struct world *world = user;
    assert_non_null(root);
    assert_ptr_equal(host, &world->host);
    world->finished_count++;
    world->outcome = *outcome;
}

static const struct ps_uuid *default_chain(void *user, struct ps_host *host,
                                           const struct ps_msg *msg)
{
    struct world *world = user;
    (void)host;
    (void)msg;
    return world->has_default_chain ? &world->default_chain : NULL;
}

static void stepped(void *user, const struct ps_program *program, const struct ps_node *node,
                    const struct ps_msg *msg, enum ps_step step, const struct ps_step_out *out)
{
    struct world *world = user;
    (void)program;
    (void)msg;
    (void)step;
    (void)out;
    ps_buf_printf(&world->visits, "%s ", node->name);
}

void world_init(struct world *world)
{
    memset(world, 0, sizeof *world);
    world->host.ops = &ops;
    world->tenant = world_id('t');
    assert_int_equal(ps_script_cache_create(&world->scripts), PS_OK);
    assert_int_equal(ps_lua_create(&PS_LUA_LIMITS_DEFAULT, &world->lua), PS_OK);
    assert_int_equal(ps_chains_create(&world->chains), PS_OK);
    assert_int_equal(ps_chain_cache_create(world->chains, &world->cache), PS_OK);
    world->env = (struct ps_run_env){
        .limits = PS_RUN_LIMITS_DEFAULT,
        .chains = world->cache,
        .user = world,
        .ack_now = ack_now,
        .default_chain = default_chain,
        .finished = finished,
        .stepped = stepped,
    };
}

void world_deinit(struct world *world)
{
    ps_chain_cache_destroy(world->cache);
    ps_chains_destroy(world->chains);
    ps_lua_destroy(world->lua);
    assert_int_equal(ps_script_cache_count(world->scripts), 0);
    ps_script_cache_destroy(world->scripts);
    ps_buf_deinit(&world->effects);
    ps_buf_deinit(&world->visits);
}

struct ps_uuid world_id(char letter)
{
    struct ps_uuid id;
    memset(id.bytes, letter, sizeof id.bytes);
    return id;
}

char *world_json(const char *lenient)
{
    struct ps_buf strict = { 0 };
    struct ps_text why = { "" };
    if (ps_json_compact(lenient, strlen(lenient), &strict, &why) != PS_OK)
        fail_msg("not JSON: %s: %s", why.data, lenient);
    char *text = strdup(ps_buf_cstr(&strict));
    ps_buf_deinit(&strict);
    return text;
}

/* "0 Success 1;0 Post telemetry 2" as connections. */
static json_t *connections_of(const char *links)
{
    json_t *list = json_array();
    char *copy = strdup(links), *save = NULL;
    for (char *link = strtok_r(copy, ";", &save); link; link = strtok_r(NULL, ";", &save)) {
        char *first = strchr(link, ' '), *last = strrchr(link, ' ');
        assert_true(first && last > first);
        json_array_append_new(list, json_pack("{s:i, s:i, s:s#}", "fromIndex", atoi(link),
                                              "toIndex", atoi(last + 1), "type", first + 1,
                                              (int)(last - first - 1)));
    }
    free(copy);
    return list;
}

/* The short forms of tests: `links`, and {nop:'A'} for a node that is only visited. */
static char *expand(const char *lenient)
{
    char *text = world_json(lenient);
    json_t *metadata = json_loads(text, 0, NULL), *node;
    size_t i;
    assert_non_null(metadata);
    free(text);
    json_t *links = json_object_get(metadata, "links");
    if (links) {
        json_object_set_new(metadata, "connections", connections_of(json_string_value(links)));
        json_object_del(metadata, "links");
    }
    json_array_foreach(json_object_get(metadata, "nodes"), i, node)
    {
        json_t *name = json_object_get(node, "nop");
        if (name)
            json_array_set_new(json_object_get(metadata, "nodes"), i,
                               json_pack("{s:s, s:O}", "type", "flow.nop", "name", name));
    }
    text = json_dumps(metadata, JSON_COMPACT);
    json_decref(metadata);
    return text;
}

struct ps_chain *world_parse(struct world *world, const char *metadata,
                             const struct ps_chain_checks *checks)
{
    struct ps_chain_checks own = { .mode = PS_CHAIN_SAVE };
    struct ps_chain *chain = NULL;
    struct ps_text why = { "" };
    char *json = expand(metadata);
    if (checks)
        own = *checks;
    own.scripts = world->scripts;
    if (ps_chain_parse_text(json, strlen(json), &own, &chain, &why) != PS_OK)
        fail_msg("parse: %s", why.data);
    free(json);
    return chain;
}

const struct ps_program *world_put(struct world *world, char letter, const char *metadata)
{
    char name[] = "Chain _";
    name[6] = letter;
    struct ps_program_identity identity = { .tenant = world->tenant,
                                            .chain = world_id(letter),
                                            .name = name };
    struct ps_chain_checks checks = { .mode = PS_CHAIN_IMPORT, .chain = identity.chain };
    struct ps_chain *chain = world_parse(world, metadata, &checks);
    struct ps_program *program = NULL;
    if (chain->errors.count)
        fail_msg("chain %c: %s", letter, chain->errors.list[0].message);
    assert_int_equal(ps_program_compile(chain, &identity, &program), PS_OK);
    ps_chain_destroy(chain);
    if (!ps_chain_cache_root(world->cache, &world->tenant))
        assert_int_equal(ps_chains_set_root(world->chains, &world->tenant, &identity.chain), PS_OK);
    assert_int_equal(ps_chains_put(world->chains, program), PS_OK);
    const struct ps_program *live = program;
    ps_program_release(program);
    return live;
}

static size_t split_pairs(char *text, struct ps_pair *pairs, size_t max)
{
    size_t count = 0;
    char *save = NULL;
    for (char *pair = text ? strtok_r(text, ",", &save) : NULL; pair && count < max;
         pair = strtok_r(NULL, ",", &save)) {
        char *equals = strchr(pair, '=');
        assert_non_null(equals);
        pairs[count++] = (struct ps_pair){ .key = pair,
                                           .key_len = (uint32_t)(equals - pair),
                                           .value = equals + 1,
                                           .value_len = (uint32_t)strlen(equals + 1) };
    }
    return count;
}

struct ps_msg *world_msg(struct world *world, const char *type, const char *data,
                         const char *metadata)
{
    struct ps_entity_id device = { PS_ENTITY_DEVICE, world_id('d') };
    struct ps_uuid customer = world_id('c');
    struct ps_pair pairs[16];
    char *json = world_json(data), *text = metadata ? strdup(metadata) : NULL;
    struct ps_strict_object object = { 0 };
    struct ps_msg_content content = {
        .type = ps_msg_type_parse(type, strlen(type)),
        .type_name = type,
        .type_name_len = (uint32_t)strlen(type),
        .data_kind = PS_DATA_JSON,
        .data = json,
        .data_len = (uint32_t)strlen(json),
        .metadata = pairs,
    };
    if (json[0] == '{') {
        assert_int_equal(ps_strict_object_parse(&object, json, strlen(json)), PS_OK);
        content.data_kind = PS_DATA_OBJECT;
        content.kvs = object.kvs;
        content.kv_count = object.count;
    }
    content.metadata_count = (uint32_t)split_pairs(text, pairs, 16);
    struct ps_msg *msg = NULL;
    assert_int_equal(ps_msg_create(&world->tenant, &device, &customer, 5000, &content, &msg),
                     PS_OK);
    ps_strict_object_deinit(&object);
    free(json);
    free(text);
    return msg;
}

void world_run_msg(struct world *world, char letter, struct ps_msg *msg)
{
    struct ps_uuid id = world_id(letter);
    const struct ps_program *program = ps_chain_cache_find(world->cache, &world->tenant, &id);
    assert_non_null(program);
    ps_buf_clear(&world->effects);
    ps_buf_clear(&world->visits);
    ps_run_message(&world->env, program, msg, &world->host, &world->outcome);
}

void world_run(struct world *world, char letter, const char *type, const char *data,
               const char *metadata)
{
    struct ps_msg *msg = world_msg(world, type, data, metadata);
    world_run_msg(world, letter, msg);
    if (world->outcome.end != PS_RUN_SUSPENDED)
        assert_int_equal(msg->references, 1);
    ps_msg_release(msg);
}

const char *world_effects(struct world *world)
{
    return ps_buf_cstr(&world->effects);
}

const char *world_visits(struct world *world)
{
    return ps_buf_cstr(&world->visits);
}
