/* The attribute cache: one value a scope and key, copies of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/attribute_cache.h"

static enum ps_status put_text(struct ps_attribute_cache *cache, enum ps_attribute_scope scope,
                               const char *key, const char *text, int64_t updated_ms)
{
    /* in blocks that are gone afterwards */
    char *own_key = strdup(key), *own_text = strdup(text);
    struct ps_kv kv = {
        .key = own_key,
        .key_len = (uint32_t)strlen(key),
        .value = { .type = PS_VALUE_STRING, .text = own_text, .len = (uint32_t)strlen(text) }
    };
    enum ps_status st = ps_attribute_cache_put(cache, scope, &kv, updated_ms);
    free(own_key);
    free(own_text);
    return st;
}

static void assert_text(const struct ps_attribute_cache *cache, enum ps_attribute_scope scope,
                        const char *key, const char *want)
{
    const struct ps_attribute *found = ps_attribute_cache_find(cache, scope, key, strlen(key));
    assert_int_equal(found != NULL, want != NULL);
    if (!want)
        return;
    assert_string_equal(found->key, key);
    assert_int_equal(found->value.len, strlen(want));
    assert_memory_equal(found->value.text, want, strlen(want));
}

static void a_key_has_one_value_in_each_scope(void **state)
{
    (void)state;
    struct ps_attribute_cache cache = { 0 };
    assert_int_equal(put_text(&cache, PS_SCOPE_CLIENT, "a", "client", 1), PS_OK);
    assert_int_equal(put_text(&cache, PS_SCOPE_SHARED, "a", "shared", 2), PS_OK);
    assert_int_equal(put_text(&cache, PS_SCOPE_CLIENT, "ab", "", 3), PS_OK);
    assert_int_equal(put_text(&cache, PS_SCOPE_CLIENT, "a", "newer", 4), PS_OK);
    assert_int_equal(cache.count, 3);
    assert_text(&cache, PS_SCOPE_CLIENT, "a", "newer");
    assert_text(&cache, PS_SCOPE_SHARED, "a", "shared");
    assert_text(&cache, PS_SCOPE_SERVER, "a", NULL);
    assert_text(&cache, PS_SCOPE_CLIENT, "ab", "");
    assert_int_equal(ps_attribute_cache_find(&cache, PS_SCOPE_CLIENT, "a", 1)->updated_ms, 4);
    struct ps_kv kv = { .key = "a", .key_len = 1, .value = { .type = PS_VALUE_LONG } };
    assert_int_equal(ps_attribute_cache_put(&cache, PS_SCOPE_CLIENT, &kv, 5), PS_OK);
    assert_int_equal(ps_attribute_cache_find(&cache, PS_SCOPE_CLIENT, "a", 1)->value.type,
                     PS_VALUE_LONG);
    ps_attribute_cache_deinit(&cache);
}

static void a_removed_key_leaves_the_others(void **state)
{
    (void)state;
    struct ps_attribute_cache cache = { 0 };
    char key[16];
    for (unsigned i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(put_text(&cache, PS_SCOPE_SERVER, key, key, 1), PS_OK);
    }
    for (unsigned i = 0; i < 50; i += 3) {
        snprintf(key, sizeof key, "k%u", i);
        assert_false(ps_attribute_cache_remove(&cache, PS_SCOPE_CLIENT, key, strlen(key)));
        assert_true(ps_attribute_cache_remove(&cache, PS_SCOPE_SERVER, key, strlen(key)));
        assert_false(ps_attribute_cache_remove(&cache, PS_SCOPE_SERVER, key, strlen(key)));
    }
    for (unsigned i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "k%u", i);
        assert_text(&cache, PS_SCOPE_SERVER, key, i % 3 ? key : NULL);
    }
    ps_attribute_cache_deinit(&cache);
}

static void what_storage_had_replaces_everything(void **state)
{
    (void)state;
    struct ps_attribute_cache cache = { 0 };
    struct ps_attribute_list list = { .items = calloc(1, sizeof *list.items), .count = 1 };
    list.items[0] = (struct ps_attribute){
        .scope = PS_SCOPE_SHARED,
        .key = strdup("s"),
        .key_len = 1,
        .value = { .type = PS_VALUE_STRING, .len = 1, .text = strdup("v") }
    };
    assert_int_equal(put_text(&cache, PS_SCOPE_CLIENT, "old", "x", 1), PS_OK);
    ps_attribute_cache_take(&cache, &list);
    assert_null(list.items);
    assert_int_equal(list.count, 0);
    assert_text(&cache, PS_SCOPE_CLIENT, "old", NULL);
    assert_text(&cache, PS_SCOPE_SHARED, "s", "v");
    assert_int_equal(put_text(&cache, PS_SCOPE_CLIENT, "new", "y", 1), PS_OK); /* it can grow */
    assert_int_equal(cache.count, 2);
    ps_attribute_cache_deinit(&cache);
    assert_int_equal(cache.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_one_value_in_each_scope),
        cmocka_unit_test(a_removed_key_leaves_the_others),
        cmocka_unit_test(what_storage_had_replaces_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
