/* The disk budget: when points are refused, when they are taken again, what the ballast is for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <string.h>
#include <sys/stat.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/storage/disk_budget.h"
#include "core/storage/writer.h"

#include "temp_db.h"

enum { MB = 1 << 20 };

struct disk {
    int64_t free_bytes, total_bytes;
    bool unknown;
};

struct fixture {
    char folder[64], ballast[96];
    struct disk disk;
    struct ps_metrics *metrics;
    struct ps_disk_budget *budget;
};

static bool look(void *arg, int64_t *free_bytes, int64_t *total_bytes)
{
    const struct disk *disk = arg;
    *free_bytes = disk->free_bytes;
    *total_bytes = disk->total_bytes;
    return !disk->unknown;
}

static void open_budget(struct fixture *f, int64_t reserve, bool shed_oldest)
{
    struct ps_disk_budget_settings settings = { .dir = f->folder,
                                                .reserve_bytes = reserve,
                                                .shed_oldest = shed_oldest,
                                                .metrics = f->metrics,
                                                .measure = look,
                                                .measure_arg = &f->disk };
    assert_int_equal(ps_disk_budget_open(&settings, &f->budget), PS_OK);
}

static void init(struct fixture *f)
{
    *f = (struct fixture){ .disk = { .free_bytes = 1000ll * MB, .total_bytes = 2000ll * MB } };
    snprintf(f->folder, sizeof f->folder, "/tmp/ps-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->ballast, sizeof f->ballast, "%s/ballast", f->folder);
    assert_int_equal(ps_metrics_create(1, &f->metrics), PS_OK);
    ps_clock_set_for_test(1000, 1000000000);
}

static void deinit(struct fixture *f)
{
    ps_disk_budget_close(f->budget);
    ps_metrics_destroy(f->metrics);
    nftw(f->folder, temp_db_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    ps_clock_set_for_test(-1, -1);
}

static void check(struct fixture *f, int64_t free_bytes, enum ps_disk_advice advice, bool refuses)
{
    f->disk.free_bytes = free_bytes;
    assert_int_equal(ps_disk_budget_check(f->budget), advice);
    assert_int_equal(ps_disk_budget_refuses(f->budget), refuses);
    assert_int_equal(ps_metrics_read(f->metrics, PS_METRIC_DISK_REFUSING), refuses);
    assert_int_equal(ps_metrics_read(f->metrics, PS_METRIC_DISK_FREE), free_bytes);
}

static void below_the_reserve_points_are_refused_until_there_is_clearly_more(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    open_budget(&f, 64ll * MB, false);
    check(&f, 1000ll * MB, PS_DISK_ENOUGH, false);
    check(&f, 64ll * MB, PS_DISK_ENOUGH, false);
    check(&f, 64ll * MB - 1, PS_DISK_REFUSE, true);
    check(&f, 79ll * MB, PS_DISK_REFUSE, true);
    check(&f, 80ll * MB, PS_DISK_ENOUGH, false);
    deinit(&f);
}

static void the_writer_keeps_the_reserve_between_two_looks(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    open_budget(&f, 64ll * MB, false);
    check(&f, 65ll * MB, PS_DISK_ENOUGH, false);
    ps_disk_budget_spend(f.budget, MB);
    assert_false(ps_disk_budget_refuses(f.budget));
    ps_disk_budget_spend(f.budget, 1);
    assert_true(ps_disk_budget_refuses(f.budget));
    deinit(&f);
}

static void what_others_write_between_two_looks_is_seen_while_the_writer_writes(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    open_budget(&f, 64ll * MB, false);
    check(&f, 1000ll * MB, PS_DISK_ENOUGH, false);
    f.disk.free_bytes = 60ll * MB;
    ps_disk_budget_spend(f.budget, 2ll * MB - 1);
    assert_false(ps_disk_budget_refuses(f.budget));
    ps_disk_budget_spend(f.budget, 1); /* a 32nd of the reserve */
    assert_true(ps_disk_budget_refuses(f.budget));
    deinit(&f);
}

static void the_oldest_goes_first_where_it_may(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    open_budget(&f, 64ll * MB, true);
    check(&f, 63ll * MB, PS_DISK_SHED, false);
    check(&f, 31ll * MB, PS_DISK_SHED, true); /* deleting does not keep up */
    check(&f, 41ll * MB, PS_DISK_SHED, false);
    ps_disk_budget_nothing_to_shed(f.budget);
    assert_true(ps_disk_budget_refuses(f.budget));
    check(&f, 41ll * MB, PS_DISK_REFUSE, true);
    ps_clock_set_for_test(1000, 11000000000);
    check(&f, 41ll * MB, PS_DISK_SHED, true); /* there may be something by now */
    check(&f, 80ll * MB, PS_DISK_ENOUGH, false);
    check(&f, 63ll * MB, PS_DISK_SHED, false); /* there may be something again */
    deinit(&f);
}

static void a_write_that_found_no_space_refuses_even_without_reserve(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    open_budget(&f, 0, false);
    check(&f, 0, PS_DISK_ENOUGH, false);
    ps_disk_budget_note_full(f.budget);
    check(&f, 10ll * MB, PS_DISK_REFUSE, true); /* whatever statvfs says, for a second */
    ps_clock_set_for_test(2100, 2100000000);
    check(&f, MB - 1, PS_DISK_REFUSE, true);
    check(&f, MB, PS_DISK_ENOUGH, false);
    assert_int_not_equal(access(f.ballast, F_OK), 0);
    deinit(&f);
    assert_int_not_equal(access(f.ballast, F_OK), 0);
}

static void the_reserve_is_at_most_half_of_the_disk(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    f.disk = (struct disk){ .free_bytes = 30ll * MB, .total_bytes = 40ll * MB };
    open_budget(&f, 64ll * MB, false);
    assert_false(ps_disk_budget_refuses(f.budget));
    assert_int_equal(ps_disk_budget_state(f.budget).reserve_bytes, 20ll * MB);
    check(&f, 20ll * MB - 1, PS_DISK_REFUSE, true);
    deinit(&f);
}

static void a_disk_that_cannot_be_measured_is_not_full(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    open_budget(&f, 64ll * MB, false);
    check(&f, MB, PS_DISK_REFUSE, true);
    f.disk.unknown = true;
    assert_int_equal(ps_disk_budget_check(f.budget), PS_DISK_ENOUGH);
    assert_false(ps_disk_budget_refuses(f.budget));
    assert_true(ps_disk_budget_has_room(f.budget, 1000ll * MB));
    deinit(&f);
}

static void work_that_can_wait_leaves_half_of_the_reserve(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    open_budget(&f, 64ll * MB, false);
    check(&f, 40ll * MB, PS_DISK_REFUSE, true);
    assert_true(ps_disk_budget_has_room(f.budget, 8ll * MB));
    assert_false(ps_disk_budget_has_room(f.budget, 8ll * MB + 1));
    assert_true(ps_disk_budget_has_room(NULL, INT64_MAX));
    deinit(&f);
}

static bool ballast_is_real(const struct fixture *f)
{
    struct stat info;
    return stat(f->ballast, &info) == 0 && info.st_size == PS_DISK_BALLAST_BYTES &&
           info.st_blocks * 512 >= PS_DISK_BALLAST_BYTES;
}

static void the_ballast_is_there_when_space_is_gone(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    open_budget(&f, 64ll * MB, false);
    assert_true(ballast_is_real(&f));
    assert_true(ps_disk_budget_state(f.budget).has_ballast);
    check(&f, MB, PS_DISK_REFUSE, true);
    assert_true(ballast_is_real(&f));
    check(&f, MB / 2 - 1, PS_DISK_REFUSE, true);
    assert_int_not_equal(access(f.ballast, F_OK), 0);
    check(&f, 50ll * MB, PS_DISK_REFUSE, true); /* not out of the reserve */
    assert_int_not_equal(access(f.ballast, F_OK), 0);
    check(&f, 100ll * MB, PS_DISK_ENOUGH, false);
    assert_true(ballast_is_real(&f));

    check(&f, 0, PS_DISK_REFUSE, true);
    ps_disk_budget_close(f.budget); /* leaves one for the next start, which needs it */
    assert_true(ballast_is_real(&f));
    open_budget(&f, 64ll * MB, false);
    assert_int_not_equal(access(f.ballast, F_OK), 0);
    deinit(&f);
}

/* ---- and the writer asks it ---- */

struct writing {
    struct ps_writer_item item;
    int runs;
    enum ps_status result;
    sem_t finished;
};

static enum ps_status run_writing(struct ps_writer_item *item, struct ps_db *db)
{
    ((struct writing *)item)->runs++;
    return ps_db_exec(db, "INSERT INTO setting VALUES ('k', 'v') ON CONFLICT DO NOTHING");
}

static void writing_done(struct ps_writer_item *item, enum ps_status st)
{
    struct writing *writing = (struct writing *)item;
    writing->result = st;
    sem_post(&writing->finished);
}

static struct writing submit(struct ps_writer *writer, uint32_t points_bytes)
{
    struct writing writing = {
        .item = { .run = run_writing, .done = writing_done, .points_bytes = points_bytes }
    };
    sem_init(&writing.finished, 0, 0);
    ps_writer_submit(writer, &writing.item);
    sem_wait(&writing.finished);
    sem_destroy(&writing.finished);
    return writing;
}

static void only_points_are_refused_and_before_they_touch_the_disk(void **state)
{
    (void)state;
    struct fixture f;
    struct temp_db temp;
    struct ps_writer *writer;
    init(&f);
    temp_db_init(&temp);
    open_budget(&f, 64ll * MB, false);
    struct ps_writer_settings settings = { .path = temp.path,
                                           .checkpoint_bytes = MB,
                                           .budget = f.budget };
    assert_int_equal(ps_writer_start(&settings, &writer), PS_OK);
    check(&f, MB, PS_DISK_REFUSE, true);
    struct writing points = submit(writer, 100), other = submit(writer, 0);
    assert_int_equal(points.result, PS_EFULL);
    assert_int_equal(points.runs, 0);
    assert_int_equal(other.result, PS_OK);
    assert_int_equal(other.runs, 1);

    check(&f, 64ll * MB + 50, PS_DISK_REFUSE, true);
    check(&f, 80ll * MB, PS_DISK_ENOUGH, false);
    f.disk.free_bytes = 64ll * MB - 1;
    assert_int_equal(submit(writer, 16 * MB + 1).result, PS_OK); /* it was there when it came */
    assert_int_equal(submit(writer, 1).result, PS_EFULL);
    ps_writer_stop(writer);
    temp_db_deinit(&temp);
    deinit(&f);
}

/* Three items in one transaction: while the first one waits for it, the others gather. */
struct gathered {
    sem_t go, finished;
    bool refused, run_after_refusal;
};

struct gathered_item {
    struct ps_writer_item item; /* first */
    struct gathered *gathered;
};

static enum ps_status run_first(struct ps_writer_item *item, struct ps_db *db)
{
    (void)db;
    sem_wait(&((struct gathered_item *)item)->gathered->go);
    return PS_OK;
}

static void note_refused(struct ps_writer_item *item)
{
    ((struct gathered_item *)item)->gathered->refused = true;
}

static enum ps_status run_follower(struct ps_writer_item *item, struct ps_db *db)
{
    (void)db;
    struct gathered *gathered = ((struct gathered_item *)item)->gathered;
    gathered->run_after_refusal = gathered->refused;
    return PS_OK;
}

static void gathered_done(struct ps_writer_item *item, enum ps_status st)
{
    (void)st;
    sem_post(&((struct gathered_item *)item)->gathered->finished);
}

static void what_follows_a_refused_item_knows_before_it_runs(void **state)
{
    (void)state;
    struct fixture f;
    struct temp_db temp;
    struct ps_writer *writer;
    struct gathered gathered = { 0 };
    init(&f);
    temp_db_init(&temp);
    open_budget(&f, 64ll * MB, false);
    struct ps_writer_settings settings = { .path = temp.path,
                                           .checkpoint_bytes = MB,
                                           .budget = f.budget };
    assert_int_equal(ps_writer_start(&settings, &writer), PS_OK);
    check(&f, MB, PS_DISK_REFUSE, true);
    struct gathered_item items[] = {
        { { .run = run_first, .done = gathered_done }, &gathered },
        { { .run = run_first, .refused = note_refused, .done = gathered_done, .points_bytes = 1 },
          &gathered },
        { { .run = run_follower, .done = gathered_done }, &gathered },
    };
    sem_init(&gathered.go, 0, 0);
    sem_init(&gathered.finished, 0, 0);
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        ps_writer_submit(writer, &items[i].item);
    sem_post(&gathered.go);
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        sem_wait(&gathered.finished);
    assert_true(gathered.run_after_refusal);
    ps_writer_stop(writer);
    sem_destroy(&gathered.go);
    sem_destroy(&gathered.finished);
    temp_db_deinit(&temp);
    deinit(&f);
}

int main(void)
{
    ps_log_configure(PS_LOG_OFF, PS_LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below_the_reserve_points_are_refused_until_there_is_clearly_more),
        cmocka_unit_test(the_writer_keeps_the_reserve_between_two_looks),
        cmocka_unit_test(what_others_write_between_two_looks_is_seen_while_the_writer_writes),
        cmocka_unit_test(the_oldest_goes_first_where_it_may),
        cmocka_unit_test(a_write_that_found_no_space_refuses_even_without_reserve),
        cmocka_unit_test(the_reserve_is_at_most_half_of_the_disk),
        cmocka_unit_test(a_disk_that_cannot_be_measured_is_not_full),
        cmocka_unit_test(work_that_can_wait_leaves_half_of_the_reserve),
        cmocka_unit_test(the_ballast_is_there_when_space_is_gone),
        cmocka_unit_test(only_points_are_refused_and_before_they_touch_the_disk),
        cmocka_unit_test(what_follows_a_refused_item_knows_before_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
