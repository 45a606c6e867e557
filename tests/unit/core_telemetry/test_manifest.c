/* The manifest: what is written is what is read, and only what is live is planned with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/telemetry/manifest.h"
#include "unit/core_storage/temp_db.h"

static struct ps_run run_of(int64_t file, int64_t run, int64_t journal_last, int64_t min_ms,
                            int64_t max_ms)
{
    return (struct ps_run){
        .file = file,
        .run = run,
        .level = 2,
        .journal_first = 1,
        .journal_last = journal_last,
        .points = 1000,
        .bytes = 5000,
        .min_ms = min_ms,
        .max_ms = max_ms,
        .max_ttl_s = UINT32_MAX,
        .has_default_ttl = true,
        .created_ms = 77,
    };
}

static void assert_same_run(const struct ps_run *a, const struct ps_run *b)
{
    assert_int_equal(a->file, b->file);
    assert_int_equal(a->run, b->run);
    assert_int_equal(a->level, b->level);
    assert_int_equal(a->journal_first, b->journal_first);
    assert_int_equal(a->journal_last, b->journal_last);
    assert_int_equal(a->points, b->points);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->min_ms, b->min_ms);
    assert_int_equal(a->max_ms, b->max_ms);
    assert_int_equal(a->max_ttl_s, b->max_ttl_s);
    assert_int_equal(a->has_default_ttl, b->has_default_ttl);
    assert_int_equal(a->created_ms, b->created_ms);
    assert_int_equal(a->retired_ms, b->retired_ms);
}

static void assert_same_tombstone(const struct ps_tombstone *a, const struct ps_tombstone *b)
{
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->series, b->series);
    assert_int_equal(a->start_ms, b->start_ms);
    assert_int_equal(a->end_ms, b->end_ms);
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->idx, b->idx);
    assert_int_equal(a->created_ms, b->created_ms);
}

static int64_t put_file(struct ps_db *db, int64_t ts_ms)
{
    struct ps_range range;
    int64_t id = 0;
    ps_range_of(PS_RANGE_WEEK, ts_ms, &range);
    assert_int_equal(ps_manifest_put_file(db, &range, 5, &id), PS_OK);
    return id;
}

static void add_run(struct ps_db *db, struct ps_run run)
{
    assert_int_equal(ps_manifest_add_run(db, &run), PS_OK);
}

static void files_are_made_once_and_their_ids_never_used_again(void **state)
{
    (void)state;
    struct temp_db temp;
    temp_db_init(&temp);
    int64_t later = put_file(temp.db, 1795219200000), early = put_file(temp.db, INT64_MIN);
    assert_int_equal(put_file(temp.db, 1795219200001), later);
    assert_int_equal(early, later + 1);
    struct ps_manifest_file_list files = { 0 };
    assert_int_equal(ps_manifest_files(temp.db, &files), PS_OK);
    assert_int_equal(files.count, 2);
    assert_string_equal(files.items[0].name, "early");
    assert_string_equal(files.items[1].name, "2026-W47");
    assert_int_equal(files.items[1].id, later);
    assert_int_equal(files.items[1].start_ms, 1794787200000);
    assert_int_equal(files.items[1].end_ms, 1795392000000);
    assert_int_equal(files.items[1].created_ms, 5);
    assert_int_equal(files.items[1].state, PS_FILE_LIVE);
    ps_manifest_file_list_deinit(&files);

    add_run(temp.db, run_of(early, 1, 1, 0, 10));
    assert_int_equal(ps_manifest_drop_file(temp.db, early), PS_OK);
    assert_int_equal(ps_manifest_drop_file(temp.db, early), PS_ENOTFOUND);
    assert_int_equal(temp_db_number(temp.db, "SELECT count(*) FROM telemetry_run"), 0);
    assert_int_equal(put_file(temp.db, 0), early + 1);
    temp_db_deinit(&temp);
}

static void only_live_runs_of_the_wanted_time_are_planned_with(void **state)
{
    (void)state;
    struct temp_db temp;
    temp_db_init(&temp);
    int64_t week = put_file(temp.db, 1795219200000), early = put_file(temp.db, 0);
    add_run(temp.db, run_of(week, 1, 30, 1795219200000, 1795219200010));
    add_run(temp.db, run_of(week, 2, 10, 1795219200000, 1795219200020));
    add_run(temp.db, run_of(week, 3, 20, 1795219200005, 1795219200005));
    add_run(temp.db, run_of(early, 1, 15, INT64_MIN, -5));
    assert_int_equal(ps_manifest_retire_run(temp.db, week, 3, 99), PS_OK);

    struct ps_manifest plan = { 0 };
    assert_int_equal(ps_manifest_load(temp.db, INT64_MIN, INT64_MAX, &plan), PS_OK);
    assert_int_equal(plan.files.count, 2);
    assert_int_equal(plan.runs.count, 3);
    assert_string_equal(plan.files.items[0].name, "early");
    assert_int_equal(plan.files.items[0].first_run, 0);
    assert_int_equal(plan.files.items[0].run_count, 1);
    assert_int_equal(plan.files.items[1].first_run, 1);
    assert_int_equal(plan.files.items[1].run_count, 2);
    assert_int_equal(plan.runs.items[1].run, 2); /* the older arrival first */
    assert_int_equal(plan.runs.items[2].run, 1);
    struct ps_run want = run_of(early, 1, 15, INT64_MIN, -5);
    assert_same_run(&plan.runs.items[0], &want);

    static const struct {
        int64_t start_ms, end_ms;
        size_t files, runs;
    } cases[] = {
        { INT64_MIN, INT64_MIN, 1, 1 },     { -5, -5, 1, 1 },
        { -4, 1795219199999, 0, 0 },        { -5, 1795219200000, 2, 3 },
        { 1795219200011, INT64_MAX, 1, 1 }, { 1795219200020, 1795219200020, 1, 1 },
        { 1795219200021, INT64_MAX, 0, 0 }, { 1795219200010, 1795219200010, 1, 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ps_manifest_load(temp.db, cases[i].start_ms, cases[i].end_ms, &plan),
                         PS_OK);
        assert_int_equal(plan.files.count, cases[i].files);
        assert_int_equal(plan.runs.count, cases[i].runs);
    }
    ps_manifest_deinit(&plan);
    temp_db_deinit(&temp);
}

static void retired_runs_are_listed_until_they_are_forgotten(void **state)
{
    (void)state;
    struct temp_db temp;
    temp_db_init(&temp);
    int64_t file = put_file(temp.db, 0);
    add_run(temp.db, run_of(file, 1, 10, 0, 1));
    add_run(temp.db, run_of(file, 2, 20, 0, 1));
    assert_int_equal(ps_manifest_add_run(temp.db, &(struct ps_run){ .file = file, .run = 2 }),
                     PS_EEXISTS);
    assert_int_equal(ps_manifest_add_run(temp.db, &(struct ps_run){ .file = 99, .run = 2 }),
                     PS_EINVAL);
    assert_int_equal(ps_manifest_retire_run(temp.db, file, 1, 123), PS_OK);
    assert_int_equal(ps_manifest_retire_run(temp.db, file, 7, 123), PS_ENOTFOUND);

    struct ps_run_list runs = { 0 };
    assert_int_equal(ps_manifest_runs(temp.db, file, false, &runs), PS_OK);
    assert_int_equal(runs.count, 1);
    assert_int_equal(runs.items[0].run, 2);
    runs.count = 0;
    assert_int_equal(ps_manifest_runs(temp.db, file, true, &runs), PS_OK);
    assert_int_equal(runs.count, 2);
    assert_int_equal(runs.items[0].retired_ms, 123);
    assert_int_equal(runs.items[1].retired_ms, 0);
    assert_int_equal(ps_manifest_forget_run(temp.db, file, 1), PS_OK);
    assert_int_equal(ps_manifest_forget_run(temp.db, file, 1), PS_ENOTFOUND);
    runs.count = 0;
    assert_int_equal(ps_manifest_runs(temp.db, file, true, &runs), PS_OK);
    assert_int_equal(runs.count, 1);
    ps_run_list_deinit(&runs);
    temp_db_deinit(&temp);
}

/* Its points are not shown, its rows stay, and its name is free for a new file. */
static void a_file_set_aside_makes_room_for_a_new_one(void **state)
{
    (void)state;
    struct temp_db temp;
    temp_db_init(&temp);
    int64_t file = put_file(temp.db, 0);
    add_run(temp.db, run_of(file, 1, 10, 0, 1));
    assert_int_equal(ps_manifest_set_aside(temp.db, 99, "x"), PS_ENOTFOUND);
    assert_int_equal(ps_manifest_set_aside(temp.db, file, "early.db.damaged"), PS_OK);
    struct ps_manifest plan = { 0 };
    assert_int_equal(ps_manifest_load(temp.db, INT64_MIN, INT64_MAX, &plan), PS_OK);
    assert_int_equal(plan.runs.count, 0);
    ps_manifest_deinit(&plan);

    int64_t second = put_file(temp.db, 0);
    assert_true(second != file);
    assert_int_equal(ps_manifest_set_aside(temp.db, second, "early.db.damaged"), PS_EEXISTS);
    struct ps_manifest_file found;
    assert_int_equal(ps_manifest_find_file(temp.db, "early.db.damaged", &found), PS_OK);
    assert_int_equal(found.id, file);
    assert_int_equal(found.state, PS_FILE_SET_ASIDE);
    assert_int_equal(ps_manifest_find_file(temp.db, "early", &found), PS_OK);
    assert_int_equal(found.id, second);
    assert_int_equal(ps_manifest_find_file(temp.db, "late", &found), PS_ENOTFOUND);
    assert_int_equal(ps_manifest_set_rewritten(temp.db, second, 4711), PS_OK);
    assert_int_equal(ps_manifest_set_rewritten(temp.db, 99, 4711), PS_ENOTFOUND);
    assert_int_equal(ps_manifest_find_file(temp.db, "early", &found), PS_OK);
    assert_int_equal(found.rewritten_ms, 4711);
    temp_db_deinit(&temp);
}

static void tombstones_come_back_in_order_of_deletion(void **state)
{
    (void)state;
    struct temp_db temp;
    temp_db_init(&temp);
    struct ps_tombstone given[] = {
        { .series = UINT32_MAX, .start_ms = INT64_MIN, .end_ms = INT64_MAX, .seq = 9, .idx = 3 },
        { .series = 7, .start_ms = 10, .end_ms = 20, .seq = 9, .idx = 1, .created_ms = 5 },
        { .series = UINT32_MAX, .start_ms = 1, .end_ms = 2, .seq = 9, .idx = 2 },
        { .series = UINT32_MAX, .start_ms = 3, .end_ms = 4, .seq = 2, .idx = 8 },
    };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ps_manifest_add_tombstone(temp.db, &given[i]), PS_OK);
    struct ps_tombstone_list list = { 0 };
    assert_int_equal(ps_manifest_tombstones(temp.db, UINT32_MAX, &list), PS_OK);
    assert_int_equal(list.count, 3);
    assert_same_tombstone(&list.items[0], &given[3]);
    assert_same_tombstone(&list.items[1], &given[2]);
    assert_same_tombstone(&list.items[2], &given[0]);
    assert_true(ps_tombstone_covers(&list.items[2], INT64_MAX));
    assert_true(ps_tombstone_covers(&list.items[0], 3));
    assert_false(ps_tombstone_covers(&list.items[0], 4));
    assert_false(ps_tombstone_covers(&list.items[0], 2));
    list.count = 0;
    assert_int_equal(ps_manifest_all_tombstones(temp.db, &list), PS_OK);
    assert_int_equal(list.count, 4);
    assert_same_tombstone(&list.items[0], &given[1]);
    assert_int_equal(ps_manifest_forget_tombstone(temp.db, given[1].id), PS_OK);
    assert_int_equal(ps_manifest_forget_tombstone(temp.db, given[1].id), PS_ENOTFOUND);
    list.count = 0;
    assert_int_equal(ps_manifest_tombstones(temp.db, 7, &list), PS_OK);
    assert_int_equal(list.count, 0);
    ps_tombstone_list_deinit(&list);
    temp_db_deinit(&temp);
}

static void counters_start_with_what_the_caller_says(void **state)
{
    (void)state;
    struct temp_db temp;
    int64_t value;
    temp_db_init(&temp);
    assert_int_equal(ps_manifest_state(temp.db, PS_STATE_SEALED_SEQ, -3, &value), PS_OK);
    assert_int_equal(value, -3);
    assert_int_equal(ps_manifest_set_state(temp.db, PS_STATE_SEALED_SEQ, INT64_MAX), PS_OK);
    assert_int_equal(ps_manifest_set_state(temp.db, PS_STATE_SEALED_SEQ, 41), PS_OK);
    assert_int_equal(ps_manifest_set_state(temp.db, PS_STATE_NEXT_SERIES, 1), PS_OK);
    assert_int_equal(ps_manifest_state(temp.db, PS_STATE_SEALED_SEQ, -3, &value), PS_OK);
    assert_int_equal(value, 41);
    temp_db_deinit(&temp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_made_once_and_their_ids_never_used_again),
        cmocka_unit_test(only_live_runs_of_the_wanted_time_are_planned_with),
        cmocka_unit_test(retired_runs_are_listed_until_they_are_forgotten),
        cmocka_unit_test(a_file_set_aside_makes_room_for_a_new_one),
        cmocka_unit_test(tombstones_come_back_in_order_of_deletion),
        cmocka_unit_test(counters_start_with_what_the_caller_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
