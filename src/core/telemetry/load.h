/* load: at start, the series catalogue and the journal become the heads in memory. */
#ifndef PS_CORE_TELEMETRY_LOAD_H
#define PS_CORE_TELEMETRY_LOAD_H

#include "core/status.h"
#include "core/storage/db.h"
#include "core/telemetry/series.h"

struct ps_load_result {
    int64_t last_seq;     /* of the journal; 0 = empty */
    uint32_t next_series; /* first free series id */
    size_t series, points;
    size_t damaged_rows; /* journal rows whose checksum or content is wrong: skipped, reported */
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
