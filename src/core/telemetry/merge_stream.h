/* merge_stream: reads several runs of a file side by side, and writes their points as one run.
 *
 * Inputs stand in order of arrival, so of equal (series, ts) the later input's point is taken. It
 * goes series by series (merge_series.h), in legs of some megabytes. After each leg the readers are
 * closed, so that the file's log can be copied and begun anew, the output rests outside of a
 * transaction, and others (a seal into the same file) have their turn. */
#ifndef PS_CORE_TELEMETRY_MERGE_STREAM_H
#define PS_CORE_TELEMETRY_MERGE_STREAM_H

#include "core/telemetry/deletions.h"
#include "core/telemetry/keep.h"
#include "core/telemetry/merge.h"
#include "core/telemetry/run_reader.h"
#include "core/telemetry/run_writer.h"

enum {
    PS_MERGE_LEG_BYTES = 8 << 20,
    PS_MERGE_SHORT_POINTS = 256, /* a series of no more is put together in memory */
};

struct ps_merge_input; /* merge_input.h */

/* Points of one series, from all inputs. */
struct ps_merge_short {
    size_t count;
    bool has_ttl; /* one of ttl_s is not 0 */
    struct ps_point points[PS_MERGE_SHORT_POINTS];
    uint32_t ttl_s[PS_MERGE_SHORT_POINTS];
};

struct ps_merge_stream {
    /* the caller's */
    struct ps_keep *keep;
    const char *name;            /* of the file */
    struct ps_run_file *reading; /* two handles of it */
    struct ps_run_file *writing;
    int64_t run;               /* number of the output */
    const struct ps_run *runs; /* inputs, oldest arrival first */
    size_t count;
    /* Of live runs of the file that are older than the inputs and stay: what they may still show.
     */
    bool older_default_ttl;
    uint32_t older_ttl_s;
    const struct ps_deletions *deletions;
    int64_t now_ms;

    /* its own */
    struct ps_run_writer *writer;
    struct ps_merge_input *inputs;
    struct ps_merge_result *result; /* points are counted here */
    struct ps_text why;             /* of damage */
    size_t weight;                  /* bytes of this leg, roughly */
    size_t leg_bytes;               /* of a leg; 0: PS_MERGE_LEG_BYTES */
    struct ps_merge_short gathered;

    /* where it is */
    bool in_series; /* a series is done up to last_ms */
    uint32_t series;
    int64_t last_ms;
    bool finished;

    /* of the series at hand */
    struct ps_merge_input **members; /* inputs that have it, in order of arrival */
    size_t member_count;
    bool orphaned;
    struct ps_deleted_spans deleted;
    uint32_t default_ttl_s;
    /* These follow from the default. */
    bool drops_default;     /* points without a time to live of their own are expired */
    int64_t drops_up_to_ms; /* up to here */
    uint64_t drops_ttl_s;   /* expired points with at least this time to live hide nothing */
};

/**
 * Merge all of it into `result`'s counts and *out, a committed run (of no points: nothing is
 * written). The writer's run must be known to nobody yet.
 *
 * Returns: PS_OK; PS_EPROTO the file is damaged, `why` says how; PS_ECLOSED; PS_EFULL; PS_ESTORE;
 *          PS_ENOMEM. On failure nothing is left in the file
 */
PS_MUST_CHECK
enum ps_status ps_merge_stream_run(struct ps_merge_stream *stream, struct ps_run *out);

#endif
