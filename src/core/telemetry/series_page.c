#include "core/telemetry/series_page.h"

#include <string.h>
#include <xxhash.h>

enum {
    VERSION = 1,
    HEAD_BYTES = 1 + 8,
    NEXT_ID = 1,
    SAME_ENTITY = 2,
    KEY_SHIFT = 2,
    KEY_NEW = 0,
    KEY_FAR = 63, /* numbers from 62 on */
};

/* ---- writing ---- */

void ps_series_page_writer_deinit(struct ps_series_page_writer *writer)
{
    ps_buf_deinit(&writer->body);
}

void ps_series_page_writer_reset(struct ps_series_page_writer *writer)
{
    ps_buf_clear(&writer->body);
    writer->count = 0;
    writer->before = (struct ps_run_series){ 0 };
    writer->key_count = 0;
    memset(writer->slots, 0, sizeof writer->slots);
}

static bool is_key(const struct ps_series_page_writer *writer, unsigned number,
                   const struct ps_run_series *series)
{
    const struct ps_series_page_key *key = &writer->keys[number];
    return key->len == series->key_len &&
           memcmp(writer->body.data + key->at, series->key, key->len) == 0;
}

/* Where the key's number is, or goes: there are more slots than keys. */
static uint16_t *slot_of(struct ps_series_page_writer *writer, const struct ps_run_series *series)
{
    size_t slot = (size_t)XXH3_64bits(series->key, series->key_len);
    for (;; slot++) {
        uint16_t *found = &writer->slots[slot % PS_SERIES_PAGE_SLOTS];
        if (!*found || is_key(writer, *found - 1u, series))
            return found;
    }
}

static void put_new_key(struct ps_series_page_writer *writer, const struct ps_run_series *series,
                        uint16_t *slot)
{
    ps_varint_put(&writer->body, series->key_len);
    if (writer->key_count < PS_SERIES_PAGE_KEYS_MAX) {
        writer->keys[writer->key_count++] =
            (struct ps_series_page_key){ .at = (uint32_t)writer->body.len,
                                         .len = (uint32_t)series->key_len };
        *slot = (uint16_t)writer->key_count;
    }
    ps_buf_put(&writer->body, series->key, series->key_len);
}

static bool same_entity(const struct ps_entity_id *a, const struct ps_entity_id *b)
{
    return a->type == b->type && memcmp(&a->id, &b->id, sizeof a->id) == 0;
}

static unsigned flags_of(const struct ps_series_page_writer *writer,
                         const struct ps_run_series *series)
{
    unsigned flags = 0;
    if (series->id == (uint64_t)writer->before.id + 1)
        flags |= NEXT_ID;
    if (writer->count && same_entity(&series->entity, &writer->before.entity))
        flags |= SAME_ENTITY;
    return flags;
}

static void put_entity(struct ps_buf *out, const struct ps_entity_id *entity)
{
    ps_buf_put_char(out, (char)entity->type);
    ps_buf_put(out, &entity->id, sizeof entity->id);
}

static void put_entry(struct ps_series_page_writer *writer, const struct ps_run_series *series)
{
    struct ps_buf *out = &writer->body;
    uint16_t *slot = slot_of(writer, series);
    unsigned flags = flags_of(writer, series);
    unsigned key = *slot < KEY_FAR ? *slot : KEY_FAR;
    ps_buf_put_char(out, (char)(flags | key << KEY_SHIFT));
    if (!(flags & NEXT_ID))
        ps_varint_put(out, series->id - writer->before.id);
    if (!(flags & SAME_ENTITY))
        put_entity(out, &series->entity);
    if (key == KEY_NEW)
        put_new_key(writer, series, slot);
    else if (key == KEY_FAR)
        ps_varint_put(out, *slot - 1u);
}

enum ps_status ps_series_page_add(struct ps_series_page_writer *writer,
                                  const struct ps_run_series *series)
{
    static const char head[HEAD_BYTES] = { VERSION };
    enum { ENTRY_BYTES_MAX = 1 + PS_VARINT_BYTES_MAX + 17 + PS_VARINT_BYTES_MAX };
    PS_ASSERT(!writer->count || series->id > writer->before.id);
    if (!ps_buf_reserve(&writer->body, HEAD_BYTES + ENTRY_BYTES_MAX + series->key_len)) {
        writer->body.failed = false;
        return PS_ENOMEM;
    }
    if (!writer->count)
        ps_buf_put(&writer->body, head, sizeof head);
    put_entry(writer, series);
    writer->before = *series;
    writer->before.key = NULL;
    writer->count++;
    return PS_OK;
}

const struct ps_buf *ps_series_page_finish(struct ps_series_page_writer *writer)
{
    PS_ASSERT(writer->count > 0);
    uint64_t sum = XXH3_64bits(writer->body.data + HEAD_BYTES, writer->body.len - HEAD_BYTES);
    memcpy(writer->body.data + 1, &sum, sizeof sum);
    return &writer->body;
}

/* ---- reading ---- */

enum ps_status ps_series_page_open(struct ps_series_page *page, const void *bytes, size_t len)
{
    const uint8_t *start = bytes;
    uint64_t sum;
    if (len < HEAD_BYTES || len > UINT32_MAX || start[0] != VERSION)
        return PS_EPROTO;
    memcpy(&sum, start + 1, sizeof sum);
    if (sum != XXH3_64bits(start + HEAD_BYTES, len - HEAD_BYTES))
        return PS_EPROTO;
    page->start = start;
    page->in = (struct ps_byte_cursor){ start + HEAD_BYTES, start + len };
    page->has_before = false;
    page->before = (struct ps_run_series){ 0 };
    page->key_count = 0;
    return PS_OK;
}

static bool take_id(struct ps_series_page *page, uint8_t flags, uint32_t *out)
{
    uint32_t before = page->before.id;
    size_t distance = 1;
    if (!(flags & NEXT_ID) && !ps_cursor_count(&page->in, UINT32_MAX - before, &distance))
        return false;
    if (distance > UINT32_MAX - before || (distance == 0 && page->has_before))
        return false;
    *out = before + (uint32_t)distance;
    return true;
}

static bool take_entity(struct ps_series_page *page, uint8_t flags, struct ps_entity_id *out)
{
    const uint8_t *id;
    uint8_t type;
    if (flags & SAME_ENTITY) {
        *out = page->before.entity;
        return page->has_before;
    }
    if (!ps_cursor_byte(&page->in, &type) || !ps_cursor_bytes(&page->in, sizeof out->id, &id))
        return false;
    out->type = ps_run_series_type(type);
    memcpy(&out->id, id, sizeof out->id);
    return true;
}

static bool take_new_key(struct ps_series_page *page, struct ps_run_series *out)
{
    const uint8_t *key;
    if (!ps_cursor_count(&page->in, ps_cursor_left(&page->in), &out->key_len) ||
        !ps_cursor_bytes(&page->in, out->key_len, &key))
        return false;
    out->key = (const char *)key;
    if (page->key_count < PS_SERIES_PAGE_KEYS_MAX)
        page->keys[page->key_count++] =
            (struct ps_series_page_key){ .at = (uint32_t)(key - page->start),
                                         .len = (uint32_t)out->key_len };
    return true;
}

static bool take_key(struct ps_series_page *page, uint8_t flags, struct ps_run_series *out)
{
    size_t number = flags >> KEY_SHIFT;
    if (number == KEY_NEW)
        return take_new_key(page, out);
    number--;
    if (number == KEY_FAR - 1 && !ps_cursor_count(&page->in, PS_SERIES_PAGE_KEYS_MAX - 1, &number))
        return false;
    if (number >= page->key_count)
        return false;
    out->key = (const char *)page->start + page->keys[number].at;
    out->key_len = page->keys[number].len;
    return true;
}

enum ps_status ps_series_page_next(struct ps_series_page *page, struct ps_run_series *out)
{
    struct ps_run_series series;
    uint8_t flags;
    if (!ps_cursor_byte(&page->in, &flags))
        return PS_ENOTFOUND;
    if (!take_id(page, flags, &series.id) || !take_entity(page, flags, &series.entity) ||
        !take_key(page, flags, &series))
        return PS_EPROTO;
    page->has_before = true;
    page->before = series;
    *out = series;
    return PS_OK;
}
