/* Backup and restore: what comes back is what was there; what is damaged never does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>

#include "core/log.h"
#include "core/upkeep/backup_list.h"
#include "core/upkeep/database_copy.h"
#include "core/upkeep/restore.h"

#include "data_world.h"

static enum ps_status back_up(struct data_world *world, struct ps_backup_result *result,
                              struct ps_text *why)
{
    struct ps_backup_settings settings = { .dir = world->dir,
                                           .target = world->backup,
                                           .program = "1.2.3",
                                           .watcher = data_world_watcher(world) };
    return ps_backup_run(&settings, result, why);
}

static void back_up_well(struct data_world *world, struct ps_backup_result *result)
{
    struct ps_text why;
    if (back_up(world, result, &why) != PS_OK) {
        print_error("%s\n", why.data);
        fail();
    }
}

static enum ps_status restore(struct data_world *world, struct ps_text *why)
{
    struct ps_restore_result result;
    struct ps_restore_settings settings = { .from = world->backup, .dir = world->other };
    return ps_restore_run(&settings, &result, why);
}

static void restore_well(struct data_world *world)
{
    struct ps_text why;
    if (restore(world, &why) != PS_OK) {
        print_error("%s\n", why.data);
        fail();
    }
}

/* The runs that `dir`'s manifest knows are there, whole. */
static void assert_runs_whole(const char *dir)
{
    struct ps_manifest manifest = { 0 };
    struct ps_text why = { "" };
    struct ps_db *db = data_world_db(dir);
    assert_int_equal(ps_manifest_load(db, INT64_MIN, INT64_MAX, &manifest), PS_OK);
    assert_true(manifest.files.count > 0);
    for (size_t i = 0; i < manifest.files.count; i++) {
        const struct ps_manifest_file *file = &manifest.files.items[i];
        struct ps_run_list runs = { .count = file->run_count,
                                    .items = manifest.runs.items + file->first_run };
        char name[128];
        snprintf(name, sizeof name, "telemetry/%s.db", file->name);
        assert_int_equal(ps_run_file_check(data_world_path(dir, name), &runs, &why), PS_OK);
    }
    ps_manifest_deinit(&manifest);
    ps_db_close(db);
}

static size_t count_files(const char *path, const char *ending)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t len = strlen(entry->d_name), end = strlen(ending);
        count += len > end && strcmp(entry->d_name + len - end, ending) == 0;
    }
    closedir(dir);
    return count;
}

static void stored_path(struct data_world *world, const char *path, char out[512])
{
    struct ps_backup_list list;
    struct ps_text why;
    assert_int_equal(ps_backup_list_read(world->backup, &list, &why), PS_OK);
    const struct ps_backup_file *file = ps_backup_list_find(&list, path);
    assert_non_null(file);
    snprintf(out, 512, "%s/%s", world->backup, file->stored);
    ps_backup_list_deinit(&list);
}

static void what_is_restored_is_what_was_backed_up(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    data_world_init(&world);
    back_up_well(&world, &result);
    assert_int_equal(result.copied, 2);
    assert_int_equal(result.reused, 0);
    restore_well(&world);
    assert_runs_whole(world.other);
    assert_int_equal(data_world_number(world.other, "SELECT count(*) FROM journal"), 1);
    assert_int_equal(data_world_number(world.other, "SELECT count(*) FROM series"), 2);
    assert_int_not_equal(access(data_world_path(world.other, PS_RESTORE_MARKER), F_OK), 0);
    data_world_deinit(&world);
}

static void the_next_backup_copies_only_what_changed(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    char before[512], after[512];
    data_world_init(&world);
    data_world_seal(world.dir, DATA_WORLD_START_MS + 7 * 86400000ll, 3, 100);
    back_up_well(&world, &result);
    assert_int_equal(result.copied, 3);
    stored_path(&world, "telemetry/2026-W47.db", before);

    data_world_seal(world.dir, DATA_WORLD_START_MS + 7 * 86400000ll, 4, 100);
    back_up_well(&world, &result);
    assert_int_equal(result.copied, 2);
    assert_int_equal(result.reused, 1);
    stored_path(&world, "telemetry/2026-W47.db", after);
    assert_string_equal(before, after);
    assert_int_equal(count_files(data_world_path(world.backup, "telemetry"), ".db"), 2);
    assert_int_equal(count_files(world.backup, ".db"), 1);
    restore_well(&world);
    assert_runs_whole(world.other);
    data_world_deinit(&world);
}

static void a_backup_that_fails_leaves_the_one_before(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    struct ps_text why;
    data_world_init(&world);
    back_up_well(&world, &result);
    struct ps_run run = data_world_seal(world.dir, DATA_WORLD_START_MS, 3, 3000);
    assert_true(run.bytes > 1000);
    data_world_flip(data_world_path(world.dir, "telemetry/2026-W47.db"), -3000);
    assert_int_equal(back_up(&world, &result, &why), PS_EPROTO);
    assert_non_null(strstr(why.data, data_world_path(world.dir, "telemetry/2026-W47.db: run ")));
    assert_non_null(strstr(why.data, "block of series"));
    assert_non_null(strstr(why.data, "run fsck"));
    assert_null(strstr(why.data, ".partial"));
    assert_int_equal(count_files(world.backup, ".db"), 1); /* no half copies */
    assert_int_equal(count_files(world.backup, ".partial"), 0);
    assert_int_equal(count_files(data_world_path(world.backup, "telemetry"), ".partial"), 0);
    restore_well(&world);
    assert_runs_whole(world.other);

    assert_int_equal(unlink(data_world_path(world.dir, "telemetry/2026-W47.db")), 0);
    assert_int_equal(back_up(&world, &result, &why), PS_ENOTFOUND);
    data_world_deinit(&world);
}

static void left_overs_of_an_interrupted_backup_go_with_the_next(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    data_world_init(&world);
    back_up_well(&world, &result);
    const char *names[] = { "pacificsoft.db.partial", "backup.json.partial",
                            "pacificsoft-0123456789abcdef.db",
                            "telemetry/2026-W40-0123456789abcdef.db",
                            "telemetry/2026-W47.db.partial" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        close(open(data_world_path(world.backup, names[i]), O_CREAT | O_WRONLY, 0600));
    close(open(data_world_path(world.backup, "notes.txt"), O_CREAT | O_WRONLY, 0600));
    back_up_well(&world, &result);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_not_equal(access(data_world_path(world.backup, names[i]), F_OK), 0);
    assert_int_equal(access(data_world_path(world.backup, "notes.txt"), F_OK), 0);
    data_world_deinit(&world);
}

static void nobody_else_may_read_a_backup(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    struct stat info;
    char path[512];
    data_world_init(&world);
    back_up_well(&world, &result);
    stored_path(&world, "pacificsoft.db", path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    data_world_deinit(&world);
}

static void while_it_runs_backup_lock_is_held_and_no_second_one_starts(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    struct ps_text why;
    data_world_init(&world);
    back_up_well(&world, &result);
    int fd = open(data_world_path(world.backup, "lock"), O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0); /* given back, so ours */
    assert_int_equal(back_up(&world, &result, &why), PS_EBUSY);
    close(fd);
    fd = open(data_world_path(world.dir, "backup.lock"), O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    data_world_deinit(&world);
}

/* ---- restore ---- */

static void a_restore_never_overwrites(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    struct ps_text why;
    data_world_init(&world);
    back_up_well(&world, &result);
    assert_int_equal(mkdir(world.other, 0700), 0);
    close(open(data_world_path(world.other, "precious"), O_CREAT | O_WRONLY, 0600));
    assert_int_equal(restore(&world, &why), PS_EEXISTS);
    assert_non_null(strstr(why.data, "precious"));
    assert_int_equal(count_files(world.other, ""), 3); /* ".", ".." and precious */
    data_world_deinit(&world);
}

static void a_damaged_backup_is_not_restored(void **state)
{
    (void)state;
    static const char *const paths[] = { "pacificsoft.db", "telemetry/2026-W47.db" };
    for (size_t i = 0; i < 2; i++) {
        struct data_world world;
        struct ps_backup_result result;
        struct ps_text why;
        char path[512];
        data_world_init(&world);
        back_up_well(&world, &result);
        stored_path(&world, paths[i], path);
        data_world_flip(path, 5000);
        assert_int_equal(restore(&world, &why), PS_EPROTO);
        assert_non_null(strstr(why.data, "checksum"));
        /* and nobody takes what is there for the data */
        assert_int_equal(access(data_world_path(world.other, PS_RESTORE_MARKER), F_OK), 0);
        data_world_deinit(&world);
    }
}

static void
a_backup_with_a_file_missing_or_short_is_refused_before_anything_is_written(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    struct ps_text why;
    char path[512];
    data_world_init(&world);
    back_up_well(&world, &result);
    stored_path(&world, "telemetry/2026-W47.db", path);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(restore(&world, &why), PS_EPROTO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(restore(&world, &why), PS_ENOTFOUND);
    assert_int_not_equal(access(world.other, F_OK), 0);
    data_world_deinit(&world);
}

static const struct list_case {
    const char *name, *text;
    enum ps_status want;
} list_cases[] = {
    { "nothing", "", PS_EPROTO },
    { "no object", "[]", PS_EUNSUPPORTED },
    { "another format", "{\"format\":2,\"files\":[]}", PS_EUNSUPPORTED },
    { "no files", "{\"format\":1,\"files\":[]}", PS_EPROTO },
    { "a newer schema",
      "{\"format\":1,\"schema\":99,\"files\":[{\"path\":\"pacificsoft.db\",\"stored\":\"a\","
      "\"bytes\":0,\"xxh3\":\"0000000000000000\",\"content\":\"0000000000000000\"}]}",
      PS_EUNSUPPORTED },
    { "a name that leads out",
      "{\"format\":1,\"files\":[{\"path\":\"../x\",\"stored\":\"a\",\"bytes\":0,"
      "\"xxh3\":\"0000000000000000\",\"content\":\"0000000000000000\"}]}",
      PS_EPROTO },
    { "a name in another folder",
      "{\"format\":1,\"files\":[{\"path\":\"telemetry/../x\",\"stored\":\"a\",\"bytes\":0,"
      "\"xxh3\":\"0000000000000000\",\"content\":\"0000000000000000\"}]}",
      PS_EPROTO },
    { "a stored name that leads out",
      "{\"format\":1,\"files\":[{\"path\":\"pacificsoft.db\",\"stored\":\"/etc/passwd\","
      "\"bytes\":0,\"xxh3\":\"0000000000000000\",\"content\":\"0000000000000000\"}]}",
      PS_EPROTO },
    { "the same file twice",
      "{\"format\":1,\"files\":[{\"path\":\"pacificsoft.db\",\"stored\":\"a\",\"bytes\":0,"
      "\"xxh3\":\"0000000000000000\",\"content\":\"0000000000000000\"},"
      "{\"path\":\"pacificsoft.db\",\"stored\":\"a\",\"bytes\":0,"
      "\"xxh3\":\"0000000000000000\",\"content\":\"0000000000000000\"}]}",
      PS_EPROTO },
    { "no main database",
      "{\"format\":1,\"files\":[{\"path\":\"telemetry/a.db\",\"stored\":\"backup.json\","
      "\"bytes\":0,\"xxh3\":\"0000000000000000\",\"content\":\"0000000000000000\"}]}",
      PS_EPROTO },
    { "a sum that is none",
      "{\"format\":1,\"files\":[{\"path\":\"pacificsoft.db\",\"stored\":\"a\",\"bytes\":0,"
      "\"xxh3\":\"zz\",\"content\":\"0000000000000000\"}]}",
      PS_EPROTO },
};

static void a_list_that_is_none_is_refused(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_text why;
    data_world_init(&world);
    assert_int_equal(mkdir(world.backup, 0700), 0);
    assert_int_equal(restore(&world, &why), PS_ENOTFOUND);
    for (size_t i = 0; i < sizeof list_cases / sizeof *list_cases; i++) {
        FILE *file = fopen(data_world_path(world.backup, PS_BACKUP_LIST_NAME), "w");
        fputs(list_cases[i].text, file);
        fclose(file);
        enum ps_status st = restore(&world, &why);
        if (st != list_cases[i].want) {
            print_error("%s: %s: %s\n", list_cases[i].name, ps_status_text(st), why.data);
            fail();
        }
        assert_true(why.data[0]);
        assert_int_not_equal(access(world.other, F_OK), 0);
    }
    data_world_deinit(&world);
}

static void no_data_no_backup(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    struct ps_text why;
    data_world_init(&world);
    assert_int_equal(unlink(data_world_path(world.dir, "pacificsoft.db")), 0);
    assert_int_equal(back_up(&world, &result, &why), PS_ENOTFOUND);
    assert_int_not_equal(access(world.backup, F_OK), 0);
    data_world_deinit(&world);
}

static void a_target_among_the_data_is_refused(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    struct ps_text why;
    char link[160], before[96];
    data_world_init(&world);
    snprintf(link, sizeof link, "%s/link", world.folder);
    assert_int_equal(symlink(world.dir, link), 0);
    const char *targets[] = { world.dir, data_world_path(world.dir, "backup"),
                              data_world_path(world.dir, "telemetry"), link,
                              data_world_path(link, "new") };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        snprintf(world.backup, sizeof world.backup, "%s", targets[i]);
        assert_int_equal(back_up(&world, &result, &why), PS_EINVAL);
        assert_non_null(strstr(why.data, "inside of the data directory"));
    }
    assert_int_not_equal(access(data_world_path(world.dir, "backup"), F_OK), 0);
    assert_int_not_equal(access(data_world_path(world.dir, "lock"), F_OK), 0);
    /* A name that only begins like the data's is another place. */
    snprintf(before, sizeof before, "%.80s-backup", world.dir);
    snprintf(world.backup, sizeof world.backup, "%s", before);
    back_up_well(&world, &result); /* not there yet */
    back_up_well(&world, &result); /* there */
    data_world_deinit(&world);
}

static void a_half_restore_is_not_backed_up(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    struct ps_text why;
    data_world_init(&world);
    close(open(data_world_path(world.dir, PS_RESTORE_MARKER), O_CREAT | O_WRONLY, 0600));
    assert_int_equal(back_up(&world, &result, &why), PS_EINVAL);
    assert_non_null(strstr(why.data, "a restore was interrupted"));
    assert_int_not_equal(access(world.backup, F_OK), 0);
    data_world_deinit(&world);
}

static void set_installation(struct data_world *world, const char *id)
{
    char sql[160];
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO setting VALUES('installation.id', '%s')", id);
    data_world_exec(world->dir, sql);
}

static void a_target_of_another_installation_is_refused(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result result;
    struct ps_backup_list list;
    struct ps_text why;
    data_world_init(&world);
    back_up_well(&world, &result); /* of an earlier version: it had no id */
    set_installation(&world, "6f1b0a52-0000-4000-8000-000000000001");
    back_up_well(&world, &result);
    back_up_well(&world, &result);
    size_t files = count_files(world.backup, ".db");
    set_installation(&world, "6f1b0a52-0000-4000-8000-000000000002");
    assert_int_equal(back_up(&world, &result, &why), PS_EINVAL);
    assert_non_null(strstr(why.data, "holds the backup of another installation"));
    data_world_exec(world.dir, "DELETE FROM setting");
    assert_int_equal(back_up(&world, &result, &why), PS_EINVAL);
    assert_int_equal(count_files(world.backup, ".db"), files);
    assert_int_equal(ps_backup_list_read(world.backup, &list, &why), PS_OK);
    assert_string_equal(list.installation, "6f1b0a52-0000-4000-8000-000000000001");
    ps_backup_list_deinit(&list);
    restore_well(&world); /* what was there is still whole */
    data_world_deinit(&world);
}

static void a_restore_says_what_it_restored(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_backup_result backup;
    struct ps_restore_result result;
    struct ps_text why;
    data_world_init(&world);
    set_installation(&world, "6f1b0a52-0000-4000-8000-000000000001");
    back_up_well(&world, &backup);
    struct ps_restore_settings settings = { .from = world.backup,
                                            .dir = world.other,
                                            .watcher = data_world_watcher(&world) };
    assert_int_equal(ps_restore_run(&settings, &result, &why), PS_OK);
    assert_non_null(strstr(world.said, "pacificsoft.db: "));
    assert_non_null(strstr(world.said, "telemetry/2026-W47.db: "));
    assert_int_equal(result.files, 2);
    assert_string_equal(result.program, "1.2.3");
    assert_string_equal(result.installation, "6f1b0a52-0000-4000-8000-000000000001");
    assert_true(result.schema >= 2);
    data_world_deinit(&world);
}

int main(void)
{
    ps_log_configure(PS_LOG_OFF, PS_LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_restored_is_what_was_backed_up),
        cmocka_unit_test(the_next_backup_copies_only_what_changed),
        cmocka_unit_test(a_backup_that_fails_leaves_the_one_before),
        cmocka_unit_test(left_overs_of_an_interrupted_backup_go_with_the_next),
        cmocka_unit_test(nobody_else_may_read_a_backup),
        cmocka_unit_test(while_it_runs_backup_lock_is_held_and_no_second_one_starts),
        cmocka_unit_test(a_restore_never_overwrites),
        cmocka_unit_test(a_damaged_backup_is_not_restored),
        cmocka_unit_test(
            a_backup_with_a_file_missing_or_short_is_refused_before_anything_is_written),
        cmocka_unit_test(a_list_that_is_none_is_refused),
        cmocka_unit_test(no_data_no_backup),
        cmocka_unit_test(a_target_among_the_data_is_refused),
        cmocka_unit_test(a_half_restore_is_not_backed_up),
        cmocka_unit_test(a_target_of_another_installation_is_refused),
        cmocka_unit_test(a_restore_says_what_it_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
