#include "actors/device_attributes.h"

#include <string.h>

#include "actors/actor.h"
#include "core/json_text.h"

static void put_member(const struct ps_attribute *item, bool first, struct ps_buf *out)
{
    if (!first)
        ps_buf_put_char(out, ',');
    ps_json_put_string(out, item->key, item->key_len);
    ps_buf_put_char(out, ':');
    ps_json_put_value(out, &item->value);
}

static size_t put_all(const struct ps_attribute_cache *cache, enum ps_attribute_scope scope,
                      struct ps_buf *out)
{
    size_t found = 0;
    for (size_t i = 0; i < cache->count; i++) {
        if (cache->items[i].scope == scope)
            put_member(&cache->items[i], found++ == 0, out);
    }
    return found;
}

static size_t put_named(const struct ps_attribute_cache *cache, enum ps_attribute_scope scope,
                        const struct ps_buf *names, struct ps_buf *out)
{
    size_t found = 0;
    for (size_t at = 0; at < names->len;) {
        const char *name = names->data + at;
        size_t len = strlen(name);
        const struct ps_attribute *item = ps_attribute_cache_find(cache, scope, name, len);
        if (item)
            put_member(item, found++ == 0, out);
        at += len + 1;
    }
    return found;
}

/* `"client":{...}`, or nothing at all if nothing is found. */
static bool put_scope(const struct ps_attribute_cache *cache, enum ps_attribute_scope scope,
                      const char *label, const struct ps_buf *names, bool first, struct ps_buf *out)
{
    size_t before = out->len;
    ps_buf_printf(out, "%s\"%s\":{", first ? "" : ",", label);
    size_t found = names ? put_named(cache, scope, names, out) : put_all(cache, scope, out);
    ps_buf_put_char(out, '}');
    if (!found)
        out->len = before;
    return found > 0;
}

bool ps_actor_put_attributes(const struct ps_actor *actor,
                             const struct ps_wanted_attributes *wanted, struct ps_buf *out)
{
    bool found = false;
    ps_buf_put_char(out, '{');
    if (wanted->client)
        found = put_scope(&actor->attributes, PS_SCOPE_CLIENT, "client", wanted->client_names, true,
                          out);
    if (wanted->shared)
        found |= put_scope(&actor->attributes, PS_SCOPE_SHARED, "shared", wanted->shared_names,
                           !found, out);
    ps_buf_put_char(out, '}');
    return found;
}
