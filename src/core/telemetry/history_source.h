/* history_source: one of the ordered lists of points that a history is merged from: a run, the
 * end of the journal, a head.
 *
 * A walk goes up or down in time. To have one code for both, times are compared as keys:
 * ts ^ mask, with mask 0 upwards and -1 downwards, which turns the order of all int64 round.
 *
 * Inside history*.c only. */
#ifndef PS_CORE_TELEMETRY_HISTORY_SOURCE_H
#define PS_CORE_TELEMETRY_HISTORY_SOURCE_H

#include "core/telemetry/history_view.h"
#include "core/telemetry/run_reader.h"

/* Rows of the journal, by which runs are ranked, end before these. */
#define PS_RANK_TAIL (INT64_MAX - 1)
#define PS_RANK_HEAD INT64_MAX

/* One way through the view's range. */
struct ps_history_walk {
    const struct ps_history_view *view;
    int64_t mask; /* 0 upwards, -1 downwards */
};

/* Both inclusive. */
struct ps_history_span {
    int64_t first_ms, last_ms;
};

struct ps_history_source {
    int64_t rank; /* who arrived later */
    /* points[at .. count) are to come, in the order of the walk */
    const struct ps_point *points;
    const uint32_t *ttl_s; /* NULL: none has its own */
    size_t at, count;
    /* of a run */
    struct ps_run_reader *reader; /* NULL: not a run, or at its end */
    size_t file;                  /* index among the cursor's open files */
    const char *file_name;        /* the manifest's */
    bool waiting;                 /* `chunk` comes next and is not decoded yet */
    struct ps_chunk_info chunk;
    struct ps_chunk_points decoded;
    struct ps_deleted_spans deleted; /* of the series; the view's */
};

void ps_history_source_deinit(struct ps_history_source *source);

static inline bool ps_history_source_is_empty(const struct ps_history_source *source)
{
    return source->at == source->count && !source->waiting;
}

/** The next chunk waits, or the source is at its end. Damage is noted and passed over. */
PS_MUST_CHECK
enum ps_status ps_history_source_advance(struct ps_history_source *source,
                                         struct ps_history *history);
/** Decode the waiting chunk, cut to the view's range; maybe nothing is left of it. */
PS_MUST_CHECK
enum ps_status ps_history_source_decode(struct ps_history_source *source,
                                        const struct ps_history_walk *walk);
/** Was something in this span deleted from the run after it was written? */
bool ps_history_source_touches_deleted(const struct ps_history_source *source, int64_t first_ms,
                                       int64_t last_ms);

/** A time not after that of the next point, as a key. */
int64_t ps_history_source_key(const struct ps_history_source *source,
                              const struct ps_history_walk *walk);

static inline int64_t ps_history_key(const struct ps_history_walk *walk, int64_t ts_ms)
{
    return ts_ms ^ walk->mask;
}

#endif
