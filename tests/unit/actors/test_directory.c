/* The directory: an actor is found by its entity's id, however many there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "actors/actor.h"
#include "actors/directory.h"

enum { ACTORS = 1000 };

static void actors_are_found_until_they_are_removed(void **state)
{
    (void)state;
    struct ps_directory directory;
    struct ps_actor *actors = calloc(ACTORS, sizeof *actors);
    assert_int_equal(ps_directory_init(&directory), PS_OK);
    assert_null(ps_directory_any(&directory));
    for (unsigned i = 0; i < ACTORS; i++) {
        actors[i].id.id = ps_uuid_random();
        assert_null(ps_directory_find(&directory, &actors[i].id.id));
        ps_directory_add(&directory, &actors[i]);
    }
    assert_int_equal(directory.count, ACTORS);
    for (unsigned i = 0; i < ACTORS; i++)
        assert_ptr_equal(ps_directory_find(&directory, &actors[i].id.id), &actors[i]);
    for (unsigned i = 0; i < ACTORS; i += 2) {
        ps_directory_remove(&directory, &actors[i]);
        assert_null(ps_directory_find(&directory, &actors[i].id.id));
        assert_ptr_equal(ps_directory_find(&directory, &actors[i + 1].id.id), &actors[i + 1]);
    }
    unsigned left = 0;
    struct ps_actor *any;
    while ((any = ps_directory_any(&directory))) {
        ps_directory_remove(&directory, any);
        left++;
    }
    assert_int_equal(left, ACTORS / 2);
    assert_int_equal(directory.count, 0);
    ps_directory_deinit(&directory);
    free(actors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actors_are_found_until_they_are_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
