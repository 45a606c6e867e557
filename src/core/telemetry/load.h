/* load: at start, the series catalogue and the unsealed end of the journal become the heads in
 * memory.
 *
 * What is sealed stays where it is: the start takes as long after years as after a day. It is a
 * scan of the catalogue in the order of ids, and of the journal rows after sealed_seq, with the
 * deletions among them applied where they happened. A row that cannot be right is skipped and
 * counted, and costs no memory whatever it says. */
#ifndef PS_CORE_TELEMETRY_LOAD_H
#define PS_CORE_TELEMETRY_LOAD_H

#include "core/status.h"
#include "core/storage/db.h"
#include "core/telemetry/series.h"

/* Greater ids are taken for damage: the counter could not go on behind them. */
#define PS_SERIES_ID_MAX (UINT32_MAX - (1u << 24))

struct ps_load_result {
    int64_t last_seq;     /* of the journal, sealed rows included; 0 = there never was one */
    int64_t sealed_seq;   /* rows up to here are in runs */
    uint32_t next_series; /* first series id that was never used */
    size_t series, points;
    size_t damaged_rows;   /* journal rows whose checksum or content is wrong */
    size_t damaged_series; /* catalogue rows that cannot be */
};

/**
 * Read everything into `tables`; `table_of(entity, arg)` says which table owns an entity.
 * Thread: main, before the shards start.
 */
PS_MUST_CHECK
enum ps_status ps_telemetry_load(struct ps_db *db, struct ps_series_table *tables,
                                 unsigned (*table_of)(const struct ps_uuid *entity,
                                                      const void *arg),
                                 const void *arg, struct ps_load_result *out);

#endif
