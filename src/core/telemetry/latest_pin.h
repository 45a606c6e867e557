/* latest_pin: latest values that are not simply the newest point that is left, made durable.
 *
 * For nearly every series the latest value follows from its points: it is the newest of them, and
 * nothing about it is stored. Two deletions break that. One takes the latest value away and lets
 * no older point take its place; one takes the points away and leaves the latest value to be
 * shown. For the few series this happened to, the same transaction that stores the deletion writes
 * a pin, and the latest value is
 *
 *     the newest of the points after the floor and the pinned point, if there is one.
 *
 * The floor is in the catalogue (series.latest_floor_ms, NULL: not pinned), the pinned point in the
 * table latest_pin, as a journal row of one record, so that it has a checksum. Always true of a pin
 * that a deletion wrote: no point was stored after its floor yet, and its point is not later than
 * the first instant after the floor.
 *
 * A point that arrives after the floor is newer than all else: it ends the pin in its own
 * transaction. One that arrives at or before the floor is the latest value if there is none, or if
 * it is not older than the pinned one: then it is pinned in its place, for which its transaction
 * asks ps_latest_pin_offer() in order of arrival. Points of series without a pin are not asked
 * about.
 *
 * Pins leave with their series. A pinned point has its time to live like any other. */
#ifndef PS_CORE_TELEMETRY_LATEST_PIN_H
#define PS_CORE_TELEMETRY_LATEST_PIN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "core/storage/db.h"
#include "core/telemetry/point.h"

/* Zeroed: the series has no pin. */
struct ps_latest_pin {
    bool has_floor;
    int64_t floor_ms;
    bool has_point;
    int64_t ts_ms;          /* of the point */
    uint32_t ttl_s;         /* its own; 0: the default counts */
    struct ps_points point; /* one, or none; owned */
    bool damaged;           /* there was a point, and it cannot be read */
};

/** @param out  PS_OK: the caller deinits it. Returns: PS_OK; PS_ESTORE; PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_latest_pin_read(struct ps_db *db, uint32_t series, struct ps_latest_pin *out);
void ps_latest_pin_deinit(struct ps_latest_pin *pin);
/** The same floor, and a point of the same time, or none. */
bool ps_latest_pin_equal(const struct ps_latest_pin *a, const struct ps_latest_pin *b);

/* Inside a transaction of the writer. Returns: PS_OK; PS_EFULL, PS_ESTORE, PS_ENOMEM */

/** The latest value is gone, and points before `start_ms` do not take its place. */
PS_MUST_CHECK
enum ps_status ps_latest_pin_none(struct ps_db *db, uint32_t series, int64_t start_ms);
/** The latest value is this, though its point may be deleted. */
PS_MUST_CHECK
enum ps_status ps_latest_pin_keep(struct ps_db *db, uint32_t series, int64_t ts_ms,
                                  const struct ps_value *value, uint32_t ttl_s);
/** The latest value is the newest point that is left, again. */
PS_MUST_CHECK
enum ps_status ps_latest_pin_end(struct ps_db *db, uint32_t series);
/**
 * A point arrives.
 *
 * @param now_ms  decides whether the pinned point has expired, which any point replaces
 * @param is_over set: the series has no pin (any more)
 */
PS_MUST_CHECK
enum ps_status ps_latest_pin_offer(struct ps_db *db, uint32_t series, int64_t ts_ms,
                                   const struct ps_value *value, uint32_t ttl_s, int64_t now_ms,
                                   bool *is_over);

#endif
