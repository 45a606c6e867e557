/* merge_stream: reads several runs of a file side by side, and writes their points as one run.
 *
 * Inputs stand in order of arrival, so of equal (series, ts) the later input's point is taken. At
 * any time each input has at most one decoded chunk; what lies before all other inputs' next point
 * is handed on in one piece, so runs that do not overlap in time cost little more than decoding and
 * encoding.
 *
 * It goes on in legs of some megabytes. After each leg the readers are closed, so that the file's
 * log can be copied and begun anew, the output rests outside of a transaction, and others (a seal
 * into the same file) have their turn. */
#ifndef PS_CORE_TELEMETRY_MERGE_STREAM_H
#define PS_CORE_TELEMETRY_MERGE_STREAM_H

#include "core/telemetry/keep.h"
#include "core/telemetry/merge.h"
#include "core/telemetry/run_reader.h"
#include "core/telemetry/run_writer.h"

struct ps_merge_input; /* inside merge_stream.c */

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
    const struct ps_tombstone_list *tombstones; /* all, by series */
    int64_t now_ms;

    /* its own */
    struct ps_run_writer *writer;
    struct ps_merge_input *inputs;
    struct ps_merge_result *result; /* points are counted here */
    struct ps_text why;             /* of damage */
    size_t weight;                  /* bytes of this leg, roughly */

    /* where it is */
    bool in_series; /* a series is done up to last_ms */
    uint32_t series;
    int64_t last_ms;
    bool finished;

    /* of the series at hand */
    bool orphaned;
    uint32_t default_ttl_s;
    uint64_t drops_ttl_s; /* expired points with at least this time to live hide nothing */
    size_t first_tombstone, tombstone_end;
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
