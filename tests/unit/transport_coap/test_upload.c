/* Bodies in blocks: order, repetition, and the three bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "transport/coap/upload.h"

enum { BODY_MAX = 4096, SIZE = 16 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";

static int init(void **state)
{
    static struct ps_coap_uploads uploads;
    ps_coap_uploads_init(&uploads, BODY_MAX);
    *state = &uploads;
    return 0;
}

static int deinit(void **state)
{
    ps_coap_uploads_deinit(*state);
    ps_coap_uploads_deinit(*state); /* twice is fine */
    return 0;
}

/* Block `number` of the letters, 16 bytes each. */
static enum ps_coap_upload_result add(struct ps_coap_uploads *uploads, uint64_t digest,
                                      uint32_t block_number, bool more, const struct ps_buf **body)
{
    struct ps_coap_block block = { .number = block_number, .size = SIZE, .more = more };
    return ps_coap_uploads_add(uploads, digest, &block, letters + block_number * SIZE, SIZE, 0,
                               body);
}

static void blocks_become_a_body(void **state)
{
    struct ps_coap_uploads *uploads = *state;
    const struct ps_buf *body = NULL;
    assert_int_equal(add(uploads, 1, 0, true, &body), PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, 2, 0, true, &body), PS_COAP_UPLOAD_CONTINUE); /* another's */
    assert_int_equal(add(uploads, 1, 1, true, &body), PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, 1, 1, true, &body), PS_COAP_UPLOAD_CONTINUE); /* repeated */
    assert_null(body);
    for (int repeated = 0; repeated < 2; repeated++) {
        assert_int_equal(add(uploads, 1, 2, false, &body), PS_COAP_UPLOAD_COMPLETE);
        assert_int_equal(body->len, 3 * SIZE);
        assert_memory_equal(body->data, letters, 3 * SIZE);
    }
    ps_coap_uploads_drop(uploads, 1);
    assert_int_equal(uploads->count, 1);
    assert_int_equal(uploads->bytes, SIZE);
}

static void a_sender_may_choose_smaller_blocks_on_the_way(void **state)
{
    struct ps_coap_uploads *uploads = *state;
    const struct ps_buf *body = NULL;
    struct ps_coap_block big = { .number = 0, .size = 32, .more = true };
    assert_int_equal(ps_coap_uploads_add(uploads, 1, &big, letters, 32, 0, &body),
                     PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, 1, 2, false, &body), PS_COAP_UPLOAD_COMPLETE);
    assert_int_equal(body->len, 48);
    assert_memory_equal(body->data, letters, 48);
}

static void the_first_block_starts_again(void **state)
{
    struct ps_coap_uploads *uploads = *state;
    const struct ps_buf *body = NULL;
    assert_int_equal(add(uploads, 1, 0, true, &body), PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, 1, 1, true, &body), PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, 1, 0, true, &body), PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, 1, 1, false, &body), PS_COAP_UPLOAD_COMPLETE);
    assert_int_equal(body->len, 2 * SIZE);
}

static void a_missing_block_ends_it(void **state)
{
    struct ps_coap_uploads *uploads = *state;
    const struct ps_buf *body = NULL;
    assert_int_equal(add(uploads, 1, 1, true, &body), PS_COAP_UPLOAD_INCOMPLETE);
    assert_int_equal(add(uploads, 1, 0, true, &body), PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, 1, 2, true, &body), PS_COAP_UPLOAD_INCOMPLETE);
    assert_int_equal(add(uploads, 1, 1, true, &body), PS_COAP_UPLOAD_INCOMPLETE);
    assert_int_equal(uploads->count, 0);
    assert_int_equal(uploads->bytes, 0);
}

static void a_block_has_the_size_it_says(void **state)
{
    struct ps_coap_uploads *uploads = *state;
    const struct ps_buf *body = NULL;
    struct ps_coap_block block = { .number = 0, .size = SIZE, .more = true };
    assert_int_equal(ps_coap_uploads_add(uploads, 1, &block, letters, SIZE - 1, 0, &body),
                     PS_COAP_UPLOAD_BAD_BLOCK);
    assert_int_equal(ps_coap_uploads_add(uploads, 1, &block, letters, SIZE + 1, 0, &body),
                     PS_COAP_UPLOAD_BAD_BLOCK);
    block.more = false;
    assert_int_equal(ps_coap_uploads_add(uploads, 1, &block, letters, SIZE + 1, 0, &body),
                     PS_COAP_UPLOAD_BAD_BLOCK);
    assert_int_equal(ps_coap_uploads_add(uploads, 1, &block, letters, 0, 0, &body),
                     PS_COAP_UPLOAD_COMPLETE);
    assert_int_equal(body->len, 0);
}

static void a_body_over_the_limit_is_refused_as_soon_as_it_shows(void **state)
{
    struct ps_coap_uploads *uploads = *state;
    const struct ps_buf *body = NULL;
    static const char block_of_zeros[1024];
    struct ps_coap_block block = { .number = 1u << 20, .size = 1024, .more = true };
    assert_int_equal(ps_coap_uploads_add(uploads, 1, &block, block_of_zeros, 1024, 0, &body),
                     PS_COAP_UPLOAD_TOO_LARGE);
    for (block.number = 0; block.number < BODY_MAX / 1024; block.number++)
        assert_int_equal(ps_coap_uploads_add(uploads, 1, &block, block_of_zeros, 1024, 0, &body),
                         PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(uploads->bytes, BODY_MAX);
    assert_int_equal(ps_coap_uploads_add(uploads, 1, &block, block_of_zeros, 1024, 0, &body),
                     PS_COAP_UPLOAD_TOO_LARGE);
    assert_int_equal(uploads->count, 0);
    assert_int_equal(uploads->bytes, 0);
}

static void unfinished_bodies_are_bounded_and_expire(void **state)
{
    struct ps_coap_uploads *uploads = *state;
    const struct ps_buf *body = NULL;
    for (uint64_t digest = 0; digest < PS_COAP_UPLOADS_MAX; digest++)
        assert_int_equal(add(uploads, digest, 0, true, &body), PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, PS_COAP_UPLOADS_MAX, 0, true, &body), PS_COAP_UPLOAD_NO_ROOM);
    assert_int_equal(add(uploads, 7, 1, true, &body), PS_COAP_UPLOAD_CONTINUE); /* goes on */

    ps_coap_uploads_expire(uploads, PS_COAP_UPLOAD_IDLE_MS);
    assert_int_equal(uploads->count, PS_COAP_UPLOADS_MAX);
    ps_coap_uploads_expire(uploads, PS_COAP_UPLOAD_IDLE_MS + 1);
    assert_int_equal(uploads->count, 0);
    assert_int_equal(uploads->bytes, 0);
}

static void the_bytes_of_all_bodies_are_bounded(void **state)
{
    struct ps_coap_uploads *uploads = *state;
    const struct ps_buf *body = NULL;
    uploads->bytes_max = 3 * SIZE;
    assert_int_equal(add(uploads, 1, 0, true, &body), PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, 2, 0, true, &body), PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, 1, 1, true, &body), PS_COAP_UPLOAD_CONTINUE);
    assert_int_equal(add(uploads, 2, 1, true, &body), PS_COAP_UPLOAD_NO_ROOM);
    assert_int_equal(uploads->bytes, 2 * SIZE);
}

static void a_block_option_is_a_number_a_flag_and_a_size(void **state)
{
    (void)state;
    struct ps_coap_block block;
    assert_true(ps_coap_block_decode(0x2E, &block));
    assert_int_equal(block.number, 2);
    assert_true(block.more);
    assert_int_equal(block.size, 1024);
    assert_false(ps_coap_block_decode(7, &block)); /* reserved */
    assert_int_equal(block.size, 1024);
    for (uint32_t value = 0; value < 1u << 24; value += value < 256 ? 1 : 9973) {
        if (ps_coap_block_decode(value, &block))
            assert_int_equal(ps_coap_block_encode(&block), value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocks_become_a_body, init, deinit),
        cmocka_unit_test_setup_teardown(a_sender_may_choose_smaller_blocks_on_the_way, init,
                                        deinit),
        cmocka_unit_test_setup_teardown(the_first_block_starts_again, init, deinit),
        cmocka_unit_test_setup_teardown(a_missing_block_ends_it, init, deinit),
        cmocka_unit_test_setup_teardown(a_block_has_the_size_it_says, init, deinit),
        cmocka_unit_test_setup_teardown(a_body_over_the_limit_is_refused_as_soon_as_it_shows, init,
                                        deinit),
        cmocka_unit_test_setup_teardown(unfinished_bodies_are_bounded_and_expire, init, deinit),
        cmocka_unit_test_setup_teardown(the_bytes_of_all_bodies_are_bounded, init, deinit),
        cmocka_unit_test(a_block_option_is_a_number_a_flag_and_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
