/* micro_mailbox: what it costs to hand a message on: mailbox, port, and the wake behind it.
 *
 * Usage: micro_mailbox [messages a round]. Prints nanoseconds of wall time, the median of nine
 * rounds with the least and the greatest. The queue is cheap, the wake is not: compare the last
 * line with the others. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/mailbox.h"
#include "core/thread.h"

enum { ROUNDS = 9, TURN = 32, PER_WAKE = 1000 };

struct item {
    struct ps_port_item item; /* first */
};

struct bench {
    struct ps_port port, answers;
    struct ps_kv kvs[1];
    struct ps_msg *msgs[TURN];
    struct item *items;
    int count;
    int received; /* by whoever drains the port */
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(enum ps_status st, const char *what)
{
    if (st == PS_OK)
        return;
    fprintf(stderr, "micro_mailbox: %s: %s\n", what, ps_status_text(st));
    exit(1);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void measure(struct bench *b, const char *name, int count, void (*run)(struct bench *))
{
    double rounds[ROUNDS];
    b->count = count;
    for (int i = 0; i < ROUNDS; i++) {
        double start = now_ns();
        run(b);
        rounds[i] = (now_ns() - start) / count;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    printf("%-32s %8.1f ns  (%.1f .. %.1f)\n", name, rounds[ROUNDS / 2], rounds[0],
           rounds[ROUNDS - 1]);
}

static void mailbox_turns(struct bench *b)
{
    static const struct ps_mailbox_limits limits = { TURN, 1u << 30 };
    struct ps_mailbox mailbox = { 0 };
    for (int done = 0; done < b->count; done += TURN) {
        for (int i = 0; i < TURN; i++)
            must(ps_mailbox_push(&mailbox, &limits, &b->msgs[i]), "push");
        for (int i = 0; i < TURN; i++)
            b->msgs[i] = ps_mailbox_pop(&mailbox);
    }
}

static void count_item(struct ps_port_item *item, void *owner)
{
    (void)item;
    struct bench *b = owner;
    b->received++;
}

static void port_same_thread(struct bench *b)
{
    for (int done = 0; done < b->count; done += TURN) {
        for (int i = 0; i < TURN; i++) {
            b->items[i].item.run = count_item;
            ps_port_post(&b->port, &b->items[i].item);
        }
        ps_port_drain(&b->port, b);
    }
}

static void produce(void *arg)
{
    struct bench *b = arg;
    for (int i = 0; i < b->count; i++) {
        b->items[i].item.run = count_item;
        ps_port_post(&b->port, &b->items[i].item);
    }
}

/* Another thread posts, this one drains and sleeps as a shard does. */
static void port_two_threads(struct bench *b)
{
    struct ps_thread producer;
    b->received = 0;
    must(ps_thread_start(&producer, PS_THREAD_OTHER, "producer", produce, b), "thread");
    while (b->received < b->count)
        ps_port_wait(&b->port, b, -1);
    ps_thread_join(&producer);
}

static void answer_item(struct ps_port_item *item, void *owner)
{
    struct bench *b = owner;
    b->received++;
    item->run = count_item;
    ps_port_post(&b->answers, item);
}

static void answer_all(void *arg)
{
    struct bench *b = arg;
    for (int answered = 0; answered < b->count;)
        answered += (int)ps_port_wait(&b->port, b, -1);
}

/* One item there and back at a time: both threads sleep in between. */
static void port_ping_pong(struct bench *b)
{
    struct ps_thread peer;
    must(ps_thread_start(&peer, PS_THREAD_OTHER, "peer", answer_all, b), "thread");
    for (int i = 0; i < b->count; i++) {
        b->items[0].item.run = answer_item;
        ps_port_post(&b->port, &b->items[0].item);
        while (!ps_port_wait(&b->answers, b, -1))
            ;
    }
    ps_thread_join(&peer);
}

static void messages_make(struct bench *b)
{
    b->kvs[0] = (struct ps_kv){ "temperature", 11, { .type = PS_VALUE_DOUBLE, .real = 21.5 } };
    struct ps_msg_content content = {
        .type = PS_MSG_POST_TELEMETRY, .data_kind = PS_DATA_OBJECT, .kvs = b->kvs, .kv_count = 1
    };
    struct ps_uuid tenant = ps_uuid_random();
    struct ps_entity_id device = { PS_ENTITY_DEVICE, ps_uuid_random() };
    for (int i = 0; i < TURN; i++)
        must(ps_msg_create(&tenant, &device, &PS_UUID_NULL, 0, &content, &b->msgs[i]), "message");
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 1000000;
    count = count < PER_WAKE ? PER_WAKE : count / TURN * TURN;
    struct bench b = { .items = calloc((size_t)count, sizeof(struct item)) };
    must(b.items ? PS_OK : PS_ENOMEM, "items");
    must(ps_port_init(&b.port), "port");
    must(ps_port_init(&b.answers), "port");
    messages_make(&b);
    measure(&b, "mailbox, turns of 32", count, mailbox_turns);
    measure(&b, "port, same thread, 32 at a time", count, port_same_thread);
    measure(&b, "port, two threads", count, port_two_threads);
    measure(&b, "port, there and back, two wakes", count / PER_WAKE * 10, port_ping_pong);
    for (int i = 0; i < TURN; i++)
        ps_msg_release(b.msgs[i]);
    ps_port_deinit(&b.answers);
    ps_port_deinit(&b.port);
    free(b.items);
    return 0;
}
