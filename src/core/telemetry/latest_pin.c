#include "core/telemetry/latest_pin.h"

#include "core/buf.h"
#include "core/telemetry/journal.h"

void ps_latest_pin_deinit(struct ps_latest_pin *pin)
{
    ps_points_deinit(&pin->point);
    *pin = (struct ps_latest_pin){ 0 };
}

bool ps_latest_pin_equal(const struct ps_latest_pin *a, const struct ps_latest_pin *b)
{
    return a->has_floor == b->has_floor && (!a->has_floor || a->floor_ms == b->floor_ms) &&
           a->has_point == b->has_point && (!a->has_point || a->ts_ms == b->ts_ms);
}

/* ---- reading ---- */

/* One record, of this series. */
static bool decode(const void *blob, size_t len, uint32_t series, struct ps_journal_record *out)
{
    struct ps_journal_decoder decoder;
    struct ps_journal_record none;
    return blob && ps_journal_open(&decoder, blob, len) == PS_OK &&
           ps_journal_next(&decoder, out) == PS_OK && out->series == series &&
           ps_journal_next(&decoder, &none) == PS_ENOTFOUND;
}

static enum ps_status take_point(struct ps_stmt *stmt, uint32_t series, struct ps_latest_pin *pin)
{
    size_t len;
    const char *blob = ps_stmt_bytes(stmt, 1, &len);
    struct ps_journal_record record;
    if (!decode(blob, len, series, &record) || record.ts_ms != ps_stmt_int(stmt, 2) ||
        record.ttl_s != ps_stmt_int(stmt, 3)) {
        pin->damaged = true;
        return PS_OK;
    }
    enum ps_status st = ps_points_add(&pin->point, record.ts_ms, &record.value);
    pin->has_point = st == PS_OK;
    pin->ts_ms = record.ts_ms;
    pin->ttl_s = record.ttl_s;
    return st;
}

enum ps_status ps_latest_pin_read(struct ps_db *db, uint32_t series, struct ps_latest_pin *out)
{
    struct ps_stmt *stmt;
    struct ps_latest_pin pin = { 0 };
    bool row;
    enum ps_status st =
        ps_db_prepare(db,
                      "SELECT s.latest_floor_ms, p.point, p.ts_ms, p.ttl_s FROM series s"
                      " LEFT JOIN latest_pin p ON p.series = s.id WHERE s.id = ?",
                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series);
    st = ps_stmt_step(stmt, &row);
    if (st == PS_OK && row) {
        pin.has_floor = !ps_stmt_is_null(stmt, 0);
        pin.floor_ms = pin.has_floor ? ps_stmt_int(stmt, 0) : 0;
        if (pin.has_floor && !ps_stmt_is_null(stmt, 1))
            st = take_point(stmt, series, &pin);
        ps_stmt_reset(stmt);
    }
    if (st != PS_OK) {
        ps_latest_pin_deinit(&pin);
        return st;
    }
    *out = pin;
    return PS_OK;
}

/* ---- writing ---- */

/* A floor that is higher already stays: what is not after it was not to be seen before. */
static enum ps_status raise_floor(struct ps_db *db, uint32_t series, int64_t floor_ms)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db,
                                      "UPDATE series SET latest_floor_ms = ?1 WHERE id = ?2"
                                      " AND (latest_floor_ms IS NULL OR latest_floor_ms < ?1)",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, floor_ms);
    ps_stmt_bind_int(stmt, 2, series);
    return ps_stmt_run(stmt);
}

static enum ps_status run_on(struct ps_db *db, const char *sql, uint32_t series)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series);
    return ps_stmt_run(stmt);
}

static enum ps_status drop_point(struct ps_db *db, uint32_t series)
{
    return run_on(db, "DELETE FROM latest_pin WHERE series = ?", series);
}

/* Of a series that left the catalogue meanwhile, with its entity, nothing is kept. */
static enum ps_status put_blob(struct ps_db *db, uint32_t series, int64_t ts_ms, uint32_t ttl_s,
                               const struct ps_buf *blob)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db,
                                      "INSERT INTO latest_pin(series, ts_ms, ttl_s, point)"
                                      " SELECT id, ?2, ?3, ?4 FROM series WHERE id = ?1"
                                      " ON CONFLICT(series) DO UPDATE SET ts_ms = excluded.ts_ms,"
                                      " ttl_s = excluded.ttl_s, point = excluded.point",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series);
    ps_stmt_bind_int(stmt, 2, ts_ms);
    ps_stmt_bind_int(stmt, 3, ttl_s);
    ps_stmt_bind_blob_borrowed(stmt, 4, blob->data, blob->len);
    return ps_stmt_run(stmt);
}

static enum ps_status put_point(struct ps_db *db, uint32_t series, int64_t ts_ms,
                                const struct ps_value *value, uint32_t ttl_s)
{
    struct ps_buf blob = { 0 };
    struct ps_journal_encoder encoder;
    ps_journal_begin(&encoder, &blob);
    ps_journal_put(&encoder, series, ts_ms, value, ttl_s);
    ps_journal_finish(&encoder);
    enum ps_status st = ps_buf_ok(&blob) ? put_blob(db, series, ts_ms, ttl_s, &blob) : PS_ENOMEM;
    ps_buf_deinit(&blob);
    return st;
}

static int64_t before(int64_t ts_ms)
{
    return ts_ms > INT64_MIN ? ts_ms - 1 : INT64_MIN;
}

enum ps_status ps_latest_pin_none(struct ps_db *db, uint32_t series, int64_t start_ms)
{
    enum ps_status st = raise_floor(db, series, before(start_ms));
    return st == PS_OK ? drop_point(db, series) : st;
}

enum ps_status ps_latest_pin_keep(struct ps_db *db, uint32_t series, int64_t ts_ms,
                                  const struct ps_value *value, uint32_t ttl_s)
{
    enum ps_status st = raise_floor(db, series, before(ts_ms));
    return st == PS_OK ? put_point(db, series, ts_ms, value, ttl_s) : st;
}

enum ps_status ps_latest_pin_end(struct ps_db *db, uint32_t series)
{
    enum ps_status st = run_on(db,
                               "UPDATE series SET latest_floor_ms = NULL"
                               " WHERE id = ? AND latest_floor_ms IS NOT NULL",
                               series);
    return st == PS_OK ? drop_point(db, series) : st;
}

/* What a point that arrives is measured by. */
struct state {
    bool has_floor, has_point;
    int64_t floor_ms, ts_ms;
    uint32_t ttl_s;
};

static enum ps_status read_state(struct ps_db *db, uint32_t series, struct state *out)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(db,
                                      "SELECT s.latest_floor_ms, p.ts_ms, p.ttl_s FROM series s"
                                      " LEFT JOIN latest_pin p ON p.series = s.id WHERE s.id = ?",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series);
    st = ps_stmt_step(stmt, &row);
    *out = (struct state){ 0 };
    if (st != PS_OK || !row)
        return st;
    *out = (struct state){ .has_floor = !ps_stmt_is_null(stmt, 0),
                           .has_point = !ps_stmt_is_null(stmt, 1),
                           .floor_ms = ps_stmt_int(stmt, 0),
                           .ts_ms = ps_stmt_int(stmt, 1),
                           .ttl_s = (uint32_t)ps_stmt_int(stmt, 2) };
    ps_stmt_reset(stmt);
    return PS_OK;
}

enum ps_status ps_latest_pin_offer(struct ps_db *db, uint32_t series, int64_t ts_ms,
                                   const struct ps_value *value, uint32_t ttl_s, int64_t now_ms,
                                   bool *is_over)
{
    struct state state;
    enum ps_status st = read_state(db, series, &state);
    if (st != PS_OK)
        return st;
    *is_over = !state.has_floor || ts_ms > state.floor_ms;
    if (!state.has_floor)
        return PS_OK;
    if (*is_over)
        return ps_latest_pin_end(db, series);
    if (state.has_point && ts_ms < state.ts_ms &&
        !ps_point_is_expired(state.ts_ms, state.ttl_s, now_ms))
        return PS_OK;
    return put_point(db, series, ts_ms, value, ttl_s);
}
