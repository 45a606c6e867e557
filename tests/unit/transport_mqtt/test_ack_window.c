/* The ack window: places leave in the order they were taken, whatever order they are filled in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "transport/mqtt/ack_window.h"

static uint32_t take(struct ps_ack_window *window, uint16_t packet_id)
{
    uint32_t seq;
    assert_int_equal(ps_ack_window_take(window, packet_id, (uint8_t)(packet_id & 7), &seq), PS_OK);
    return seq;
}

static void assert_leaves(struct ps_ack_window *window, uint16_t packet_id, uint8_t reason)
{
    struct ps_ack_place place;
    assert_true(ps_ack_window_leave(window, &place));
    assert_int_equal(place.packet_id, packet_id);
    assert_int_equal(place.type, packet_id & 7);
    assert_int_equal(place.reason, reason);
}

static void assert_none_leaves(struct ps_ack_window *window)
{
    struct ps_ack_place place;
    assert_false(ps_ack_window_leave(window, &place));
}

static void places_leave_in_the_order_they_were_taken(void **state)
{
    (void)state;
    struct ps_ack_window window = { 0 };
    assert_none_leaves(&window);
    uint32_t a = take(&window, 10), b = take(&window, 11), c = take(&window, 12);
    ps_ack_window_fill(&window, c, 3);
    ps_ack_window_fill(&window, b, 2);
    assert_none_leaves(&window);
    ps_ack_window_fill(&window, a, 1);
    assert_leaves(&window, 10, 1);
    assert_leaves(&window, 11, 2);
    assert_int_equal(ps_ack_window_count(&window), 1);
    assert_leaves(&window, 12, 3);
    assert_none_leaves(&window);
    ps_ack_window_deinit(&window);
}

static void a_place_given_back_is_taken_again(void **state)
{
    (void)state;
    struct ps_ack_window window = { 0 };
    uint32_t a = take(&window, 1), b = take(&window, 2);
    ps_ack_window_fill(&window, b, 9);
    ps_ack_window_untake(&window);
    assert_int_equal(ps_ack_window_count(&window), 1);
    assert_int_equal(take(&window, 3), b);
    ps_ack_window_fill(&window, a, 0);
    assert_leaves(&window, 1, 0);
    assert_none_leaves(&window); /* what was filled before it was given back does not count */
    ps_ack_window_fill(&window, b, 4);
    assert_leaves(&window, 3, 4);
    ps_ack_window_deinit(&window);
}

static void a_full_window_refuses_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct ps_ack_window window = { 0 };
    uint32_t first = take(&window, 0), seq = 77;
    for (uint16_t i = 1; i < PS_ACK_WINDOW_MAX; i++)
        assert_int_equal(take(&window, i), first + i);
    assert_int_equal(ps_ack_window_take(&window, 9999, 0, &seq), PS_ELIMIT);
    assert_int_equal(seq, 77);
    assert_int_equal(ps_ack_window_count(&window), PS_ACK_WINDOW_MAX);
    ps_ack_window_fill(&window, first, 0);
    assert_leaves(&window, 0, 0);
    take(&window, 9999);
    for (uint32_t i = 1; i <= PS_ACK_WINDOW_MAX; i++)
        ps_ack_window_fill(&window, first + i, 0);
    for (uint16_t i = 1; i < PS_ACK_WINDOW_MAX; i++)
        assert_leaves(&window, i, 0);
    assert_leaves(&window, 9999, 0);
    ps_ack_window_deinit(&window);
}

struct model {
    uint16_t ids[PS_ACK_WINDOW_MAX];
    uint8_t reasons[PS_ACK_WINDOW_MAX];
    bool filled[PS_ACK_WINDOW_MAX];
    uint32_t seqs[PS_ACK_WINDOW_MAX];
    unsigned count;
};

static void model_leave(struct model *model, struct ps_ack_window *window)
{
    unsigned leaving = 0;
    while (leaving < model->count && model->filled[leaving]) {
        assert_leaves(window, model->ids[leaving], model->reasons[leaving]);
        leaving++;
    }
    assert_none_leaves(window);
    model->count -= leaving;
    for (unsigned i = 0; i < model->count; i++) {
        model->ids[i] = model->ids[i + leaving];
        model->reasons[i] = model->reasons[i + leaving];
        model->filled[i] = model->filled[i + leaving];
        model->seqs[i] = model->seqs[i + leaving];
    }
}

/* Sequence numbers start just below their end, so growing happens across the wrap. */
static void numbers_that_wrap_around_change_nothing(void **state)
{
    (void)state;
    struct ps_ack_window window = { .first = UINT32_MAX - 50, .next = UINT32_MAX - 50 };
    struct model *model = calloc(1, sizeof *model);
    unsigned seed = 7;
    for (unsigned step = 0; step < 20000; step++) {
        unsigned dice = (unsigned)rand_r(&seed);
        if (dice % 3 != 0 && model->count < 200) {
            unsigned at = model->count++;
            model->ids[at] = (uint16_t)step;
            model->filled[at] = false;
            model->seqs[at] = take(&window, (uint16_t)step);
        } else if (model->count) {
            unsigned at = dice / 3 % model->count;
            model->filled[at] = true;
            model->reasons[at] = (uint8_t)dice;
            ps_ack_window_fill(&window, model->seqs[at], (uint8_t)dice);
        }
        if (dice % 5 == 0)
            model_leave(model, &window);
        assert_int_equal(ps_ack_window_count(&window), model->count);
    }
    assert_true(window.first < 100000); /* it did wrap */
    free(model);
    ps_ack_window_deinit(&window);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_leave_in_the_order_they_were_taken),
        cmocka_unit_test(a_place_given_back_is_taken_again),
        cmocka_unit_test(a_full_window_refuses_and_keeps_what_it_has),
        cmocka_unit_test(numbers_that_wrap_around_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
