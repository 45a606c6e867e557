/* merge_input: one of the runs that a merge reads, chunk by chunk.
 *
 * Inside merge*.c only. */
#ifndef PS_CORE_TELEMETRY_MERGE_INPUT_H
#define PS_CORE_TELEMETRY_MERGE_INPUT_H

#include "core/telemetry/merge_stream.h"

struct ps_merge_input {
    const struct ps_run *run;
    struct ps_run_reader *reader; /* NULL between legs */
    bool has_chunk;               /* false: at its end */
    bool decoded;
    struct ps_chunk_info info; /* of the chunk at hand */
    size_t at;                 /* in the decoded points */
    struct ps_chunk_points points;
};

/* All of them set stream->why when the file is damaged (PS_EPROTO). */

/** On the first wanted chunk, or at the end. */
PS_MUST_CHECK
enum ps_status ps_merge_input_open(struct ps_merge_stream *stream, struct ps_merge_input *input,
                                   const struct ps_run_want *want);
void ps_merge_input_close(struct ps_merge_input *input);
/** On to the next chunk, or the end. */
PS_MUST_CHECK
enum ps_status ps_merge_input_next(struct ps_merge_stream *stream, struct ps_merge_input *input);
/** Decode the chunk at hand, less what a tombstone covers and what an earlier leg has written:
 *  maybe nothing is left. */
PS_MUST_CHECK
enum ps_status ps_merge_input_decode(struct ps_merge_stream *stream, struct ps_merge_input *input);

static inline bool ps_merge_input_is_in(const struct ps_merge_input *input, uint32_t series)
{
    return input->has_chunk && input->info.series == series;
}

#endif
