/* Promises of out_queue: order is kept, limits hold, slow readers lose only what may be lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/ws/out_queue.h"

static struct ps_ws_text *text_of(const char *content)
{
    struct ps_buf buf = { 0 };
    ps_buf_put_text(&buf, content);
    struct ps_ws_text *text = ps_ws_text_create(&buf);
    ps_buf_deinit(&buf);
    assert_non_null(text);
    return text;
}

static enum ps_status push_text(struct ps_ws_out_queue *queue, int32_t cmd_id, const char *content)
{
    struct ps_ws_text *text = text_of(content);
    enum ps_status st = ps_ws_out_queue_push_text(queue, cmd_id, &text);
    assert_true((st == PS_OK) == (text == NULL));
    free(text);
    return st;
}

static enum ps_status push_row(struct ps_ws_out_queue *queue, int32_t cmd_id,
                               enum ps_ws_merge merge, const char *key, int64_t ts_ms)
{
    struct ps_ws_row one = {
        .kv = { key, (uint32_t)strlen(key), { .type = PS_VALUE_LONG, .integer = ts_ms } },
        .ts_ms = ts_ms
    };
    struct ps_ws_delta *delta;
    assert_int_equal(ps_ws_delta_create(&one, 1, &delta), PS_OK);
    enum ps_status st = ps_ws_out_queue_push_delta(queue, cmd_id, merge, delta);
    ps_ws_delta_release(delta);
    return st;
}

static void pop_text(struct ps_ws_out_queue *queue, int32_t cmd_id, const char *want)
{
    struct ps_ws_out out;
    assert_int_equal(ps_ws_out_queue_pop(queue, &out), PS_OK);
    assert_int_equal(out.cmd_id, cmd_id);
    assert_non_null(out.text);
    assert_int_equal(out.text->len, strlen(want));
    assert_memory_equal(ps_ws_text_frame(out.text), want, strlen(want));
    free(out.text);
}

static void pop_rows(struct ps_ws_out_queue *queue, int32_t cmd_id, uint32_t rows,
                     int64_t newest_ts)
{
    struct ps_ws_out out;
    assert_int_equal(ps_ws_out_queue_pop(queue, &out), PS_OK);
    assert_int_equal(out.cmd_id, cmd_id);
    assert_non_null(out.delta);
    assert_int_equal(out.delta->row_count, rows);
    assert_int_equal(out.delta->rows[rows - 1].ts_ms, newest_ts);
    ps_ws_delta_release(out.delta);
}

static void assert_empty(struct ps_ws_out_queue *queue)
{
    struct ps_ws_out out;
    assert_int_equal(ps_ws_out_queue_pop(queue, &out), PS_ENOTFOUND);
    assert_int_equal(queue->bytes, 0);
    ps_ws_out_queue_deinit(queue);
}

static void frames_leave_in_order_past_the_ring_s_end(void **state)
{
    (void)state;
    struct ps_ws_out_queue queue;
    ps_ws_out_queue_init(&queue, 100, 1 << 20);
    int pushed = 0, popped = 0;
    char name[16];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 5; i++) {
            snprintf(name, sizeof name, "f%d", pushed);
            assert_int_equal(push_text(&queue, pushed++, name), PS_OK);
        }
        for (int i = 0; i < (round < 10 ? 3 : 7) && popped < pushed; i++) {
            snprintf(name, sizeof name, "f%d", popped);
            pop_text(&queue, popped++, name);
        }
    }
    for (; popped < pushed; popped++) {
        snprintf(name, sizeof name, "f%d", popped);
        pop_text(&queue, popped, name);
    }
    assert_empty(&queue);
}

static void waiting_update_takes_later_ones_in(void **state)
{
    (void)state;
    struct ps_ws_out_queue queue;
    ps_ws_out_queue_init(&queue, 100, 1 << 20);
    assert_int_equal(push_row(&queue, 1, PS_WS_MERGE_EVERY, "a", 1), PS_OK);
    assert_int_equal(push_row(&queue, 2, PS_WS_MERGE_EVERY, "a", 1), PS_OK);
    assert_int_equal(push_row(&queue, 1, PS_WS_MERGE_EVERY, "a", 2), PS_OK);
    assert_int_equal(queue.count, 2);
    assert_int_equal(queue.coalesced, 1);
    pop_rows(&queue, 1, 2, 2);
    pop_rows(&queue, 2, 1, 1);
    assert_empty(&queue);
}

static void update_does_not_pass_a_text_of_its_subscription(void **state)
{
    (void)state;
    struct ps_ws_out_queue queue;
    ps_ws_out_queue_init(&queue, 100, 1 << 20);
    assert_int_equal(push_row(&queue, 1, PS_WS_MERGE_NEWEST, "a", 1), PS_OK);
    assert_int_equal(push_text(&queue, 1, "snapshot"), PS_OK);
    assert_int_equal(push_text(&queue, 2, "other"), PS_OK);
    assert_int_equal(push_row(&queue, 1, PS_WS_MERGE_NEWEST, "a", 2), PS_OK);
    assert_int_equal(queue.coalesced, 0);
    pop_rows(&queue, 1, 1, 1);
    pop_text(&queue, 1, "snapshot");
    pop_text(&queue, 2, "other");
    pop_rows(&queue, 1, 1, 2);
    assert_empty(&queue);
}

static void every_point_is_kept_whatever_waits(void **state)
{
    (void)state;
    enum { POINTS = PS_WS_FRAME_ROWS_MAX * 3 + 10 };
    struct ps_ws_out_queue queue;
    ps_ws_out_queue_init(&queue, 100, 1 << 20);
    for (int64_t ts = 1; ts <= POINTS; ts++)
        assert_int_equal(push_row(&queue, 1, PS_WS_MERGE_EVERY, "a", ts), PS_OK);
    assert_int_equal(queue.count, 4);
    for (int64_t i = 1; i <= 3; i++)
        pop_rows(&queue, 1, PS_WS_FRAME_ROWS_MAX, PS_WS_FRAME_ROWS_MAX * i);
    pop_rows(&queue, 1, 10, POINTS);
    assert_empty(&queue);
}

static void newest_values_replace_older_ones_of_a_slow_reader(void **state)
{
    (void)state;
    struct ps_ws_out_queue queue;
    ps_ws_out_queue_init(&queue, 100, 1 << 20);
    for (int64_t ts = 1; ts <= 100000; ts++)
        assert_int_equal(push_row(&queue, 1, PS_WS_MERGE_NEWEST, ts & 1 ? "a" : "b", ts), PS_OK);
    assert_int_equal(queue.count, 1);
    struct ps_ws_out out;
    assert_int_equal(ps_ws_out_queue_pop(&queue, &out), PS_OK);
    assert_true(out.delta->row_count <= PS_WS_FRAME_ROWS_MAX);
    int64_t newest_a = 0;
    for (uint32_t i = 0; i < out.delta->row_count; i++)
        if (out.delta->rows[i].kv.key[0] == 'a')
            newest_a = out.delta->rows[i].ts_ms;
    assert_int_equal(newest_a, 99999);
    assert_int_equal(out.delta->rows[out.delta->row_count - 1].ts_ms, 100000);
    ps_ws_delta_release(out.delta);
    assert_empty(&queue);
}

static void too_many_frames_are_refused(void **state)
{
    (void)state;
    struct ps_ws_out_queue queue;
    ps_ws_out_queue_init(&queue, 1000, 16 << 20);
    for (int32_t i = 0; i < 1000; i++)
        assert_int_equal(push_text(&queue, i, "x"), PS_OK);
    assert_int_equal(push_text(&queue, 1000, "x"), PS_ELIMIT);
    assert_int_equal(push_row(&queue, 1000, PS_WS_MERGE_NEWEST, "a", 1), PS_ELIMIT);
    assert_int_equal(queue.count, 1000);
    pop_text(&queue, 0, "x");
    assert_int_equal(push_text(&queue, 1001, "y"), PS_OK);
    ps_ws_out_queue_deinit(&queue);
}

static void bytes_are_bounded_and_squeezed_first(void **state)
{
    (void)state;
    struct ps_ws_out_queue queue;
    ps_ws_out_queue_init(&queue, 1000, 16384);
    char large[6001];
    memset(large, 'x', 6000);
    large[6000] = '\0';
    for (int64_t ts = 1; ts <= 80; ts++) /* many points wait, all of one key */
        assert_int_equal(push_row(&queue, 1, PS_WS_MERGE_NEWEST, "a", ts), PS_OK);
    assert_true(queue.bytes > 4000);
    assert_int_equal(push_text(&queue, 2, large), PS_OK);
    assert_int_equal(push_text(&queue, 3, large), PS_OK); /* fits because 79 points left */
    assert_int_equal(push_text(&queue, 4, large), PS_ELIMIT);
    assert_true(queue.bytes <= 16384);
    pop_rows(&queue, 1, 1, 80);
    pop_text(&queue, 2, large);
    pop_text(&queue, 3, large);
    assert_empty(&queue);
}

static void points_of_every_are_refused_rather_than_lost(void **state)
{
    (void)state;
    struct ps_ws_out_queue queue;
    ps_ws_out_queue_init(&queue, 1000, 16384);
    enum ps_status st = PS_OK;
    uint32_t accepted = 0, left = 0;
    for (int64_t ts = 1; st == PS_OK; ts++) {
        st = push_row(&queue, 1, PS_WS_MERGE_EVERY, "a", ts);
        accepted += st == PS_OK;
    }
    assert_int_equal(st, PS_ELIMIT);
    assert_true(queue.bytes <= 16384);
    struct ps_ws_out out;
    while (ps_ws_out_queue_pop(&queue, &out) == PS_OK) {
        left += out.delta->row_count;
        ps_ws_delta_release(out.delta);
    }
    assert_int_equal(left, accepted);
    assert_empty(&queue);
}

static void ended_subscription_takes_its_updates_along(void **state)
{
    (void)state;
    struct ps_ws_out_queue queue;
    ps_ws_out_queue_init(&queue, 100, 1 << 20);
    assert_int_equal(push_text(&queue, 1, "snapshot"), PS_OK);
    assert_int_equal(push_row(&queue, 1, PS_WS_MERGE_EVERY, "a", 1), PS_OK);
    assert_int_equal(push_row(&queue, 2, PS_WS_MERGE_EVERY, "a", 1), PS_OK);
    ps_ws_out_queue_drop_updates(&queue, 1);
    pop_text(&queue, 1, "snapshot");
    pop_rows(&queue, 2, 1, 1);
    assert_empty(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_leave_in_order_past_the_ring_s_end),
        cmocka_unit_test(waiting_update_takes_later_ones_in),
        cmocka_unit_test(update_does_not_pass_a_text_of_its_subscription),
        cmocka_unit_test(every_point_is_kept_whatever_waits),
        cmocka_unit_test(newest_values_replace_older_ones_of_a_slow_reader),
        cmocka_unit_test(too_many_frames_are_refused),
        cmocka_unit_test(bytes_are_bounded_and_squeezed_first),
        cmocka_unit_test(points_of_every_are_refused_rather_than_lost),
        cmocka_unit_test(ended_subscription_takes_its_updates_along),
    };
    return cmocka_run_group_tests_name("transport_ws.out_queue", tests, NULL, NULL);
}
