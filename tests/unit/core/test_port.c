/* Ports: many producers, one owner that sleeps; nothing is lost, nothing overtakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/port.h"

enum { PRODUCERS = 4, ITEMS_EACH = 20000, WAIT_MS = 20000 };

struct numbered {
    struct ps_port_item item; /* first */
    unsigned producer, number;
};

struct seen {
    struct ps_port *port;
    unsigned next[PRODUCERS];
    unsigned disorder;
    struct ps_port_item *again; /* posted from inside a run */
};

static void note(struct ps_port_item *item, void *owner)
{
    struct numbered *numbered = (struct numbered *)item;
    struct seen *seen = owner;
    seen->disorder += numbered->number != seen->next[numbered->producer];
    seen->next[numbered->producer] = numbered->number + 1;
    free(numbered);
}

static struct numbered *numbered_item(unsigned producer, unsigned number)
{
    struct numbered *numbered = calloc(1, sizeof *numbered);
    assert_non_null(numbered);
    numbered->item.run = note;
    numbered->producer = producer;
    numbered->number = number;
    return numbered;
}

struct producer {
    pthread_t thread;
    struct ps_port *port;
    unsigned index;
};

static void *produce(void *arg)
{
    struct producer *producer = arg;
    for (unsigned i = 0; i < ITEMS_EACH; i++) {
        ps_port_post(producer->port, &numbered_item(producer->index, i)->item);
        if (i % 64 == 0)
            sched_yield(); /* let the owner run dry and go to sleep */
    }
    return NULL;
}

static void four_producers_lose_nothing_and_keep_their_order(void **state)
{
    (void)state;
    struct ps_port port;
    assert_int_equal(ps_port_init(&port), PS_OK);
    struct producer producers[PRODUCERS];
    struct seen seen = { .port = &port };
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){ .port = &port, .index = i };
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    size_t taken = 0;
    while (taken < (size_t)PRODUCERS * ITEMS_EACH) {
        size_t now = ps_port_wait(&port, &seen, WAIT_MS);
        if (!now) { /* a wake without items is fine, a missed one shows as silence */
            struct pollfd quiet = { .fd = ps_port_fd(&port), .events = POLLIN };
            assert_true(poll(&quiet, 1, 0) >= 0);
        }
        taken += now;
    }
    for (unsigned i = 0; i < PRODUCERS; i++) {
        pthread_join(producers[i].thread, NULL);
        assert_int_equal(seen.next[i], ITEMS_EACH);
    }
    assert_int_equal(seen.disorder, 0);
    assert_int_equal(ps_port_drain(&port, &seen), 0);
    ps_port_deinit(&port);
}

static bool is_readable(struct ps_port *port)
{
    struct pollfd poll_port = { .fd = ps_port_fd(port), .events = POLLIN };
    return poll(&poll_port, 1, 0) == 1;
}

static void only_a_sleeper_is_woken(void **state)
{
    (void)state;
    struct ps_port port;
    struct seen seen = { .port = &port };
    assert_int_equal(ps_port_init(&port), PS_OK);
    ps_port_post(&port, &numbered_item(0, 0)->item);
    assert_false(is_readable(&port));
    assert_false(ps_port_sleep(&port)); /* something is here: do not block */
    assert_int_equal(ps_port_drain(&port, &seen), 1);
    assert_true(ps_port_sleep(&port));
    assert_false(is_readable(&port));
    ps_port_post(&port, &numbered_item(0, 1)->item);
    assert_true(is_readable(&port));
    ps_port_awake(&port, true);
    assert_false(is_readable(&port));
    assert_int_equal(ps_port_drain(&port, &seen), 1);
    assert_int_equal(seen.disorder, 0);
    ps_port_deinit(&port);
}

static void a_wake_needs_no_item(void **state)
{
    (void)state;
    struct ps_port port;
    assert_int_equal(ps_port_init(&port), PS_OK);
    ps_port_wake(&port); /* awake: nothing to do */
    assert_false(is_readable(&port));
    assert_true(ps_port_sleep(&port));
    ps_port_wake(&port);
    assert_true(is_readable(&port));
    ps_port_awake(&port, true);
    assert_int_equal(ps_port_wait(&port, NULL, 0), 0);
    ps_port_deinit(&port);
}

static void post_again(struct ps_port_item *item, void *owner)
{
    struct seen *seen = owner;
    seen->disorder++;
    ps_port_post(seen->port, seen->again);
    free(item);
}

static void what_a_run_posts_comes_with_the_next_drain(void **state)
{
    (void)state;
    struct ps_port port;
    assert_int_equal(ps_port_init(&port), PS_OK);
    struct ps_port_item *first = calloc(1, sizeof *first);
    struct seen seen = { .port = &port, .again = &numbered_item(1, 0)->item };
    first->run = post_again;
    ps_port_post(&port, first);
    assert_int_equal(ps_port_drain(&port, &seen), 1);
    assert_int_equal(seen.next[1], 0);
    assert_false(ps_port_sleep(&port));
    assert_int_equal(ps_port_drain(&port, &seen), 1);
    assert_int_equal(seen.next[1], 1);
    ps_port_deinit(&port);
}

struct farewell {
    struct ps_port_item item; /* first */
    struct ps_port *port;
};

static void *say_farewell(void *arg)
{
    struct farewell *farewell = arg;
    ps_port_post(farewell->port, &farewell->item);
    return NULL;
}

static void end(struct ps_port_item *item, void *owner)
{
    (void)item;
    *(bool *)owner = true;
}

/* The item may be taken before its poster has left the post: a sanitizer sees who frees too early.
 */
static void a_port_may_go_as_soon_as_its_last_item_has_come(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        struct ps_port *port = aligned_alloc(_Alignof(struct ps_port), sizeof *port);
        struct farewell farewell = { .item = { .run = end }, .port = port };
        pthread_t poster;
        bool ended = false;
        assert_non_null(port);
        assert_int_equal(ps_port_init(port), PS_OK);
        assert_true(ps_port_sleep(port));
        assert_int_equal(pthread_create(&poster, NULL, say_farewell, &farewell), 0);
        while (!ended)
            ps_port_drain(port, &ended);
        ps_port_deinit(port);
        free(port);
        pthread_join(poster, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_producers_lose_nothing_and_keep_their_order),
        cmocka_unit_test(only_a_sleeper_is_woken),
        cmocka_unit_test(a_wake_needs_no_item),
        cmocka_unit_test(what_a_run_posts_comes_with_the_next_drain),
        cmocka_unit_test(a_port_may_go_as_soon_as_its_last_item_has_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
