#include "powercut/trial.h"

#include <stdio.h>
#include <string.h>

#include "support/cut_memory.h"
#include "support/cut_vfs.h"

enum { START_TRIES = 100 };

struct run {
    const struct trial_base *base;
    const struct trial *trial;
    struct trial_result *result;
    struct cut_disk *disk;
    struct life life;
    int64_t foreign_things;
};

static void put_problem(char *out, size_t size, const char *when, const struct life *life)
{
    snprintf(out, size, "%s: %s", when, life->plant.why[0] ? life->plant.why : "failed");
}

static bool has_failed(struct run *run, const char *when)
{
    put_problem(run->result->problem, sizeof run->result->problem, when, &run->life);
    return false;
}

/* ---- where it begins --------------------------------------------------------------------------
 */

static enum ps_status take_prefix(struct life *life)
{
    const struct scenario *scenario = life->scenario;
    enum ps_status st = life_start(life);
    for (size_t i = 0; i < scenario->prefix && st == PS_OK; i++)
        st = life_step(life, scenario->steps[i], i);
    return st == PS_OK ? life_check(life, true) : st;
}

/* Odd seeds were killed, the others stopped: the log is there, or not. */
bool trial_base_init(struct trial_base *base, uint64_t seed, const char *dir, char *why,
                     size_t size)
{
    memset(base, 0, sizeof *base);
    base->scenario = scenario_make(seed);
    base->dir = dir;
    base->disk = cut_disk_create();
    cut_vfs_use(base->disk, seed);
    life_begin(&base->life, &base->scenario, dir);
    bool good = !base->scenario.prefix || take_prefix(&base->life) == PS_OK;
    if (!good)
        put_problem(why, size, "without any fault", &base->life);
    if (seed & 1)
        cut_disk_strike(base->disk, CUT_KILL);
    life_stop(&base->life);
    if (seed & 1)
        cut_disk_survive(base->disk, seed);
    cut_vfs_use(NULL, 0);
    return good;
}

void trial_base_deinit(struct trial_base *base)
{
    cut_disk_destroy(base->disk);
}

/* ---- the life that is disturbed ---------------------------------------------------------------
 */

static bool is_dead(const struct run *run)
{
    return cut_disk_is_dead(run->disk);
}

static bool is_over(const struct run *run)
{
    const struct cut_plan *plan = &run->trial->plan;
    return plan->span != CUT_LASTING && cut_disk_struck(run->disk) &&
           cut_disk_count(run->disk) >= plan->at + plan->span;
}

/* It struck, and goes on until the disk is mended. */
static bool is_lasting(const struct run *run)
{
    return run->trial->plan.span == CUT_LASTING && cut_disk_struck(run->disk);
}

static void note_strike(struct run *run, const char *step)
{
    struct trial_result *result = run->result;
    if (result->struck || !cut_disk_struck(run->disk))
        return;
    result->struck = true;
    snprintf(result->in, sizeof result->in, "%s", cut_disk_struck_in(run->disk));
    snprintf(result->step, sizeof result->step, "%s", step);
}

/* A fault that passes may keep it from starting, but not for ever. */
static bool start_disturbed(struct run *run)
{
    for (int i = 0; i < START_TRIES; i++) {
        bool was_over = is_over(run) || run->trial->plan.at == 0;
        enum ps_status st = life_start(&run->life);
        note_strike(run, "start");
        if (st == PS_OK || is_dead(run) || is_lasting(run))
            return true;
        if (was_over)
            break;
    }
    return has_failed(run, "start after the fault");
}

static bool step_disturbed(struct run *run, size_t index)
{
    char step = run->base->scenario.steps[index], name[24];
    snprintf(name, sizeof name, "%c (%zu)", step, index);
    bool was_well = is_over(run) || !cut_disk_struck(run->disk);
    if (!run->life.is_open && !start_disturbed(run))
        return false;
    enum ps_status st = PS_OK;
    if (run->life.is_open && !is_dead(run))
        st = life_step(&run->life, step, index);
    note_strike(run, name);
    if (st == PS_EPROTO && !is_dead(run)) /* no fault but a broken disk may look like damage */
        return has_failed(run, "answer under the fault");
    bool strikes_now = cut_disk_struck(run->disk) && strcmp(run->result->step, name) == 0;
    return st == PS_OK || is_dead(run) || strikes_now || !was_well ||
           has_failed(run, "step after the fault");
}

/* The process lives on, on a disk that works again. */
static bool is_mended(struct run *run)
{
    bool lies = run->trial->plan.lying_syncs;
    bool was_lasting = is_lasting(run);
    cut_disk_arm(run->disk, &(struct cut_plan){ .lying_syncs = lies });
    if (!run->life.is_open && life_start(&run->life) != PS_OK)
        return has_failed(run, "start after the fault");
    for (size_t i = 0; was_lasting && scenario_afterwards[i]; i++) {
        if (life_step(&run->life, scenario_afterwards[i], 3000 + i) != PS_OK)
            return has_failed(run, "step after the fault");
    }
    return life_check(&run->life, false) == PS_OK || has_failed(run, "read without restart");
}

static bool live_disturbed(struct run *run)
{
    const struct scenario *scenario = &run->base->scenario;
    if (!start_disturbed(run))
        return false;
    for (size_t i = scenario->prefix; scenario->steps[i] && !is_dead(run); i++) {
        if (!step_disturbed(run, i))
            return false;
    }
    run->result->count = cut_disk_count(run->disk);
    if (is_dead(run))
        return true;
    return is_mended(run);
}

/* ---- afterwards -------------------------------------------------------------------------------
 */

static bool take_afterwards(struct run *run)
{
    for (size_t i = 0; scenario_afterwards[i]; i++) {
        if (life_step(&run->life, scenario_afterwards[i], 1000 + i) != PS_OK)
            return has_failed(run, "step after the new start");
    }
    return life_check(&run->life, false) == PS_OK || has_failed(run, "read after more steps");
}

static bool live_again(struct run *run)
{
    if (life_start(&run->life) != PS_OK)
        return has_failed(run, "new start");
    if (life_check(&run->life, true) != PS_OK)
        return has_failed(run, "read after the new start");
    return take_afterwards(run);
}

/* The power is cut once more while it starts or goes on. */
static bool is_cut_again(struct run *run)
{
    uint64_t seed = run->trial->plan.seed + 1;
    cut_disk_arm(run->disk, &(struct cut_plan){
                                .fault = CUT_POWER, .at = run->trial->second_at, .seed = seed });
    enum ps_status st = life_start(&run->life);
    for (size_t i = 0; scenario_afterwards[i] && st == PS_OK; i++)
        st = life_step(&run->life, scenario_afterwards[i], 2000 + i);
    bool good = st == PS_OK || cut_disk_struck(run->disk);
    cut_disk_strike(run->disk, CUT_POWER);
    life_stop(&run->life);
    cut_disk_survive(run->disk, seed);
    cut_vfs_use(run->disk, seed);
    return good || has_failed(run, "start before the second cut");
}

/* Where there is no database yet, an operator has nothing to do. */
static bool check_aftermath(struct run *run)
{
    static const char *const names[] = {
        [AFTERMATH_BACKUP] = "backup and restore", [AFTERMATH_REBUILD] = "fsck --rebuild"
    };
    enum aftermath what = run->trial->aftermath;
    char problem[300];
    if (!run->life.ledger.acknowledged)
        return true;
    int64_t things_before = cut_memory_live();
    bool good = aftermath_check(&run->life, run->disk, what, problem, sizeof problem);
    run->foreign_things += cut_memory_live() - things_before; /* libraries give us theirs to free */
    if (good)
        return true;
    snprintf(run->result->problem, sizeof run->result->problem, "%s: %s", names[what], problem);
    return false;
}

static void live(struct run *run)
{
    uint64_t seed = run->trial->plan.seed;
    bool good = live_disturbed(run);
    run->result->acknowledged = run->life.ledger.acknowledged;
    if (!is_dead(run))
        cut_disk_strike(run->disk, CUT_POWER);
    life_stop(&run->life);
    cut_disk_survive(run->disk, seed);
    cut_vfs_use(run->disk, seed + 1);
    if (good && run->trial->aftermath)
        good = check_aftermath(run);
    if (good && run->trial->second_at)
        good = is_cut_again(run);
    if (good)
        (void)live_again(run);
    life_stop(&run->life);
}

void trial_run(const struct trial_base *base, const struct trial *trial,
               struct trial_result *result)
{
    memset(result, 0, sizeof *result);
    int64_t things_before = cut_memory_live();
    struct run run = { .base = base, .trial = trial, .result = result, .life = base->life };
    run.disk = cut_disk_copy(base->disk);
    run.life.scenario = &base->scenario;
    cut_vfs_use(run.disk, trial->plan.seed);
    cut_memory_use(run.disk);
    cut_disk_arm(run.disk, &trial->plan);
    live(&run);
    result->refused_count = cut_memory_refused_at(result->refused_at, TRIAL_FRAMES_MAX);
    cut_memory_use(NULL);
    cut_vfs_use(NULL, 0);
    int64_t left = cut_memory_live() - things_before - run.foreign_things;
    if (left && !result->problem[0])
        snprintf(result->problem, sizeof result->problem, "leak: %lld allocations were not freed",
                 (long long)left);
    cut_disk_destroy(run.disk);
}
