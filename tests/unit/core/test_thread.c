/* Threads: a role, a name, no signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "core/thread.h"

struct seen {
    enum ps_thread_role role;
    char name[16];
    bool signals_blocked;
};

static void look_around(void *arg)
{
    struct seen *seen = arg;
    sigset_t mask;
    seen->role = ps_thread_role();
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    seen->signals_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGHUP) == 1 &&
                            sigismember(&mask, SIGUSR1) == 1;
    PS_ASSERT_THREAD(PS_THREAD_WRITER);
}

static void a_thread_has_its_role_and_name_and_takes_no_signals(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct ps_thread thread;
    assert_int_equal(ps_thread_start(&thread, PS_THREAD_WRITER, "writer", look_around, &seen),
                     PS_OK);
    ps_thread_join(&thread);
    assert_int_equal(seen.role, PS_THREAD_WRITER);
    assert_string_equal(seen.name, "writer");
    assert_true(seen.signals_blocked);
}

static void starting_leaves_the_callers_role_and_signals_alone(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct ps_thread thread;
    sigset_t before, after;
    sigemptyset(&before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(ps_thread_start(&thread, PS_THREAD_WRITER, "writer", look_around, &seen),
                     PS_OK);
    ps_thread_join(&thread);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGTERM), 0);
    assert_int_equal(sigismember(&after, SIGUSR1), 0);
    assert_int_equal(ps_thread_role(), PS_THREAD_OTHER);
}

static void a_long_name_is_cut(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct ps_thread thread;
    assert_int_equal(
        ps_thread_start(&thread, PS_THREAD_WRITER, "a-name-of-twenty-chr", look_around, &seen),
        PS_OK);
    ps_thread_join(&thread);
    assert_string_equal(seen.name, "a-name-of-twent");
}

static void a_library_thread_can_be_given_a_role(void **state)
{
    (void)state;
    ps_thread_set_role(PS_THREAD_HTTP);
    assert_int_equal(ps_thread_role(), PS_THREAD_HTTP);
    ps_thread_set_role(PS_THREAD_OTHER);
    assert_int_equal(ps_thread_role(), PS_THREAD_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_has_its_role_and_name_and_takes_no_signals),
        cmocka_unit_test(starting_leaves_the_callers_role_and_signals_alone),
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(a_library_thread_can_be_given_a_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
