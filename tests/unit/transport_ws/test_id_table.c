/* Promises of id_table: what is in is found, once, whatever else comes and goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transport/ws/id_table.h"

struct thing {
    struct ps_ws_link link;
    uint64_t id;
    unsigned visits;
};

static struct thing *find(const struct ps_ws_table *table, uint64_t hash, uint64_t id)
{
    struct ps_ws_link *link = ps_ws_table_first(table, hash);
    for (; link; link = ps_ws_table_next(link)) {
        struct thing *thing = PS_WS_OBJECT(link, struct thing, link);
        if (thing->id == id)
            return thing;
    }
    return NULL;
}

static void visit(struct ps_ws_link *link, void *context)
{
    struct thing *thing = PS_WS_OBJECT(link, struct thing, link);
    thing->visits++;
    if (thing->id % 2)
        ps_ws_table_remove(context, link);
}

static void things_are_found_until_removed(void **state)
{
    (void)state;
    enum { THINGS = 5000 };
    struct thing *things = calloc(THINGS, sizeof *things);
    struct ps_ws_table table;
    assert_int_equal(ps_ws_table_init(&table), PS_OK);
    for (uint64_t i = 0; i < THINGS; i++) {
        things[i].id = i;
        ps_ws_table_insert(&table, &things[i].link, ps_ws_hash_number(i));
    }
    assert_int_equal(table.count, THINGS);
    ps_ws_table_each(&table, visit, &table);
    for (uint64_t i = 0; i < THINGS; i++) {
        assert_int_equal(things[i].visits, 1);
        assert_ptr_equal(find(&table, ps_ws_hash_number(i), i), i % 2 ? NULL : &things[i]);
    }
    size_t left = 0;
    for (struct ps_ws_link *link; (link = ps_ws_table_any(&table)); left++)
        ps_ws_table_remove(&table, link);
    assert_int_equal(left, THINGS / 2);
    ps_ws_table_deinit(&table);
    free(things);
}

static void equal_hashes_are_all_candidates(void **state)
{
    (void)state;
    struct thing things[20] = { 0 };
    struct ps_ws_table table;
    assert_int_equal(ps_ws_table_init(&table), PS_OK);
    for (uint64_t i = 0; i < 20; i++) {
        things[i].id = i;
        ps_ws_table_insert(&table, &things[i].link, i % 2);
    }
    for (uint64_t i = 0; i < 20; i++)
        assert_ptr_equal(find(&table, i % 2, i), &things[i]);
    assert_null(find(&table, 1, 0));
    assert_null(ps_ws_table_first(&table, 8)); /* the same bucket, another hash */
    ps_ws_table_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_are_found_until_removed),
        cmocka_unit_test(equal_hashes_are_all_candidates),
    };
    return cmocka_run_group_tests_name("transport_ws.id_table", tests, NULL, NULL);
}
