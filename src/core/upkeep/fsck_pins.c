/* fsck_pins: latest values that were kept when their points were deleted. */
#include <inttypes.h>

#include "core/telemetry/latest_pin.h"
#include "core/upkeep/fsck_state.h"

/* The first pinned series after *series. PS_ENOTFOUND: there is none. */
static enum ps_status next_pinned(struct ps_fsck *fsck, int64_t *series)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(
        fsck->db, "SELECT series FROM latest_pin WHERE series > ? ORDER BY series LIMIT 1", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, *series);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK || !row)
        return st == PS_OK ? PS_ENOTFOUND : st;
    *series = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    return PS_OK;
}

static enum ps_status check_pin(struct ps_fsck *fsck, uint32_t series)
{
    struct ps_latest_pin pin;
    enum ps_status st = ps_latest_pin_read(fsck->db, series, &pin);
    if (st != PS_OK)
        return st;
    bool damaged = pin.damaged;
    ps_latest_pin_deinit(&pin);
    if (!damaged)
        return PS_OK;
    ps_fsck_problem(fsck, "the kept latest value of series %" PRIu32 " is damaged", series);
    if (!fsck->settings->rebuild)
        return PS_OK;
    st = ps_latest_pin_end(fsck->db, series);
    if (st == PS_OK)
        ps_fsck_repaired(fsck, "the newest point of series %" PRIu32 " is its latest value",
                         series);
    return st;
}

enum ps_status ps_fsck_pins(struct ps_fsck *fsck)
{
    int64_t series = INT64_MIN;
    enum ps_status st;
    while ((st = next_pinned(fsck, &series)) == PS_OK) {
        if (series > 0 && series <= UINT32_MAX)
            st = check_pin(fsck, (uint32_t)series);
        if (st != PS_OK)
            break;
    }
    return st == PS_ENOTFOUND ? PS_OK : ps_fsck_db_failed(fsck, st);
}
