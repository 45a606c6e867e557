/* What REST asks of an entity: writes that are committed when they return, reads over all there is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/actors/actors_world.h"

static enum ps_status save(struct actors_world *w, const char *json, struct ps_text *why)
{
    struct ps_payload payload = { 0 };
    const struct ps_payload_rules rules = { .type_cast = true };
    assert_int_equal(ps_payload_parse_telemetry(&payload, json, strlen(json), &rules, why), PS_OK);
    enum ps_status st = ps_entity_save_telemetry(w->actors, &w->device, &payload, 0, why);
    ps_payload_deinit(&payload);
    return st;
}

static void a_telemetry_write_is_committed_when_it_returns(void **state)
{
    (void)state;
    struct actors_world w;
    struct ps_text why = { "" };
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(save(&w,
                          "[{\"ts\":10,\"values\":{\"b\":1}},{\"ts\":20,\"values\":{\"b\":2}},"
                          "{\"a\":3}]",
                          &why),
                     PS_OK);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM journal"), 1);
    assert_int_equal(actors_world_latest(&w, "b"), 2);
    assert_int_equal(actors_world_latest(&w, "a"), 3);
    actors_world_deinit(&w);
}

static void a_bad_key_stores_nothing_of_the_write(void **state)
{
    (void)state;
    struct actors_world w;
    struct ps_text why = { "" };
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(save(&w, "[{\"good\":1},{\"ts\":5,\"values\":{\" \":2}}]", &why), PS_EINVAL);
    assert_string_equal(why.data, "Key cannot be blank");
    assert_int_equal(actors_world_latest(&w, "good"), INT64_MIN);
    assert_int_equal(save(&w, "{\"other\":1}", &why), PS_OK); /* a commit later, still not there */
    assert_int_equal(actors_world_latest(&w, "good"), INT64_MIN);
    actors_world_deinit(&w);
}

static void latest_without_keys_is_all_of_them_by_name(void **state)
{
    (void)state;
    struct actors_world w;
    struct ps_text why = { "" };
    struct ps_point_set set;
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(ps_entity_latest(w.actors, w.reader, &w.device, NULL, 0, &set), PS_OK);
    assert_int_equal(set.count, 0);
    ps_point_set_deinit(&set);
    assert_int_equal(
        save(&w, "{\"zeta\":1,\"alpha\":\"text\",\"mid\":{\"x\":1},\"none\":null}", &why), PS_OK);
    assert_int_equal(ps_entity_latest(w.actors, w.reader, &w.device, NULL, 0, &set), PS_OK);
    assert_int_equal(set.count, 3);
    assert_string_equal(set.keys[0].key, "alpha");
    assert_string_equal(set.keys[1].key, "mid");
    assert_string_equal(set.keys[2].key, "zeta");
    assert_memory_equal(set.keys[0].points[0].value.text, "text", 4);
    assert_memory_equal(set.keys[1].points[0].value.text, "{\"x\":1}", 7);
    ps_point_set_deinit(&set);
    const char *keys[] = { "zeta", "nope", "alpha" };
    assert_int_equal(ps_entity_latest(w.actors, w.reader, &w.device, keys, 3, &set), PS_OK);
    assert_int_equal(set.count, 3);
    assert_string_equal(set.keys[1].key, "nope");
    assert_int_equal(set.keys[1].count, 0);
    assert_int_equal(set.keys[2].count, 1);
    ps_point_set_deinit(&set);
    actors_world_deinit(&w);
}

static void history_is_heads_and_journal_as_one(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    w.settings.head_points_max = 4;
    actors_world_start(&w);
    for (int i = 0; i < 20; i++)
        assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", i, i % 10), PS_OK);
    const char *keys[] = { "temp", "nope" };
    struct ps_point_set set;
    struct ps_history_query query = { .start_ms = 2, .end_ms = 9, .limit = 100, .ascending = true };
    assert_int_equal(ps_entity_history(w.actors, w.reader, &w.device, keys, 2, &query, &set),
                     PS_OK);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.keys[1].key, "nope");
    assert_int_equal(set.keys[1].count, 0);
    assert_int_equal(set.keys[0].count, 7);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(set.keys[0].points[i].ts_ms, i + 2);
        assert_int_equal(set.keys[0].points[i].value.integer, i + 12); /* the last write */
    }
    ps_point_set_deinit(&set);
    query = (struct ps_history_query){
        .start_ms = 0, .end_ms = 10, .interval_ms = 5, .aggregate = PS_AGG_SUM
    };
    assert_int_equal(ps_entity_history(w.actors, w.reader, &w.device, keys, 1, &query, &set),
                     PS_OK);
    assert_int_equal(set.keys[0].count, 2);
    assert_int_equal(set.keys[0].points[0].value.integer, 10 + 11 + 12 + 13 + 14);
    assert_int_equal(set.keys[0].points[0].ts_ms, 2);
    ps_point_set_deinit(&set);
    actors_world_deinit(&w);
}

static void attribute_writes_reach_storage_and_the_rule_chain(void **state)
{
    (void)state;
    struct actors_world w;
    struct ps_text why = { "" };
    struct ps_kv kv = { .key = "a",
                        .key_len = 1,
                        .value = { .type = PS_VALUE_LONG, .integer = 5 } };
    actors_world_init(&w);
    actors_world_chain(&w, "{firstNodeIndex:0,nodes:[{type:'filter.script',name:'F',configuration:"
                           "{script:'error(msgType .. metadata.scope)'}}],connections:[]}");
    actors_world_start(&w);
    assert_int_equal(ps_entity_save_attributes(w.actors, &w.device, PS_SCOPE_SERVER, &kv, 1, &why),
                     PS_OK);
    assert_int_equal(actors_world_number(&w, "SELECT value FROM attribute WHERE key = 'a'"), 5);
    assert_int_equal(ps_entity_delete_attributes(w.actors, &w.device, PS_SCOPE_SERVER, &kv, 1),
                     PS_OK);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM attribute"), 0);
    actors_world_wait_metric(&w, PS_METRIC_DEAD_LETTERS, 2);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM dead_letter WHERE error LIKE"
                                             " '%ATTRIBUTES_UPDATEDSERVER_SCOPE%'"),
                     1);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM dead_letter WHERE error LIKE"
                                             " '%ATTRIBUTES_DELETEDSERVER_SCOPE%'"),
                     1);
    actors_world_deinit(&w);
}

static void an_entity_that_does_not_exist_is_told(void **state)
{
    (void)state;
    struct actors_world w;
    struct ps_text why = { "" };
    actors_world_init(&w);
    actors_world_start(&w);
    w.device.entity.id = ps_uuid_random();
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(save(&w, "{\"a\":1}", &why), PS_ENOTFOUND);
    ps_entity_changed(w.actors, &w.device, true, PS_SESSION_DEVICE_DELETED);
    actors_world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_telemetry_write_is_committed_when_it_returns),
        cmocka_unit_test(a_bad_key_stores_nothing_of_the_write),
        cmocka_unit_test(latest_without_keys_is_all_of_them_by_name),
        cmocka_unit_test(history_is_heads_and_journal_as_one),
        cmocka_unit_test(attribute_writes_reach_storage_and_the_rule_chain),
        cmocka_unit_test(an_entity_that_does_not_exist_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
