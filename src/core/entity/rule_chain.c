#include "core/entity/rule_chain.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/entity/list.h"
#include "core/entity/name.h"

#define COLUMNS                                                                                    \
    "id, created_ms, tenant, name, type, first_node, root, debug_mode, configuration,"             \
    " external_id, version, additional_info"
#define SELECT "SELECT " COLUMNS " FROM rule_chain"

void ps_rule_chain_deinit(struct ps_rule_chain *chain)
{
    free(chain->name);
    free(chain->type);
    free(chain->configuration);
    free(chain->external_id);
    free(chain->additional_info);
    *chain = (struct ps_rule_chain){ 0 };
}

void ps_rule_chain_list_deinit(struct ps_rule_chain_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ps_rule_chain_deinit(&list->items[i]);
    free(list->items);
    *list = (struct ps_rule_chain_list){ 0 };
}

/* ---- read ---- */

static enum ps_status read_chain(struct ps_row *row, void *out)
{
    struct ps_rule_chain chain = { .id = ps_row_uuid(row) };
    chain.created_ms = ps_row_int(row);
    chain.tenant = ps_row_uuid(row);
    chain.name = ps_row_text(row);
    chain.type = ps_row_text(row);
    chain.first_node = ps_row_uuid(row);
    chain.root = ps_row_int(row) != 0;
    chain.debug_mode = ps_row_int(row) != 0;
    chain.configuration = ps_row_text(row);
    chain.external_id = ps_row_text(row);
    chain.version = ps_row_int(row);
    chain.additional_info = ps_row_text(row);
    if (row->failed) {
        ps_rule_chain_deinit(&chain);
        return PS_ENOMEM;
    }
    *(struct ps_rule_chain *)out = chain;
    return PS_OK;
}

enum ps_status ps_rule_chain_get(struct ps_db *db, const struct ps_uuid *id,
                                 struct ps_rule_chain *out)
{
    return ps_row_find_by_id(db, SELECT " WHERE id = ?", id, read_chain, out);
}

enum ps_status ps_rule_chain_get_root(struct ps_db *db, const struct ps_uuid *tenant,
                                      struct ps_rule_chain *out)
{
    return ps_row_find_by_id(db, SELECT " WHERE tenant = ? AND root = 1 AND type = 'CORE'", tenant,
                             read_chain, out);
}

static void bind_filter(struct ps_args *args, const void *data)
{
    const struct ps_rule_chain_filter *filter = data;
    if (!ps_uuid_is_null(&filter->tenant))
        ps_args_uuid(args, &filter->tenant);
    if (filter->type)
        ps_args_text(args, filter->type);
}

enum ps_status ps_rule_chain_list(struct ps_db *db, const struct ps_rule_chain_filter *filter,
                                  const struct ps_page_query *page, struct ps_rule_chain_list *out)
{
    static const struct ps_list_sort sorts[] = {
        { "createdTime", "created_ms" },
        { "name", "name" },
        { "root", "root" },
        { NULL, NULL },
    };
    static const char *const search[] = { "name", NULL };
    struct ps_buf where = { 0 };
    ps_buf_put_text(&where, "1 = 1");
    if (!ps_uuid_is_null(&filter->tenant))
        ps_buf_put_text(&where, " AND tenant = ?");
    if (filter->type)
        ps_buf_put_text(&where, " AND type = ?");
    struct ps_list_query query = { .columns = COLUMNS,
                                   .from = "rule_chain",
                                   .where = ps_buf_cstr(&where),
                                   .id = "id",
                                   .sorts = sorts,
                                   .search = search,
                                   .bind = bind_filter,
                                   .filter = filter,
                                   .read = read_chain,
                                   .item_size = sizeof(struct ps_rule_chain) };
    struct ps_list_result result = { 0 };
    enum ps_status st = ps_buf_ok(&where) ? ps_list_run(db, &query, page, &result) : PS_ENOMEM;
    ps_buf_deinit(&where);
    struct ps_rule_chain_list list = { result.items, result.count, result.total };
    if (st != PS_OK)
        ps_rule_chain_list_deinit(&list);
    else
        *out = list;
    return st;
}

/* ---- save ---- */

static enum ps_status refuse(struct ps_text *why, const char *text)
{
    ps_text_set(why, "%s", text);
    return PS_EINVAL;
}

static enum ps_status check_chain(struct ps_db *db, struct ps_rule_chain *chain,
                                  struct ps_text *why)
{
    enum ps_status st = ps_name_check(chain->name, "Rule chain", "name", why);
    if (st != PS_OK)
        return st;
    if (!chain->type && !(chain->type = strdup("CORE")))
        return PS_ENOMEM;
    bool is_core = strcmp(chain->type, "CORE") == 0;
    if (!is_core && strcmp(chain->type, "EDGE") != 0)
        return refuse(why, "Rule chain type should be CORE or EDGE!");
    if (!is_core && chain->root)
        return refuse(why, "Only a CORE rule chain can be root!");
    if (!chain->root)
        return PS_OK;
    st = ps_row_exists(db,
                       "SELECT 1 FROM rule_chain WHERE tenant = ? AND root = 1 AND type = 'CORE'"
                       " AND id <> ?",
                       &chain->tenant, &chain->id);
    if (st == PS_OK)
        return refuse(why, "Another root rule chain is present in scope of current tenant!");
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static void bind_fields(struct ps_args *args, const struct ps_rule_chain *chain)
{
    ps_args_text(args, chain->name);
    ps_args_text(args, chain->type);
    ps_args_int(args, chain->root);
    ps_args_int(args, chain->debug_mode);
    ps_args_text(args, chain->configuration);
    ps_args_text(args, chain->external_id);
    ps_args_text(args, chain->additional_info);
}

static enum ps_status insert_chain(struct ps_db *db, struct ps_rule_chain *chain)
{
    struct ps_args args;
    struct ps_uuid id = ps_uuid_random();
    int64_t now_ms = ps_clock_now_ms();
    enum ps_status st = ps_args_prepare(
        db,
        "INSERT INTO rule_chain(name, type, root, debug_mode, configuration, external_id,"
        " additional_info, id, created_ms, tenant, version) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "1)",
        &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, chain);
    ps_args_uuid(&args, &id);
    ps_args_int(&args, now_ms);
    ps_args_uuid(&args, &chain->tenant);
    st = ps_stmt_run(args.stmt);
    if (st == PS_OK) {
        chain->id = id;
        chain->created_ms = now_ms;
        chain->version = 1;
        chain->first_node = PS_UUID_NULL;
    }
    return st;
}

/* A tenant keeps a root: only making another one the root ends being it. */
static enum ps_status keep_stored(struct ps_db *db, struct ps_rule_chain *chain,
                                  struct ps_text *why)
{
    struct ps_rule_chain stored;
    enum ps_status st = ps_rule_chain_get(db, &chain->id, &stored);
    if (st != PS_OK)
        return st;
    if (!ps_uuid_equal(&stored.tenant, &chain->tenant))
        st = PS_ENOTFOUND;
    else if (stored.root && strcmp(chain->type, stored.type) != 0)
        st = refuse(why, "Type of a root rule chain can't be changed!");
    chain->root = chain->root || stored.root;
    chain->first_node = stored.first_node;
    ps_rule_chain_deinit(&stored);
    return st;
}

static enum ps_status update_chain(struct ps_db *db, struct ps_rule_chain *chain,
                                   struct ps_text *why)
{
    struct ps_args args;
    enum ps_status st = keep_stored(db, chain, why);
    if (st == PS_OK)
        st = ps_args_prepare(
            db,
            "UPDATE rule_chain SET name = ?, type = ?, root = ?, debug_mode = ?, configuration = ?,"
            " external_id = ?, additional_info = ?, version = version + 1"
            " WHERE id = ? AND (? = 0 OR version = ?) RETURNING created_ms, version",
            &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, chain);
    ps_args_uuid(&args, &chain->id);
    ps_args_int(&args, chain->version);
    ps_args_int(&args, chain->version);
    st = ps_row_saved(args.stmt, &chain->created_ms, &chain->version);
    if (st != PS_ENOTFOUND)
        return st;
    ps_text_set(why, "Rule chain was already changed by someone else");
    return PS_ECONFLICT;
}

enum ps_status ps_rule_chain_save(struct ps_db *db, struct ps_rule_chain *chain,
                                  struct ps_text *why)
{
    enum ps_status st = check_chain(db, chain, why);
    if (st != PS_OK)
        return st;
    return ps_uuid_is_null(&chain->id) ? insert_chain(db, chain) : update_chain(db, chain, why);
}

static enum ps_status move_root(struct ps_db *db, const struct ps_rule_chain *chain)
{
    enum ps_status st = ps_row_clear_by_id(
        db, "UPDATE rule_chain SET root = 0, version = version + 1 WHERE tenant = ? AND root = 1",
        &chain->tenant);
    if (st == PS_OK)
        st = ps_row_change_by_id(
            db, "UPDATE rule_chain SET root = 1, version = version + 1 WHERE id = ?", &chain->id);
    return st;
}

enum ps_status ps_rule_chain_set_root(struct ps_db *db, const struct ps_uuid *id)
{
    struct ps_rule_chain chain;
    enum ps_status st = ps_rule_chain_get(db, id, &chain);
    if (st != PS_OK)
        return st;
    if (chain.root)
        goto out;
    st = strcmp(chain.type, "CORE") == 0 ? ps_db_savepoint(db) : PS_EINVAL;
    if (st == PS_OK)
        st = ps_row_finish(db, move_root(db, &chain));
out:
    ps_rule_chain_deinit(&chain);
    return st;
}

/* ---- delete ---- */

/* Names of the chains whose "rule chain" nodes hold this id. The configuration is text: a node
 * that names the id in any member counts, which errs on the safe side. */
static enum ps_status list_referrers(struct ps_db *db, const struct ps_rule_chain *chain,
                                     struct ps_buf *names)
{
    struct ps_args args;
    struct ps_buf pattern = { 0 };
    char text[PS_UUID_TEXT_SIZE];
    bool found;
    enum ps_status st = ps_args_prepare(
        db,
        "SELECT DISTINCT c.name FROM rule_chain c JOIN rule_node n ON n.chain = c.id"
        " WHERE c.tenant = ? AND c.id <> ? AND n.type = 'flow.rule_chain'"
        " AND n.configuration LIKE ? ORDER BY c.name",
        &args);
    if (st != PS_OK)
        return st;
    ps_uuid_format(&chain->id, text);
    ps_buf_printf(&pattern, "%%%s%%", text);
    ps_args_uuid(&args, &chain->tenant);
    ps_args_uuid(&args, &chain->id);
    ps_args_text(&args, ps_buf_cstr(&pattern));
    while ((st = ps_stmt_step(args.stmt, &found)) == PS_OK && found) {
        size_t len;
        const char *name = ps_stmt_bytes(args.stmt, 0, &len);
        if (names->len > 0)
            ps_buf_put_text(names, ", ");
        ps_buf_put(names, name, len);
    }
    ps_buf_deinit(&pattern);
    return st;
}

static enum ps_status check_referrers(struct ps_db *db, const struct ps_rule_chain *chain,
                                      struct ps_text *why)
{
    struct ps_buf names = { 0 };
    enum ps_status st = list_referrers(db, chain, &names);
    if (st == PS_OK && names.len > 0) {
        ps_text_set(why, "Rule chain is used by other rule chains: %s", ps_buf_cstr(&names));
        st = PS_ECONFLICT;
    }
    ps_buf_deinit(&names);
    return st;
}

static enum ps_status check_deletable(struct ps_db *db, const struct ps_rule_chain *chain,
                                      bool force, struct ps_text *why)
{
    if (chain->root) {
        ps_text_set(why, "Deletion of Root Tenant Rule Chain is prohibited!");
        return PS_EDENIED;
    }
    enum ps_status st = ps_row_exists(
        db, "SELECT 1 FROM device_profile WHERE default_rule_chain = ?", &chain->id, NULL);
    if (st == PS_OK) {
        ps_text_set(why, "The rule chain referenced by the device profiles cannot be deleted!");
        return PS_EDENIED;
    }
    if (st != PS_ENOTFOUND)
        return st;
    return force ? PS_OK : check_referrers(db, chain, why);
}

enum ps_status ps_rule_chain_delete(struct ps_db *db, const struct ps_uuid *id, bool force,
                                    struct ps_text *why)
{
    struct ps_rule_chain chain;
    enum ps_status st = ps_rule_chain_get(db, id, &chain);
    if (st != PS_OK)
        return st;
    st = check_deletable(db, &chain, force, why);
    ps_rule_chain_deinit(&chain);
    if (st != PS_OK)
        return st;
    return ps_row_change_by_id(db, "DELETE FROM rule_chain WHERE id = ?", id);
}

enum ps_status ps_rule_node_find_chain(struct ps_db *db, const struct ps_uuid *node,
                                       struct ps_uuid *chain)
{
    struct ps_args args;
    bool found;
    enum ps_status st = ps_args_prepare(db, "SELECT chain FROM rule_node WHERE id = ?", &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, node);
    st = ps_stmt_step(args.stmt, &found);
    if (st != PS_OK)
        return st;
    if (!found)
        return PS_ENOTFOUND;
    *chain = ps_stmt_uuid(args.stmt, 0);
    ps_stmt_reset(args.stmt);
    return PS_OK;
}
