/* Mailboxes: first in first out, bounded by messages and by bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/mailbox.h"

static struct ps_msg *sized_msg(uint32_t len)
{
    static const char bytes[4096];
    static const struct ps_entity_id entity;
    struct ps_msg_content content = { .data_kind = PS_DATA_BINARY, .data = bytes, .data_len = len };
    struct ps_msg *msg;
    assert_int_equal(ps_msg_create(&entity.id, &entity, &entity.id, (int64_t)len, &content, &msg),
                     PS_OK);
    return msg;
}

static void messages_leave_in_the_order_they_came(void **state)
{
    (void)state;
    struct ps_mailbox box = { 0 };
    const struct ps_mailbox_limits limits = { .messages_max = 100, .bytes_max = 1 << 20 };
    assert_null(ps_mailbox_pop(&box));
    uint32_t next_in = 0, next_out = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 3; i++) {
            struct ps_msg *msg = sized_msg(next_in++);
            assert_int_equal(ps_mailbox_push(&box, &limits, &msg), PS_OK);
            assert_null(msg);
        }
        for (unsigned i = 0; i < 2; i++) {
            struct ps_msg *msg = ps_mailbox_pop(&box);
            assert_int_equal(msg->created_ms, next_out++);
            assert_null(msg->next);
            ps_msg_release(msg);
        }
        assert_int_equal(box.count, next_in - next_out);
    }
    struct ps_msg *msg;
    while ((msg = ps_mailbox_pop(&box))) {
        assert_int_equal(msg->created_ms, next_out++);
        ps_msg_release(msg);
    }
    assert_int_equal(next_out, next_in);
    assert_int_equal(box.count, 0);
    assert_int_equal(box.bytes, 0);
}

static void check_full(struct ps_mailbox *box, const struct ps_mailbox_limits *limits)
{
    struct ps_msg *msg = sized_msg(1), *same = msg;
    uint32_t count = box->count, bytes = box->bytes;
    assert_int_equal(ps_mailbox_push(box, limits, &msg), PS_EBUSY);
    assert_ptr_equal(msg, same);
    assert_int_equal(box->count, count);
    assert_int_equal(box->bytes, bytes);
    ps_msg_release(msg);
}

static void empty_out(struct ps_mailbox *box)
{
    struct ps_msg *msg;
    while ((msg = ps_mailbox_pop(box)))
        ps_msg_release(msg);
}

static void a_full_mailbox_leaves_the_message_with_the_caller(void **state)
{
    (void)state;
    struct ps_mailbox box = { 0 };
    struct ps_mailbox_limits limits = { .messages_max = 2, .bytes_max = 1 << 20 };
    for (unsigned i = 0; i < 2; i++) {
        struct ps_msg *msg = sized_msg(1);
        assert_int_equal(ps_mailbox_push(&box, &limits, &msg), PS_OK);
    }
    check_full(&box, &limits);
    ps_msg_release(ps_mailbox_pop(&box));
    struct ps_msg *msg = sized_msg(1);
    assert_int_equal(ps_mailbox_push(&box, &limits, &msg), PS_OK);
    empty_out(&box);

    msg = sized_msg(1);
    limits = (struct ps_mailbox_limits){ .messages_max = 9, .bytes_max = 2 * msg->size_bytes };
    assert_int_equal(ps_mailbox_push(&box, &limits, &msg), PS_OK);
    msg = sized_msg(1);
    assert_int_equal(ps_mailbox_push(&box, &limits, &msg), PS_OK); /* exactly full */
    check_full(&box, &limits);
    empty_out(&box);
}

static void an_empty_mailbox_takes_a_message_of_any_size(void **state)
{
    (void)state;
    struct ps_mailbox box = { 0 };
    const struct ps_mailbox_limits limits = { .messages_max = 5, .bytes_max = 16 };
    struct ps_msg *msg = sized_msg(4000);
    assert_int_equal(ps_mailbox_push(&box, &limits, &msg), PS_OK);
    check_full(&box, &limits);
    empty_out(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_leave_in_the_order_they_came),
        cmocka_unit_test(a_full_mailbox_leaves_the_message_with_the_caller),
        cmocka_unit_test(an_empty_mailbox_takes_a_message_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
