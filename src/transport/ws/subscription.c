#include "transport/ws/subscription.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "transport/ws/snapshot.h"
#include "transport/ws/watch.h"

static int32_t cmd_id_of(const struct ps_ws_sub *sub)
{
    return sub->interest.ask->cmd_id;
}

static bool is_question(const struct ps_ws_sub *sub)
{
    return sub->interest.ask->type == PS_WS_HISTORY;
}

static uint64_t cmd_hash(int32_t cmd_id)
{
    return ps_ws_hash_number((uint32_t)cmd_id);
}

/* --- life --- */

static void wait_for_reader(struct ps_ws_sub *sub)
{
    struct ps_ws_session *session = sub->session;
    if (sub->is_waiting)
        return;
    sub->is_waiting = true;
    sub->waiting_next = NULL;
    if (session->waiting_last)
        session->waiting_last->waiting_next = sub;
    else
        session->waiting_first = sub;
    session->waiting_last = sub;
}

static void stop_waiting(struct ps_ws_sub *sub)
{
    struct ps_ws_session *session = sub->session;
    struct ps_ws_sub *before = NULL;
    if (!sub->is_waiting)
        return;
    for (struct ps_ws_sub *at = session->waiting_first; at != sub; at = at->waiting_next)
        before = at;
    if (before)
        before->waiting_next = sub->waiting_next;
    else
        session->waiting_first = sub->waiting_next;
    if (session->waiting_last == sub)
        session->waiting_last = before;
    sub->is_waiting = false;
}

static void set_phase(struct ps_ws_sub *sub, enum ps_ws_sub_phase phase)
{
    /* Forward one by one; back only to take a snapshot anew. */
    PS_ASSERT(phase == sub->phase + 1 || (phase == PS_WS_READING && sub->phase == PS_WS_LIVE));
    sub->phase = phase;
}

static void forget_buffered(struct ps_ws_sub *sub)
{
    sub->session->buffered_bytes -= sub->buffered.bytes;
    ps_ws_pile_clear(&sub->buffered);
}

static void sub_end(struct ps_ws_sub *sub)
{
    forget_buffered(sub);
    ps_ws_watch_leave(sub);
    stop_waiting(sub);
    ps_ws_table_remove(&sub->session->subs, &sub->link);
    if (!is_question(sub))
        ps_ws_count(sub->session->ws, PS_METRIC_SUBSCRIPTIONS, -1);
    ps_ws_newest_deinit(&sub->interest.newest);
    atomic_store(&sub->interest.ask->over, true);
    ps_ws_ask_release(sub->interest.ask);
    free(sub);
}

static void sub_fail(struct ps_ws_sub *sub, enum ps_ws_error error, const char *why)
{
    ps_ws_session_send_error(sub->session, cmd_id_of(sub), error, why);
    sub_end(sub);
}

void ps_ws_subs_end(struct ps_ws_session *session)
{
    struct ps_ws_link *link;
    session->waiting_first = session->waiting_last = NULL; /* all go: no need to unlink each */
    while ((link = ps_ws_table_any(&session->subs))) {
        struct ps_ws_sub *sub = PS_WS_OBJECT(link, struct ps_ws_sub, link);
        sub->is_waiting = false;
        sub_end(sub);
    }
}

/* --- jobs --- */

static struct ps_ws_sub *find_by_id(const struct ps_ws_session *session, int32_t cmd_id,
                                    uint64_t id)
{
    struct ps_ws_link *link = ps_ws_table_first(&session->subs, cmd_hash(cmd_id));
    for (; link; link = ps_ws_table_next(link)) {
        struct ps_ws_sub *sub = PS_WS_OBJECT(link, struct ps_ws_sub, link);
        if (sub->id == id)
            return sub;
    }
    return NULL;
}

static void checked(struct ps_ws_sub *sub, const struct ps_ws_job *job)
{
    bool started;
    sub->tenant = job->tenant;
    set_phase(sub, PS_WS_REGISTERING);
    if (ps_ws_watch_join(sub, &started) != PS_OK)
        sub_fail(sub, PS_WS_INTERNAL_ERROR, "Internal Server error!");
    else if (started)
        ps_ws_sub_registered(sub, PS_OK);
}

static void snapshot_ready(struct ps_ws_sub *sub, struct ps_ws_job *job)
{
    if (sub->read_again) { /* so much was written meanwhile that only a newer snapshot is whole */
        sub->read_again = false;
        wait_for_reader(sub);
        return;
    }
    struct ps_ws_delta *rest = NULL;
    struct ps_ws_pile *buffered = &sub->buffered;
    sub->session->buffered_bytes -= buffered->bytes;
    enum ps_status st = ps_ws_pile_merge(buffered, PS_WS_MERGE_EVERY);
    sub->session->buffered_bytes += buffered->bytes;
    if (st == PS_OK)
        st = ps_ws_interest_settle(&sub->interest, &job->newest, buffered->only, &rest);
    forget_buffered(sub);
    if (st != PS_OK) {
        sub_fail(sub, PS_WS_INTERNAL_ERROR, "Internal Server error!");
        return;
    }
    set_phase(sub, PS_WS_LIVE);
    ps_ws_session_send(sub->session, cmd_id_of(sub), &job->frame);
    if (rest)
        ps_ws_session_send_delta(sub->session, cmd_id_of(sub), ps_ws_ask_merge(sub->interest.ask),
                                 rest);
    ps_ws_delta_release(rest);
}

static void job_done(struct ps_ws_sub *sub, struct ps_ws_job *job)
{
    if (job->error != PS_WS_NO_ERROR) {
        sub_fail(sub, job->error, job->why);
    } else if (is_question(sub)) {
        ps_ws_session_send(sub->session, cmd_id_of(sub), &job->frame);
        sub_end(sub);
    } else if (sub->phase == PS_WS_CHECKING) {
        checked(sub, job);
    } else {
        snapshot_ready(sub, job);
    }
}

/* Back from the readers. Session and subscription are looked up: they may be gone. */
static void job_returned(struct ps_port_item *item, void *owner)
{
    struct ps_ws *ws = owner;
    struct ps_ws_job *job = PS_WS_OBJECT(item, struct ps_ws_job, item);
    ws->jobs_in_flight--;
    struct ps_ws_session *session = ps_ws_session_find(ws, job->session_id);
    if (session) {
        session->jobs_in_flight--;
        struct ps_ws_sub *sub = find_by_id(session, job->ask->cmd_id, job->subscription_id);
        if (sub && session->state == PS_WS_OPEN)
            job_done(sub, job);
        ps_ws_subs_pump(session);
    }
    ps_ws_ask_release(job->ask);
    ps_ws_job_free(job);
}

static enum ps_ws_job_task next_task(const struct ps_ws_sub *sub)
{
    if (is_question(sub))
        return PS_WS_JOB_BOTH;
    return sub->phase == PS_WS_CHECKING ? PS_WS_JOB_CHECK : PS_WS_JOB_READ;
}

static enum ps_status submit(struct ps_ws_sub *sub)
{
    struct ps_ws *ws = sub->session->ws;
    struct ps_ws_job *job = malloc(sizeof *job);
    if (!job)
        return PS_ENOMEM;
    ps_ws_job_init(job, next_task(sub), sub->interest.ask);
    job->item.run = job_returned;
    job->port = &ws->port;
    job->actors = ws->services.actors;
    job->frame_bytes_max = (size_t)ws->services.config->ws_queue_bytes_max / 2;
    job->session_id = sub->session->id;
    job->subscription_id = sub->id;
    job->tenant = sub->tenant;
    enum ps_status st = ps_reader_submit(ws->services.readers, &job->job);
    if (st != PS_OK) {
        ps_ws_job_free(job);
        return st;
    }
    ps_ws_ask_retain(sub->interest.ask);
    sub->session->jobs_in_flight++;
    ws->jobs_in_flight++;
    return PS_OK;
}

void ps_ws_subs_pump(struct ps_ws_session *session)
{
    struct ps_ws *ws = session->ws;
    while (session->state == PS_WS_OPEN && session->waiting_first &&
           session->jobs_in_flight < PS_WS_JOBS_PER_SESSION_MAX) {
        struct ps_ws_sub *sub = session->waiting_first;
        enum ps_status st = submit(sub);
        if (st == PS_EBUSY) {
            if (!ev_is_active(&ws->jobs_retry))
                ev_timer_again(ws->loop, &ws->jobs_retry);
            return;
        }
        stop_waiting(sub);
        if (st != PS_OK)
            sub_fail(sub, PS_WS_INTERNAL_ERROR, "Internal Server error!");
    }
}

void ps_ws_sub_registered(struct ps_ws_sub *sub, enum ps_status status)
{
    if (status != PS_OK) {
        sub_fail(sub, PS_WS_INTERNAL_ERROR,
                 sub->interest.ask->type == PS_WS_ATTRIBUTES ? "Failed to fetch attributes!"
                                                             : "Failed to fetch data!");
        return;
    }
    set_phase(sub, PS_WS_READING);
    wait_for_reader(sub);
    ps_ws_subs_pump(sub->session);
}

static void refresh(struct ps_ws_link *link, void *context)
{
    struct ps_ws_sub *sub = PS_WS_OBJECT(link, struct ps_ws_sub, link);
    (void)context;
    if (sub->phase == PS_WS_READING && !sub->is_waiting) {
        sub->read_again = true;
    } else if (sub->phase == PS_WS_LIVE) {
        set_phase(sub, PS_WS_READING);
        sub->interest.settled = false;
        wait_for_reader(sub);
    }
}

void ps_ws_subs_refresh(struct ps_ws_session *session)
{
    if (session->state != PS_WS_OPEN)
        return;
    ps_ws_table_each(&session->subs, refresh, NULL);
    ps_ws_subs_pump(session);
}

/* --- commands --- */

static struct ps_ws_sub *find_live(const struct ps_ws_session *session, int32_t cmd_id)
{
    struct ps_ws_link *link = ps_ws_table_first(&session->subs, cmd_hash(cmd_id));
    for (; link; link = ps_ws_table_next(link)) {
        struct ps_ws_sub *sub = PS_WS_OBJECT(link, struct ps_ws_sub, link);
        if (cmd_id_of(sub) == cmd_id && !is_question(sub))
            return sub;
    }
    return NULL;
}

static void unsubscribe(struct ps_ws_session *session, int32_t cmd_id)
{
    struct ps_ws_sub *sub = find_live(session, cmd_id);
    if (!sub)
        return;
    sub_end(sub);
    ps_ws_out_queue_drop_updates(&session->queue, cmd_id);
}

static struct ps_ws_sub *sub_create(struct ps_ws_session *session, struct ps_ws_command *command)
{
    struct ps_ws_sub *sub = calloc(1, sizeof *sub);
    if (!sub)
        return NULL;
    sub->interest.ask = ps_ws_ask_create(command, &session->claims->principal);
    if (!sub->interest.ask) {
        free(sub);
        return NULL;
    }
    sub->id = ++session->ws->next_id;
    sub->session = session;
    sub->phase = PS_WS_CHECKING;
    return sub;
}

static void subscribe(struct ps_ws_session *session, struct ps_ws_command *command)
{
    if (command->type != PS_WS_HISTORY)
        unsubscribe(session, command->cmd_id); /* the same cmdId again replaces */
    if (session->subs.count >= PS_WS_SUBSCRIPTIONS_MAX) {
        ps_ws_session_send_error(session, command->cmd_id, PS_WS_BAD_REQUEST,
                                 "Max subscriptions per session limit reached!");
        return;
    }
    struct ps_ws_sub *sub = sub_create(session, command);
    if (!sub) {
        ps_ws_session_send_error(session, command->cmd_id, PS_WS_INTERNAL_ERROR,
                                 "Internal Server error!");
        return;
    }
    ps_ws_table_insert(&session->subs, &sub->link, cmd_hash(command->cmd_id));
    if (!is_question(sub))
        ps_ws_count(session->ws, PS_METRIC_SUBSCRIPTIONS, 1);
    wait_for_reader(sub);
    ps_ws_subs_pump(session);
}

static void send_made(struct ps_ws_session *session, int32_t cmd_id,
                      void (*put)(struct ps_buf *out, int32_t cmd_id))
{
    struct ps_buf frame = { 0 };
    put(&frame, cmd_id);
    struct ps_ws_text *text = ps_ws_text_create(&frame);
    ps_buf_deinit(&frame);
    ps_ws_session_send(session, cmd_id, &text);
}

static void subscribe_or_end(struct ps_ws_session *session, struct ps_ws_command *command)
{
    if (command->unsubscribe_all)
        ps_ws_subs_end(session);
    else if (command->unsubscribe)
        unsubscribe(session, command->cmd_id);
    else
        subscribe(session, command);
}

void ps_ws_command_run(struct ps_ws_session *session, struct ps_ws_command *command)
{
    if (command->error != PS_WS_NO_ERROR) {
        ps_ws_session_send_error(session, command->cmd_id, command->error, command->why.data);
        return;
    }
    switch (command->type) {
    case PS_WS_TIMESERIES:
    case PS_WS_ATTRIBUTES:
    case PS_WS_HISTORY:
        subscribe_or_end(session, command);
        break;
    case PS_WS_NOTIFICATIONS_COUNT:
        send_made(session, command->cmd_id, ps_ws_frame_put_no_notification_count);
        break;
    case PS_WS_NOTIFICATIONS:
        send_made(session, command->cmd_id, ps_ws_frame_put_no_notifications);
        break;
    case PS_WS_IGNORED:
    case PS_WS_UNAVAILABLE:
        break;
    }
}

/* --- updates --- */

/* The delta of the picked rows; shared with the subscription before, if it picked the same. */
static struct ps_ws_delta *picked_delta(struct ps_ws_fanout *fanout, size_t count)
{
    struct ps_ws *ws = fanout->ws;
    if (fanout->shared && fanout->shared_count == count &&
        memcmp(ws->shared, ws->picked, count * sizeof *ws->picked) == 0)
        return ps_ws_delta_retain(fanout->shared);
    struct ps_ws_row *rows = malloc(count * sizeof *rows);
    struct ps_ws_delta *delta = NULL;
    for (size_t i = 0; rows && i < count; i++)
        rows[i] = ps_ws_update_row(fanout->update, ws->picked[i]);
    if (!rows || ps_ws_delta_create(rows, count, &delta) != PS_OK)
        delta = NULL;
    free(rows);
    if (!delta)
        return NULL;
    ps_ws_delta_release(fanout->shared);
    fanout->shared = ps_ws_delta_retain(delta);
    fanout->shared_count = count;
    memcpy(ws->shared, ws->picked, count * sizeof *ws->picked);
    return delta;
}

/* Before the snapshot is out: keep it, or give up keeping and read once more. */
static void buffer_delta(struct ps_ws_sub *sub, struct ps_ws_delta *delta)
{
    struct ps_ws_session *session = sub->session;
    if (sub->read_again)
        return;
    bool fits = sub->buffered.rows + delta->row_count <= PS_WS_BUFFERED_ROWS_MAX &&
                session->buffered_bytes + delta->size_bytes <= PS_WS_BUFFERED_BYTES_MAX;
    if (fits && ps_ws_pile_add(&sub->buffered, delta) == PS_OK) {
        session->buffered_bytes += delta->size_bytes;
    } else {
        forget_buffered(sub);
        sub->read_again = true;
    }
}

/* Keep of the picked indices those that are news. */
static size_t admit_picked(struct ps_ws_sub *sub, const struct ps_ws_fanout *fanout, size_t count)
{
    uint32_t *picked = fanout->ws->picked;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct ps_ws_row row = ps_ws_update_row(fanout->update, picked[i]);
        if (ps_ws_interest_admit(&sub->interest, &row))
            picked[kept++] = picked[i];
    }
    return kept;
}

void ps_ws_sub_deliver(struct ps_ws_sub *sub, struct ps_ws_fanout *fanout)
{
    if (sub->session->state != PS_WS_OPEN || sub->phase < PS_WS_READING)
        return;
    size_t count = ps_ws_ask_pick(sub->interest.ask, fanout->update, fanout->ws->picked);
    if (count && sub->phase == PS_WS_LIVE)
        count = admit_picked(sub, fanout, count);
    if (!count)
        return;
    struct ps_ws_delta *delta = picked_delta(fanout, count);
    if (!delta) {
        ps_ws_session_close(sub->session, PS_WS_CLOSE_SERVER_ERROR, "Internal Server error!");
        return;
    }
    if (sub->phase == PS_WS_READING)
        buffer_delta(sub, delta);
    else
        ps_ws_session_send_delta(sub->session, cmd_id_of(sub), ps_ws_ask_merge(sub->interest.ask),
                                 delta);
    ps_ws_delta_release(delta);
}
