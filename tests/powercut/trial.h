/* trial: one life, one fault, and whether the promises held.
 *
 *     start where the scenario's prefix ended, the fault armed
 *     take the steps until the disk is dead, or to the end
 *     while it lasts a step may fail, but what a question is answered must be true
 *     a fault that passed: all later steps must succeed, all must be readable as it is; unless
 *     it was the beginning of the end, and the disk dies soon after
 *     what is not synced is lost (killed: kept)
 *     sometimes a copy of that is backed up and restored, or rebuilt by fsck, and started
 *     start again (sometimes the power is cut once more on the way), read everything, look into
 *     the files, take some more steps, read everything again
 *
 * Whatever was allocated is free in the end. */
#ifndef PS_TESTS_POWERCUT_TRIAL_H
#define PS_TESTS_POWERCUT_TRIAL_H

#include "powercut/aftermath.h"
#include "powercut/scenario.h"
#include "support/cut_disk.h"

/* Where all trials of a seed begin. */
struct trial_base {
    struct scenario scenario;
    const char *dir; /* exists; its telemetry folder, too */
    struct cut_disk *disk;
    struct life life;
};

struct trial {
    struct cut_plan plan;
    enum aftermath aftermath;
    uint64_t second_at; /* the operation of the new start in which the power is cut again; 0 none */
};

enum { TRIAL_FRAMES_MAX = 12 };

struct trial_result {
    bool struck;    /* the fault was reached */
    uint64_t count; /* operations it could have hit */
    char in[300];   /* the operation that it hit */
    char step[24];  /* the step */
    size_t acknowledged;
    char problem[400];                  /* empty: all is well */
    void *refused_at[TRIAL_FRAMES_MAX]; /* who asked for the memory that was refused first */
    int refused_count;
};

/** False: the undisturbed prefix failed already; `why` says how. */
bool trial_base_init(struct trial_base *base, uint64_t seed, const char *dir, char *why,
                     size_t size);
void trial_base_deinit(struct trial_base *base);

void trial_run(const struct trial_base *base, const struct trial *trial,
               struct trial_result *result);

#endif
