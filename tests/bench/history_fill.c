/* history_fill: a data directory as a server leaves it that was killed: much history in files, and
 * a journal that is nearly full.
 *
 * Usage: history_fill PARENT [points [series [tail]]]     (100,000,000, 100,000, 1,000,000)
 *
 * Makes a directory below PARENT and prints its name. `points` readings of sensors with two
 * decimals, a minute apart, are sealed; `tail` more stay in the journal. The process then ends
 * without closing anything. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/history_world.h"

enum { ROW_POINTS = 2000, SEAL_POINTS = 1500000, STEP_MS = 60000 };

struct filler {
    struct history_world world;
    uint32_t series, next;
    int64_t ts_ms;
    int *cents; /* where each sensor's walk is */
};

static void put_point(struct filler *filler)
{
    int *cents = &filler->cents[filler->next];
    *cents += rand() % 11 - 5; /* libc's generator, never seeded: the same points every time */
    struct ps_point point = { .ts_ms = filler->ts_ms + rand() % 10,
                              .value = { .type = PS_VALUE_DOUBLE, .real = *cents / 100.0 } };
    history_world_put(&filler->world, ++filler->next, &point);
    if (filler->next < filler->series)
        return;
    filler->next = 0;
    filler->ts_ms += STEP_MS;
}

static void fill(struct filler *filler, long points, bool seal)
{
    for (long i = 1; i <= points; i++) {
        put_point(filler);
        if (i % ROW_POINTS == 0 || i == points)
            history_world_commit(&filler->world);
        if (seal && (i % SEAL_POINTS == 0 || i == points))
            history_world_seal(&filler->world);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s PARENT [points [series [tail]]]\n", argv[0]);
        return 2;
    }
    long points = argc > 2 ? atol(argv[2]) : 100000000;
    long series = argc > 3 ? atol(argv[3]) : 100000;
    long tail = argc > 4 ? atol(argv[4]) : 1000000;
    if (points < 0 || series < 1 || series > 10000000 || tail < 0) {
        fprintf(stderr, "%s: out of range\n", argv[0]);
        return 2;
    }
    struct filler filler = { .series = (uint32_t)series, .ts_ms = HISTORY_START_MS };
    filler.cents = calloc((size_t)series, sizeof *filler.cents);
    if (!filler.cents)
        return 1;
    history_world_open(&filler.world, argv[1], filler.series, 3);
    fill(&filler, points, true);
    fill(&filler, tail, false);
    puts(filler.world.directory);
    fflush(stdout);
    _exit(0);
}
