/* fsck_series: the catalogue of series against the copy that each range file keeps.
 *
 * A series that only a file knows is usual, too: its entity was deleted, and the next merge drops
 * its points. So it is missed only if its entity still exists. */
#include <inttypes.h>
#include <stdio.h>

#include "core/telemetry/id_set.h"
#include "core/upkeep/fsck_state.h"

enum { TOLD_MAX = 20 };

struct compared {
    struct ps_fsck *fsck;
    const char *name;
    struct ps_id_set seen; /* a file may tell of a series twice */
    int64_t missing, remade, clashing;
};

static enum ps_status count_rows(struct ps_stmt *stmt, int64_t *out)
{
    bool row = false;
    enum ps_status st = ps_stmt_step(stmt, &row);
    *out = st == PS_OK && row ? ps_stmt_int(stmt, 0) : 0;
    ps_stmt_reset(stmt);
    return st;
}

/* SQL that looks for an entity; NULL: such entities are not stored in this version. */
static const char *entity_sql(enum ps_entity_type type)
{
    switch (type) {
    case PS_ENTITY_DEVICE:
        return "SELECT count(*) FROM device WHERE id = ?";
    case PS_ENTITY_TENANT:
        return "SELECT count(*) FROM tenant WHERE id = ?";
    case PS_ENTITY_CUSTOMER:
        return "SELECT count(*) FROM customer WHERE id = ?";
    case PS_ENTITY_USER:
        return "SELECT count(*) FROM app_user WHERE id = ?";
    case PS_ENTITY_RULE_CHAIN:
        return "SELECT count(*) FROM rule_chain WHERE id = ?";
    case PS_ENTITY_DEVICE_PROFILE:
        return "SELECT count(*) FROM device_profile WHERE id = ?";
    case PS_ENTITY_TENANT_PROFILE:
        return "SELECT count(*) FROM tenant_profile WHERE id = ?";
    default:
        return NULL;
    }
}

static enum ps_status entity_exists(struct ps_db *db, const struct ps_entity_id *entity, bool *out)
{
    struct ps_stmt *stmt;
    int64_t count = 0;
    const char *sql = entity_sql(entity->type);
    *out = false;
    if (!sql)
        return PS_OK;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_uuid(stmt, 1, &entity->id);
    st = count_rows(stmt, &count);
    *out = count > 0;
    return st;
}

/* What the catalogue has under this id, or for this entity and key. */
struct catalogue_row {
    bool same, id_taken, key_taken;
};

static enum ps_status find_series(struct ps_db *db, const struct ps_run_series *series,
                                  struct catalogue_row *out)
{
    struct ps_stmt *stmt;
    bool row;
    *out = (struct catalogue_row){ 0 };
    enum ps_status st = ps_db_prepare(db,
                                      "SELECT id = ?1, entity = ?2 AND key = ?3 FROM series"
                                      " WHERE id = ?1 OR (entity = ?2 AND key = ?3)",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series->id);
    ps_stmt_bind_uuid(stmt, 2, &series->entity.id);
    ps_stmt_bind_text(stmt, 3, series->key, series->key_len);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        bool id = ps_stmt_int(stmt, 0) != 0, key = ps_stmt_int(stmt, 1) != 0;
        out->same = out->same || (id && key);
        out->id_taken = out->id_taken || id;
        out->key_taken = out->key_taken || key;
    }
    return st;
}

static enum ps_status insert_series(struct ps_db *db, const struct ps_run_series *series)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(
        db, "INSERT INTO series(id, entity_type, entity, key) VALUES(?, ?, ?, ?)", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series->id);
    ps_stmt_bind_int(stmt, 2, series->entity.type);
    ps_stmt_bind_uuid(stmt, 3, &series->entity.id);
    ps_stmt_bind_text(stmt, 4, series->key, series->key_len);
    return ps_stmt_run(stmt);
}

static enum ps_status missing_series(struct compared *compared, const struct ps_run_series *series,
                                     bool clashes)
{
    char entity[PS_UUID_TEXT_SIZE];
    struct ps_fsck *fsck = compared->fsck;
    ps_uuid_format(&series->entity.id, entity);
    if (compared->missing++ < TOLD_MAX)
        ps_fsck_problem(fsck, "%s.db: series %" PRIu32 " (%s %s, %.*s) is %s", compared->name,
                        series->id, ps_entity_type_name(series->entity.type), entity,
                        (int)(series->key_len < 100 ? series->key_len : 100), series->key,
                        clashes ? "another one in the catalogue" : "missing in the catalogue");
    else
        fsck->result->problems++;
    compared->clashing += clashes;
    if (clashes || !fsck->settings->rebuild)
        return PS_OK;
    compared->remade++;
    return insert_series(fsck->db, series);
}

static enum ps_status compare_series(void *arg, const struct ps_run_series *series)
{
    struct compared *compared = arg;
    struct ps_fsck *fsck = compared->fsck;
    struct catalogue_row row;
    bool exists;
    if (ps_id_set_has(&compared->seen, series->id))
        return PS_OK;
    (void)ps_id_set_add(&compared->seen, series->id);
    if ((int64_t)series->id > fsck->greatest_series)
        fsck->greatest_series = series->id;
    enum ps_status st = find_series(fsck->db, series, &row);
    if (st != PS_OK || row.same)
        return st;
    st = entity_exists(fsck->db, &series->entity, &exists);
    if (st != PS_OK || (!exists && !row.id_taken))
        return st;
    return missing_series(compared, series, row.id_taken || row.key_taken);
}

static enum ps_status compare_all(struct compared *compared, struct ps_run_file *file)
{
    struct ps_fsck *fsck = compared->fsck;
    enum ps_status st = fsck->settings->rebuild ? ps_db_begin(fsck->db) : PS_OK;
    if (st != PS_OK)
        return ps_fsck_db_failed(fsck, st);
    st = ps_run_file_series(file, compare_series, compared);
    if (!fsck->settings->rebuild)
        return ps_fsck_db_failed(fsck, st);
    if (st == PS_OK)
        st = ps_db_commit(fsck->db);
    else
        ps_db_rollback(fsck->db);
    return ps_fsck_db_failed(fsck, st);
}

enum ps_status ps_fsck_series(struct ps_fsck *fsck, const char *name, struct ps_run_file *file)
{
    struct compared compared = { .fsck = fsck, .name = name };
    enum ps_status st = compare_all(&compared, file);
    ps_id_set_deinit(&compared.seen);
    if (st != PS_OK)
        return st;
    if (compared.remade) {
        ps_fsck_repaired(fsck, "%s.db: %" PRId64 " series are in the catalogue again", name,
                         compared.remade);
        fsck->result->repaired += compared.remade - 1;
    }
    if (compared.clashing)
        ps_fsck_note(fsck, "%s.db: points of %" PRId64 " series cannot be shown", name,
                     compared.clashing);
    return PS_OK;
}
