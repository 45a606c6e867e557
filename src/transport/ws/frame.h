/* frame: the text of what the server sends.
 *
 * Update frames come from deltas (delta.h) or, for snapshots, key by key from points; the rest are
 * errors and the stub of notifications. Pure: bytes and structs, no I/O. */
#ifndef PS_TRANSPORT_WS_FRAME_H
#define PS_TRANSPORT_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/status.h"
#include "core/telemetry/point.h"
#include "transport/ws/delta.h"

/* Codes of error frames (section 8 of the contract). */
enum ps_ws_error {
    PS_WS_NO_ERROR = 0,
    PS_WS_INTERNAL_ERROR = 1,
    PS_WS_BAD_REQUEST = 2,
    PS_WS_UNAUTHORIZED = 3,
};

enum {
    /* Bytes that the WebSocket library writes its header into, in front of every frame. */
    PS_WS_HEADROOM = 16,
};

/* A finished frame, ready to be sent. */
struct ps_ws_text {
    size_t len;
    char bytes[]; /* PS_WS_HEADROOM free bytes, then the frame; not terminated */
};

static inline char *ps_ws_text_frame(struct ps_ws_text *text)
{
    return text->bytes + PS_WS_HEADROOM;
}

/** A copy of the buffer's content with headroom; NULL if the buffer failed or memory is short.
 *  free() it. */
struct ps_ws_text *ps_ws_text_create(const struct ps_buf *frame);

/** The update frame of a delta, appended. Only lengthens `out`, which remembers a failure. */
void ps_ws_frame_put_delta(struct ps_buf *out, int32_t cmd_id, struct ps_ws_delta *delta);

/* A snapshot frame of points (attributes are a delta like any other), written key by key so that no
 * more than one key's points are in memory: begin, one put per key in order of name, end. */
struct ps_ws_snapshot {
    struct ps_buf *out;
    struct ps_buf latest; /* the latestValues member grows beside the data */
    bool any;
};

void ps_ws_snapshot_begin(struct ps_ws_snapshot *snapshot, struct ps_buf *out, int32_t cmd_id);
/** Points in the order they stand; none writes nothing. */
void ps_ws_snapshot_put(struct ps_ws_snapshot *snapshot, const struct ps_points *points);
/** A requested key without any value: [ts, null]. */
void ps_ws_snapshot_put_null(struct ps_ws_snapshot *snapshot, const char *key, int64_t ts_ms);
void ps_ws_snapshot_end(struct ps_ws_snapshot *snapshot);

/** {"cmdId":5,"subscriptionId":5,"errorCode":2,"errorMsg":"..","data":null,"latestValues":{}} */
void ps_ws_frame_put_error(struct ps_buf *out, int32_t cmd_id, enum ps_ws_error code,
                           const char *message);

/** Notifications do not exist yet: nothing unread, and an empty list. */
void ps_ws_frame_put_no_notification_count(struct ps_buf *out, int32_t cmd_id);
void ps_ws_frame_put_no_notifications(struct ps_buf *out, int32_t cmd_id);

#endif
