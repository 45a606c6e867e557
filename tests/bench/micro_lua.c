/* micro_lua: what one script call costs, in nanoseconds; medians of nine rounds.
 *
 * Usage: micro_lua [calls a round]. Thread CPU time, so a busy neighbour shows less. The count hook
 * is on, as always; the collector runs at the end of every 32 calls, as in a shard's turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/lua/script.h"

enum { ROUNDS = 9, TURN = 32 };

struct bench {
    struct ps_script_cache *cache;
    struct ps_lua *lua;
    struct ps_script_code *code;
    struct ps_msg *msg;
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(enum ps_status st, const char *what)
{
    if (st == PS_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, ps_status_text(st));
    exit(1);
}

static struct ps_msg *make_message(void)
{
    static const struct ps_kv kvs[] = {
        { "temperature", 11, { .type = PS_VALUE_DOUBLE, .real = 21.53 } },
        { "humidity", 8, { .type = PS_VALUE_LONG, .integer = 40 } },
        { "active", 6, { .type = PS_VALUE_BOOLEAN, .boolean = true } },
    };
    static const struct ps_pair metadata[] = {
        { "deviceName", "thermo-1", 10, 8 },
        { "deviceType", "default", 10, 7 },
        { "ts", "1700000000000", 2, 13 },
    };
    struct ps_msg_content content = { .type = PS_MSG_POST_TELEMETRY,
                                      .data_kind = PS_DATA_OBJECT,
                                      .kvs = kvs,
                                      .kv_count = 3,
                                      .metadata = metadata,
                                      .metadata_count = 3 };
    struct ps_uuid tenant = ps_uuid_random();
    struct ps_entity_id device = { PS_ENTITY_DEVICE, ps_uuid_random() };
    struct ps_msg *msg;
    must(ps_msg_create(&tenant, &device, &PS_UUID_NULL, 1700000000000, &content, &msg), "message");
    return msg;
}

static void call_filter(struct bench *b)
{
    bool result;
    must(ps_lua_filter(b->lua, b->code, b->msg, NULL, &result, NULL), "filter");
}

static void call_transform(struct bench *b)
{
    struct ps_script_messages result;
    must(ps_lua_transform(b->lua, b->code, b->msg, NULL, &result, NULL), "transform");
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void measure(struct bench *b, const char *name, enum ps_script_kind kind, const char *source,
                    void (*call)(struct bench *), int calls)
{
    double rounds[ROUNDS];
    must(ps_script_compile(b->cache, kind, source, strlen(source), &b->code, NULL, NULL), name);
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (int i = 0; i < calls; i++) {
            call(b);
            if (i % TURN == TURN - 1)
                ps_lua_turn_end(b->lua);
        }
        rounds[round] = (now_ns() - start) / calls;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    printf("%-28s %8.1f ns  (%.1f .. %.1f)\n", name, rounds[ROUNDS / 2], rounds[0],
           rounds[ROUNDS - 1]);
    ps_script_release(b->code);
}

int main(int argc, char **argv)
{
    int calls = argc > 1 ? atoi(argv[1]) : 300000;
    struct bench b = { .msg = make_message() };
    must(ps_script_cache_create(&b.cache), "cache");
    must(ps_lua_create(&PS_LUA_LIMITS_DEFAULT, &b.lua), "state");
    measure(&b, "filter, one key", PS_SCRIPT_FILTER, "return msg.temperature > 20", call_filter,
            calls);
    measure(&b, "filter, key and metadata", PS_SCRIPT_FILTER,
            "return msg.temperature > 20 and metadata.deviceType == 'default'", call_filter, calls);
    measure(&b, "transform, arguments back", PS_SCRIPT_TRANSFORM,
            "return { msg = msg, metadata = metadata, msgType = msgType }", call_transform, calls);
    measure(&b, "transform, new table", PS_SCRIPT_TRANSFORM,
            "return { msg = { f = msg.temperature * 1.8 + 32 } }", call_transform, calls);
    measure(&b, "transform, changed in place", PS_SCRIPT_TRANSFORM,
            "msg.temperature_f = msg.temperature * 1.8 + 32\n"
            "msg.humidity = nil\n"
            "metadata.src = 'sensor'\n"
            "return { msg = msg, metadata = metadata, msgType = msgType }",
            call_transform, calls);
    measure(&b, "filter, 1,000 iterations", PS_SCRIPT_FILTER,
            "local s = 0 for i = 1, 1000 do s = s + i % 7 end return s > 0", call_filter,
            calls / 100 + 1);
    ps_lua_destroy(b.lua);
    ps_script_cache_destroy(b.cache);
    ps_msg_release(b.msg);
    return 0;
}
