/* delta: what was written to an entity, as a subscriber sees it: rows of (key, ts, value).
 *
 * A delta is one write, or several merged, in the order of its frame. It is counted, because
 * subscribers that asked for the same keys share one, text included: their frames differ only in
 * the first number. A pile is deltas that wait together: adding one costs a pointer, and only when
 * they are sent they are merged into one, so that a slow reader costs the others nothing:
 *
 *     EVERY   no point is lost; a key has several pairs, in the order they were written
 *     NEWEST  per key (and scope, for attributes) only what was written last
 *
 * In both, a deletion replaces what was written before it, and a write replaces a deletion.
 *
 * Pure: no I/O. A delta belongs to one thread at a time. */
#ifndef PS_TRANSPORT_WS_DELTA_H
#define PS_TRANSPORT_WS_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/status.h"
#include "core/value.h"

struct ps_ws_row {
    struct ps_kv kv;
    int64_t ts_ms;
    unsigned scope; /* enum ps_attribute_scope; 0 for telemetry */
    bool deleted;   /* shown as [0,""] */
};

struct ps_ws_delta {
    uint32_t references;
    uint32_t row_count;
    size_t size_bytes;      /* of the rows and their text; what it counts for in a queue */
    struct ps_ws_row *rows; /* sorted by key, then as written; text is in this block */
    struct ps_buf tail;     /* the frame after its subscriptionId, made on first use */
};

enum ps_ws_merge { PS_WS_MERGE_EVERY, PS_WS_MERGE_NEWEST };

/** Copies rows with their text. One reference. Returns: PS_OK or PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_ws_delta_create(const struct ps_ws_row *rows, size_t count,
                                  struct ps_ws_delta **out);
struct ps_ws_delta *ps_ws_delta_retain(struct ps_ws_delta *delta);
void ps_ws_delta_release(struct ps_ws_delta *delta); /* NULL is fine */

/* Deltas that wait together, oldest first. Zeroed = empty. */
struct ps_ws_pile {
    struct ps_ws_delta *only;    /* while there is one, the usual case */
    struct ps_ws_delta **deltas; /* when there are more */
    uint32_t count, cap;
    size_t rows, bytes; /* of all together */
};

/** Add a delta; the pile keeps its own reference. Returns: PS_OK or PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_ws_pile_add(struct ps_ws_pile *pile, struct ps_ws_delta *delta);
/** Merge everything into one delta, which stays in the pile. Returns: PS_OK or PS_ENOMEM (nothing
 *  changed). An empty pile stays empty. */
PS_MUST_CHECK
enum ps_status ps_ws_pile_merge(struct ps_ws_pile *pile, enum ps_ws_merge merge);
/** Release everything; empty afterwards. */
void ps_ws_pile_clear(struct ps_ws_pile *pile);

#endif
