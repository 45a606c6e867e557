/* The identity cache: what the database says, until it is told to forget; bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "core/entity/credentials.h"
#include "core/entity/identity_cache.h"
#include "unit/core_entity/entity_world.h"

static struct ps_identity_cache *cache_of(struct entity_world *world, size_t entries_max)
{
    struct ps_identity_cache *cache;
    assert_int_equal(ps_identity_cache_create(world->temp.path, entries_max, &cache), PS_OK);
    return cache;
}

static enum ps_status find(struct ps_identity_cache *cache, const char *token,
                           struct ps_device_identity **out)
{
    return ps_identity_cache_find_token(cache, token, strlen(token), out);
}

static void a_token_finds_its_device_every_time(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid a = world_device(world, "A", "TOKEN_A"), b = world_device(world, "B", "TOKEN_B");
    struct ps_identity_cache *cache = cache_of(world, 100);
    struct ps_device_identity *first, *again, *other;
    assert_int_equal(find(cache, "TOKEN_A", &first), PS_OK);
    assert_int_equal(find(cache, "TOKEN_A", &again), PS_OK);
    assert_int_equal(find(cache, "TOKEN_B", &other), PS_OK);
    assert_ptr_equal(first, again); /* from memory */
    assert_true(ps_uuid_equal(&first->device, &a));
    assert_true(ps_uuid_equal(&other->device, &b));
    assert_string_equal(first->name, "A");
    assert_true(ps_uuid_equal(&first->tenant, &world->tenant));
    ps_identity_cache_destroy(cache);
    assert_string_equal(again->name, "A"); /* held longer than the cache */
    ps_device_identity_release(first);
    ps_device_identity_release(again);
    ps_device_identity_release(other);
}

static void unknown_tokens_and_other_credentials_are_refused(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid device = world_device(world, "A", "TOKEN_A");
    struct ps_identity_cache *cache = cache_of(world, 100);
    struct ps_device_identity *identity = NULL;
    static const char *const wrong[] = { "", "TOKEN", "TOKEN_AA", "token_a", "TOKEN_A'--" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(find(cache, wrong[i], &identity), PS_EAUTH);
    assert_int_equal(ps_identity_cache_find_token(cache, "TOKEN_A\0x", 9, &identity), PS_EAUTH);
    struct ps_credentials credentials = { .device = device, .type = PS_CREDENTIALS_MQTT_BASIC };
    credentials.credentials_value = strdup("{\"userName\":\"user\",\"password\":\"p\"}");
    assert_int_equal(ps_credentials_save(world->db, &credentials, &world->why), PS_OK);
    ps_identity_cache_forget(cache, &device);
    assert_int_equal(find(cache, "user", &identity), PS_EAUTH);
    assert_int_equal(find(cache, "TOKEN_A", &identity), PS_EAUTH);
    assert_null(identity);
    ps_credentials_deinit(&credentials);
    ps_identity_cache_destroy(cache);
}

static void what_is_forgotten_is_read_again(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid a = world_device(world, "A", "TOKEN_A");
    world_device(world, "B", "TOKEN_B");
    struct ps_identity_cache *cache = cache_of(world, 100);
    struct ps_device_identity *before, *after, *other, *other_after;
    assert_int_equal(find(cache, "TOKEN_A", &before), PS_OK);
    assert_int_equal(find(cache, "TOKEN_B", &other), PS_OK);
    assert_int_equal(ps_db_exec(world->db, "UPDATE device SET name = 'New' WHERE name = 'A'"),
                     PS_OK);
    ps_identity_cache_forget(cache, &a);
    assert_int_equal(find(cache, "TOKEN_A", &after), PS_OK);
    assert_string_equal(before->name, "A"); /* immutable for who holds it */
    assert_string_equal(after->name, "New");
    assert_int_equal(find(cache, "TOKEN_B", &other_after), PS_OK);
    assert_ptr_equal(other, other_after);
    ps_device_identity_release(other_after);
    ps_identity_cache_forget(cache, NULL);
    assert_int_equal(find(cache, "TOKEN_B", &other_after), PS_OK);
    assert_ptr_not_equal(other, other_after);
    ps_device_identity_release(before);
    ps_device_identity_release(after);
    ps_device_identity_release(other);
    ps_device_identity_release(other_after);
    ps_identity_cache_destroy(cache);
}

/* Only one entry a stripe: what is not held by others is freed when it makes room. */
static void the_cache_is_bounded(void **state)
{
    enum { DEVICES = 200 };
    struct entity_world *world = *state;
    struct ps_identity_cache *cache;
    struct ps_device_identity *identity, *held[DEVICES];
    unsigned only_ours = 0;
    assert_int_equal(ps_db_begin(world->db), PS_OK);
    for (unsigned i = 0; i < DEVICES; i++) {
        char name[16];
        snprintf(name, sizeof name, "T%u", i);
        world_device(world, name, name);
    }
    assert_int_equal(ps_db_commit(world->db), PS_OK);
    cache = cache_of(world, 1);
    for (unsigned i = 0; i < DEVICES; i++) {
        char name[16];
        snprintf(name, sizeof name, "T%u", i);
        assert_int_equal(find(cache, name, &held[i]), PS_OK);
        assert_string_equal(held[i]->name, name);
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        only_ours += held[i]->references == 1;
        ps_device_identity_release(held[i]);
    }
    assert_true(only_ours >= DEVICES - 16);
    assert_int_equal(find(cache, "T0", &identity), PS_OK); /* read again */
    ps_device_identity_release(identity);
    ps_identity_cache_destroy(cache);
}

/* ---- many threads ---- */

struct searcher {
    pthread_t thread;
    struct ps_identity_cache *cache;
    _Atomic bool *stop;
    unsigned wrong;
};

static void *search(void *arg)
{
    struct searcher *searcher = arg;
    for (unsigned i = 0; !atomic_load(searcher->stop); i++) {
        struct ps_device_identity *identity;
        char name[8];
        snprintf(name, sizeof name, "T%u", i % 8);
        if (find(searcher->cache, name, &identity) != PS_OK) {
            searcher->wrong++;
            continue;
        }
        searcher->wrong += strcmp(identity->credentials_id, name) != 0;
        ps_device_identity_release(identity);
    }
    return NULL;
}

static void threads_may_search_while_others_forget(void **state)
{
    struct entity_world *world = *state;
    struct searcher searchers[4];
    _Atomic bool stop = false;
    struct ps_uuid devices[8];
    for (unsigned i = 0; i < 8; i++) {
        char name[8];
        snprintf(name, sizeof name, "T%u", i);
        devices[i] = world_device(world, name, name);
    }
    struct ps_identity_cache *cache = cache_of(world, 40);
    for (unsigned i = 0; i < 4; i++) {
        searchers[i] = (struct searcher){ .cache = cache, .stop = &stop };
        assert_int_equal(pthread_create(&searchers[i].thread, NULL, search, &searchers[i]), 0);
    }
    for (unsigned i = 0; i < 3000; i++) {
        struct ps_device_identity *identity;
        ps_identity_cache_forget(cache, i % 9 == 8 ? NULL : &devices[i % 8]);
        assert_int_equal(find(cache, "T3", &identity), PS_OK);
        ps_device_identity_release(identity);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(searchers[i].thread, NULL);
        assert_int_equal(searchers[i].wrong, 0);
    }
    ps_identity_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_token_finds_its_device_every_time),
        WORLD_TEST(unknown_tokens_and_other_credentials_are_refused),
        WORLD_TEST(what_is_forgotten_is_read_again),
        WORLD_TEST(the_cache_is_bounded),
        WORLD_TEST(threads_may_search_while_others_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
