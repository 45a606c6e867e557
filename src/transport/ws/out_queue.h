/* out_queue: the frames that wait for one session's socket, in order, bounded.
 *
 * Two kinds of entries. A text (snapshot, history, error) is a finished frame and is never changed.
 * An update is a pile of deltas and becomes one frame when it is sent; while it waits, later deltas
 * of the same subscription join it, so a slow reader gets few frames that say all:
 *
 *   - up to PS_WS_FRAME_ROWS_MAX rows every point is kept;
 *   - beyond, an EVERY subscription starts another frame, a NEWEST one keeps per key what was
 *     written last.
 *
 * A delta never passes a text of its own subscription. When frames or bytes are at their limit even
 * after every NEWEST update was reduced to its newest values, the push is refused: the reader is
 * too slow and its session ends.
 *
 * Always true: entries of one subscription leave in the order they came. One thread at a time. */
#ifndef PS_TRANSPORT_WS_OUT_QUEUE_H
#define PS_TRANSPORT_WS_OUT_QUEUE_H

#include "transport/ws/delta.h"
#include "transport/ws/frame.h"

enum {
    PS_WS_FRAME_ROWS_MAX = 256,
    PS_WS_ENTRY_BYTES = 64, /* what an entry counts for beside its content */
};

/* What leaves the queue: one of text and delta. */
struct ps_ws_out {
    int32_t cmd_id;
    struct ps_ws_text *text;
    struct ps_ws_delta *delta;
};

struct ps_ws_out_entry;

struct ps_ws_out_queue {
    struct ps_ws_out_entry *ring;
    size_t first, count, cap; /* cap is a power of two */
    size_t bytes;
    size_t frames_max, bytes_max;
    uint64_t coalesced; /* updates that joined one that was waiting */
};

void ps_ws_out_queue_init(struct ps_ws_out_queue *queue, size_t frames_max, size_t bytes_max);
/** Frees what waits; fine twice. */
void ps_ws_out_queue_deinit(struct ps_ws_out_queue *queue);

/**
 * Queue a finished frame.
 *
 * Returns: PS_OK the queue owns it and *text is NULL; PS_ELIMIT over a limit, PS_ENOMEM: *text is
 *          still the caller's.
 */
PS_MUST_CHECK
enum ps_status ps_ws_out_queue_push_text(struct ps_ws_out_queue *queue, int32_t cmd_id,
                                         struct ps_ws_text **text);

/** Queue a change of a subscription; the queue keeps its own reference. Returns: as above. */
PS_MUST_CHECK
enum ps_status ps_ws_out_queue_push_delta(struct ps_ws_out_queue *queue, int32_t cmd_id,
                                          enum ps_ws_merge merge, struct ps_ws_delta *delta);

/** Take the oldest entry: its text or delta is the caller's. Returns: PS_OK; PS_ENOTFOUND nothing
 *  waits; PS_ENOMEM it stays. */
PS_MUST_CHECK
enum ps_status ps_ws_out_queue_pop(struct ps_ws_out_queue *queue, struct ps_ws_out *out);

/** Forget what waits for a subscription that ended, except finished frames. */
void ps_ws_out_queue_drop_updates(struct ps_ws_out_queue *queue, int32_t cmd_id);

#endif
