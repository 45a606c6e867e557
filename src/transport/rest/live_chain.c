#include "transport/rest/live_chain.h"

#include "core/log.h"
#include "rules/chain.h"
#include "rules/chains.h"
#include "rules/program.h"
#include "transport/rest/rest.h"

enum { CHAINS_PER_READ = 1000 };

enum ps_status ps_live_chain_read(struct ps_db *db, struct ps_script_cache *scripts,
                                  const struct ps_uuid *chain, struct ps_chain **out)
{
    struct ps_rule_graph graph;
    struct ps_text why = { "" };
    const struct ps_chain_checks checks = { .mode = PS_CHAIN_LOAD,
                                            .scripts = scripts,
                                            .chain = *chain };
    enum ps_status st = ps_rule_graph_get(db, chain, &graph);
    if (st != PS_OK)
        return st;
    st = ps_chain_from_graph(&graph, &checks, out, &why);
    ps_rule_graph_deinit(&graph);
    return st == PS_EINVAL ? PS_ESTORE : st;
}

static enum ps_status put_program(struct ps_chains *chains, const struct ps_chain *chain,
                                  const struct ps_rule_chain *row)
{
    const struct ps_program_identity identity = { row->tenant, row->id, row->name };
    struct ps_program *program;
    enum ps_status st = ps_program_compile(chain, &identity, &program);
    if (st != PS_OK)
        return st;
    st = ps_chains_put(chains, program);
    ps_program_release(program);
    return st;
}

/* One attempt; *version is what was made live. */
static enum ps_status publish_stored(struct ps_db *db, struct ps_script_cache *scripts,
                                     struct ps_chains *chains, const struct ps_rule_chain *row,
                                     int64_t *version)
{
    struct ps_chain *chain;
    enum ps_status st = ps_live_chain_read(db, scripts, &row->id, &chain);
    if (st != PS_OK)
        return st;
    st = put_program(chains, chain, row);
    *version = chain->version;
    ps_chain_destroy(chain);
    return st;
}

enum ps_status ps_live_chain_publish(struct ps_db *db, struct ps_script_cache *scripts,
                                     struct ps_chains *chains, const struct ps_uuid *tenant,
                                     const struct ps_uuid *chain)
{
    int64_t live = -1;
    for (;;) {
        struct ps_rule_chain row;
        enum ps_status st = ps_rule_chain_get(db, chain, &row);
        if (st == PS_ENOTFOUND) {
            enum ps_status removed = ps_chains_remove(chains, tenant, chain);
            return removed == PS_OK ? st : removed;
        }
        if (st != PS_OK)
            return st;
        bool newest = row.version == live; /* nobody saved since we read the graph */
        if (!newest)
            st = publish_stored(db, scripts, chains, &row, &live);
        ps_rule_chain_deinit(&row);
        if (newest || st != PS_OK)
            return st;
    }
}

/* --- at start --- */

static void load_chain(struct ps_db *db, struct ps_script_cache *scripts, struct ps_chains *chains,
                       const struct ps_rule_chain *row)
{
    int64_t version;
    enum ps_status st = publish_stored(db, scripts, chains, row, &version);
    if (st == PS_OK && row->root)
        st = ps_chains_set_root(chains, &row->tenant, &row->id);
    struct ps_log_line line;
    if (st == PS_OK || !ps_log_begin(&line, PS_LOG_ERROR, "rules", "chain_not_loaded"))
        return;
    ps_log_uuid(&line, "chain", &row->id);
    ps_log_text(&line, "name", row->name);
    ps_log_text(&line, "why", ps_status_text(st));
    ps_log_end(&line);
}

enum ps_status ps_rest_load_chains(struct ps_db *db, struct ps_script_cache *scripts,
                                   struct ps_chains *chains)
{
    const struct ps_rule_chain_filter all = { .tenant = PS_UUID_NULL };
    for (unsigned page = 0;; page++) {
        const struct ps_page_query query = { .page_size = CHAINS_PER_READ, .page = page };
        struct ps_rule_chain_list list;
        enum ps_status st = ps_rule_chain_list(db, &all, &query, &list);
        if (st != PS_OK)
            return st;
        for (size_t i = 0; i < list.count; i++)
            load_chain(db, scripts, chains, &list.items[i]);
        bool last = list.count < CHAINS_PER_READ;
        ps_rule_chain_list_deinit(&list);
        if (last)
            return PS_OK;
    }
}
