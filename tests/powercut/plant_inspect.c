/* plant_inspect: what there is, straight from the files. */
#include <string.h>

#include "powercut/described.h"
#include "powercut/plant.h"

static enum ps_status check_database(struct plant *plant)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(plant->db, "PRAGMA integrity_check", &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return plant_told(plant, "integrity_check", st);
    size_t len;
    const char *text = ps_stmt_bytes(stmt, 0, &len);
    if (!row || len != 2 || memcmp(text, "ok", 2) != 0)
        st = plant_wrong(plant, "integrity: %.*s", (int)len, text);
    ps_stmt_reset(stmt);
    return st;
}

static bool has_run(const struct ps_run_list *list, int64_t run)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].run == run)
            return true;
    }
    return false;
}

static enum ps_status compare_runs(struct plant *plant, const struct ps_manifest_file *known,
                                   struct ps_run_file *file)
{
    struct ps_run_list wanted = { 0 }, found = { 0 };
    enum ps_status st = ps_manifest_runs(plant->db, known->id, true, &wanted);
    if (st == PS_OK)
        st = ps_run_file_numbers(file, &found);
    for (size_t i = 0; i < wanted.count && st == PS_OK; i++) {
        if (!has_run(&found, wanted.items[i].run) && !wanted.items[i].retired_ms)
            st = plant_wrong(plant, "missing: run %lld of %s", (long long)wanted.items[i].run,
                             known->name);
    }
    for (size_t i = 0; i < found.count && st == PS_OK; i++) {
        if (!has_run(&wanted, found.items[i].run))
            st = plant_wrong(plant, "garbage: run %lld of %s", (long long)found.items[i].run,
                             known->name);
    }
    ps_run_list_deinit(&wanted);
    ps_run_list_deinit(&found);
    return st == PS_OK || plant->why[0] ? st : plant_told(plant, "runs", st);
}

static void note_damage(void *arg, const struct ps_run_damage *damage)
{
    struct plant *plant = arg;
    (void)plant_wrong(plant, "damaged: block %lld: %.200s", (long long)damage->block, damage->text);
}

static bool has_live_runs(struct plant *plant, const struct ps_manifest_file *file)
{
    struct ps_run_list runs = { 0 };
    bool has = ps_manifest_runs(plant->db, file->id, false, &runs) != PS_OK || runs.count;
    ps_run_list_deinit(&runs);
    return has;
}

static enum ps_status check_file(struct plant *plant, const struct ps_manifest_file *known)
{
    struct ps_run_file *file;
    struct ps_text why = { "" };
    struct ps_run_verified verified;
    uint32_t missing = 0;
    enum ps_status st = ps_store_borrow(plant->store, known->name, false, &file, &why);
    if (st == PS_ENOTFOUND && !has_live_runs(plant, known))
        return PS_OK; /* of a restored directory: what a backup has no use for is not in it */
    if (st != PS_OK)
        return plant_wrong(plant, "file %s: %s %.150s", known->name, ps_status_text(st), why.data);
    st = ps_run_file_verify(file, true, note_damage, plant, &verified);
    if (st == PS_OK)
        st = compare_runs(plant, known, file);
    if (st == PS_OK)
        st = described_check(file, &missing);
    if (st == PS_OK && missing)
        st = plant_wrong(plant, "series %u: %s does not say whose it is", missing, known->name);
    ps_store_return(plant->store, file);
    return st == PS_OK || plant->why[0] ? st : plant_told(plant, known->name, st);
}

struct listing {
    struct plant *plant;
    const struct ps_manifest_file_list *files;
};

static enum ps_status check_name(void *arg, const char *name)
{
    struct listing *listing = arg;
    for (size_t i = 0; i < listing->files->count; i++) {
        if (strcmp(listing->files->items[i].name, name) == 0)
            return PS_OK;
    }
    return plant_wrong(listing->plant, "garbage: file %s", name);
}

enum ps_status plant_inspect(struct plant *plant)
{
    plant->why[0] = '\0';
    if (ps_store_damaged(plant->store, NULL) > 0)
        return plant_wrong(plant, "set aside: a file was taken for damaged");
    struct ps_manifest_file_list files = { 0 };
    enum ps_status st = check_database(plant);
    if (st == PS_OK)
        st = plant_told(plant, "manifest", ps_manifest_files(plant->db, &files));
    struct listing listing = { plant, &files };
    if (st == PS_OK)
        st = ps_store_list(plant->store, check_name, &listing);
    for (size_t i = 0; i < files.count && st == PS_OK; i++)
        st = check_file(plant, &files.items[i]);
    ps_manifest_file_list_deinit(&files);
    return st == PS_OK || plant->why[0] ? st : plant_told(plant, "inspect", st);
}
