/* rules_world: chains, a host that writes down what it is asked, and messages, for tests of rules.
 *
 * JSON in tests may be lenient (device grammar: 'single quotes', bare names); in a chain's metadata
 * {nop:'A'} is a node that is only visited, links:'0 True 1;0 False 2' are connections. What a run
 * does is read back as text: effects in `effects`, the names of visited nodes in `visits`. */
#ifndef PS_TESTS_UNIT_RULES_RULES_WORLD_H
#define PS_TESTS_UNIT_RULES_RULES_WORLD_H

#include "core/buf.h"
#include "rules/chain.h"
#include "rules/chains.h"
#include "rules/run.h"

struct world {
    struct ps_host host; /* first: the ops find the world by it */
    struct ps_script_cache *scripts;
    struct ps_lua *lua;
    struct ps_chains *chains;
    struct ps_chain_cache *cache;
    struct ps_run_env env;
    struct ps_uuid tenant;
    struct ps_buf effects;      /* "telemetry ts=1000 ttl=0 HLS {\"t\":1}\n" */
    struct ps_buf visits;       /* "Switch Save " */
    enum ps_status save_answer; /* what saves return */
    bool no_lua;
    unsigned acked_now, finished_count;
    struct ps_run_outcome outcome; /* of the last run, or as env.finished told it */
    struct ps_uuid default_chain;
    bool has_default_chain;
};

void world_init(struct world *world);
void world_deinit(struct world *world);

/** A distinct id per letter. */
struct ps_uuid world_id(char letter);
/** Strict JSON of lenient text; free() it. */
char *world_json(const char *lenient);

/** Parse only. The checks may be NULL: mode SAVE. */
struct ps_chain *world_parse(struct world *world, const char *metadata,
                             const struct ps_chain_checks *checks);
/** Parse, compile and put live as chain `letter`; the first one becomes the root. Borrowed. */
const struct ps_program *world_put(struct world *world, char letter, const char *metadata);

/** A device's message; `metadata` like "ts=1000,scope=X" or NULL. One reference. */
struct ps_msg *world_msg(struct world *world, const char *type, const char *data,
                         const char *metadata);
/** Run the message through chain `letter`; fills world->outcome, effects and visits anew. */
void world_run_msg(struct world *world, char letter, struct ps_msg *msg);
void world_run(struct world *world, char letter, const char *type, const char *data,
               const char *metadata);

const char *world_effects(struct world *world);
const char *world_visits(struct world *world);

#endif
