/* Promises of frame: frames are the contract's, byte for byte; merging loses only what it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/ws/frame.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define T0 1719830400000

static struct ps_value text_value(enum ps_value_type type, const char *text)
{
    return (struct ps_value){ .type = type, .len = (uint32_t)strlen(text), .text = text };
}

static struct ps_ws_row row(const char *key, int64_t ts_ms, const char *json)
{
    return (struct ps_ws_row){ .kv = { .key = key,
                                       .key_len = (uint32_t)strlen(key),
                                       .value = text_value(PS_VALUE_STRING, json) },
                               .ts_ms = ts_ms };
}

static struct ps_ws_row deleted(const char *key)
{
    struct ps_ws_row gone = row(key, 0, "");
    gone.kv.value = (struct ps_value){ .type = PS_VALUE_NULL };
    gone.deleted = true;
    return gone;
}

static struct ps_ws_delta *delta_of(const struct ps_ws_row *rows, size_t count)
{
    struct ps_ws_delta *delta = NULL;
    assert_int_equal(ps_ws_delta_create(rows, count, &delta), PS_OK);
    return delta;
}

static void assert_frame(struct ps_buf *frame, const char *want)
{
    assert_true(ps_buf_ok(frame));
    assert_string_equal(ps_buf_cstr(frame), want);
    ps_buf_clear(frame);
}

static void assert_delta_frame(struct ps_ws_delta *delta, int32_t cmd_id, const char *want)
{
    struct ps_buf frame = { 0 };
    ps_ws_frame_put_delta(&frame, cmd_id, delta);
    assert_frame(&frame, want);
    ps_buf_deinit(&frame);
}

static void values_are_always_strings(void **state)
{
    (void)state;
    static const struct {
        struct ps_value value;
        const char *want;
    } cases[] = {
        { { .type = PS_VALUE_LONG, .integer = 22 }, "\"22\"" },
        { { .type = PS_VALUE_DOUBLE, .real = 21.5 }, "\"21.5\"" },
        { { .type = PS_VALUE_DOUBLE, .real = 22 }, "\"22.0\"" },
        { { .type = PS_VALUE_BOOLEAN, .boolean = true }, "\"true\"" },
        { { .type = PS_VALUE_STRING, .len = 3, .text = "a\"b" }, "\"a\\\"b\"" },
        { { .type = PS_VALUE_JSON, .len = 7, .text = "{\"a\":1}" }, "\"{\\\"a\\\":1}\"" },
        { { .type = PS_VALUE_NULL }, "null" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ps_ws_row one = { .kv = { "k", 1, cases[i].value }, .ts_ms = 5 };
        struct ps_ws_delta *delta = delta_of(&one, 1);
        char want[256];
        snprintf(want, sizeof want,
                 "{\"subscriptionId\":7,\"errorCode\":0,\"errorMsg\":null,"
                 "\"data\":{\"k\":[[5,%s]]},\"latestValues\":{\"k\":5}}",
                 cases[i].want);
        assert_delta_frame(delta, 7, want);
        ps_ws_delta_release(delta);
    }
}

static void update_has_all_keys_of_a_write_by_name(void **state)
{
    (void)state;
    const struct ps_ws_row rows[] = { row("temperature", T0, "21.5"), row("on", T0, "true") };
    struct ps_ws_delta *delta = delta_of(rows, COUNT(rows));
    const char *tail = "\"errorCode\":0,\"errorMsg\":null,"
                       "\"data\":{\"on\":[[1719830400000,\"true\"]],"
                       "\"temperature\":[[1719830400000,\"21.5\"]]},"
                       "\"latestValues\":{\"on\":1719830400000,\"temperature\":1719830400000}}";
    char want[512];
    snprintf(want, sizeof want, "{\"subscriptionId\":1,%s", tail);
    assert_delta_frame(delta, 1, want);
    snprintf(want, sizeof want, "{\"subscriptionId\":2147483647,%s", tail);
    assert_delta_frame(delta, INT32_MAX, want); /* shared by another subscription */
    ps_ws_delta_release(delta);
}

static void deleted_key_is_zero_and_empty(void **state)
{
    (void)state;
    struct ps_ws_row gone = deleted("active");
    struct ps_ws_delta *delta = delta_of(&gone, 1);
    assert_delta_frame(delta, 3,
                       "{\"subscriptionId\":3,\"errorCode\":0,\"errorMsg\":null,"
                       "\"data\":{\"active\":[[0,\"\"]]},\"latestValues\":{\"active\":0}}");
    ps_ws_delta_release(delta);
}

static void delta_keeps_its_own_text(void **state)
{
    (void)state;
    char key[] = "key", value[] = "value";
    struct ps_ws_row one = row(key, 1, value);
    struct ps_ws_delta *delta = delta_of(&one, 1);
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    assert_delta_frame(ps_ws_delta_retain(delta), 1,
                       "{\"subscriptionId\":1,\"errorCode\":0,\"errorMsg\":null,"
                       "\"data\":{\"key\":[[1,\"value\"]]},\"latestValues\":{\"key\":1}}");
    ps_ws_delta_release(delta);
    assert_int_equal(delta->references, 1);
    ps_ws_delta_release(delta);
}

/* --- merging --- */

static struct ps_ws_row scoped(const char *key, int64_t ts_ms, const char *value, unsigned scope)
{
    struct ps_ws_row one = row(key, ts_ms, value);
    one.scope = scope;
    return one;
}

#define ROWS(...) ((const struct ps_ws_row[]){ __VA_ARGS__ })
#define SIDE(...) ROWS(__VA_ARGS__), COUNT(ROWS(__VA_ARGS__))

static void merge_case(const char *name, const struct ps_ws_row *older, size_t older_count,
                       const struct ps_ws_row *newer, size_t newer_count, enum ps_ws_merge merge,
                       const char *data, const char *latest)
{
    struct ps_ws_delta *a = delta_of(older, older_count), *b = delta_of(newer, newer_count);
    struct ps_ws_pile pile = { 0 };
    print_message("  %s\n", name);
    assert_int_equal(ps_ws_pile_add(&pile, a), PS_OK);
    assert_int_equal(ps_ws_pile_add(&pile, b), PS_OK);
    assert_int_equal(pile.rows, older_count + newer_count);
    ps_ws_delta_release(a); /* the pile has its own reference */
    ps_ws_delta_release(b);
    assert_int_equal(ps_ws_pile_merge(&pile, merge), PS_OK);
    assert_int_equal(pile.count, 1);
    assert_int_equal(pile.bytes, pile.only->size_bytes);
    char want[512];
    snprintf(want, sizeof want,
             "{\"subscriptionId\":1,\"errorCode\":0,\"errorMsg\":null,"
             "\"data\":{%s},\"latestValues\":{%s}}",
             data, latest);
    assert_delta_frame(pile.only, 1, want);
    ps_ws_pile_clear(&pile);
}

static void every_point_survives_a_merge(void **state)
{
    (void)state;
    merge_case("as written, keys by name", SIDE(row("a", 1, "1"), row("c", 1, "2")),
               SIDE(row("a", 2, "3"), row("b", 2, "4")), PS_WS_MERGE_EVERY,
               "\"a\":[[1,\"1\"],[2,\"3\"]],\"b\":[[2,\"4\"]],\"c\":[[1,\"2\"]]",
               "\"a\":2,\"b\":2,\"c\":1");
    merge_case("a late point goes behind, and is not the latest", SIDE(row("a", 5, "new")),
               SIDE(row("a", 3, "late")), PS_WS_MERGE_EVERY, "\"a\":[[5,\"new\"],[3,\"late\"]]",
               "\"a\":5");
    merge_case("same ts", SIDE(row("a", 5, "old")), SIDE(row("a", 5, "new")), PS_WS_MERGE_EVERY,
               "\"a\":[[5,\"old\"],[5,\"new\"]]", "\"a\":5");
}

static void newest_wins_per_key_and_scope(void **state)
{
    (void)state;
    merge_case("per key", SIDE(row("a", 1, "1"), row("b", 1, "2")), SIDE(row("a", 2, "3")),
               PS_WS_MERGE_NEWEST, "\"a\":[[2,\"3\"]],\"b\":[[1,\"2\"]]", "\"a\":2,\"b\":1");
    merge_case("per scope", SIDE(scoped("a", 1, "client", 0), scoped("a", 1, "server", 2)),
               SIDE(scoped("a", 2, "newer", 2)), PS_WS_MERGE_NEWEST,
               "\"a\":[[1,\"client\"],[2,\"newer\"]]", "\"a\":2");
    merge_case("reduces what was merged before", SIDE(row("a", 1, "1"), row("a", 2, "2")),
               SIDE(row("b", 3, "3")), PS_WS_MERGE_NEWEST, "\"a\":[[2,\"2\"]],\"b\":[[3,\"3\"]]",
               "\"a\":2,\"b\":3");
}

static void deletion_replaces_and_is_replaced(void **state)
{
    (void)state;
    merge_case("written, then deleted", SIDE(row("a", 9, "1")), SIDE(deleted("a")),
               PS_WS_MERGE_EVERY, "\"a\":[[0,\"\"]]", "\"a\":0");
    merge_case("deleted, then written", SIDE(deleted("a")), SIDE(row("a", 9, "1")),
               PS_WS_MERGE_EVERY, "\"a\":[[9,\"1\"]]", "\"a\":9");
    merge_case("only of its scope", SIDE(scoped("a", 9, "1", 1)), SIDE(deleted("a")),
               PS_WS_MERGE_EVERY, "\"a\":[[9,\"1\"],[0,\"\"]]", "\"a\":9");
    merge_case("another key is not touched", SIDE(row("b", 9, "1")), SIDE(deleted("a")),
               PS_WS_MERGE_NEWEST, "\"a\":[[0,\"\"]],\"b\":[[9,\"1\"]]", "\"a\":0,\"b\":9");
}

/* --- snapshots --- */

static void points_add(struct ps_points *points, int64_t ts_ms, double value)
{
    struct ps_value real = { .type = PS_VALUE_DOUBLE, .real = value };
    assert_int_equal(ps_points_add(points, ts_ms, &real), PS_OK);
}

static void windowed_snapshot_is_contract_example_5(void **state)
{
    (void)state;
    struct ps_points points = { .key = strdup("temperature") };
    points_add(&points, T0 + 1000, 20.5);
    points_add(&points, T0 + 3000, 22);
    struct ps_points none = { .key = strdup("humidity") };
    struct ps_buf frame = { 0 };
    struct ps_ws_snapshot snapshot;
    ps_ws_snapshot_begin(&snapshot, &frame, 2);
    ps_ws_snapshot_put(&snapshot, &none); /* absent */
    ps_ws_snapshot_put(&snapshot, &points);
    ps_ws_snapshot_end(&snapshot);
    assert_frame(&frame, "{\"subscriptionId\":2,\"errorCode\":0,\"errorMsg\":null,\"data\":{"
                         "\"temperature\":[[1719830401000,\"20.5\"],[1719830403000,\"22.0\"]]},"
                         "\"latestValues\":{\"temperature\":1719830403000}}");
    ps_buf_deinit(&frame);
    ps_points_deinit(&points);
    ps_points_deinit(&none);
}

static void latest_value_is_the_newest_ts_of_the_list(void **state)
{
    (void)state;
    struct ps_points points = { .key = strdup("t") };
    points_add(&points, T0 + 5000, 22.5); /* raw snapshots come newest first */
    points_add(&points, T0, 21.5);
    struct ps_buf frame = { 0 };
    struct ps_ws_snapshot snapshot;
    ps_ws_snapshot_begin(&snapshot, &frame, 4);
    ps_ws_snapshot_put(&snapshot, &points);
    ps_ws_snapshot_put_null(&snapshot, "u", 77);
    ps_ws_snapshot_end(&snapshot);
    assert_frame(&frame, "{\"subscriptionId\":4,\"errorCode\":0,\"errorMsg\":null,\"data\":{"
                         "\"t\":[[1719830405000,\"22.5\"],[1719830400000,\"21.5\"]],"
                         "\"u\":[[77,null]]},"
                         "\"latestValues\":{\"t\":1719830405000,\"u\":77}}");
    ps_buf_deinit(&frame);
    ps_points_deinit(&points);
}

static void empty_snapshot_is_contract_example_4(void **state)
{
    (void)state;
    struct ps_buf frame = { 0 };
    struct ps_ws_snapshot snapshot;
    ps_ws_snapshot_begin(&snapshot, &frame, 10);
    ps_ws_snapshot_end(&snapshot);
    assert_frame(&frame, "{\"subscriptionId\":10,\"errorCode\":0,\"errorMsg\":null,"
                         "\"data\":{},\"latestValues\":{}}");
    ps_buf_deinit(&frame);
}

/* --- other frames --- */

static void errors_carry_both_ids(void **state)
{
    (void)state;
    struct ps_buf frame = { 0 };
    ps_ws_frame_put_error(&frame, 1, PS_WS_BAD_REQUEST, "Failed to parse the payload");
    assert_frame(&frame, "{\"cmdId\":1,\"subscriptionId\":1,\"errorCode\":2,"
                         "\"errorMsg\":\"Failed to parse the payload\",\"data\":null,"
                         "\"latestValues\":{}}");
    ps_ws_frame_put_error(&frame, -1, PS_WS_BAD_REQUEST, "say \"no\"");
    assert_frame(&frame, "{\"cmdId\":-1,\"subscriptionId\":-1,\"errorCode\":2,"
                         "\"errorMsg\":\"say \\\"no\\\"\",\"data\":null,\"latestValues\":{}}");
    ps_buf_deinit(&frame);
}

static void notifications_are_none(void **state)
{
    (void)state;
    struct ps_buf frame = { 0 };
    ps_ws_frame_put_no_notification_count(&frame, 10);
    assert_frame(&frame, "{\"cmdId\":10,\"errorCode\":0,\"errorMsg\":null,\"totalUnreadCount\":0,"
                         "\"sequenceNumber\":1,\"cmdUpdateType\":\"NOTIFICATIONS_COUNT\"}");
    ps_ws_frame_put_no_notifications(&frame, 11);
    assert_frame(&frame, "{\"cmdId\":11,\"errorCode\":0,\"errorMsg\":null,\"notifications\":[],"
                         "\"update\":null,\"totalUnreadCount\":0,\"sequenceNumber\":1,"
                         "\"cmdUpdateType\":\"NOTIFICATIONS\"}");
    ps_buf_deinit(&frame);
}

static void text_leaves_headroom_and_keeps_every_byte(void **state)
{
    (void)state;
    struct ps_buf frame = { 0 };
    ps_buf_put_text(&frame, "{\"a\":1}");
    struct ps_ws_text *text = ps_ws_text_create(&frame);
    assert_non_null(text);
    memset(text->bytes, 0x55, PS_WS_HEADROOM); /* as the library does */
    assert_int_equal(text->len, 7);
    assert_memory_equal(ps_ws_text_frame(text), "{\"a\":1}", 7);
    free(text);
    frame.failed = true;
    assert_null(ps_ws_text_create(&frame));
    ps_buf_deinit(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_always_strings),
        cmocka_unit_test(update_has_all_keys_of_a_write_by_name),
        cmocka_unit_test(deleted_key_is_zero_and_empty),
        cmocka_unit_test(delta_keeps_its_own_text),
        cmocka_unit_test(every_point_survives_a_merge),
        cmocka_unit_test(newest_wins_per_key_and_scope),
        cmocka_unit_test(deletion_replaces_and_is_replaced),
        cmocka_unit_test(windowed_snapshot_is_contract_example_5),
        cmocka_unit_test(latest_value_is_the_newest_ts_of_the_list),
        cmocka_unit_test(empty_snapshot_is_contract_example_4),
        cmocka_unit_test(errors_carry_both_ids),
        cmocka_unit_test(notifications_are_none),
        cmocka_unit_test(text_leaves_headroom_and_keeps_every_byte),
    };
    return cmocka_run_group_tests_name("transport_ws.frame", tests, NULL, NULL);
}
