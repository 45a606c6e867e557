/* The store: handles are shared out one at a time, and files go when nobody has them open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "core/log.h"
#include "core/metrics.h"
#include "core/telemetry/store.h"
#include "unit/core_telemetry/range_world.h"

struct world {
    struct range_world range;
    struct ps_metrics *metrics;
    struct ps_store *store;
};

static void world_open(struct world *world, unsigned idle_max)
{
    struct ps_text why = { "" };
    struct ps_store_settings settings = { .dir = world->range.folder,
                                          .idle_max = idle_max,
                                          .metrics = world->metrics };
    if (ps_store_open(&settings, &world->store, &why) != PS_OK) {
        print_error("%s\n", why.data);
        fail();
    }
}

static void world_init(struct world *world, unsigned idle_max)
{
    range_world_init(&world->range);
    ps_log_configure(PS_LOG_OFF, PS_LOG_LOGFMT);
    assert_int_equal(ps_metrics_create(1, &world->metrics), PS_OK);
    world_open(world, idle_max);
}

static void world_deinit(struct world *world)
{
    ps_store_close(world->store);
    ps_metrics_destroy(world->metrics);
    range_world_deinit(&world->range);
}

static struct ps_run_file *borrow(struct world *world, const char *name, bool write)
{
    struct ps_run_file *file = NULL;
    struct ps_text why = { "" };
    if (ps_store_borrow(world->store, name, write, &file, &why) != PS_OK) {
        print_error("%s\n", why.data);
        fail();
    }
    return file;
}

static enum ps_status try_borrow(struct world *world, const char *name, bool write)
{
    struct ps_run_file *file = NULL;
    struct ps_text why = { "" };
    enum ps_status st = ps_store_borrow(world->store, name, write, &file, &why);
    if (st == PS_OK)
        ps_store_return(world->store, file);
    else
        assert_true(why.data[0] != '\0');
    return st;
}

static bool is_on_disk(struct world *world, const char *file)
{
    char path[PS_TEXT_SIZE];
    snprintf(path, sizeof path, "%s/telemetry/%s", world->range.folder, file);
    return range_world_size(path) >= 0;
}

static void a_handle_belongs_to_one_at_a_time(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4);
    assert_int_equal(try_borrow(&world, "2026-W47", false), PS_ENOTFOUND);
    assert_int_equal(try_borrow(&world, "nonsense", true), PS_EINVAL);
    assert_int_equal(try_borrow(&world, "../2026-W47", false), PS_EINVAL);
    assert_int_equal(try_borrow(&world, "", false), PS_EINVAL);
    struct ps_run_file *writer = borrow(&world, "2026-W47", true);
    assert_true(is_on_disk(&world, "2026-W47.db"));
    assert_int_equal(try_borrow(&world, "2026-W47", true), PS_EBUSY);
    struct ps_run_file *a = borrow(&world, "2026-W47", false);
    struct ps_run_file *b = borrow(&world, "2026-W47", false);
    assert_ptr_not_equal(a, b);
    ps_store_return(world.store, a);
    assert_ptr_equal(borrow(&world, "2026-W47", false), a); /* the same one, still open */
    ps_store_return(world.store, writer);
    assert_ptr_equal(borrow(&world, "2026-W47", true), writer);
    ps_store_return(world.store, writer);
    ps_store_return(world.store, a);
    ps_store_return(world.store, b);
    ps_store_return(world.store, NULL);
    world_deinit(&world);
}

static unsigned open_files(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void only_a_few_idle_handles_stay_open(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 2);
    unsigned before = open_files();
    char name[PS_RANGE_NAME_SIZE];
    for (int week = 1; week <= 30; week++) {
        snprintf(name, sizeof name, "2026-W%02d", week);
        ps_store_return(world.store, borrow(&world, name, true));
    }
    assert_true(open_files() <= before + 2 * 3); /* database, log, index */
    struct ps_run_file *last = borrow(&world, "2026-W30", true);
    ps_store_return(world.store, borrow(&world, "2026-W01", false));
    ps_store_return(world.store, last);
    world_deinit(&world);
}

static void a_dropped_file_goes_when_the_last_handle_is_returned(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4);
    struct ps_run_file *writer = borrow(&world, "2026-W47", true);
    struct ps_run_file *reader = borrow(&world, "2026-W47", false);
    ps_store_return(world.store, borrow(&world, "2026-W47", false)); /* idle */
    assert_true(ps_store_file_bytes(world.store, "2026-W47") > 0);
    ps_store_drop(world.store, "2026-W47");
    assert_true(is_on_disk(&world, "2026-W47.db"));
    assert_int_equal(try_borrow(&world, "2026-W47", false), PS_ENOTFOUND);
    assert_int_equal(try_borrow(&world, "2026-W47", true), PS_EBUSY);
    ps_store_return(world.store, writer);
    assert_true(is_on_disk(&world, "2026-W47.db"));
    ps_store_drop(world.store, "2026-W47");
    ps_store_return(world.store, reader);
    assert_false(is_on_disk(&world, "2026-W47.db"));
    assert_false(is_on_disk(&world, "2026-W47.db-wal"));
    assert_false(is_on_disk(&world, "2026-W47.db-shm"));
    assert_int_equal(ps_store_file_bytes(world.store, "2026-W47"), 0);
    assert_int_equal(try_borrow(&world, "2026-W47", false), PS_ENOTFOUND);

    ps_store_return(world.store, borrow(&world, "2026-W47", true)); /* the name is free again */
    ps_store_drop(world.store, "2026-W47");
    assert_false(is_on_disk(&world, "2026-W47.db"));
    ps_store_drop(world.store, "2026-W48"); /* never was */
    ps_store_drop(world.store, "../pacificsoft");
    world_deinit(&world);
}

static void a_damaged_file_is_set_aside_and_named(void **state)
{
    (void)state;
    struct world world;
    struct ps_text names;
    char name[PS_MANIFEST_NAME_SIZE], renamed[PS_MANIFEST_NAME_SIZE];
    world_init(&world, 4);
    assert_int_equal(ps_store_damaged(world.store, &names), 0);
    assert_string_equal(names.data, "");
    struct ps_run_file *reader = NULL;
    ps_store_return(world.store, borrow(&world, "2026-W47", true));
    reader = borrow(&world, "2026-W47", false);
    ps_store_set_aside(world.store, "2026-W47", "block 7: checksum");
    ps_store_set_aside(world.store, "2026-W47", "block 7: checksum");
    assert_false(ps_store_next_aside(world.store, name, renamed));
    assert_int_equal(try_borrow(&world, "2026-W47", false), PS_EPROTO);
    ps_store_return(world.store, reader);
    assert_false(is_on_disk(&world, "2026-W47.db"));
    assert_true(is_on_disk(&world, "2026-W47.db.damaged"));
    assert_true(ps_store_next_aside(world.store, name, renamed));
    assert_string_equal(name, "2026-W47");
    assert_string_equal(renamed, "2026-W47.db.damaged");
    assert_int_equal(try_borrow(&world, "2026-W47", true), PS_EPROTO); /* the manifest first */
    ps_store_settle_aside(world.store, name);
    assert_false(ps_store_next_aside(world.store, name, renamed));
    assert_int_equal(try_borrow(&world, "2026-W47", false), PS_ENOTFOUND);

    ps_store_return(world.store, borrow(&world, "2026-W47", true));
    ps_store_set_aside(world.store, "2026-W47", "again");
    assert_true(is_on_disk(&world, "2026-W47.db.damaged.2"));
    assert_int_equal(ps_store_damaged(world.store, &names), 2);
    assert_string_equal(names.data, "2026-W47.db.damaged, 2026-W47.db.damaged.2");
    assert_int_equal(ps_metrics_read(world.metrics, PS_METRIC_FILES_DAMAGED), 2);
    ps_store_close(world.store);

    world_open(&world, 4); /* a start finds them, and what the manifest may not know yet */
    assert_int_equal(ps_store_damaged(world.store, NULL), 2);
    assert_int_equal(try_borrow(&world, "2026-W47", false), PS_EPROTO);
    assert_true(ps_store_next_aside(world.store, name, renamed));
    assert_string_equal(name, "2026-W47");
    assert_string_equal(renamed, "2026-W47.db.damaged.2");
    ps_store_settle_aside(world.store, name);
    ps_store_return(world.store, borrow(&world, "2026-W47", true));
    ps_store_close(world.store);

    world_open(&world, 4); /* there is a new file of that name: all is settled */
    assert_false(ps_store_next_aside(world.store, name, renamed));
    assert_int_equal(try_borrow(&world, "2026-W47", false), PS_OK);
    world_deinit(&world);
}

static enum ps_status count_name(void *arg, const char *name)
{
    assert_true(strcmp(name, "2026-W47") == 0 || strcmp(name, "late") == 0);
    return ++*(unsigned *)arg == 100 ? PS_ECLOSED : PS_OK;
}

static void only_range_files_are_listed(void **state)
{
    (void)state;
    struct world world;
    unsigned count = 0;
    world_init(&world, 4);
    assert_int_equal(ps_store_list(world.store, count_name, &count), PS_OK);
    assert_int_equal(count, 0);
    struct ps_run_file *open = borrow(&world, "2026-W47", true); /* with its log beside it */
    ps_store_return(world.store, borrow(&world, "late", true));
    ps_store_return(world.store, borrow(&world, "early", true));
    ps_store_set_aside(world.store, "early", "test");
    assert_int_equal(ps_store_list(world.store, count_name, &count), PS_OK);
    assert_int_equal(count, 2);
    count = 99;
    assert_int_equal(ps_store_list(world.store, count_name, &count), PS_ECLOSED);
    ps_store_return(world.store, open);
    world_deinit(&world);
}

static size_t damaged(struct world *world, char names[PS_TEXT_SIZE])
{
    struct ps_text text;
    size_t count = ps_store_damaged(world->store, &text);
    snprintf(names, PS_TEXT_SIZE, "%s", text.data);
    return count;
}

static void assert_damage(struct world *world, const char *want, int64_t aside, int64_t partly,
                          int64_t met)
{
    char names[PS_TEXT_SIZE];
    assert_int_equal(damaged(world, names), aside + partly);
    assert_string_equal(names, want);
    assert_int_equal(ps_metrics_read(world->metrics, PS_METRIC_FILES_DAMAGED), aside);
    assert_int_equal(ps_metrics_read(world->metrics, PS_METRIC_FILES_PARTLY_DAMAGED), partly);
    assert_int_equal(ps_metrics_read(world->metrics, PS_METRIC_DAMAGE_MET), met);
}

static void a_file_in_which_damage_was_met_is_named_until_it_goes(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 8);
    static const char *const weeks[] = { "2026-W45", "2026-W46", "2026-W47" };
    for (size_t i = 0; i < sizeof weeks / sizeof *weeks; i++)
        ps_store_return(world.store, borrow(&world, weeks[i], true));
    assert_damage(&world, "", 0, 0, 0);
    for (size_t i = 0; i < sizeof weeks / sizeof *weeks; i++)
        ps_store_note_damage(world.store, weeks[i], "a block");
    ps_store_note_damage(world.store, "2026-W46", "another block");
    assert_damage(&world, "2026-W45.db, 2026-W46.db, 2026-W47.db", 0, 3, 4);
    assert_int_equal(try_borrow(&world, "2026-W46", true), PS_OK); /* it is used all the same */
    ps_store_drop(world.store, "2026-W45");
    assert_damage(&world, "2026-W46.db, 2026-W47.db", 0, 2, 4);
    struct ps_run_file *read = borrow(&world, "2026-W47", false);
    ps_store_set_aside(world.store, "2026-W47", "test");
    ps_store_note_damage(world.store, "2026-W47", "by its last reader");
    ps_store_return(world.store, read);
    assert_damage(&world, "2026-W47.db.damaged, 2026-W46.db", 1, 1, 5);
    char renamed[PS_MANIFEST_NAME_SIZE];
    assert_int_equal(ps_store_put_away(world.store, "2026-W47.db.damaged", renamed), PS_OK);
    assert_string_equal(renamed, "2026-W47.db.before-rebuild");
    assert_true(is_on_disk(&world, renamed));
    assert_int_equal(ps_store_put_away(world.store, "2026-W47.db.damaged", renamed), PS_ENOTFOUND);
    assert_damage(&world, "2026-W46.db", 0, 1, 5);
    world_deinit(&world);
}

static void more_damaged_files_than_fit_are_counted(void **state)
{
    (void)state;
    struct world world;
    struct ps_text names;
    world_init(&world, 8);
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d-W01", 2000 + i);
        ps_store_note_damage(world.store, name, "a block");
    }
    assert_int_equal(ps_store_damaged(world.store, &names), 1000);
    assert_string_equal(names.data + strlen(names.data) - 3, ".db"); /* whole names */
    world_deinit(&world);
}

static void a_folder_that_cannot_be_is_told(void **state)
{
    (void)state;
    struct range_world world;
    struct ps_store *store = NULL;
    struct ps_text why = { "" };
    char path[128];
    range_world_init(&world);
    snprintf(path, sizeof path, "%s/missing", world.folder);
    struct ps_store_settings settings = { .dir = path };
    assert_int_equal(ps_store_open(&settings, &store, &why), PS_EIO);
    assert_non_null(strstr(why.data, "missing/telemetry"));
    snprintf(path, sizeof path, "%s/telemetry", world.folder);
    FILE *stream = fopen(path, "w");
    fclose(stream);
    settings.dir = world.folder;
    assert_int_equal(ps_store_open(&settings, &store, &why), PS_EIO);
    range_world_deinit(&world);
}

/* ---- many threads ---- */

enum { THREADS = 4, NAMES = 6, ROUNDS = 300 };

struct crowd {
    struct world world;
    _Atomic unsigned worked, seed;
};

static void touch(struct ps_run_file *file)
{
    struct ps_run_list runs = { 0 };
    enum ps_status st = ps_run_file_runs(file, &runs);
    assert_int_equal(st, PS_OK);
    ps_run_list_deinit(&runs);
}

static void *work(void *arg)
{
    struct crowd *crowd = arg;
    unsigned seed = ++crowd->seed;
    for (int round = 0; round < ROUNDS; round++) {
        char name[PS_RANGE_NAME_SIZE];
        struct ps_run_file *file = NULL;
        snprintf(name, sizeof name, "2026-W%02d", 1 + rand_r(&seed) % NAMES);
        int dice = rand_r(&seed) % 20;
        if (dice == 0) {
            ps_store_drop(crowd->world.store, name);
        } else if (dice == 1) {
            char renamed[PS_MANIFEST_NAME_SIZE], aside[PS_MANIFEST_NAME_SIZE];
            ps_store_set_aside(crowd->world.store, name, "test");
            if (ps_store_next_aside(crowd->world.store, aside, renamed))
                ps_store_settle_aside(crowd->world.store, aside);
        } else if (ps_store_borrow(crowd->world.store, name, dice < 8, &file, NULL) == PS_OK) {
            touch(file);
            ps_store_return(crowd->world.store, file);
            crowd->worked++;
        }
    }
    return NULL;
}

/* Borrowing, dropping and setting aside at once: handles always work, nothing is left open. */
static void many_threads_share_the_store(void **state)
{
    (void)state;
    struct crowd crowd = { 0 };
    pthread_t threads[THREADS];
    world_init(&crowd.world, 3);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(crowd.worked > ROUNDS);
    for (int i = 1; i <= NAMES; i++) {
        char name[PS_RANGE_NAME_SIZE];
        snprintf(name, sizeof name, "2026-W%02d", i);
        ps_store_drop(crowd.world.store, name);
    }
    unsigned count = 0;
    assert_int_equal(ps_store_list(crowd.world.store, count_name, &count), PS_OK);
    assert_int_equal(count, 0);
    world_deinit(&crowd.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_belongs_to_one_at_a_time),
        cmocka_unit_test(only_a_few_idle_handles_stay_open),
        cmocka_unit_test(a_dropped_file_goes_when_the_last_handle_is_returned),
        cmocka_unit_test(a_damaged_file_is_set_aside_and_named),
        cmocka_unit_test(only_range_files_are_listed),
        cmocka_unit_test(a_file_in_which_damage_was_met_is_named_until_it_goes),
        cmocka_unit_test(more_damaged_files_than_fit_are_counted),
        cmocka_unit_test(a_folder_that_cannot_be_is_told),
        cmocka_unit_test(many_threads_share_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
