#include "core/telemetry/merge_order.h"

/* No range is longer, but the two open ones, which overlap none. Files are in order of their start:
 * one that starts earlier than that before another ends before it, too. */
#define LONGEST_MS (32 * 86400000ll)

static bool overlaps(const struct ps_manifest_file *a, const struct ps_manifest_file *b)
{
    return a != b && a->start_ms < b->end_ms && b->start_ms < a->end_ms;
}

static void visit_overlapping(const struct ps_manifest *manifest,
                              const struct ps_manifest_file *file,
                              void (*visit)(void *arg, const struct ps_run *run), void *arg)
{
    const struct ps_manifest_file *begin = manifest->files.items;
    const struct ps_manifest_file *end = begin + manifest->files.count, *other = file;
    int64_t from_ms =
        file->start_ms < INT64_MIN + LONGEST_MS ? INT64_MIN : file->start_ms - LONGEST_MS;
    while (other > begin && other[-1].start_ms >= from_ms)
        other--;
    for (; other < end && other->start_ms < file->end_ms; other++) {
        for (size_t i = 0; overlaps(other, file) && i < other->run_count; i++)
            visit(arg, &manifest->runs.items[other->first_run + i]);
    }
}

struct next {
    int64_t after, seq;
};

static void take_earlier(void *arg, const struct ps_run *run)
{
    struct next *next = arg;
    if (run->journal_last > next->after && run->journal_last < next->seq)
        next->seq = run->journal_last;
}

size_t ps_merge_order_end(const struct ps_manifest *manifest, const struct ps_manifest_file *file,
                          size_t first)
{
    const struct ps_run *runs = manifest->runs.items;
    struct next next = { .after = runs[first].journal_last, .seq = INT64_MAX };
    visit_overlapping(manifest, file, take_earlier, &next);
    size_t end = first + 1;
    while (end < file->first_run + file->run_count && runs[end].journal_last <= next.seq)
        end++;
    return end;
}

struct older {
    int64_t before;
    void (*visit)(void *arg, const struct ps_run *run);
    void *arg;
};

static void visit_older(void *arg, const struct ps_run *run)
{
    const struct older *older = arg;
    if (run->journal_last < older->before)
        older->visit(older->arg, run);
}

void ps_merge_order_older(const struct ps_manifest *manifest, const struct ps_manifest_file *file,
                          size_t first, void (*visit)(void *arg, const struct ps_run *run),
                          void *arg)
{
    const struct ps_run *runs = manifest->runs.items;
    struct older older = { .before = runs[first].journal_last, .visit = visit, .arg = arg };
    for (size_t i = file->first_run; i < first; i++)
        visit(arg, &runs[i]);
    visit_overlapping(manifest, file, visit_older, &older);
}
