/* frame: the text of what the server sends, and the changes an update frame carries.
 *
 * A delta is one or several writes as a subscriber sees them: rows of (key, ts, value), in the
 * order of the frame. It is counted, because subscribers that asked for the same keys share one,
 * text included: a frame differs between them only in its first number. Deltas merge, so that a
 * slow reader gets few large frames instead of many small ones:
 *
 *     EVERY   no point is lost; a key has several pairs, newest ts first
 *     NEWEST  per key (and scope, for attributes) only what was written last
 *
 * In both, a deletion replaces what was written before it, and a write replaces a deletion.
 *
 * Pure: bytes and structs, no I/O. A delta belongs to one thread at a time. */
#ifndef PS_TRANSPORT_WS_FRAME_H
#define PS_TRANSPORT_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/status.h"
#include "core/telemetry/point.h"
#include "core/value.h"

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

struct ps_ws_row {
    struct ps_kv kv;
    int64_t ts_ms;
    int scope;    /* enum ps_attribute_scope; 0 for telemetry */
    bool deleted; /* shown as [0,""] */
};

struct ps_ws_delta {
    uint32_t references;
    uint32_t row_count;
    size_t size_bytes;      /* of the rows and their text; what it counts for in a queue */
    struct ps_ws_row *rows; /* sorted by key, then newest ts first; text is in this block */
    struct ps_buf tail;     /* the frame after its subscriptionId, made on first use */
};

enum ps_ws_merge { PS_WS_MERGE_EVERY, PS_WS_MERGE_NEWEST };

/** Copies rows with their text; keys of one write are unique. One reference.
 *  Returns: PS_OK or PS_ENOMEM. */
PS_MUST_CHECK enum ps_status ps_ws_delta_create(const struct ps_ws_row *rows, size_t count,
                                                struct ps_ws_delta **out);
struct ps_ws_delta *ps_ws_delta_retain(struct ps_ws_delta *delta);
void ps_ws_delta_release(struct ps_ws_delta *delta); /* NULL is fine */

/** A new delta that says what `older` and then `newer` said. `older` may be NULL.
 *  Returns: PS_OK or PS_ENOMEM. */
PS_MUST_CHECK enum ps_status ps_ws_delta_merge(const struct ps_ws_delta *older,
                                               const struct ps_ws_delta *newer,
                                               enum ps_ws_merge merge, struct ps_ws_delta **out);

/** The update frame of a delta, appended. Only lengthens `out`, which remembers a failure. */
void ps_ws_frame_put_delta(struct ps_buf *out, int32_t cmd_id, struct ps_ws_delta *delta);

/* A snapshot frame of points (attributes are a delta like any other), written key by key so that no more than one key's points are in
 * memory: begin, one put per key in order of name, end. */
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
