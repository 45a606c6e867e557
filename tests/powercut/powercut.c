/* powercut: cuts the power, kills, fails writes, fills the disk and refuses memory at any operation
 * of the storage's life, starts again and checks that nothing acknowledged is missing and nothing
 * is half there. What is promised stands in trial.h, the faults in support/cut_disk.h.
 *
 *     powercut select POINTS            that many trials, spread over seeds, kinds and operations
 *     powercut sweep KIND SEED [PART OF]   every operation of a seed (or each OF-th, from PART on);
 *                                       of allocations some
 *     powercut one KIND SEED AT         one trial, told about
 *     powercut lie POINTS               select with a disk whose syncs lie: must find losses
 *
 * KIND: power, kill, ioerr, read, full, nomem, malloc. The exit status is 1 if a promise was
 * broken, and each such trial is told in a line that can be repeated with `one`. "sweep" beside
 * this file runs all of it on all processors. */
#include <execinfo.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "core/status.h"
#include "powercut/trial.h"
#include "support/cut_vfs.h"

enum {
    SEEDS = 4,         /* of a selection */
    HANG_S = 120,      /* longest trial, also under a sanitizer */
    TOLD_EACH = 500,   /* trials between two lines of progress */
    NOMEM_STRIDE = 61, /* there are very many allocations */
    MALLOC_STRIDE = 7, /* and many of these */
    PROBLEMS_MAX = 20,
};

static const char *const fault_names[CUT_FAULTS] = { "none", "power", "kill",  "ioerr",
                                                     "read", "full",  "nomem", "malloc" };

static char folder[64], telemetry[96];

/* What a trial that hangs or dies leaves behind: written from a signal handler. */
static char present[128];

/* What was going on when a fault struck. */
enum work {
    WORK_START,
    WORK_COMMIT,
    WORK_SEAL,
    WORK_TRIM,
    WORK_MERGE,
    WORK_RETENTION,
    WORK_CHECKPOINT,
    WORK_QUESTION,
    WORK_NONE, /* it was not reached: the life took another way before */
    WORKS,
};

static const struct {
    const char *name, *steps;
} works[WORKS] = { { "start", "x" },      { "commit", "wbpad" }, { "seal", "s" },
                   { "trim", "t" },       { "merge", "mf" },     { "retention", "rh" },
                   { "checkpoint", "c" }, { "question", "qk" },  { "unreached", "" } };

struct tally {
    size_t trials, problems, by_work[WORKS];
};

static void tell_present(int number)
{
    static const char hangs[] = "PROBLEM hangs: ", dies[] = "PROBLEM dies: ";
    const char *what = number == SIGALRM ? hangs : dies;
    (void)!write(STDOUT_FILENO, what, strlen(what));
    (void)!write(STDOUT_FILENO, present, strlen(present));
    (void)!write(STDOUT_FILENO, "\n", 1);
    _exit(1);
}

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void set_up(void)
{
    bool has_memory = access("/dev/shm", W_OK) == 0; /* real files are made and synced, too */
    snprintf(folder, sizeof folder, "%s/ps-powercut-XXXXXX", has_memory ? "/dev/shm" : "/tmp");
    PS_ASSERT(mkdtemp(folder));
    snprintf(telemetry, sizeof telemetry, "%s/telemetry", folder);
    PS_ASSERT(mkdir(telemetry, 0700) == 0);
    atexit(remove_folder);
    signal(SIGALRM, tell_present);
    signal(SIGABRT, tell_present); /* an assertion */
    ps_log_configure(PS_LOG_OFF, PS_LOG_LOGFMT);
    cut_vfs_install();
    cut_vfs_mirror(telemetry);
}

static enum cut_fault parse_fault(const char *name)
{
    for (enum cut_fault fault = CUT_POWER; fault < CUT_FAULTS; fault++) {
        if (strcmp(name, fault_names[fault]) == 0)
            return fault;
    }
    fprintf(stderr, "no kind of fault is called %s\n", name);
    exit(2);
}

static void make_base(struct trial_base *base, uint64_t seed)
{
    char why[300];
    if (trial_base_init(base, seed, folder, why, sizeof why))
        return;
    printf("PROBLEM seed %llu: %s\n", (unsigned long long)seed, why);
    exit(1);
}

/* How long a passing fault lasts, whether the disk dies soon after it, whether the power is cut a
 * second time and what else is done with the data follow from where it is. */
static struct trial trial_at(enum cut_fault fault, uint64_t seed, uint64_t at)
{
    struct trial trial = { .plan = { .fault = fault, .at = at, .seed = seed * 7919 + at } };
    struct cut_plan *plan = &trial.plan;
    plan->span = fault == CUT_FULL ? 1 + at % 40 : fault == CUT_IOERR ? 1 + at % 3 : 1;
    if (fault == CUT_READ)
        plan->span = at % 3 == 0 ? CUT_LASTING : at % 3;
    if (fault == CUT_MALLOC)
        plan->span = at % 5 == 0 ? 1 + at % 7 : 1;
    if ((fault == CUT_FULL || fault == CUT_IOERR) && at % 2 == 0) {
        plan->dies_at = at + plan->span + at / 2 % 30;
        plan->dies_by = at / 2 % 2 == 0 ? CUT_KILL : CUT_POWER;
    }
    if (at % 7 == 3)
        trial.aftermath = at / 7 % 2 ? AFTERMATH_BACKUP : AFTERMATH_REBUILD;
    if (at % 4 == 0)
        trial.second_at = 1 + at / 4 % 120;
    return trial;
}

static enum work work_of(const struct trial_result *result)
{
    if (!result->struck)
        return WORK_NONE;
    if (strcmp(result->step, "start") == 0)
        return WORK_START;
    enum work work = WORK_START;
    while (work < WORK_NONE && !strchr(works[work].steps, result->step[0]))
        work++;
    return work;
}

static void run_trial(const struct trial_base *base, const struct trial *trial,
                      struct trial_result *result, struct tally *tally)
{
    const struct cut_plan *plan = &trial->plan;
    snprintf(present, sizeof present, "powercut one %s %llu %llu", fault_names[plan->fault],
             (unsigned long long)base->scenario.seed, (unsigned long long)plan->at);
    alarm(HANG_S);
    trial_run(base, trial, result);
    alarm(0);
    tally->trials++;
    tally->by_work[work_of(result)]++;
    if (!result->problem[0])
        return;
    tally->problems++;
    if (tally->problems <= PROBLEMS_MAX)
        printf("PROBLEM %s (in step %s, %s): %s\n", present, result->step, result->in,
               result->problem);
    fflush(stdout);
}

/* Operations a fault of this kind could hit in the undisturbed life. */
static uint64_t count_operations(const struct trial_base *base, enum cut_fault fault)
{
    struct trial trial = { .plan = { .fault = fault } };
    struct trial_result result;
    trial_run(base, &trial, &result);
    if (!result.problem[0])
        return result.count;
    printf("PROBLEM seed %llu without any fault: %s\n", (unsigned long long)base->scenario.seed,
           result.problem);
    exit(1);
}

static int report(const struct tally *tally)
{
    printf("struck in:");
    for (enum work work = WORK_START; work < WORKS; work++)
        printf(" %s=%zu", works[work].name, tally->by_work[work]);
    printf("\n%zu trials, %zu problems\n", tally->trials, tally->problems);
    return tally->problems ? 1 : 0;
}

static int run_select(size_t points, bool lying_syncs)
{
    struct tally tally = { 0 };
    size_t each = points / (SEEDS * (CUT_FAULTS - 1)) + 1;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct trial_base base;
        make_base(&base, seed);
        for (enum cut_fault fault = CUT_POWER; fault < CUT_FAULTS; fault++) {
            uint64_t count = count_operations(&base, fault);
            for (size_t i = 0; i < each; i++) {
                struct trial_result result;
                struct trial trial = trial_at(fault, seed, 1 + (i * count + seed) / each % count);
                trial.plan.lying_syncs = lying_syncs;
                run_trial(&base, &trial, &result, &tally);
            }
        }
        trial_base_deinit(&base);
    }
    return report(&tally);
}

static int run_sweep(enum cut_fault fault, uint64_t seed, uint64_t part, uint64_t parts)
{
    struct tally tally = { 0 };
    struct trial_base base;
    make_base(&base, seed);
    uint64_t count = count_operations(&base, fault);
    printf("%llu operations\n", (unsigned long long)count);
    uint64_t each = fault == CUT_NOMEM ? NOMEM_STRIDE : fault == CUT_MALLOC ? MALLOC_STRIDE : 1;
    for (uint64_t at = 1 + part * each; at <= count; at += parts * each) {
        struct trial_result result;
        struct trial trial = trial_at(fault, seed, at);
        run_trial(&base, &trial, &result, &tally);
        if (tally.trials % TOLD_EACH == 0)
            printf("at %llu of %llu\n", (unsigned long long)at, (unsigned long long)count);
        fflush(stdout);
    }
    trial_base_deinit(&base);
    return report(&tally);
}

static int run_one(enum cut_fault fault, uint64_t seed, uint64_t at)
{
    struct tally tally = { 0 };
    struct trial_base base;
    struct trial_result result;
    make_base(&base, seed);
    struct trial trial = trial_at(fault, seed, at);
    trial.plan.tells = true;
    ps_log_configure(PS_LOG_DEBUG, PS_LOG_LOGFMT);
    run_trial(&base, &trial, &result, &tally);
    printf("struck %d in step %s: %s; %zu messages were acknowledged\n", result.struck, result.step,
           result.in, result.acknowledged);
    fflush(stdout);
    backtrace_symbols_fd(result.refused_at, result.refused_count, STDOUT_FILENO);
    trial_base_deinit(&base);
    return report(&tally);
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    set_up();
    if (strcmp(command, "select") == 0 && argc == 3)
        return run_select(number(argv[2]), false);
    if (strcmp(command, "lie") == 0 && argc == 3)
        return run_select(number(argv[2]), true);
    if (strcmp(command, "sweep") == 0 && argc == 4)
        return run_sweep(parse_fault(argv[2]), number(argv[3]), 0, 1);
    if (strcmp(command, "sweep") == 0 && argc == 6)
        return run_sweep(parse_fault(argv[2]), number(argv[3]), number(argv[4]), number(argv[5]));
    if (strcmp(command, "one") == 0 && argc == 5)
        return run_one(parse_fault(argv[2]), number(argv[3]), number(argv[4]));
    fprintf(stderr, "see the head of powercut.c for how to use this\n");
    return 2;
}
