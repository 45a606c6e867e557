/* ttl: how long points are kept whose message did not say.
 *
 * A whole number of days above 0 in the device profile ("configuration"."defaultStorageTtlDays" of
 * profile_data), else in the profile of the tenant, else what the configuration says. An entity
 * that is not a device has its tenant's; a tenant, its own. A profile that says more than
 * PS_TTL_DAYS_MAX means: for ever.
 *
 * A point is expired iff its ts + ttl is not in the future; that is decided where points are read
 * (history, merge), not here. */
#ifndef PS_CORE_ENTITY_TTL_H
#define PS_CORE_ENTITY_TTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/storage/db.h"
#include "core/uuid.h"

enum { PS_TTL_DAYS_MAX = 36500 };
/* In seconds; fits uint32_t. The most a message, a node or a request may ask for, too. */
#define PS_TTL_S_MAX ((int64_t)PS_TTL_DAYS_MAX * 86400)

/**
 * The default of one entity.
 *
 * @param config_default_s  seconds, 0 = for ever
 * @param out               seconds, 0 = for ever; config_default_s for an entity that is not stored
 * Returns: PS_OK; PS_ENOMEM; PS_ESTORE
 * Thread:  any with a handle
 */
PS_MUST_CHECK
enum ps_status ps_ttl_default(struct ps_db *db, const struct ps_entity_id *entity,
                              uint32_t config_default_s, uint32_t *out);

struct ps_ttl_entry {
    uint32_t series;
    uint32_t ttl_s; /* 0 = for ever */
};

/* Device profiles, or tenants, that say something; by id. There are few. */
struct ps_ttl_said {
    struct ps_ttl_said_item {
        struct ps_uuid id;
        uint32_t ttl_s;
    } * items; /* owned */
    size_t count, cap;
};

/* The default of every series in the catalogue, for whoever walks all of them: 8 bytes a series.
 * Zeroed = empty. One thread at a time (it remembers where it looked last). */
struct ps_ttl_table {
    struct ps_ttl_entry *entries; /* by series, ascending */
    size_t count, cap;
    size_t at;        /* where the last one was found */
    uint32_t least_s; /* smallest of them that is not 0; 0 = all are kept for ever */
    uint32_t most_s;  /* greatest of them; 0 = one of them (or none there are) is kept for ever */

    /* what it was made of */
    bool loaded;
    int64_t data_version; /* SQLite's, of the handle that read it */
    uint32_t config_default_s;
    struct ps_ttl_said profiles, tenants;
};

/**
 * Read the catalogue and the profiles as they are now (in one snapshot, if the caller has begun
 * one) into `table`, which is emptied first.
 *
 * Returns: PS_OK; PS_ENOMEM; PS_ESTORE (the table is empty then)
 */
PS_MUST_CHECK
enum ps_status ps_ttl_table_load(struct ps_db *db, uint32_t config_default_s,
                                 struct ps_ttl_table *table);
/**
 * The same, but what cannot have changed since the last time is not read again. Nothing at all, if
 * nobody has committed since; the catalogue only where it has grown, if no profile says anything
 * and no series is gone. So an idle server reads nothing, and one that is busy with points counts.
 *
 * @param db  always the same handle, which changes nothing itself
 * Returns: as above
 */
PS_MUST_CHECK
enum ps_status ps_ttl_table_refresh(struct ps_db *db, uint32_t config_default_s,
                                    struct ps_ttl_table *table);
/** False: the series is not in the catalogue (its entity is gone), *ttl_s is untouched. Ascending
 *  questions are answered in constant time. */
bool ps_ttl_table_find(struct ps_ttl_table *table, uint32_t series, uint32_t *ttl_s);
void ps_ttl_table_deinit(struct ps_ttl_table *table);

#endif
