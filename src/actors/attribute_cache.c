#include "actors/attribute_cache.h"

#include <stdlib.h>
#include <string.h>

enum { ITEMS_FIRST = 8 };

static void free_value(struct ps_value *value)
{
    if (value->type >= PS_VALUE_STRING)
        free((char *)value->text);
}

static void free_item(struct ps_attribute *item)
{
    free(item->key);
    free_value(&item->value);
}

void ps_attribute_cache_deinit(struct ps_attribute_cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        free_item(&cache->items[i]);
    free(cache->items);
    *cache = (struct ps_attribute_cache){ 0 };
}

void ps_attribute_cache_take(struct ps_attribute_cache *cache, struct ps_attribute_list *list)
{
    ps_attribute_cache_deinit(cache);
    *cache = (struct ps_attribute_cache){ .items = list->items,
                                          .count = list->count,
                                          .cap = list->count };
    *list = (struct ps_attribute_list){ 0 };
}

static struct ps_attribute *find(const struct ps_attribute_cache *cache,
                                 enum ps_attribute_scope scope, const char *key, size_t key_len)
{
    for (size_t i = 0; i < cache->count; i++) {
        struct ps_attribute *item = &cache->items[i];
        if (item->scope == scope && item->key_len == key_len &&
            memcmp(item->key, key, key_len) == 0)
            return item;
    }
    return NULL;
}

const struct ps_attribute *ps_attribute_cache_find(const struct ps_attribute_cache *cache,
                                                   enum ps_attribute_scope scope, const char *key,
                                                   size_t key_len)
{
    return find(cache, scope, key, key_len);
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static bool copy_value(const struct ps_value *from, struct ps_value *to)
{
    *to = *from;
    if (from->type >= PS_VALUE_STRING)
        to->text = copy_text(from->text, from->len);
    return from->type < PS_VALUE_STRING || to->text;
}

static enum ps_status add(struct ps_attribute_cache *cache, enum ps_attribute_scope scope,
                          const struct ps_kv *kv, struct ps_value *value, int64_t updated_ms)
{
    if (cache->count == cache->cap) {
        size_t cap = cache->cap ? cache->cap * 2 : ITEMS_FIRST;
        struct ps_attribute *items = realloc(cache->items, cap * sizeof *items);
        if (!items)
            return PS_ENOMEM;
        cache->items = items;
        cache->cap = cap;
    }
    char *key = copy_text(kv->key, kv->key_len);
    if (!key)
        return PS_ENOMEM;
    cache->items[cache->count++] = (struct ps_attribute){ .scope = scope,
                                                          .key = key,
                                                          .key_len = kv->key_len,
                                                          .value = *value,
                                                          .updated_ms = updated_ms };
    return PS_OK;
}

enum ps_status ps_attribute_cache_put(struct ps_attribute_cache *cache,
                                      enum ps_attribute_scope scope, const struct ps_kv *kv,
                                      int64_t updated_ms)
{
    struct ps_value value;
    if (!copy_value(&kv->value, &value))
        return PS_ENOMEM;
    struct ps_attribute *item = find(cache, scope, kv->key, kv->key_len);
    if (item) {
        free_value(&item->value);
        item->value = value;
        item->updated_ms = updated_ms;
        return PS_OK;
    }
    enum ps_status st = add(cache, scope, kv, &value, updated_ms);
    if (st != PS_OK)
        free_value(&value);
    return st;
}

bool ps_attribute_cache_remove(struct ps_attribute_cache *cache, enum ps_attribute_scope scope,
                               const char *key, size_t key_len)
{
    struct ps_attribute *item = find(cache, scope, key, key_len);
    if (!item)
        return false;
    free_item(item);
    *item = cache->items[--cache->count];
    return true;
}
