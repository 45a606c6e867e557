#include "core/telemetry/retention_runs.h"

#include "core/clock.h"
#include "core/storage/writer.h"
#include "core/telemetry/store.h"

enum {
    DELETE_SLICE = 256,  /* blocks of a run that go in one transaction */
    SHRINK_SLICE = 1024, /* pages that go back to the file system in one transaction */
};

/* A slice at a time, the handle given back in between: a seal may want it. */
enum ps_status ps_retention_delete_run(struct ps_keep *keep, const char *name, int64_t run)
{
    bool finished = false;
    enum ps_status st = PS_OK;
    while (st == PS_OK && !finished) {
        struct ps_run_file *file;
        st = ps_store_borrow(keep->store, name, true, &file, &keep->why);
        if (st != PS_OK)
            break;
        st = ps_keep_failed(keep, file, ps_run_file_delete(file, run, DELETE_SLICE, &finished));
        ps_store_return(keep->store, file);
        if (st == PS_OK)
            st = ps_keep_breathe(keep);
    }
    return st;
}

static enum ps_status forget_run(struct ps_db *db, void *arg)
{
    const struct ps_run *run = arg;
    enum ps_status st = ps_manifest_forget_run(db, run->file, run->run);
    return st == PS_ENOTFOUND ? PS_OK : st;
}

/* Nothing is written to a file any more whose range is over, so its free pages are of no use. */
static enum ps_status shrink(struct ps_keep *keep, const struct ps_manifest_file *row)
{
    struct ps_run_file_space space = { 0 };
    int64_t before = INT64_MAX;
    enum ps_status st = row->end_ms <= ps_clock_now_ms() ? PS_OK : PS_ENOTFOUND;
    while (st == PS_OK) {
        struct ps_run_file *file;
        st = ps_store_borrow(keep->store, row->name, true, &file, &keep->why);
        if (st != PS_OK)
            break;
        st = ps_keep_failed(keep, file, ps_run_file_space(file, &space));
        bool worth = space.free_pages > space.pages / 8 && space.pages < before;
        before = space.pages;
        if (st == PS_OK)
            st = worth ? ps_keep_failed(keep, file, ps_run_file_shrink(file, SHRINK_SLICE))
                       : PS_ENOTFOUND;
        ps_store_return(keep->store, file);
        if (st == PS_OK)
            st = ps_keep_breathe(keep);
    }
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static enum ps_status delete_retired_of(struct ps_keep *keep, const struct ps_manifest_file *row,
                                        int64_t retired_before_ms, struct ps_retention_result *out)
{
    struct ps_run_list runs = { 0 };
    size_t before = out->runs_deleted;
    enum ps_status st = ps_manifest_runs(keep->db, row->id, true, &runs);
    for (size_t i = 0; i < runs.count && st == PS_OK; i++) {
        struct ps_run *run = &runs.items[i];
        if (!run->retired_ms || run->retired_ms > retired_before_ms)
            continue;
        st = ps_retention_delete_run(keep, row->name, run->run);
        if (st == PS_OK)
            st = ps_keep_call(keep, forget_run, run);
        out->runs_deleted += st == PS_OK;
    }
    ps_run_list_deinit(&runs);
    if (st == PS_OK && out->runs_deleted > before)
        st = shrink(keep, row);
    return st;
}

enum ps_status ps_retention_live_files(struct ps_keep *keep, struct ps_manifest_file_list *out)
{
    enum ps_status st = ps_manifest_files(keep->db, out);
    size_t kept = 0;
    for (size_t i = 0; st == PS_OK && i < out->count; i++) {
        if (out->items[i].state == PS_FILE_LIVE)
            out->items[kept++] = out->items[i];
    }
    out->count = kept;
    return st;
}

static enum ps_status set_aside(struct ps_keep *keep, const char *name)
{
    struct ps_run_file *file;
    struct ps_text why = { "" };
    enum ps_status st = ps_store_borrow(keep->store, name, false, &file, &why);
    if (st == PS_OK) {
        ps_store_return(keep->store, file);
        ps_text_set(&why, "damage found while runs were deleted");
    }
    ps_store_set_aside(keep->store, name, why.data);
    return ps_keep_settle_aside(keep);
}

/* One bad file does not keep the others from their due. */
enum ps_status ps_retention_go_on(struct ps_keep *keep, const char *name, enum ps_status st)
{
    if (st == PS_EPROTO)
        return set_aside(keep, name);
    return st == PS_ENOTFOUND || st == PS_EBUSY ? PS_OK : st;
}

enum ps_status ps_retention_delete_retired(struct ps_keep *keep, int64_t retired_before_ms,
                                           struct ps_retention_result *out)
{
    struct ps_manifest_file_list files = { 0 };
    enum ps_status st = ps_retention_live_files(keep, &files);
    for (size_t i = 0; i < files.count && st == PS_OK; i++)
        st = ps_retention_go_on(keep, files.items[i].name,
                                delete_retired_of(keep, &files.items[i], retired_before_ms, out));
    ps_manifest_file_list_deinit(&files);
    return st;
}
