/* Acks: settled once, when the last owner is done, with the first failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/ack.h"

struct waiter {
    struct ps_ack ack; /* first */
    unsigned settled;
    enum ps_status status;
};

static void settled(struct ps_ack *ack)
{
    struct waiter *waiter = (struct waiter *)ack;
    waiter->settled++;
    waiter->status = ack->status;
}

static void without_a_port_the_last_release_settles_at_once(void **state)
{
    (void)state;
    struct waiter waiter = { .settled = 0 };
    ps_ack_init(&waiter.ack, NULL, settled);
    ps_ack_retain(&waiter.ack, 2);
    ps_ack_release(&waiter.ack, PS_OK);
    ps_ack_release(&waiter.ack, PS_OK);
    assert_int_equal(waiter.settled, 0);
    ps_ack_release(&waiter.ack, PS_OK);
    assert_int_equal(waiter.settled, 1);
    assert_int_equal(waiter.status, PS_OK);
}

static void with_a_port_it_settles_in_the_loop_of_the_port(void **state)
{
    (void)state;
    struct ps_port port;
    assert_int_equal(ps_port_init(&port), PS_OK);
    struct waiter waiter = { .settled = 0 };
    ps_ack_init(&waiter.ack, &port, settled);
    ps_ack_release(&waiter.ack, PS_EBUSY);
    assert_int_equal(waiter.settled, 0);
    assert_int_equal(ps_port_drain(&port, NULL), 1);
    assert_int_equal(waiter.settled, 1);
    assert_int_equal(waiter.status, PS_EBUSY);
    assert_int_equal(ps_port_drain(&port, NULL), 0);
    ps_port_deinit(&port);
}

static const struct failure_case {
    enum ps_status releases[3], want;
} failure_cases[] = {
    { { PS_OK, PS_OK, PS_OK }, PS_OK },
    { { PS_ESTORE, PS_OK, PS_OK }, PS_ESTORE },
    { { PS_OK, PS_EBUSY, PS_ESTORE }, PS_EBUSY },
    { { PS_OK, PS_OK, PS_EFULL }, PS_EFULL },
    { { PS_EFULL, PS_EBUSY, PS_ESTORE }, PS_EFULL },
};

static void the_first_failure_is_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof failure_cases / sizeof *failure_cases; i++) {
        struct waiter waiter = { .settled = 0 };
        ps_ack_init(&waiter.ack, NULL, settled);
        ps_ack_retain(&waiter.ack, 2);
        for (unsigned owner = 0; owner < 3; owner++)
            ps_ack_release(&waiter.ack, failure_cases[i].releases[owner]);
        assert_int_equal(waiter.settled, 1);
        assert_int_equal(waiter.status, failure_cases[i].want);
    }
}

static void nobody_waiting_is_fine(void **state)
{
    (void)state;
    ps_ack_retain(NULL, 3);
    ps_ack_release(NULL, PS_ESTORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_port_the_last_release_settles_at_once),
        cmocka_unit_test(with_a_port_it_settles_in_the_loop_of_the_port),
        cmocka_unit_test(the_first_failure_is_kept),
        cmocka_unit_test(nobody_waiting_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
