/* actors_start: building and tearing down the actors, for main.c. */
#ifndef PS_ACTORS_ACTORS_START_H
#define PS_ACTORS_ACTORS_START_H

#include "actors/actors.h"
#include "core/mailbox.h"
#include "core/storage/db.h"
#include "core/telemetry/load.h"
#include "rules/lua/script.h"
#include "rules/run.h"

struct ps_chains;
struct ps_letter_room;
struct ps_metrics;
struct ps_reader_pool;
struct ps_store;
struct ps_writer;

struct ps_actors_settings {
    unsigned shards;
    struct ps_writer *writer;
    struct ps_reader_pool *readers;
    struct ps_chains *chains;
    struct ps_metrics *metrics; /* lane = shard index */
    struct ps_mailbox_limits mailbox;
    struct ps_lua_limits lua;
    struct ps_run_limits run;
    int64_t idle_park_ms;
    uint32_t turn_messages;
    int64_t turn_us;
    size_t batch_bytes_max;
    int64_t dead_letter_bytes_max;
    uint32_t sessions_per_device_max;
    uint32_t head_points_max;
    size_t head_memory_max;            /* of all shards */
    struct ps_store *store;            /* sealed history; NULL: there is none */
    const _Atomic int64_t *sealed_seq; /* journal rows up to here are sealed; may be NULL */
    uint32_t default_ttl_s;            /* telemetry.ttl_days; 0 = for ever */
};

PS_MUST_CHECK
enum ps_status ps_actors_create(const struct ps_actors_settings *settings, struct ps_actors **out);
/** The next row of the journal; batches take theirs while they are written. */
_Atomic int64_t *ps_actors_next_seq(struct ps_actors *actors);
/** Once in a second at most, so that a damaged file does not fill the log. Thread: any. */
bool ps_actors_may_log_damage(struct ps_actors *actors);
/** The writer's thread only. */
struct ps_letter_room *ps_actors_letter_room(struct ps_actors *actors);
/** Read the telemetry that is in the database into the heads. Thread: main, before start. */
PS_MUST_CHECK
enum ps_status ps_actors_load(struct ps_actors *actors, struct ps_db *db,
                              struct ps_load_result *result);
PS_MUST_CHECK
enum ps_status ps_actors_start(struct ps_actors *actors);
/** Finish every mailbox, commit, answer; then join. Transports must have stopped feeding. */
void ps_actors_stop(struct ps_actors *actors);
void ps_actors_destroy(struct ps_actors *actors);

#endif
