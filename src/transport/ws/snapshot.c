#include "transport/ws/snapshot.h"

#include <stdlib.h>

#include "actors/entity_calls.h"
#include "core/clock.h"
#include "core/entity/attribute.h"
#include "core/thread.h"
#include "transport/ws/access.h"

static void fail(struct ps_ws_job *job, enum ps_ws_error error, const char *why)
{
    job->error = error;
    job->why = why;
}

static void fail_reading(struct ps_ws_job *job, enum ps_status st)
{
    static const char *const texts[] = {
        [PS_WS_TIMESERIES] = "Failed to fetch data!",
        [PS_WS_ATTRIBUTES] = "Failed to fetch attributes!",
        [PS_WS_HISTORY] = "Failed to fetch historical data!",
    };
    if (st == PS_ELIMIT)
        fail(job, PS_WS_BAD_REQUEST, "Too much data for one answer, ask for less!");
    else if (st == PS_EINVAL)
        fail(job, PS_WS_BAD_REQUEST, "Unknown time zone!");
    else
        fail(job, PS_WS_INTERNAL_ERROR, texts[job->ask->type]);
}

static void check(struct ps_ws_job *job, struct ps_db *db)
{
    enum ps_status st = ps_ws_may_read(db, &job->ask->principal, &job->ask->entity, &job->tenant);
    if (st == PS_EDENIED)
        fail(job, PS_WS_UNAUTHORIZED, "Unauthorized");
    else if (st != PS_OK)
        fail_reading(job, st);
}

/* --- telemetry --- */

static struct ps_entity_ref entity_ref(const struct ps_ws_job *job)
{
    return (struct ps_entity_ref){ .tenant = job->tenant, .entity = job->ask->entity };
}

static void note_newest(struct ps_ws_job *job, const struct ps_points *points)
{
    if (!points->count || job->ask->type == PS_WS_HISTORY)
        return;
    const struct ps_point *newest = &points->points[0];
    for (size_t i = 1; i < points->count; i++)
        if (points->points[i].ts_ms > newest->ts_ms)
            newest = &points->points[i];
    ps_ws_newest_note(&job->newest, 0, points->key, strlen(points->key), newest->ts_ms,
                      &newest->value);
}

static enum ps_status put_latest(struct ps_ws_job *job, struct ps_db *db,
                                 struct ps_ws_snapshot *snapshot)
{
    const struct ps_ws_keys *keys = &job->ask->keys;
    struct ps_entity_ref ref = entity_ref(job);
    struct ps_point_set set;
    enum ps_status st = ps_entity_latest(job->actors, db, &ref, (const char *const *)keys->names,
                                         keys->count, &set);
    if (st != PS_OK)
        return st;
    int64_t now_ms = ps_clock_now_ms();
    for (size_t i = 0; i < set.count; i++) {
        note_newest(job, &set.keys[i]);
        if (set.keys[i].count)
            ps_ws_snapshot_put(snapshot, &set.keys[i]);
        else if (keys->count)
            ps_ws_snapshot_put_null(snapshot, keys->names[i], now_ms);
    }
    ps_point_set_deinit(&set);
    return PS_OK;
}

/* One key after the other, of one present: only one key's points are in memory beside the frame. */
static enum ps_status put_history(struct ps_ws_job *job, struct ps_db *db,
                                  struct ps_ws_snapshot *snapshot)
{
    const struct ps_ws_keys *keys = &job->ask->keys;
    struct ps_entity_ref ref = entity_ref(job);
    struct ps_history_query query = job->ask->query;
    query.now_ms = ps_clock_now_ms();
    query.abandoned = &job->ask->over;
    for (size_t i = 0; i < keys->count; i++) {
        const char *key = keys->names[i];
        struct ps_point_set set;
        enum ps_status st = ps_entity_history(job->actors, db, &ref, &key, 1, &query, &set);
        if (st != PS_OK)
            return st;
        for (size_t j = 0; j < set.count; j++) {
            note_newest(job, &set.keys[j]);
            ps_ws_snapshot_put(snapshot, &set.keys[j]);
        }
        ps_point_set_deinit(&set);
        if (snapshot->out->len > job->frame_bytes_max)
            return PS_ELIMIT;
    }
    return PS_OK;
}

static enum ps_status read_telemetry(struct ps_ws_job *job, struct ps_db *db, struct ps_buf *frame)
{
    struct ps_ws_snapshot snapshot;
    ps_ws_snapshot_begin(&snapshot, frame, job->ask->cmd_id);
    enum ps_status st =
        job->ask->windowed ? put_history(job, db, &snapshot) : put_latest(job, db, &snapshot);
    ps_ws_snapshot_end(&snapshot);
    return st;
}

/* --- attributes --- */

static enum ps_status list_attributes(const struct ps_ws_ask *ask, struct ps_db *db,
                                      struct ps_attribute_list *list)
{
    static const enum ps_attribute_scope all[] = { PS_SCOPE_CLIENT, PS_SCOPE_SHARED,
                                                   PS_SCOPE_SERVER };
    if (!ask->keys.count)
        return ps_attribute_list(db, &ask->entity, ask->all_scopes ? NULL : &ask->scope, list);
    const enum ps_attribute_scope *scopes = ask->all_scopes ? all : &ask->scope;
    size_t scope_count = ask->all_scopes ? sizeof all / sizeof all[0] : 1;
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < ask->keys.count && st == PS_OK; i++)
        for (size_t j = 0; j < scope_count && st == PS_OK; j++)
            st = ps_attribute_get(db, &ask->entity, scopes[j], ask->keys.names[i],
                                  strlen(ask->keys.names[i]), list);
    return st;
}

static enum ps_status put_attributes(struct ps_ws_job *job, const struct ps_attribute_list *list,
                                     struct ps_buf *frame)
{
    struct ps_ws_row *rows = calloc(list->count + 1, sizeof *rows);
    if (!rows)
        return PS_ENOMEM;
    for (size_t i = 0; i < list->count; i++) {
        const struct ps_attribute *from = &list->items[i];
        rows[i] = (struct ps_ws_row){ .kv = { from->key, from->key_len, from->value },
                                      .ts_ms = from->updated_ms,
                                      .scope = from->scope };
        ps_ws_newest_note(&job->newest, from->scope, from->key, from->key_len, from->updated_ms,
                          &from->value);
    }
    struct ps_ws_delta *delta;
    enum ps_status st = ps_ws_delta_create(rows, list->count, &delta);
    free(rows);
    if (st != PS_OK)
        return st;
    ps_ws_frame_put_delta(frame, job->ask->cmd_id, delta);
    ps_ws_delta_release(delta);
    return PS_OK;
}

static enum ps_status read_attributes(struct ps_ws_job *job, struct ps_db *db, struct ps_buf *frame)
{
    struct ps_attribute_list list = { 0 };
    enum ps_status st = list_attributes(job->ask, db, &list);
    if (st == PS_OK)
        st = put_attributes(job, &list, frame);
    ps_attribute_list_deinit(&list);
    return st;
}

/* --- the job --- */

static void read_snapshot(struct ps_ws_job *job, struct ps_db *db)
{
    struct ps_buf frame = { 0 };
    enum ps_status st = job->ask->type == PS_WS_ATTRIBUTES ? read_attributes(job, db, &frame)
                                                           : read_telemetry(job, db, &frame);
    if (st == PS_OK && frame.len > job->frame_bytes_max)
        st = PS_ELIMIT;
    if (st == PS_OK && !(job->frame = ps_ws_text_create(&frame)))
        st = PS_ENOMEM;
    ps_buf_deinit(&frame);
    if (st != PS_OK)
        fail_reading(job, st);
}

static void run(struct ps_reader_job *base, struct ps_db *db)
{
    struct ps_ws_job *job = (struct ps_ws_job *)(void *)base; /* its first member */
    PS_ASSERT_THREAD(PS_THREAD_READER);
    if (job->task != PS_WS_JOB_READ)
        check(job, db);
    if (job->task != PS_WS_JOB_CHECK && job->error == PS_WS_NO_ERROR)
        read_snapshot(job, db);
    ps_port_post(job->port, &job->item);
}

void ps_ws_job_init(struct ps_ws_job *job, enum ps_ws_job_task task, struct ps_ws_ask *ask)
{
    *job = (struct ps_ws_job){ .job = { .run = run }, .task = task, .ask = ask };
}

void ps_ws_job_free(struct ps_ws_job *job)
{
    free(job->frame);
    ps_ws_newest_deinit(&job->newest);
    free(job);
}
