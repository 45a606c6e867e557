#include "powercut/aftermath.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/upkeep/backup.h"
#include "core/upkeep/fsck.h"
#include "core/upkeep/restore.h"
#include "support/cut_vfs.h"

enum { PATH_SIZE = 120 };

/* Folders beside each other, inside of the test's own. */
struct places {
    char top[PATH_SIZE], data[PATH_SIZE + 16], backup[PATH_SIZE + 16], restored[PATH_SIZE + 16];
};

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static void remove_places(const struct places *places)
{
    nftw(places->top, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_places(const char *dir, struct places *places)
{
    char telemetry[PATH_SIZE + 32];
    snprintf(places->top, sizeof places->top, "%s/aftermath", dir);
    snprintf(places->data, sizeof places->data, "%s/data", places->top);
    snprintf(places->backup, sizeof places->backup, "%s/backup", places->top);
    snprintf(places->restored, sizeof places->restored, "%s/restored", places->top);
    snprintf(telemetry, sizeof telemetry, "%s/telemetry", places->data);
    remove_places(places); /* of a trial that died */
    PS_ASSERT(mkdir(places->top, 0700) == 0 && mkdir(places->data, 0700) == 0 &&
              mkdir(telemetry, 0700) == 0);
}

static enum ps_status back_up_and_restore(const struct places *places, struct ps_text *why)
{
    struct ps_backup_settings backup = { .dir = places->data,
                                         .target = places->backup,
                                         .program = "powercut" };
    struct ps_restore_settings restore = { .from = places->backup, .dir = places->restored };
    struct ps_backup_result copied;
    struct ps_restore_result restored;
    enum ps_status st = ps_backup_run(&backup, &copied, why);
    return st == PS_OK ? ps_restore_run(&restore, &restored, why) : st;
}

static void keep_line(void *arg, const char *line)
{
    ps_text_set(arg, "%s", line);
}

static enum ps_status rebuild(const struct places *places, struct ps_text *why)
{
    struct ps_text last = { "" };
    struct ps_fsck_settings settings = { .dir = places->data,
                                         .rebuild = true,
                                         .watcher = { .tell = keep_line, .arg = &last } };
    struct ps_fsck_result result;
    enum ps_status st = ps_fsck_run(&settings, &result, why);
    settings.rebuild = false;
    if (st == PS_OK)
        st = ps_fsck_run(&settings, &result, why);
    if (st != PS_OK || !result.problems)
        return st;
    ps_text_set(why, "%lld problems are left: %.150s", (long long)result.problems, last.data);
    return PS_EPROTO;
}

static bool live_on(const struct life *before, const char *dir, char *problem, size_t size)
{
    struct life life = *before;
    life.dir = dir;
    enum ps_status st = life_start(&life);
    if (st == PS_OK)
        st = life_check(&life, true);
    if (st != PS_OK)
        snprintf(problem, size, "%.280s", life.plant.why[0] ? life.plant.why : "it does not start");
    life_stop(&life);
    return st == PS_OK;
}

bool aftermath_check(const struct life *life, struct cut_disk *disk, enum aftermath what,
                     char *problem, size_t size)
{
    struct places places;
    struct ps_text why = { "" };
    make_places(life->dir, &places);
    cut_vfs_export(disk, life->dir, places.data);
    cut_vfs_make_default(false);
    enum ps_status st =
        what == AFTERMATH_BACKUP ? back_up_and_restore(&places, &why) : rebuild(&places, &why);
    bool good = st == PS_OK;
    if (good)
        good =
            live_on(life, what == AFTERMATH_BACKUP ? places.restored : places.data, problem, size);
    else
        snprintf(problem, size, "%s %.200s", ps_status_text(st), why.data);
    cut_vfs_make_default(true);
    remove_places(&places);
    return good;
}
