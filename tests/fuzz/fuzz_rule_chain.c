/* Metadata JSON of a rule chain, as anybody may post it: parse, check, compile, print, read back.
 * Nothing may crash or leak; what was accepted must compile, and its normal form must be accepted
 * again. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/entity/rule_chain.h"
#include "rules/chain.h"
#include "rules/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every chain exists, and each calls the one with the next first byte: cycles included. */
static bool exists(void *user, const struct ps_uuid *chain)
{
    (void)user;
    return chain->bytes[0] != 0xff;
}

static size_t targets(void *user, const struct ps_uuid *chain, struct ps_uuid *out, size_t max)
{
    (void)user;
    (void)max;
    out[0] = *chain;
    out[0].bytes[0]++;
    return 1;
}

static void compile(const struct ps_chain *chain)
{
    struct ps_program *program = NULL;
    const struct ps_program_identity identity = { .chain = chain->id, .name = "fuzzed" };
    enum ps_status st = ps_program_compile(chain, &identity, &program);
    PS_ASSERT(st == PS_OK);
    ps_program_release(program);
}

static void read_back(const struct ps_chain *chain, const struct ps_chain_checks *checks)
{
    struct ps_rule_graph graph;
    struct ps_chain *again = NULL;
    if (ps_chain_to_graph(chain, &chain->id, &graph) != PS_OK)
        return;
    enum ps_status st = ps_chain_from_graph(&graph, checks, &again, NULL);
    PS_ASSERT(st == PS_OK);
    PS_ASSERT(again->errors.count == 0);
    PS_ASSERT(again->node_count == chain->node_count);
    PS_ASSERT(again->connection_count == chain->connection_count);
    compile(again);
    ps_chain_destroy(again);
    ps_rule_graph_deinit(&graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ps_chain_world world = { .chain_exists = exists, .chain_targets = targets };
    struct ps_script_cache *scripts = NULL;
    if (size < 1 || ps_script_cache_create(&scripts) != PS_OK)
        return 0;
    struct ps_chain_checks checks = {
        .mode = (enum ps_chain_mode)(data[0] % 3),
        .scripts = scripts,
        .now_ms = 1000,
        .debug_max_ms = 900,
        .world = &world,
    };
    struct ps_chain *chain = NULL;
    struct ps_text why = { "" };
    if (ps_chain_parse_text((const char *)data + 1, size - 1, &checks, &chain, &why) == PS_OK) {
        json_decref(ps_chain_issues_json(&chain->errors));
        json_decref(ps_chain_json(chain, PS_CHAIN_REFERENCE_CLASSES));
        if (chain->errors.count == 0) {
            compile(chain);
            read_back(chain, &checks);
        }
        ps_chain_destroy(chain);
    }
    ps_script_cache_destroy(scripts);
    return 0;
}
