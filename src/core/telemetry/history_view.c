#include "core/telemetry/history_view.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/telemetry/store.h"

void ps_history_damaged(struct ps_history *history, const char *what)
{
    if (!history->damaged++)
        ps_text_set(&history->damage, "%s", what);
}

void ps_history_damaged_in(struct ps_history *history, const char *file, const char *what)
{
    ps_history_damaged(history, what);
    ps_store_note_damage(history->store, file, what);
}

enum ps_status ps_history_is_wanted(const struct ps_history *history)
{
    bool gone =
        history->abandoned && atomic_load_explicit(history->abandoned, memory_order_relaxed);
    return gone ? PS_ECLOSED : PS_OK;
}

/* ---- the snapshot -----------------------------------------------------------------------------
 */

static enum ps_status load_deletions(struct ps_history_view *view)
{
    struct ps_tombstone_list tombstones = { 0 };
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < view->count && st == PS_OK; i++) {
        if (view->copies[i].id)
            st = ps_manifest_tombstones(view->history->db, view->copies[i].id, &tombstones);
    }
    if (st == PS_OK)
        st = ps_deletions_make(&tombstones, &view->deletions);
    ps_tombstone_list_deinit(&tombstones);
    return st;
}

static bool needs_journal(const struct ps_history_view *view)
{
    bool some = false;
    for (size_t i = 0; i < view->count; i++)
        some |= view->copies[i].id && view->copies[i].journal_up_to > view->sealed_seq;
    return some;
}

static enum ps_status load_snapshot(struct ps_history_view *view)
{
    struct ps_db *db = view->history->db;
    enum ps_status st = ps_manifest_state(db, PS_STATE_SEALED_SEQ, 0, &view->sealed_seq);
    if (st == PS_OK && view->history->store)
        st = ps_manifest_load(db, view->first_ms, view->last_ms, &view->manifest);
    if (st == PS_OK && (needs_journal(view) || view->manifest.runs.count))
        st = load_deletions(view);
    return st == PS_OK ? ps_history_view_read_tails(view) : st;
}

/* Will the journal be asked again? */
static bool has_more_tail(const struct ps_history_view *view)
{
    bool more = false;
    for (size_t i = 0; i < view->tail_count; i++)
        more |= view->tails[i].first.more;
    return more;
}

enum ps_status ps_history_view_resume(struct ps_history_view *view)
{
    int64_t sealed_seq;
    if (view->in_snapshot)
        return PS_OK;
    ps_db_rollback(view->history->db);
    enum ps_status st = ps_db_begin_read(view->history->db);
    if (st != PS_OK)
        return st;
    view->in_snapshot = true;
    st = ps_manifest_state(view->history->db, PS_STATE_SEALED_SEQ, 0, &sealed_seq);
    return st == PS_OK && sealed_seq != view->sealed_seq ? PS_EBUSY : st;
}

void ps_history_view_leave(struct ps_history_view *view)
{
    if (view->in_snapshot)
        ps_db_rollback(view->history->db);
    view->in_snapshot = false;
}

/* Heads alone can answer only where nothing was sealed. */
static bool needs_snapshot(const struct ps_history_view *view)
{
    if (view->first_ms > view->last_ms)
        return false;
    bool some = false;
    for (size_t i = 0; i < view->count; i++) {
        const struct ps_series_copy *copy = &view->copies[i];
        some |= copy->id && (view->history->store || copy->journal_up_to);
    }
    return some;
}

enum ps_status ps_history_view_open(struct ps_history *history, const struct ps_series_copy *copies,
                                    size_t count, int64_t first_ms, int64_t last_ms,
                                    bool descending, size_t limit, struct ps_history_view **out)
{
    struct ps_history_view *view = calloc(1, sizeof *view);
    if (!view)
        return PS_ENOMEM;
    *view = (struct ps_history_view){ .history = history,
                                      .copies = copies,
                                      .count = count,
                                      .first_ms = first_ms,
                                      .last_ms = last_ms,
                                      .descending = descending,
                                      .limit = limit };
    enum ps_status st = PS_OK;
    if (needs_snapshot(view)) {
        /* A transaction that is already open could be older than the heads' copies. */
        ps_db_rollback(history->db);
        st = ps_db_begin_read(history->db);
        view->in_snapshot = st == PS_OK;
        if (st == PS_OK)
            st = load_snapshot(view);
        if (st != PS_OK || !has_more_tail(view))
            ps_history_view_leave(view);
    }
    if (st != PS_OK) {
        ps_history_close(view);
        return st;
    }
    *out = view;
    return PS_OK;
}

enum ps_status ps_history_open(struct ps_history *history, const struct ps_series_copy *copies,
                               size_t count, const struct ps_history_range *range,
                               struct ps_history_view **out)
{
    bool some = range->start_ms < range->end_ms;
    return ps_history_view_open(history, copies, count, some ? range->start_ms : 1,
                                some ? range->end_ms - 1 : 0, range->descending, range->limit, out);
}

void ps_history_close(struct ps_history_view *view)
{
    if (!view)
        return;
    ps_history_view_leave(view);
    ps_manifest_deinit(&view->manifest);
    ps_deletions_deinit(&view->deletions);
    ps_history_view_free_tails(view);
    free(view);
}
