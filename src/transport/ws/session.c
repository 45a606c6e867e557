#include "transport/ws/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "transport/ws/access.h"
#include "transport/ws/command.h"
#include "transport/ws/subscription.h"

_Static_assert(LWS_PRE <= PS_WS_HEADROOM, "the library's header must fit in front of a frame");

static void set_state(struct ps_ws_session *session, enum ps_ws_session_state state)
{
    PS_ASSERT(state == session->state + 1 || state == PS_WS_CLOSING);
    PS_ASSERT(session->state != PS_WS_CLOSING);
    session->state = state;
}

static void start_timer(struct ps_ws_session *session, int64_t after_ms)
{
    struct ev_loop *loop = session->ws->loop;
    ev_timer_stop(loop, &session->timer);
    ev_timer_set(&session->timer, after_ms > 0 ? (double)after_ms / 1000 : 0, 0);
    ev_timer_start(loop, &session->timer);
}

struct ps_ws_session *ps_ws_session_find(const struct ps_ws *ws, uint64_t id)
{
    struct ps_ws_link *link = ps_ws_table_first(&ws->sessions, ps_ws_hash_number(id));
    for (; link; link = ps_ws_table_next(link)) {
        struct ps_ws_session *session = PS_WS_OBJECT(link, struct ps_ws_session, link);
        if (session->id == id)
            return session;
    }
    return NULL;
}

/* --- closing --- */

static void make_clean(struct ps_ws_session *session)
{
    if (!session->dirty_link)
        return;
    *session->dirty_link = session->dirty_next;
    if (session->dirty_next)
        session->dirty_next->dirty_link = session->dirty_link;
    session->dirty_link = NULL;
}

static void make_dirty(struct ps_ws_session *session)
{
    struct ps_ws *ws = session->ws;
    if (session->dirty_link)
        return;
    session->dirty_next = ws->dirty;
    session->dirty_link = &ws->dirty;
    if (ws->dirty)
        ws->dirty->dirty_link = &session->dirty_next;
    ws->dirty = session;
}

static void forget_output(struct ps_ws_session *session)
{
    make_clean(session);
    ps_ws_out_queue_deinit(&session->queue);
    ev_timer_stop(session->ws->loop, &session->stalled);
}

void ps_ws_session_close(struct ps_ws_session *session, unsigned code, const char *reason)
{
    if (session->state == PS_WS_CLOSING)
        return;
    set_state(session, PS_WS_CLOSING);
    session->close_code = (uint16_t)code;
    snprintf(session->close_reason, sizeof session->close_reason, "%s", reason);
    forget_output(session);
    struct ps_log_line line;
    if (ps_log_begin(&line, PS_LOG_DEBUG, "ws", "session_closing")) {
        ps_log_int(&line, "session", (int64_t)session->id);
        ps_log_int(&line, "code", code);
        ps_log_text(&line, "reason", session->close_reason);
        ps_log_end(&line);
    }
    start_timer(session, PS_WS_CLOSE_TIMEOUT_MS);
    lws_callback_on_writable(session->wsi);
}

/* --- liveness --- */

static void ping_or_close(struct ps_ws_session *session)
{
    const struct ps_config *config = session->ws->services.config;
    int64_t silent_ms = ps_clock_mono_ms() - session->heard_ms;
    if (silent_ms >= config->ws_ping_timeout_ms) {
        ps_ws_session_close(session, PS_WS_CLOSE_DEAD, "");
        return;
    }
    session->ping_due = true;
    lws_callback_on_writable(session->wsi);
    int64_t left_ms = config->ws_ping_timeout_ms - silent_ms;
    start_timer(session,
                left_ms < config->ws_ping_interval_ms ? left_ms : config->ws_ping_interval_ms);
}

void ps_ws_session_check_token(struct ps_ws_session *session)
{
    if (session->state == PS_WS_OPEN &&
        ps_ws_token_is_revoked(&session->ws->services, session->claims))
        ps_ws_session_close(session, PS_WS_CLOSE_POLICY, "Token has expired");
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ps_ws_session *session = timer->data;
    (void)loop;
    (void)events;
    switch (session->state) {
    case PS_WS_PENDING:
        ps_ws_session_close(session, PS_WS_CLOSE_POLICY, "");
        break;
    case PS_WS_OPEN:
        ping_or_close(session);
        break;
    case PS_WS_CLOSING: /* the peer takes no close frame, so it gets none */
        lws_set_timeout(session->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
        break;
    }
}

static void stalled_fired(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    ps_ws_session_close(timer->data, PS_WS_CLOSE_DEAD, "");
}

void ps_ws_session_heard(struct ps_ws_session *session)
{
    session->heard_ms = ps_clock_mono_ms();
}

/* --- authentication --- */

/* Returns: the reason to refuse, or NULL. */
static const char *take_token(struct ps_ws_session *session, const char *token)
{
    struct ps_jwt_claims claims;
    const char *why;
    if (ps_ws_token_check(&session->ws->services, token, &claims, &why) != PS_OK)
        return why;
    if (session->claims) { /* open already: the same user may bring a newer token */
        if (ps_uuid_equal(&session->claims->principal.user, &claims.principal.user))
            *session->claims = claims;
        return NULL;
    }
    session->claims = malloc(sizeof *session->claims);
    if (!session->claims)
        return "Internal Server error!";
    *session->claims = claims;
    set_state(session, PS_WS_OPEN);
    start_timer(session, session->ws->services.config->ws_ping_interval_ms);
    return NULL;
}

/* The first frame of a session that brought no token in its query. */
static void authenticate(struct ps_ws_session *session, const struct ps_ws_request *request)
{
    if (!request->has_auth) {
        ps_ws_session_close(session, PS_WS_CLOSE_POLICY, "Auth cmd is missing");
        return;
    }
    if (request->api_key) {
        ps_ws_session_close(session, PS_WS_CLOSE_BAD_DATA,
                            "API keys are not available in this version");
        return;
    }
    const char *why = take_token(session, request->token ? request->token : "");
    if (why)
        ps_ws_session_close(session, PS_WS_CLOSE_BAD_DATA, why);
}

/* --- life --- */

static void session_deinit(struct ps_ws_session *session)
{
    ps_buf_deinit(&session->incoming);
    ps_ws_table_deinit(&session->subs);
    free(session->claims);
    free(session->sending);
    free(session);
}

struct ps_ws_session *ps_ws_session_create(struct ps_ws *ws, struct lws *wsi, bool known_endpoint,
                                           const char *token)
{
    struct ps_ws_session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    if (ps_ws_table_init(&session->subs) != PS_OK) {
        free(session);
        return NULL;
    }
    session->id = ++ws->next_id;
    session->ws = ws;
    session->wsi = wsi;
    session->state = PS_WS_PENDING;
    session->heard_ms = ps_clock_mono_ms();
    ps_ws_out_queue_init(&session->queue, (size_t)ws->services.config->ws_queue_frames_max,
                         (size_t)ws->services.config->ws_queue_bytes_max);
    ev_timer_init(&session->timer, timer_fired, 0, 0);
    ev_timer_init(&session->stalled, stalled_fired, 0, (double)PS_WS_SEND_TIMEOUT_MS / 1000);
    session->timer.data = session;
    session->stalled.data = session;
    ps_ws_table_insert(&ws->sessions, &session->link, ps_ws_hash_number(session->id));
    ps_ws_count(ws, PS_METRIC_WS_SESSIONS, 1);
    start_timer(session, ws->services.config->ws_auth_timeout_ms);

    const char *why = token && known_endpoint ? take_token(session, token) : NULL;
    if (!known_endpoint)
        ps_ws_session_close(session, PS_WS_CLOSE_BAD_DATA, "Unknown session type");
    else if (why)
        ps_ws_session_close(session, PS_WS_CLOSE_SERVER_ERROR, why);
    else if (ws->stopping)
        ps_ws_session_close(session, PS_WS_CLOSE_GOING_AWAY, "");
    return session;
}

void ps_ws_session_destroy(struct ps_ws_session *session)
{
    if (!session)
        return;
    struct ps_ws *ws = session->ws;
    ps_ws_subs_end(session);
    ev_timer_stop(ws->loop, &session->timer);
    forget_output(session);
    ps_ws_table_remove(&ws->sessions, &session->link);
    ps_ws_count(ws, PS_METRIC_WS_SESSIONS, -1);
    session_deinit(session);
}

/* --- frames in --- */

static void run_commands(struct ps_ws_session *session, struct ps_ws_request *request)
{
    for (size_t i = 0; i < request->count && session->state == PS_WS_OPEN; i++)
        ps_ws_command_run(session, &request->commands[i]);
}

static void frame_unreadable(struct ps_ws_session *session, const char *why)
{
    ps_ws_count(session->ws, PS_METRIC_WS_PROTOCOL_ERRORS, 1);
    if (session->state == PS_WS_PENDING)
        ps_ws_session_close(session, PS_WS_CLOSE_BAD_DATA, why);
    else
        ps_ws_session_send_error(session, PS_WS_UNREADABLE_CMD_ID, PS_WS_BAD_REQUEST,
                                 "Failed to parse the payload");
}

static void frame_arrived(struct ps_ws_session *session, const char *text, size_t len)
{
    struct ps_ws_request request;
    struct ps_text why;
    ps_text_set(&why, "out of memory");
    if (ps_ws_request_parse(text, len, &request, &why) != PS_OK) {
        frame_unreadable(session, why.data);
        return;
    }
    if (session->state == PS_WS_PENDING)
        authenticate(session, &request);
    else if (request.has_auth && request.token)
        (void)take_token(session, request.token); /* a bad one changes nothing */
    run_commands(session, &request);
    ps_ws_request_deinit(&request);
}

void ps_ws_session_receive(struct ps_ws_session *session, const char *data, size_t len, size_t rest,
                           bool binary, bool last_fragment)
{
    struct ps_ws *ws = session->ws;
    ps_ws_count(ws, PS_METRIC_WS_BYTES_IN, (int64_t)len);
    ps_ws_session_heard(session);
    if (session->state == PS_WS_CLOSING)
        return;
    size_t max = (size_t)ws->services.config->ws_frame_bytes_max;
    if (binary) {
        ps_ws_session_close(session, PS_WS_CLOSE_BINARY, "Binary frames are not supported");
        return;
    }
    if (len > max || rest > max - len || session->incoming.len > max - len - rest) {
        ps_ws_session_close(session, PS_WS_CLOSE_TOO_LARGE, "");
        return;
    }
    if (session->incoming.len == 0 && last_fragment && rest == 0) {
        frame_arrived(session, data, len);
        return;
    }
    ps_buf_put(&session->incoming, data, len);
    if (!ps_buf_ok(&session->incoming)) {
        ps_ws_session_close(session, PS_WS_CLOSE_SERVER_ERROR, "Internal Server error!");
    } else if (last_fragment && rest == 0) {
        frame_arrived(session, session->incoming.data, session->incoming.len);
        ps_buf_deinit(&session->incoming); /* large frames are rare: keep no memory for them */
        session->incoming = (struct ps_buf){ 0 };
    }
}

/* --- frames out --- */

/* After a push: take notice of a full queue. */
static void pushed(struct ps_ws_session *session, enum ps_status st)
{
    if (st == PS_ELIMIT) {
        ps_ws_count(session->ws, PS_METRIC_WS_SLOW_READERS_CLOSED, 1);
        ps_ws_session_close(session, PS_WS_CLOSE_POLICY, "Max pending updates limit reached!");
    } else if (st != PS_OK) {
        ps_ws_session_close(session, PS_WS_CLOSE_SERVER_ERROR, "Internal Server error!");
    } else if (!ev_is_active(&session->stalled)) {
        make_dirty(session); /* else the socket is full and the loop is watching it */
    }
}

void ps_ws_session_send(struct ps_ws_session *session, int32_t cmd_id, struct ps_ws_text **text)
{
    if (session->state == PS_WS_OPEN)
        pushed(session,
               *text ? ps_ws_out_queue_push_text(&session->queue, cmd_id, text) : PS_ENOMEM);
    free(*text);
    *text = NULL;
}

void ps_ws_session_send_error(struct ps_ws_session *session, int32_t cmd_id, enum ps_ws_error code,
                              const char *why)
{
    struct ps_buf frame = { 0 };
    ps_ws_frame_put_error(&frame, cmd_id, code, why);
    struct ps_ws_text *text = ps_ws_text_create(&frame);
    ps_buf_deinit(&frame);
    ps_ws_session_send(session, cmd_id, &text);
}

void ps_ws_session_send_delta(struct ps_ws_session *session, int32_t cmd_id, enum ps_ws_merge merge,
                              struct ps_ws_delta *delta)
{
    if (session->state != PS_WS_OPEN)
        return;
    uint64_t before = session->queue.coalesced;
    enum ps_status st = ps_ws_out_queue_push_delta(&session->queue, cmd_id, merge, delta);
    ps_ws_count(session->ws, PS_METRIC_WS_UPDATES_COALESCED,
                (int64_t)(session->queue.coalesced - before));
    pushed(session, st);
}

/* One byte of payload: the library keeps pongs without any to itself. */
static bool write_ping(struct ps_ws_session *session)
{
    unsigned char ping[LWS_PRE + 1] = { 0 };
    session->ping_due = false;
    return lws_write(session->wsi, ping + LWS_PRE, 1, LWS_WRITE_PING) >= 0;
}

static void frame_left(struct ps_ws_session *session, size_t bytes)
{
    ps_ws_count(session->ws, PS_METRIC_WS_FRAMES_OUT, 1);
    ps_ws_count(session->ws, PS_METRIC_WS_BYTES_OUT, (int64_t)bytes);
}

/* The next fragment of a large frame. The library's header goes over what was sent before. */
static bool write_chunk(struct ps_ws_session *session)
{
    struct ps_ws_text *text = session->sending;
    size_t left = text->len - session->sent;
    size_t len = left < PS_WS_SEND_CHUNK_BYTES ? left : (size_t)PS_WS_SEND_CHUNK_BYTES;
    int flags = lws_write_ws_flags(LWS_WRITE_TEXT, session->sent == 0, len == left);
    unsigned char *at = (unsigned char *)ps_ws_text_frame(text) + session->sent;
    if (lws_write(session->wsi, at, len, (enum lws_write_protocol)flags) < 0)
        return false;
    session->sent += len;
    if (session->sent == text->len) {
        frame_left(session, text->len);
        free(text);
        session->sending = NULL;
    }
    return true;
}

/* The frame of a delta is made in the thread's scratch buffer; a large one becomes a text. */
static bool write_delta(struct ps_ws_session *session, const struct ps_ws_out *entry)
{
    static const char headroom[PS_WS_HEADROOM];
    struct ps_buf *scratch = &session->ws->scratch;
    ps_buf_clear(scratch);
    ps_buf_put(scratch, headroom, sizeof headroom);
    ps_ws_frame_put_delta(scratch, entry->cmd_id, entry->delta);
    if (!ps_buf_ok(scratch))
        return false;
    size_t len = scratch->len - PS_WS_HEADROOM;
    char *frame = scratch->data + PS_WS_HEADROOM;
    if (len <= PS_WS_SEND_CHUNK_BYTES) {
        frame_left(session, len);
        return lws_write(session->wsi, (unsigned char *)frame, len, LWS_WRITE_TEXT) >= 0;
    }
    session->sending = ps_ws_text_create(&(struct ps_buf){ .data = frame, .len = len });
    session->sent = 0;
    bool ok = session->sending && write_chunk(session);
    ps_buf_deinit(scratch); /* does not keep the largest frame's memory */
    *scratch = (struct ps_buf){ 0 };
    return ok;
}

static bool write_next(struct ps_ws_session *session)
{
    struct ps_ws_out entry;
    if (session->sending)
        return write_chunk(session);
    if (ps_ws_out_queue_pop(&session->queue, &entry) != PS_OK)
        return false; /* memory is short: asked only when something waits */
    if (entry.text) {
        session->sending = entry.text;
        session->sent = 0;
        return write_chunk(session);
    }
    bool ok = write_delta(session, &entry);
    ps_ws_delta_release(entry.delta);
    return ok;
}

static bool has_output(const struct ps_ws_session *session)
{
    return session->sending || session->queue.count;
}

/* Write while the socket takes it: what it takes only in part the library keeps and sends on. */
static bool write_frames(struct ps_ws_session *session)
{
    struct ev_loop *loop = session->ws->loop;
    for (unsigned i = 0; i < PS_WS_FRAMES_PER_TURN && has_output(session); i++) {
        if (lws_partial_buffered(session->wsi))
            break;
        if (!write_next(session))
            return false;
    }
    if (has_output(session) || lws_partial_buffered(session->wsi)) {
        ev_timer_again(loop, &session->stalled); /* there was progress */
        lws_callback_on_writable(session->wsi);
    } else {
        ev_timer_stop(loop, &session->stalled);
    }
    return true;
}

void ps_ws_sessions_flush(struct ps_ws *ws)
{
    while (ws->dirty) {
        struct ps_ws_session *session = ws->dirty;
        make_clean(session);
        if (!write_frames(session))
            ps_ws_session_close(session, PS_WS_CLOSE_DEAD, "");
    }
}

bool ps_ws_session_write(struct ps_ws_session *session)
{
    if (session->state != PS_WS_CLOSING) {
        bool ok = (!session->ping_due || write_ping(session)) && write_frames(session);
        if (ok)
            return true;
        ps_ws_session_close(session, PS_WS_CLOSE_DEAD, "");
    }
    lws_close_reason(session->wsi, (enum lws_close_status)session->close_code,
                     (unsigned char *)session->close_reason, strlen(session->close_reason));
    return false;
}
