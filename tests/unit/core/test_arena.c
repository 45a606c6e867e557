/* Arenas: what they hand out is aligned, apart, stays where it is, and is given back at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/arena.h"

enum { BLOCKS = 500 };

static void blocks_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    struct ps_arena arena = { 0 };
    unsigned char *blocks[BLOCKS];
    size_t wanted = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t len = i % 97 ? i % 97 * 3 : 40000; /* some larger than a chunk */
        blocks[i] = ps_arena_alloc(&arena, len);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 8, 0);
        memset(blocks[i], (int)(i & 0xff), len);
        wanted += len;
    }
    assert_true(arena.bytes >= wanted && arena.bytes < wanted + BLOCKS * 8);
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t len = i % 97 ? i % 97 * 3 : 40000;
        for (size_t at = 0; at < len; at++)
            assert_int_equal(blocks[i][at], i & 0xff);
    }
    ps_arena_deinit(&arena);
    assert_int_equal(arena.bytes, 0);
}

static void a_copy_is_terminated(void **state)
{
    (void)state;
    struct ps_arena arena = { 0 };
    assert_string_equal(ps_arena_copy(&arena, "temperature", 4), "temp");
    assert_string_equal(ps_arena_copy(&arena, NULL, 0), "");
    ps_arena_deinit(&arena);
}

static void a_reset_arena_uses_its_first_chunk_again(void **state)
{
    (void)state;
    struct ps_arena arena = { 0 };
    ps_arena_reset(&arena); /* of an empty one: nothing */
    void *first = ps_arena_alloc(&arena, 100);
    for (unsigned i = 0; i < 100; i++)
        assert_non_null(ps_arena_alloc(&arena, 1000));
    ps_arena_reset(&arena);
    assert_int_equal(arena.bytes, 0);
    assert_ptr_equal(ps_arena_alloc(&arena, 100), first);
    ps_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_do_not_overlap),
        cmocka_unit_test(a_copy_is_terminated),
        cmocka_unit_test(a_reset_arena_uses_its_first_chunk_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
