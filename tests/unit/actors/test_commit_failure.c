/* A commit that fails: everybody in it is told, nothing of it is seen, and the next one is whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/actors/actors_world.h"

static enum ps_status exec(struct ps_db *db, void *arg)
{
    return ps_db_exec(db, arg);
}

static void change_database(struct actors_world *w, const char *sql)
{
    assert_int_equal(ps_writer_call(w->settings.writer, exec, (void *)sql), PS_OK);
}

#define BREAK(table, when)                                                                         \
    "CREATE TRIGGER boom BEFORE INSERT ON " table " WHEN " when                                    \
    " BEGIN SELECT RAISE(ABORT, 'boom'); END"

/* The shard has had a round: what could be handed in was. */
static void let_the_shard_turn(struct actors_world *w)
{
    for (unsigned i = 0; i < 4; i++)
        (void)actors_world_latest(w, "-");
}

static void a_failed_commit_is_told_and_leaves_nothing(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_start(&w);
    change_database(&w, BREAK("journal", "1"));
    assert_int_not_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 1, 1), PS_OK);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM series"), 0);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_REFUSED_STORAGE), 1);
    actors_world_check_balance(&w);
    change_database(&w, "DROP TRIGGER boom");
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 2, 2), PS_OK);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM series"), 1);
    actors_world_stop(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_latest(&w, "temp"), 2);
    actors_world_deinit(&w);
}

/* The second and third batch begin while the first is being committed, and hold points of a series
 * whose row is in the first. */
static void what_was_built_on_a_failed_commit_fails_with_it(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_commit before, within;
    struct sent sent[3] = { { .order = NULL } };
    unsigned order = 0;
    actors_world_init(&w);
    actors_world_start(&w);
    change_database(&w, BREAK("journal", "new.seq = 1"));
    actors_world_hold_commits(&w, &before);
    within = (struct held_commit){ .item = { .run = held_run, .done = held_done } };
    sem_init(&within.entered, 0, 0);
    sem_init(&within.gate, 0, 0);
    sem_init(&within.finished, 0, 0);
    ps_writer_submit(w.settings.writer, &within.item); /* same transaction as the first batch */
    for (unsigned i = 0; i < 3; i++)
        sent[i].order = &order;
    actors_world_send(&w, PS_MSG_POST_TELEMETRY, "temp", 1, 1, &sent[0]);
    let_the_shard_turn(&w);
    actors_world_wait_metric(&w, PS_METRIC_TURNS, 1);
    let_the_shard_turn(&w);
    actors_world_let_commit(&before);
    held_wait(&within.entered);
    for (unsigned i = 1; i < 3; i++) {
        actors_world_send(&w, PS_MSG_POST_TELEMETRY, "temp", i + 1, i + 1, &sent[i]);
        let_the_shard_turn(&w);
    }
    actors_world_let_commit(&within);
    actors_world_wait(&w, &order, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_not_equal(sent[i].status, PS_OK);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM journal"), 0);
    actors_world_check_balance(&w);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 9, 9), PS_OK);
    actors_world_stop(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_latest(&w, "temp"), 9);
    actors_world_deinit(&w);
}

/* A device of another shard. */
static struct ps_entity_ref elsewhere(struct actors_world *w)
{
    for (unsigned i = 0;; i++) {
        char name[16];
        snprintf(name, sizeof name, "E%u", i);
        struct ps_entity_ref ref = actors_world_device(w, name);
        if (ps_actors_shard_index(w->actors, &ref.entity.id) !=
            ps_actors_shard_index(w->actors, &w->device.entity.id))
            return ref;
    }
}

/* Two batches of one shard and one of another are in the same transaction; the first cannot be
 * written. */
static void a_batch_that_cannot_be_written_takes_only_its_followers_along(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_commit before;
    struct sent sent[3] = { { .order = NULL } };
    unsigned order = 0;
    actors_world_init(&w);
    actors_world_start(&w);
    struct ps_entity_ref other = elsewhere(&w);
    for (unsigned i = 0; i < 3; i++)
        sent[i].order = &order;
    change_database(&w, BREAK("series", "new.key = 'poison'"));
    actors_world_hold_commits(&w, &before);
    for (unsigned i = 0; i < 2; i++) {
        actors_world_send(&w, PS_MSG_POST_TELEMETRY, i ? "fine" : "poison", 1, 1, &sent[i]);
        actors_world_wait_metric(&w, PS_METRIC_TURNS, i + 1);
        let_the_shard_turn(&w);
    }
    struct ps_msg *msg = actors_world_msg(&w, &other, PS_MSG_POST_TELEMETRY, "temp", 5, 5);
    assert_int_equal(actors_world_post(&w, msg, &sent[2]), PS_OK);
    actors_world_wait_metric(&w, PS_METRIC_TURNS, 3);
    w.device = other;
    let_the_shard_turn(&w);
    actors_world_let_commit(&before);
    actors_world_wait(&w, &order, 3);
    assert_int_not_equal(sent[0].status, PS_OK);
    assert_int_not_equal(sent[1].status, PS_OK);
    assert_int_equal(sent[2].status, PS_OK);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM series"), 1);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM journal"), 1);
    assert_int_equal(actors_world_latest(&w, "temp"), 5);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_COMMITS_FAILED), 0);
    actors_world_check_balance(&w);
    actors_world_deinit(&w);
}

static int64_t stored_attribute(struct actors_world *w)
{
    return actors_world_number(w, "SELECT coalesce(max(value), -1) FROM attribute WHERE key = 'a'");
}

static void attributes_are_read_again_after_a_failed_commit(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_ATTRIBUTES, "a", 1, 0), PS_OK);
    change_database(&w, BREAK("attribute", "1"));
    assert_int_not_equal(actors_world_do(&w, PS_MSG_POST_ATTRIBUTES, "a", 2, 0), PS_OK);
    assert_int_equal(stored_attribute(&w), 1);
    change_database(&w, "DROP TRIGGER boom");
    /* equal to what failed: it must not count as unchanged */
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_ATTRIBUTES, "a", 2, 0), PS_OK);
    assert_int_equal(stored_attribute(&w), 2);
    actors_world_check_balance(&w);
    actors_world_deinit(&w);
}

static void many_devices_recover_from_failures_in_the_stream(void **state)
{
    (void)state;
    enum { MESSAGES = 600 };
    struct actors_world w;
    struct sent *sent = calloc(MESSAGES, sizeof *sent);
    struct ps_entity_ref devices[4];
    unsigned order = 0, kept = 0;
    char sql[64];
    actors_world_init(&w);
    for (unsigned i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "N%u", i);
        devices[i] = actors_world_device(&w, name);
    }
    actors_world_start(&w);
    change_database(&w, BREAK("journal", "new.seq % 3 = 0"));
    for (unsigned i = 0; i < MESSAGES; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i % 50);
        sent[i].order = &order;
        struct ps_msg *msg =
            actors_world_msg(&w, &devices[i % 4], PS_MSG_POST_TELEMETRY, key, i, (int64_t)i);
        assert_int_equal(actors_world_post(&w, msg, &sent[i]), PS_OK);
        if (i % 7 == 0)
            ps_port_wait(&w.port, &w, 1);
    }
    actors_world_wait(&w, &order, MESSAGES);
    for (unsigned i = 0; i < MESSAGES; i++)
        kept += sent[i].status == PS_OK;
    print_message("%u of %u kept\n", kept, (unsigned)MESSAGES);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_MSG_STORED), kept);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_POINTS), kept);
    actors_world_check_balance(&w);
    actors_world_stop(&w);
    /* every point that was acknowledged has a series, so it is found after a restart */
    actors_world_start(&w);
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (sent[i].status != PS_OK)
            continue;
        char key[16];
        const char *keys = key;
        struct ps_point_set set;
        struct ps_history_query query = { .start_ms = i, .end_ms = i + 1, .limit = 1 };
        snprintf(key, sizeof key, "k%u", i % 50);
        assert_int_equal(
            ps_entity_history(w.actors, w.reader, &devices[i % 4], &keys, 1, &query, &set), PS_OK);
        assert_int_equal(set.keys[0].count, 1);
        assert_int_equal(set.keys[0].points[0].value.integer, i);
        ps_point_set_deinit(&set);
    }
    snprintf(sql, sizeof sql, "SELECT count(*) FROM journal WHERE seq %% 3 = 0");
    assert_int_equal(actors_world_number(&w, sql), 0);
    free(sent);
    actors_world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_commit_is_told_and_leaves_nothing),
        cmocka_unit_test(what_was_built_on_a_failed_commit_fails_with_it),
        cmocka_unit_test(a_batch_that_cannot_be_written_takes_only_its_followers_along),
        cmocka_unit_test(attributes_are_read_again_after_a_failed_commit),
        cmocka_unit_test(many_devices_recover_from_failures_in_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
