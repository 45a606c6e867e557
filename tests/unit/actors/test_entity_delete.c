/* Points deleted on somebody's wish: what came before is gone for good, what comes later is not. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/actors/actors_world.h"

static const char *const temp_key = "temp";

static void point(struct actors_world *w, int64_t ts_ms, int64_t value)
{
    assert_int_equal(actors_world_do(w, PS_MSG_POST_TELEMETRY, temp_key, value, ts_ms), PS_OK);
}

static enum ps_status delete_temp(struct actors_world *w, const struct ps_delete_telemetry *what)
{
    return ps_entity_delete_telemetry(w->actors, w->reader, &w->device, &temp_key, 1, what);
}

/* Of all time, ascending: "ts=value ts=value". */
static void check_points(struct actors_world *w, const char *want)
{
    struct ps_point_set set;
    struct ps_buf text = { 0 };
    struct ps_history_query query = {
        .start_ms = INT64_MIN, .end_ms = INT64_MAX, .limit = 1000, .ascending = true
    };
    assert_int_equal(
        ps_entity_history(w->actors, w->reader, &w->device, &temp_key, 1, &query, &set), PS_OK);
    for (size_t i = 0; i < set.keys[0].count; i++)
        ps_buf_printf(&text, "%s%lld=%lld", i ? " " : "", (long long)set.keys[0].points[i].ts_ms,
                      (long long)set.keys[0].points[i].value.integer);
    assert_string_equal(ps_buf_cstr(&text), want);
    ps_buf_deinit(&text);
    ps_point_set_deinit(&set);
}

static void restart(struct actors_world *w)
{
    actors_world_stop(w);
    actors_world_start(w);
}

static void what_is_in_the_range_is_gone_and_stays_gone(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    w.settings.head_points_max = 2; /* most of it is in the journal only */
    actors_world_start(&w);
    for (int64_t ts = 10; ts <= 50; ts += 10)
        point(&w, ts, ts);
    assert_int_equal(delete_temp(&w, &(struct ps_delete_telemetry){ .start_ms = 20,
                                                                    .end_ms = 40,
                                                                    .delete_latest = true }),
                     PS_OK);
    check_points(&w, "10=10 40=40 50=50");
    assert_int_equal(actors_world_latest(&w, "temp"), 50);
    point(&w, 30, 33); /* it may come again */
    check_points(&w, "10=10 30=33 40=40 50=50");
    restart(&w);
    check_points(&w, "10=10 30=33 40=40 50=50");
    assert_int_equal(actors_world_latest(&w, "temp"), 50);
    actors_world_deinit(&w);
}

/* A deletion that is asked for while commits are held up. */
struct deleter {
    struct actors_world *w;
    struct ps_db *db;
    struct ps_delete_telemetry what;
    pthread_t thread;
    enum ps_status status;
};

static void *delete_in_thread(void *arg)
{
    struct deleter *deleter = arg;
    struct actors_world *w = deleter->w;
    deleter->status = ps_entity_delete_telemetry(w->actors, deleter->db, &w->device, &temp_key, 1,
                                                 &deleter->what);
    return NULL;
}

/* Returns when it is in the batch. */
static void deleter_start(struct deleter *deleter, struct actors_world *w)
{
    struct ps_text why = { "" };
    int64_t turns = actors_world_metric(w, PS_METRIC_TURNS);
    deleter->w = w;
    assert_int_equal(ps_db_open(w->entities->temp.path, PS_DB_READER, &deleter->db, &why), PS_OK);
    assert_int_equal(pthread_create(&deleter->thread, NULL, delete_in_thread, deleter), 0);
    actors_world_wait_metric(w, PS_METRIC_TURNS, turns + 1);
}

static void deleter_finish(struct deleter *deleter)
{
    assert_int_equal(pthread_join(deleter->thread, NULL), 0);
    assert_int_equal(deleter->status, PS_OK);
    ps_db_close(deleter->db);
}

static void send_in_a_turn(struct actors_world *w, int64_t ts_ms, int64_t value, struct sent *sent)
{
    int64_t turns = actors_world_metric(w, PS_METRIC_TURNS);
    actors_world_send(w, PS_MSG_POST_TELEMETRY, temp_key, value, ts_ms, sent);
    actors_world_wait_metric(w, PS_METRIC_TURNS, turns + 1);
}

/* Two batches wait for their commit, so what follows fills one batch: a point, the deletion,
 * another point. */
static void a_deletion_acts_between_two_points_of_one_commit(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_commit held;
    struct sent sent[4] = { { .order = NULL } };
    struct deleter deleter = { .what = { .all = true, .delete_latest = true } };
    unsigned order = 0;
    actors_world_init(&w);
    actors_world_start(&w);
    point(&w, 10, 1);
    actors_world_hold_commits(&w, &held);
    for (unsigned i = 0; i < 4; i++)
        sent[i].order = &order;
    for (unsigned i = 0; i < 3; i++)
        send_in_a_turn(&w, 30 + i, i, &sent[i]);
    deleter_start(&deleter, &w);
    send_in_a_turn(&w, 20, 77, &sent[3]);
    actors_world_let_commit(&held);
    deleter_finish(&deleter);
    actors_world_wait(&w, &order, 4);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM tombstone"), 1);
    assert_true(actors_world_number(&w, "SELECT idx FROM tombstone") > 0); /* in the middle */
    check_points(&w, "20=77");
    assert_int_equal(actors_world_latest(&w, "temp"), 77);
    restart(&w);
    check_points(&w, "20=77");
    assert_int_equal(actors_world_latest(&w, "temp"), 77);
    actors_world_deinit(&w);
}

/* It is not in the head yet when the deletion decides: it is being committed, or waits behind
 * batches that are. */
static void check_latest_on_its_way(unsigned points_before, bool keep)
{
    struct actors_world w;
    struct held_commit held;
    struct sent sent[3] = { { .order = NULL } };
    struct deleter deleter = { .what = { .start_ms = 25, .end_ms = 35, .delete_latest = !keep } };
    int64_t want = keep ? points_before : INT64_MIN;
    actors_world_init(&w);
    actors_world_start(&w);
    point(&w, 10, 1);
    actors_world_hold_commits(&w, &held);
    for (unsigned i = 0; i <= points_before; i++) {
        send_in_a_turn(&w, i < points_before ? 10 : 30, i, &sent[i]);
        assert_int_equal(actors_world_latest(&w, "temp"), 1); /* a round of the shard: handed in */
    }
    deleter_start(&deleter, &w);
    actors_world_let_commit(&held);
    deleter_finish(&deleter);
    check_points(&w, "10=1");
    assert_int_equal(actors_world_latest(&w, "temp"), want);
    restart(&w);
    assert_int_equal(actors_world_latest(&w, "temp"), want);
    actors_world_deinit(&w);
}

static void a_latest_value_on_its_way_goes_as_well(void **state)
{
    (void)state;
    check_latest_on_its_way(0, false);
    check_latest_on_its_way(2, false); /* as many as may be in flight */
}

static void or_it_is_kept_as_well(void **state)
{
    (void)state;
    check_latest_on_its_way(0, true);
    check_latest_on_its_way(2, true);
}

/* While a point that ends a pin is committed, a deletion begins another one. */
static void a_pin_ends_only_if_no_other_is_on_its_way(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_commit held;
    struct sent sent = { .order = NULL };
    struct deleter deleter = { .what = { .start_ms = 45, .end_ms = 60, .delete_latest = true } };
    actors_world_init(&w);
    actors_world_start(&w);
    point(&w, 10, 1);
    point(&w, 30, 3);
    assert_int_equal(delete_temp(&w, &(struct ps_delete_telemetry){ .start_ms = 25,
                                                                    .end_ms = 35,
                                                                    .delete_latest = true }),
                     PS_OK);
    actors_world_hold_commits(&w, &held);
    send_in_a_turn(&w, 50, 5, &sent);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN); /* handed in by now */
    deleter_start(&deleter, &w);
    actors_world_let_commit(&held);
    deleter_finish(&deleter);
    point(&w, 8, 88);
    assert_int_equal(actors_world_latest(&w, "temp"), 88);
    restart(&w);
    assert_int_equal(actors_world_latest(&w, "temp"), 88);
    check_points(&w, "8=88 10=1");
    actors_world_deinit(&w);
}

static const struct latest_case {
    const char *name;
    struct ps_delete_telemetry what;
    const char *left;
    int64_t latest, after_start; /* INT64_MIN: none */
} latest_cases[] = {
    { "not in the range", { .end_ms = 25, .delete_latest = true }, "30=30", 30, 30 },
    { "goes",
      { .start_ms = 25, .end_ms = 35, .delete_latest = true },
      "10=10 20=20",
      INT64_MIN,
      INT64_MIN },
    { "is replaced",
      { .start_ms = 25, .end_ms = 35, .delete_latest = true, .rewrite_latest = true },
      "10=10 20=20",
      20,
      20 },
    { "nothing is left to replace it",
      { .start_ms = 5, .end_ms = 35, .delete_latest = true, .rewrite_latest = true },
      "",
      INT64_MIN,
      INT64_MIN },
    { "all of it", { .all = true, .delete_latest = true }, "", INT64_MIN, INT64_MIN },
    { "all of it, replaced",
      { .all = true, .delete_latest = true, .rewrite_latest = true },
      "",
      INT64_MIN,
      INT64_MIN },
    { "stays shown, though deleted", { .start_ms = 25, .end_ms = 35 }, "10=10 20=20", 30, 30 },
    { "end exclusive",
      { .start_ms = 25, .end_ms = 30, .delete_latest = true },
      "10=10 20=20 30=30",
      30,
      30 },
    { "to the end of time",
      { .start_ms = 30, .end_ms = INT64_MAX, .delete_latest = true },
      "10=10 20=20",
      INT64_MIN,
      INT64_MIN },
    { "empty range",
      { .start_ms = 30, .end_ms = 30, .delete_latest = true },
      "10=10 20=20 30=30",
      30,
      30 },
    { "backwards",
      { .start_ms = 40, .end_ms = 5, .delete_latest = true },
      "10=10 20=20 30=30",
      30,
      30 },
};

static void the_latest_value_follows_its_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof latest_cases / sizeof *latest_cases; i++) {
        const struct latest_case *c = &latest_cases[i];
        struct actors_world w;
        actors_world_init(&w);
        actors_world_start(&w);
        for (int64_t ts = 10; ts <= 30; ts += 10)
            point(&w, ts, ts);
        assert_int_equal(delete_temp(&w, &c->what), PS_OK);
        if (actors_world_latest(&w, "temp") != c->latest)
            fail_msg("%s: latest is %lld", c->name, (long long)actors_world_latest(&w, "temp"));
        check_points(&w, c->left);
        restart(&w);
        if (actors_world_latest(&w, "temp") != c->after_start)
            fail_msg("%s: after a start %lld", c->name, (long long)actors_world_latest(&w, "temp"));
        check_points(&w, c->left);
        point(&w, 31, 31); /* the next one is it */
        assert_int_equal(actors_world_latest(&w, "temp"), 31);
        actors_world_deinit(&w);
    }
}

/* Corrected points are sent again at the old time. */
static void a_point_sent_again_into_the_range_is_the_latest(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_start(&w);
    point(&w, 10, 10);
    point(&w, 30, 30);
    assert_int_equal(delete_temp(&w, &(struct ps_delete_telemetry){ .start_ms = 20,
                                                                    .end_ms = 40,
                                                                    .delete_latest = true }),
                     PS_OK);
    point(&w, 25, 26);
    assert_int_equal(actors_world_latest(&w, "temp"), 26);
    restart(&w);
    assert_int_equal(actors_world_latest(&w, "temp"), 26);
    check_points(&w, "10=10 25=26");
    actors_world_deinit(&w);
}

static void only_known_keys_are_deleted_and_reported(void **state)
{
    (void)state;
    struct actors_world w;
    const char *const keys[] = { "nope", "temp", "other", "temp" };
    const char *const unknown[] = { "nope" };
    const struct ps_delete_telemetry all = { .all = true, .delete_latest = true };
    const struct ps_delete_telemetry range = { .start_ms = 5, .end_ms = 7, .delete_latest = true };
    actors_world_init(&w);
    actors_world_chain(&w, "{firstNodeIndex:0,nodes:[{type:'filter.msg_type_switch',name:'S'},"
                           "{type:'action.save_timeseries',name:'T'},"
                           "{type:'filter.script',name:'F',configuration:"
                           "{script:'error(msgType .. json.encode(msg))'}}],"
                           "connections:[{fromIndex:0,toIndex:1,type:'Post telemetry'},"
                           "{fromIndex:0,toIndex:2,type:'Timeseries Deleted'}]}");
    actors_world_start(&w);
    point(&w, 6, 1);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "other", 1, 1), PS_OK);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "third", 1, 1), PS_OK);
    assert_int_equal(ps_entity_delete_telemetry(w.actors, w.reader, &w.device, unknown, 1, &all),
                     PS_OK);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM tombstone"), 0);
    assert_int_equal(ps_entity_delete_telemetry(w.actors, w.reader, &w.device, keys, 4, &range),
                     PS_OK);
    actors_world_wait_metric(&w, PS_METRIC_DEAD_LETTERS, 1);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM dead_letter WHERE"
                                             " msg_type = 'TIMESERIES_DELETED' AND data ="
                                             " CAST('{\"timeseries\":[\"temp\",\"other\"],"
                                             "\"startTs\":5,\"endTs\":7}' AS BLOB)"),
                     1);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    assert_int_equal(actors_world_latest(&w, "other"), 1);
    assert_int_equal(ps_entity_delete_telemetry(w.actors, w.reader, &w.device, keys, 4, &all),
                     PS_OK);
    assert_int_equal(actors_world_latest(&w, "other"), INT64_MIN);
    assert_int_equal(actors_world_latest(&w, "third"), 1);
    w.device.entity.id = ps_uuid_random();
    assert_int_equal(ps_entity_delete_telemetry(w.actors, w.reader, &w.device, keys, 4, &all),
                     PS_ENOTFOUND);
    actors_world_deinit(&w);
}

static enum ps_status exec(struct ps_db *db, void *arg)
{
    return ps_db_exec(db, arg);
}

static void a_deletion_whose_commit_fails_deletes_nothing(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_start(&w);
    point(&w, 10, 1);
    assert_int_equal(ps_writer_call(w.settings.writer, exec,
                                    "CREATE TRIGGER boom BEFORE INSERT ON tombstone"
                                    " BEGIN SELECT RAISE(ABORT, 'boom'); END"),
                     PS_OK);
    const struct ps_delete_telemetry all = { .all = true, .delete_latest = true };
    assert_int_not_equal(delete_temp(&w, &all), PS_OK);
    assert_int_equal(actors_world_latest(&w, "temp"), 1);
    check_points(&w, "10=1");
    assert_int_equal(ps_writer_call(w.settings.writer, exec, "DROP TRIGGER boom"), PS_OK);
    assert_int_equal(delete_temp(&w, &all), PS_OK);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    actors_world_deinit(&w);
}

/* A failed commit has used up a number of the journal, so the deletion stands behind a gap. */
static void a_point_after_a_start_comes_behind_all_deletions(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_start(&w);
    point(&w, 10, 1);
    assert_int_equal(ps_writer_call(w.settings.writer, exec,
                                    "CREATE TRIGGER boom BEFORE INSERT ON journal"
                                    " BEGIN SELECT RAISE(ABORT, 'boom'); END"),
                     PS_OK);
    for (int64_t i = 0; i < 3; i++)
        assert_int_not_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, temp_key, 2, 20), PS_OK);
    assert_int_equal(ps_writer_call(w.settings.writer, exec, "DROP TRIGGER boom"), PS_OK);
    const struct ps_delete_telemetry all = { .all = true, .delete_latest = true };
    assert_int_equal(delete_temp(&w, &all), PS_OK);
    assert_true(actors_world_number(&w, "SELECT max(seq) FROM tombstone") > 2); /* the gap */
    restart(&w);
    point(&w, 30, 3);
    restart(&w);
    check_points(&w, "30=3");
    assert_int_equal(actors_world_latest(&w, "temp"), 3);
    actors_world_deinit(&w);
}

/* ---- watchers ---- */

enum { TOLD_MAX = 16 };

struct watcher {
    struct actors_world w; /* first: the owner of the port */
    struct ps_update_hub hub;
    struct ps_watch watch;
    unsigned started, told;
    char text[TOLD_MAX][64];
};

static void watch_started(struct ps_port_item *item, void *owner)
{
    (void)item;
    ((struct watcher *)owner)->started++;
}

static void update_came(struct ps_port_item *item, void *owner)
{
    struct watcher *watcher = owner;
    struct ps_update *update = (struct ps_update *)item; /* its first member */
    assert_true(watcher->told < TOLD_MAX);
    char *text = watcher->text[watcher->told++];
    if (update->kind == PS_UPDATE_TELEMETRY_DELETED) {
        assert_int_equal(update->kvs[0].value.type, PS_VALUE_NULL);
        snprintf(text, sizeof watcher->text[0], "%u gone", update->kv_count);
    } else {
        snprintf(text, sizeof watcher->text[0], "%lld=%lld", (long long)update->ts_ms,
                 (long long)update->kvs[0].value.integer);
    }
    ps_update_done(&watcher->hub, update);
}

static void watchers_hear_what_is_gone_and_what_takes_its_place(void **state)
{
    (void)state;
    struct watcher watcher;
    memset(&watcher, 0, sizeof watcher);
    struct actors_world *w = &watcher.w;
    actors_world_init(w);
    actors_world_start(w);
    point(w, 10, 1);
    point(w, 20, 2);
    watcher.hub =
        (struct ps_update_hub){ .port = &w->port, .run = update_came, .outstanding_max = 100 };
    watcher.watch = (struct ps_watch){ .hub = &watcher.hub, .item = { .run = watch_started } };
    watcher.watch.call.tenant = w->device.tenant;
    watcher.watch.call.entity = w->device.entity;
    ps_watch_start(w->actors, &watcher.watch);
    actors_world_wait(w, &watcher.started, 1);
    struct ps_delete_telemetry what = { .start_ms = 1, .end_ms = 5, .delete_latest = true };
    assert_int_equal(delete_temp(w, &what), PS_OK); /* the latest is not in it: not a word */
    what = (struct ps_delete_telemetry){
        .start_ms = 15, .end_ms = 25, .delete_latest = true, .rewrite_latest = true
    };
    assert_int_equal(delete_temp(w, &what), PS_OK);
    actors_world_wait(w, &watcher.told, 2);
    assert_string_equal(watcher.text[0], "1 gone");
    assert_string_equal(watcher.text[1], "10=1");
    what = (struct ps_delete_telemetry){ .all = true, .delete_latest = true };
    assert_int_equal(delete_temp(w, &what), PS_OK);
    actors_world_wait(w, &watcher.told, 3);
    assert_string_equal(watcher.text[2], "1 gone");
    ps_watch_stop(w->actors, &watcher.hub, &w->device.tenant, &w->device.entity);
    actors_world_deinit(w);
    assert_int_equal(watcher.told, 3);
}

/* ---- many at once ---- */

enum { WRITERS_POINTS = 400, DELETIONS = 60 };

struct racer {
    struct actors_world *w;
    struct ps_db *db;
    unsigned failed;
};

/* Deletes ranges in the middle, with every rule for the latest value, while points come in. */
static void *keep_deleting(void *arg)
{
    struct racer *racer = arg;
    for (int64_t i = 0; i < DELETIONS; i++) {
        const struct ps_delete_telemetry what = {
            .start_ms = i * 5, .end_ms = i * 5 + 3, .delete_latest = true, .rewrite_latest = i % 2
        };
        enum ps_status st = ps_entity_delete_telemetry(racer->w->actors, racer->db,
                                                       &racer->w->device, &temp_key, 1, &what);
        racer->failed += st != PS_OK;
    }
    return NULL;
}

static void what_is_seen_while_deleting_is_what_is_stored(void **state)
{
    (void)state;
    struct actors_world w;
    struct ps_text why = { "" };
    struct racer racer = { .w = &w };
    struct sent *sent = calloc(WRITERS_POINTS, sizeof *sent);
    unsigned order = 0;
    pthread_t thread;
    actors_world_init(&w);
    w.settings.head_points_max = 8;
    actors_world_start(&w);
    point(&w, 0, 0);
    assert_int_equal(ps_db_open(w.entities->temp.path, PS_DB_READER, &racer.db, &why), PS_OK);
    assert_int_equal(pthread_create(&thread, NULL, keep_deleting, &racer), 0);
    for (unsigned i = 0; i < WRITERS_POINTS; i++) {
        sent[i].order = &order;
        actors_world_send(&w, PS_MSG_POST_TELEMETRY, temp_key, i, i * 7 % 300, &sent[i]);
        if (i % 16 == 0)
            ps_port_wait(&w.port, &w, 1);
    }
    actors_world_wait(&w, &order, WRITERS_POINTS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(racer.failed, 0);
    struct ps_buf before = { 0 };
    struct ps_point_set set;
    struct ps_history_query query = { .end_ms = 1000, .limit = 1000, .ascending = true };
    for (unsigned round = 0; round < 2; round++) {
        struct ps_buf text = { 0 };
        assert_int_equal(
            ps_entity_history(w.actors, w.reader, &w.device, &temp_key, 1, &query, &set), PS_OK);
        for (size_t i = 0; i < set.keys[0].count; i++)
            ps_buf_printf(&text, " %lld=%lld", (long long)set.keys[0].points[i].ts_ms,
                          (long long)set.keys[0].points[i].value.integer);
        ps_point_set_deinit(&set);
        if (round == 0) {
            before = text;
            actors_world_stop(&w);
            actors_world_start(&w);
            continue;
        }
        assert_string_equal(ps_buf_cstr(&before), ps_buf_cstr(&text));
        ps_buf_deinit(&text);
    }
    ps_buf_deinit(&before);
    ps_db_close(racer.db);
    free(sent);
    actors_world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_the_range_is_gone_and_stays_gone),
        cmocka_unit_test(a_deletion_acts_between_two_points_of_one_commit),
        cmocka_unit_test(a_latest_value_on_its_way_goes_as_well),
        cmocka_unit_test(or_it_is_kept_as_well),
        cmocka_unit_test(a_pin_ends_only_if_no_other_is_on_its_way),
        cmocka_unit_test(the_latest_value_follows_its_rules),
        cmocka_unit_test(a_point_sent_again_into_the_range_is_the_latest),
        cmocka_unit_test(only_known_keys_are_deleted_and_reported),
        cmocka_unit_test(a_deletion_whose_commit_fails_deletes_nothing),
        cmocka_unit_test(a_point_after_a_start_comes_behind_all_deletions),
        cmocka_unit_test(watchers_hear_what_is_gone_and_what_takes_its_place),
        cmocka_unit_test(what_is_seen_while_deleting_is_what_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
