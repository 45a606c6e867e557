/* What the directory of live programs owes its readers: a change is seen by the next look-up, never
 * inside a run; whoever holds a program keeps it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "unit/rules/rules_world.h"

/* A program without nodes: enough for a directory. */
static struct ps_program *program_of(struct world *w, char tenant, char chain)
{
    struct ps_chain *parsed = world_parse(w, "{nodes:[]}", NULL);
    struct ps_program_identity identity = { .tenant = world_id(tenant),
                                            .chain = world_id(chain),
                                            .name = "C" };
    struct ps_program *program = NULL;
    assert_int_equal(ps_program_compile(parsed, &identity, &program), PS_OK);
    ps_chain_destroy(parsed);
    return program;
}

static void put(struct world *w, struct ps_program *program)
{
    assert_int_equal(ps_chains_put(w->chains, program), PS_OK);
}

static void look_ups_see_the_latest_put_root_and_removal(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_uuid t = world_id('t'), a = world_id('a'), b = world_id('b');
    struct ps_program *first = program_of(&w, 't', 'a'), *second = program_of(&w, 't', 'a');
    struct ps_program *other = program_of(&w, 't', 'b');
    assert_null(ps_chain_cache_root(w.cache, &t));
    put(&w, first);
    assert_null(ps_chain_cache_root(w.cache, &t)); /* live, but not the root */
    assert_ptr_equal(ps_chain_cache_find(w.cache, &t, &a), first);
    assert_int_equal(ps_chains_set_root(w.chains, &t, &a), PS_OK);
    assert_ptr_equal(ps_chain_cache_root(w.cache, &t), first);
    put(&w, second);
    put(&w, other);
    assert_ptr_equal(ps_chain_cache_root(w.cache, &t), second);
    assert_ptr_equal(ps_chain_cache_find(w.cache, &t, &b), other);
    assert_int_equal(ps_chains_set_root(w.chains, &t, &b), PS_OK);
    assert_ptr_equal(ps_chain_cache_root(w.cache, &t), other);
    assert_int_equal(ps_chains_remove(w.chains, &t, &b), PS_OK);
    assert_null(ps_chain_cache_root(w.cache, &t));
    assert_null(ps_chain_cache_find(w.cache, &t, &b));
    assert_ptr_equal(ps_chain_cache_find(w.cache, &t, &a), second);
    assert_int_equal(ps_chains_remove_tenant(w.chains, &t), PS_OK);
    assert_null(ps_chain_cache_find(w.cache, &t, &a));
    assert_int_equal(first->references, 1); /* nobody but the test holds them any more */
    assert_int_equal(second->references, 1);
    assert_int_equal(other->references, 1);
    ps_program_release(first);
    ps_program_release(second);
    ps_program_release(other);
    world_deinit(&w);
}

static void during_a_run_the_view_stands_still(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_uuid t = world_id('t'), a = world_id('a');
    struct ps_program *first = program_of(&w, 't', 'a'), *second = program_of(&w, 't', 'a');
    put(&w, first);
    assert_ptr_equal(ps_chain_cache_find(w.cache, &t, &a), first);
    ps_chain_cache_hold(w.cache);
    put(&w, second);
    assert_ptr_equal(ps_chain_cache_find(w.cache, &t, &a), first);
    ps_chain_cache_unhold(w.cache);
    assert_ptr_equal(ps_chain_cache_find(w.cache, &t, &a), second);
    ps_program_release(first);
    ps_program_release(second);
    world_deinit(&w);
}

static void tenants_do_not_see_each_other(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_program *programs[60];
    for (char i = 0; i < 60; i++) {
        programs[(int)i] = program_of(&w, (char)('A' + i), 'a');
        put(&w, programs[(int)i]);
    }
    struct ps_uuid chain = world_id('a'), none = world_id('!');
    for (int round = 0; round < 2; round++) {
        for (char i = 0; i < 60; i++) {
            struct ps_uuid tenant = world_id((char)('A' + i));
            bool removed = round == 1 && i % 3 == 0;
            assert_ptr_equal(ps_chain_cache_find(w.cache, &tenant, &chain),
                             removed ? NULL : programs[(int)i]);
        }
        for (char i = 0; round == 0 && i < 60; i += 3) {
            struct ps_uuid tenant = world_id((char)('A' + i));
            assert_int_equal(ps_chains_remove_tenant(w.chains, &tenant), PS_OK);
        }
    }
    assert_null(ps_chain_cache_find(w.cache, &none, &chain));
    for (int i = 0; i < 60; i++)
        ps_program_release(programs[i]);
    world_deinit(&w);
}

static void callers_and_targets_of_a_chain_are_known(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'N',configuration:{"
              "ruleChainId:'62626262-6262-6262-6262-626262626262'}}],connections:[]}");
    world_put(&w, 'b', "{nodes:[]}");
    struct ps_uuid a = world_id('a'), b = world_id('b'), out[4];
    assert_int_equal(ps_chains_targets(w.chains, &w.tenant, &a, out, 4), 1);
    assert_true(ps_uuid_equal(&out[0], &b));
    assert_int_equal(ps_chains_targets(w.chains, &w.tenant, &b, out, 4), 0);
    assert_int_equal(ps_chains_callers(w.chains, &w.tenant, &b, out, 4), 1);
    assert_true(ps_uuid_equal(&out[0], &a));
    assert_int_equal(ps_chains_callers(w.chains, &w.tenant, &a, out, 4), 0);
    assert_int_equal(ps_chains_callers(w.chains, &w.tenant, &b, out, 0), 0);
    world_deinit(&w);
}

/* --- threads: one saves, others run --- */

struct reader {
    struct ps_chains *chains;
    struct ps_uuid tenant;
    _Atomic bool *stop;
    uint64_t seen;
};

static void *read_for_a_while(void *arg)
{
    struct reader *reader = arg;
    struct ps_chain_cache *cache = NULL;
    if (ps_chain_cache_create(reader->chains, &cache) != PS_OK)
        return NULL;
    while (!atomic_load(reader->stop) || !reader->seen) {
        const struct ps_program *program = ps_chain_cache_root(cache, &reader->tenant);
        if (program && program->name[0] == 'C')
            reader->seen++;
    }
    ps_chain_cache_destroy(cache);
    return NULL;
}

static void readers_never_see_a_program_that_is_gone(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_uuid t = world_id('t'), a = world_id('a');
    _Atomic bool stop = false;
    struct reader readers[2];
    pthread_t threads[2];
    assert_int_equal(ps_chains_set_root(w.chains, &t, &a), PS_OK);
    for (int i = 0; i < 2; i++) {
        readers[i] = (struct reader){ .chains = w.chains, .tenant = t, .stop = &stop };
        assert_int_equal(pthread_create(&threads[i], NULL, read_for_a_while, &readers[i]), 0);
    }
    for (int i = 0; i < 2000; i++) {
        struct ps_program *program = program_of(&w, 't', 'a');
        put(&w, program);
        ps_program_release(program);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_true(readers[i].seen > 0);
    }
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_ups_see_the_latest_put_root_and_removal),
        cmocka_unit_test(during_a_run_the_view_stands_still),
        cmocka_unit_test(tenants_do_not_see_each_other),
        cmocka_unit_test(callers_and_targets_of_a_chain_are_known),
        cmocka_unit_test(readers_never_see_a_program_that_is_gone),
    };
    return cmocka_run_group_tests_name("rules.chains", tests, NULL, NULL);
}
