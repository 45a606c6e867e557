/* history_cursor: one walk over a series: its sources, and the files they come from.
 *
 * Files are opened when the walk comes to them and given back when all of their runs are read, so
 * mostly one is open at a time.
 *
 * Inside history*.c only. */
#ifndef PS_CORE_TELEMETRY_HISTORY_CURSOR_H
#define PS_CORE_TELEMETRY_HISTORY_CURSOR_H

#include "core/telemetry/history_source.h"

struct ps_run_file;

struct ps_history_file {
    struct ps_run_file *handle;
    size_t readers;
};

/* A file of the manifest that may hold points in the range. */
struct ps_history_plan {
    const struct ps_manifest_file *file;
    int64_t key; /* nothing of it comes before */
};

struct ps_history_cursor {
    struct ps_history_view *view;
    struct ps_history_walk walk;
    uint32_t series;
    bool expires;             /* points without own time to live can be gone ... */
    int64_t expired_up_to_ms; /* ... up to here */
    struct ps_history_source *sources;
    size_t source_count, source_cap;
    struct ps_history_file *files;
    size_t file_count;
    struct ps_history_plan *plan; /* in the order of the walk */
    size_t plan_count, next_file;
    struct ps_tail_window head;   /* all of it that is in the range */
    const struct ps_tail *tail;   /* the view's; NULL: there is none */
    struct ps_tail_window window; /* of the tail, behind the view's first one */
    struct ps_chunk_points spare; /* of a run that is done, for the next one */
    struct ps_point *sifted;
    uint32_t *sifted_ttl_s;
};

/** Which files the walk comes by, and in which order. */
PS_MUST_CHECK
enum ps_status ps_history_cursor_plan(struct ps_history_cursor *cursor);
/** Open the next planned file: its runs become sources. What is damaged or missing is noted.
 *  Returns: PS_OK; PS_EBUSY a run was merged since the snapshot; PS_ESTORE; PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_history_cursor_open_file(struct ps_history_cursor *cursor);

/** NULL if memory is short. Pointers to other sources are invalid afterwards. */
struct ps_history_source *ps_history_cursor_add_source(struct ps_history_cursor *cursor,
                                                       int64_t rank);
/** The source is done; the last one takes its place. */
void ps_history_cursor_remove(struct ps_history_cursor *cursor, size_t index);
/** Give the file back if nobody reads it. */
void ps_history_cursor_release(struct ps_history_cursor *cursor, struct ps_history_file *file);

#endif
