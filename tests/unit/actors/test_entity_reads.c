/* What is shown of an entity: nothing that is expired, and after a start as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/actors/actors_world.h"

enum { NOW_S = 1700000000 };

/* Seconds after a fixed time. Waiting is measured by the other clock, which goes on. */
static void set_clock(int64_t second)
{
    ps_clock_set_for_test((NOW_S + second) * 1000, -1);
}

static int back_to_real_time(void **state)
{
    (void)state;
    ps_clock_set_for_test(-1, -1);
    return 0;
}

/* A point of that second, with its own time to live. */
static enum ps_status save(struct actors_world *w, const char *key, int64_t second, int64_t value,
                           int64_t ttl_s, struct ps_text *why)
{
    char json[128];
    struct ps_payload payload = { 0 };
    const struct ps_payload_rules rules = { .type_cast = true };
    snprintf(json, sizeof json, "{\"ts\":%lld,\"values\":{\"%s\":%lld}}",
             (long long)((NOW_S + second) * 1000), key, (long long)value);
    assert_int_equal(ps_payload_parse_telemetry(&payload, json, strlen(json), &rules, why), PS_OK);
    enum ps_status st = ps_entity_save_telemetry(w->actors, &w->device, &payload, ttl_s, why);
    ps_payload_deinit(&payload);
    return st;
}

static void point(struct actors_world *w, const char *key, int64_t second, int64_t value,
                  int64_t ttl_s)
{
    struct ps_text why = { "" };
    assert_int_equal(save(w, key, second, value, ttl_s, &why), PS_OK);
}

/* The values of all time, ascending: "1 2 3". */
static void check_values(struct actors_world *w, const char *key, const char *want)
{
    struct ps_point_set set;
    struct ps_buf text = { 0 };
    struct ps_history_query query = {
        .start_ms = 0, .end_ms = INT64_MAX, .limit = 1000, .ascending = true
    };
    assert_int_equal(ps_entity_history(w->actors, w->reader, &w->device, &key, 1, &query, &set),
                     PS_OK);
    for (size_t i = 0; i < set.keys[0].count; i++)
        ps_buf_printf(&text, "%s%lld", i ? " " : "",
                      (long long)set.keys[0].points[i].value.integer);
    assert_string_equal(ps_buf_cstr(&text), want);
    ps_buf_deinit(&text);
    ps_point_set_deinit(&set);
}

static size_t count_keys(struct actors_world *w)
{
    struct ps_point_set set;
    assert_int_equal(ps_entity_latest(w->actors, w->reader, &w->device, NULL, 0, &set), PS_OK);
    size_t count = set.count;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(set.keys[i].count, 1);
    ps_point_set_deinit(&set);
    return count;
}

static void expired_points_are_not_shown(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    w.settings.default_ttl_s = 100;
    set_clock(0);
    actors_world_start(&w);
    for (int64_t i = 0; i < 5; i++)
        point(&w, "temp", i, i, 0);
    point(&w, "brief", 4, 4, 10);
    point(&w, "long", 0, 7, 1000);
    set_clock(13);
    assert_int_equal(count_keys(&w), 3);
    set_clock(14); /* exactly ts + ttl: gone */
    assert_int_equal(count_keys(&w), 2);
    assert_int_equal(actors_world_latest(&w, "brief"), INT64_MIN);
    check_values(&w, "brief", "");
    set_clock(102);
    check_values(&w, "temp", "3 4");
    assert_int_equal(actors_world_latest(&w, "temp"), 4);
    set_clock(104);
    check_values(&w, "temp", "");
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    check_values(&w, "long", "7");
    assert_int_equal(count_keys(&w), 1);
    actors_world_stop(&w);
    actors_world_start(&w);
    check_values(&w, "long", "7");
    check_values(&w, "temp", "");
    assert_int_equal(count_keys(&w), 1);
    point(&w, "temp", 104, 9, 0); /* the series lives on */
    assert_int_equal(actors_world_latest(&w, "temp"), 9);
    actors_world_deinit(&w);
}

static void when_the_newest_expires_an_older_one_that_lives_is_the_latest(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    set_clock(0);
    actors_world_start(&w);
    point(&w, "temp", 0, 1, 0);
    point(&w, "temp", 1, 2, 10);
    assert_int_equal(actors_world_latest(&w, "temp"), 2);
    set_clock(11);
    assert_int_equal(actors_world_latest(&w, "temp"), 1);
    assert_int_equal(actors_world_latest(&w, "temp"), 1);
    actors_world_stop(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_latest(&w, "temp"), 1);
    actors_world_deinit(&w);
}

static enum ps_status exec(struct ps_db *db, void *arg)
{
    return ps_db_exec(db, arg);
}

static void a_profile_that_changes_its_mind_is_obeyed_at_once(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    w.settings.default_ttl_s = 1000;
    set_clock(0);
    actors_world_start(&w);
    point(&w, "temp", 0, 1, 0);
    set_clock(999);
    assert_int_equal(actors_world_latest(&w, "temp"), 1);
    set_clock(1000);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    assert_int_equal(ps_writer_call(w.settings.writer, exec,
                                    "UPDATE device_profile SET profile_data ="
                                    " '{\"configuration\":{\"defaultStorageTtlDays\":1}}'"),
                     PS_OK);
    check_values(&w, "temp", "1");
    set_clock(86400);
    check_values(&w, "temp", "");
    actors_world_deinit(&w);
}

static void the_time_to_live_of_a_message_comes_through_the_rule_chain(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_chain(&w, "{firstNodeIndex:0,nodes:[{type:'action.save_timeseries',name:'T',"
                           "configuration:{defaultTTL:20}}],connections:[]}");
    set_clock(0);
    actors_world_start(&w);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 1, NOW_S * INT64_C(1000)),
                     PS_OK);
    set_clock(19);
    assert_int_equal(actors_world_latest(&w, "temp"), 1);
    set_clock(20);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    actors_world_deinit(&w);
}

static void a_time_to_live_out_of_bounds_stores_nothing(void **state)
{
    (void)state;
    static const int64_t refused[] = { -1, INT64_MIN, 3153600001, INT64_MAX };
    struct actors_world w;
    actors_world_init(&w);
    actors_world_start(&w);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct ps_text why = { "" };
        assert_int_equal(save(&w, "temp", 0, 1, refused[i], &why), PS_EINVAL);
        assert_string_equal(why.data, "TTL must be 0 to 3153600000 seconds");
    }
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM journal"), 0);
    point(&w, "temp", 0, 1, 3153600000);
    assert_int_equal(actors_world_latest(&w, "temp"), 1);
    actors_world_deinit(&w);
}

#define TIMED_TEST(name) cmocka_unit_test_teardown(name, back_to_real_time)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIMED_TEST(expired_points_are_not_shown),
        TIMED_TEST(when_the_newest_expires_an_older_one_that_lives_is_the_latest),
        TIMED_TEST(a_profile_that_changes_its_mind_is_obeyed_at_once),
        TIMED_TEST(the_time_to_live_of_a_message_comes_through_the_rule_chain),
        TIMED_TEST(a_time_to_live_out_of_bounds_stores_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
