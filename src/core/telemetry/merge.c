#include "core/telemetry/merge.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/storage/disk_budget.h"
#include "core/storage/writer.h"
#include "core/telemetry/merge_order.h"
#include "core/telemetry/merge_stream.h"
#include "core/telemetry/store.h"

enum {
    INPUTS_MAX = 64,
    DELETE_SLICE = 1024, /* blocks */
};

/* Neighbours among the runs of one file. */
struct choice {
    const struct ps_manifest_file *file; /* NULL: none found */
    size_t first, count;                 /* of the manifest's runs */
    int level;                           /* of the lowest */
    bool wanted;                         /* tombstones wait for it */
};

struct merge {
    struct ps_keep *keep;
    int64_t now_ms;
    struct ps_manifest manifest;
    struct ps_deletions deletions;
    struct choice choice;
    struct ps_run output;
    struct ps_merge_result result;
};

static const struct ps_run *runs_of(const struct merge *merge)
{
    return merge->manifest.runs.items + merge->choice.first;
}

/* ---- choosing ---- */

/* The longest row of neighbours of one level, lowest level first; the oldest of them if there are
 * too many for one merge. */
static void consider_levels(const struct ps_manifest *manifest, const struct ps_manifest_file *file,
                            struct choice *choice)
{
    const struct ps_run *runs = manifest->runs.items;
    size_t end = file->first_run + file->run_count;
    for (size_t first = file->first_run, next; first < end; first = next) {
        size_t limit = ps_merge_order_end(manifest, file, first);
        for (next = first + 1; next < limit && runs[next].level == runs[first].level; next++)
            continue;
        size_t count = next - first;
        if (count < PS_MERGE_RUNS)
            continue;
        bool better = !choice->file || runs[first].level < choice->level ||
                      (runs[first].level == choice->level && count > choice->count);
        if (better)
            *choice = (struct choice){ .file = file,
                                       .first = first,
                                       .count = count < INPUTS_MAX ? count : INPUTS_MAX,
                                       .level = runs[first].level };
    }
}

/* The longest row of neighbours, usually all there are. */
static void take_all(const struct ps_manifest *manifest, const struct ps_manifest_file *file,
                     struct choice *choice)
{
    size_t end = file->first_run + file->run_count;
    *choice = (struct choice){ .file = file };
    for (size_t first = file->first_run, next; first < end; first = next) {
        next = ps_merge_order_end(manifest, file, first);
        if (next - first > choice->count) {
            choice->first = first;
            choice->count = next - first;
        }
    }
    if (choice->count > INPUTS_MAX)
        choice->count = INPUTS_MAX;
}

/* Its range is over and it is quiet: one run is all it needs. */
static bool is_settled(const struct ps_keep *keep, const struct ps_manifest *manifest,
                       const struct ps_manifest_file *file, int64_t now_ms)
{
    if (file->run_count < 2 || file->end_ms > now_ms)
        return false;
    int64_t newest_ms = INT64_MIN;
    for (size_t i = 0; i < file->run_count; i++) {
        const struct ps_run *run = &manifest->runs.items[file->first_run + i];
        newest_ms = run->created_ms > newest_ms ? run->created_ms : newest_ms;
    }
    return newest_ms <= now_ms - keep->settle_ms;
}

static const struct ps_manifest_file *find_file(const struct ps_manifest *manifest, int64_t id)
{
    for (size_t i = 0; i < manifest->files.count; i++) {
        if (manifest->files.items[i].id == id)
            return &manifest->files.items[i];
    }
    return NULL;
}

static void choose(struct merge *merge)
{
    const struct ps_manifest *manifest = &merge->manifest;
    struct choice *choice = &merge->choice;
    if (!find_file(manifest, merge->keep->wanted_file))
        merge->keep->wanted_file = 0; /* it was dropped or set aside: another one may be wanted */
    for (size_t i = 0; i < manifest->files.count; i++)
        consider_levels(manifest, &manifest->files.items[i], choice);
    for (size_t i = 0; i < manifest->files.count && !choice->file; i++) {
        const struct ps_manifest_file *file = &manifest->files.items[i];
        bool wanted = file->id == merge->keep->wanted_file;
        if (wanted || is_settled(merge->keep, manifest, file, merge->now_ms))
            take_all(manifest, file, choice);
        choice->wanted = wanted;
        if (choice->count < 2 && !wanted)
            choice->file = NULL; /* none of its runs may be merged with another */
    }
}

/* What is merged stays for a while beside what it becomes, and both go through the log. */
static bool has_room(const struct merge *merge)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < merge->choice.count; i++)
        bytes += runs_of(merge)[i].bytes;
    return ps_disk_budget_has_room(merge->keep->budget, 2 * bytes);
}

static void choose_file(struct merge *merge, int64_t id)
{
    const struct ps_manifest_file *file = find_file(&merge->manifest, id);
    if (file)
        take_all(&merge->manifest, file, &merge->choice);
}

/* ---- merging ---- */

/* What older runs, which are not merged, may still show. */
static void look_at_older(void *arg, const struct ps_run *run)
{
    struct ps_merge_stream *stream = arg;
    stream->older_default_ttl |= run->has_default_ttl;
    if (run->max_ttl_s > stream->older_ttl_s)
        stream->older_ttl_s = run->max_ttl_s;
}

static enum ps_status take_number(struct merge *merge, struct ps_run_file *file, int64_t *out)
{
    struct ps_run_list known = { 0 };
    enum ps_status st = ps_manifest_runs(merge->keep->db, merge->choice.file->id, true, &known);
    if (st == PS_OK)
        st = ps_run_file_next_number(file, &known, out);
    ps_run_list_deinit(&known);
    return st;
}

/* Nothing is left of them. The manifest needs no run for that; but whoever remakes it from the file
 * must not take the inputs, which stay for a while, for live. A start deletes this one with them.
 */
static enum ps_status note_emptied(struct ps_run_file *writing, const struct ps_run *output,
                                   int64_t number)
{
    struct ps_run run = *output;
    run.run = number;
    run.min_ms = INT64_MAX;
    run.max_ms = INT64_MIN;
    struct ps_db *db = ps_run_file_db(writing);
    enum ps_status st = ps_run_file_failed(writing, ps_db_begin(db));
    if (st != PS_OK)
        return st;
    st = ps_run_file_put_run(writing, &run);
    if (st == PS_OK)
        return ps_run_file_failed(writing, ps_db_commit(db));
    ps_db_rollback(db);
    return st;
}

static enum ps_status write_output(struct merge *merge, struct ps_run_file *reading,
                                   struct ps_run_file *writing, struct ps_text *why)
{
    const struct ps_run *runs = runs_of(merge);
    struct ps_merge_stream stream = {
        .keep = merge->keep,
        .name = merge->choice.file->name,
        .reading = reading,
        .writing = writing,
        .runs = runs,
        .count = merge->choice.count,
        .deletions = &merge->deletions,
        .now_ms = merge->now_ms,
        .result = &merge->result,
        .why = { "" },
    };
    struct ps_run *out = &merge->output;
    *out = (struct ps_run){ .file = merge->choice.file->id,
                            .journal_first = runs[0].journal_first,
                            .journal_last = runs[stream.count - 1].journal_last,
                            .created_ms = merge->now_ms };
    for (size_t i = 0; i < stream.count; i++)
        out->level = runs[i].level >= out->level ? runs[i].level + 1 : out->level;
    ps_merge_order_older(&merge->manifest, merge->choice.file, merge->choice.first, look_at_older,
                         &stream);
    enum ps_status st = take_number(merge, writing, &stream.run);
    if (st == PS_OK)
        st = ps_merge_stream_run(&stream, out);
    if (st == PS_OK && !out->points)
        st = note_emptied(writing, out, stream.run);
    if (st != PS_OK)
        ps_text_set(why, "%s", stream.why.data[0] ? stream.why.data : ps_run_file_error(writing));
    return st;
}

/* The new run is in the file, unknown; PS_EPROTO: `why` tells of the damage. */
static enum ps_status merge_runs(struct merge *merge, struct ps_text *why)
{
    struct ps_keep *keep = merge->keep;
    const char *name = merge->choice.file->name;
    struct ps_run_file *reading = NULL, *writing = NULL;
    enum ps_status st = ps_store_borrow(keep->store, name, false, &reading, why);
    if (st == PS_ENOTFOUND) { /* the manifest says it is there */
        ps_text_set(why, "the file is missing");
        st = PS_EPROTO;
    }
    if (st == PS_OK)
        st = ps_store_borrow(keep->store, name, true, &writing, why);
    if (st == PS_OK)
        st = write_output(merge, reading, writing, why);
    ps_store_return(keep->store, writing);
    ps_store_return(keep->store, reading);
    return st;
}

/* ---- making it known ---- */

/* All of the file is rewritten, or as much as may be merged: tombstones that wait for the rest must
 * not ask for the same again and again. */
static enum ps_status change_manifest(struct ps_db *db, void *arg)
{
    const struct merge *merge = arg;
    const struct ps_manifest_file *file = merge->choice.file;
    bool rewritten = merge->choice.wanted || merge->choice.count == file->run_count;
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < merge->choice.count && st == PS_OK; i++)
        st = ps_manifest_retire_run(db, file->id, runs_of(merge)[i].run, merge->now_ms);
    if (st == PS_OK && merge->output.points)
        st = ps_manifest_add_run(db, &merge->output);
    if (st == PS_OK && rewritten)
        st = ps_manifest_set_rewritten(db, file->id, merge->now_ms);
    return st;
}

static void delete_output(struct merge *merge)
{
    struct ps_run_file *file;
    bool finished = false;
    if (ps_store_borrow(merge->keep->store, merge->choice.file->name, true, &file, NULL) != PS_OK)
        return;
    while (!finished &&
           ps_run_file_delete(file, merge->output.run, DELETE_SLICE, &finished) == PS_OK) {
        /* the next slice */
    }
    ps_store_return(merge->keep->store, file);
}

static enum ps_status make_known(struct merge *merge)
{
    struct ps_keep *keep = merge->keep;
    enum ps_status st = ps_keep_call(keep, change_manifest, merge);
    if (st != PS_OK) {
        keep->garbage = true;
        if (st == PS_EFULL && merge->output.points && ps_keep_make_sure(keep) == PS_OK)
            delete_output(merge); /* it is in the way of others */
        return st;
    }
    if (keep->wanted_file == merge->choice.file->id)
        keep->wanted_file = 0;
    merge->result.bytes = merge->output.bytes;
    ps_keep_count(keep, PS_METRIC_MERGES, 1);
    ps_keep_count(keep, PS_METRIC_MERGED_POINTS, merge->result.points_in);
    ps_keep_count(keep, PS_METRIC_EXPIRED_POINTS, merge->result.expired);
    ps_keep_count(keep, PS_METRIC_SEALED_BYTES, merge->output.bytes);
    return PS_OK;
}

static enum ps_status set_aside(struct merge *merge, const struct ps_text *why)
{
    merge->result.damaged = true;
    ps_store_set_aside(merge->keep->store, merge->choice.file->name, why->data);
    return ps_keep_settle_aside(merge->keep);
}

static enum ps_status load(struct merge *merge)
{
    struct ps_db *db = merge->keep->db;
    struct ps_tombstone_list tombstones = { 0 };
    enum ps_status st = ps_db_begin_read(db);
    if (st != PS_OK)
        return st;
    st = ps_manifest_load(db, INT64_MIN, INT64_MAX, &merge->manifest);
    if (st == PS_OK)
        st = ps_manifest_all_tombstones(db, &tombstones);
    ps_db_rollback(db);
    if (st == PS_OK)
        st = ps_deletions_make(&tombstones, &merge->deletions);
    ps_tombstone_list_deinit(&tombstones);
    return st;
}

static enum ps_status merge_chosen(struct merge *merge)
{
    struct ps_text why = { "" };
    if (!merge->choice.file)
        return PS_ENOTFOUND;
    merge->result.file = merge->choice.file->id;
    merge->result.inputs = merge->choice.count;
    enum ps_status st = merge_runs(merge, &why);
    if (st == PS_EPROTO)
        return set_aside(merge, &why);
    if (st != PS_OK)
        merge->keep->why = why;
    return st == PS_OK ? make_known(merge) : st;
}

static void merge_deinit(struct merge *merge)
{
    ps_manifest_deinit(&merge->manifest);
    ps_deletions_deinit(&merge->deletions);
}

enum ps_status ps_merge_once(struct ps_keep *keep, int64_t now_ms, struct ps_merge_result *out)
{
    struct merge merge = { .keep = keep, .now_ms = now_ms };
    enum ps_status st = load(&merge);
    if (st == PS_OK) {
        choose(&merge);
        if (!has_room(&merge))
            merge.choice.file = NULL; /* later, when there is */
        st = merge_chosen(&merge);
    }
    if (st == PS_OK)
        *out = merge.result;
    merge_deinit(&merge);
    return st;
}

enum ps_status ps_merge_file(struct ps_keep *keep, int64_t file, int64_t now_ms,
                             struct ps_merge_result *out)
{
    struct merge merge = { .keep = keep, .now_ms = now_ms };
    enum ps_status st = load(&merge);
    if (st == PS_OK) {
        choose_file(&merge, file);
        st = merge_chosen(&merge);
    }
    if (st == PS_OK)
        *out = merge.result;
    merge_deinit(&merge);
    return st;
}
