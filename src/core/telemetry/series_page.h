/* series_page: a pack of catalogue rows (which series is whose, and its key), as range files copy
 * them. Bytes only, no I/O.
 *
 *     version 1 | XXH3 of what follows, 8 bytes | entries, by ascending id, to the end
 *
 *     entry   flags: NEXT_ID 1, SAME_ENTITY 2, and above them where the key is
 *             without NEXT_ID: distance from the id before (of the first: from 0), a varint
 *             without SAME_ENTITY: type, 1 byte, and 16 bytes of id
 *             key: 0 = length (varint) and bytes follow; n = the key numbered n - 1;
 *                  63 = its number follows, a varint
 *
 * Keys of a page are numbered as they come, up to PS_SERIES_PAGE_KEYS_MAX: devices of one kind have
 * the same ones, so most entries are a byte, and 17 more for the first of a device. */
#ifndef PS_CORE_TELEMETRY_SERIES_PAGE_H
#define PS_CORE_TELEMETRY_SERIES_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/status.h"
#include "core/telemetry/byte_cursor.h"
#include "core/uuid.h"

enum {
    /* A page is full when it has so many bytes; the last entry goes over it. As of a block
     * (PS_RUN_BLOCK_BYTES): what wastes least of SQLite's pages. */
    PS_SERIES_PAGE_BYTES = 17360,
    PS_SERIES_PAGE_KEYS_MAX = 256,
    PS_SERIES_PAGE_SLOTS = 512, /* twice the keys, a power of two */
};

/* A row of the copied catalogue. */
struct ps_run_series {
    uint32_t id;
    struct ps_entity_id entity; /* a type that this version does not know is PS_ENTITY_NONE */
    const char *key;            /* not terminated; borrowed */
    size_t key_len;
};

/** What disk or database says of an entity's type; one that is not known is PS_ENTITY_NONE. */
static inline enum ps_entity_type ps_run_series_type(int64_t type)
{
#define PS_COUNT_ONE(upper, sentence) +1
    enum { TYPES = 0 PS_ENTITY_TYPE_LIST(PS_COUNT_ONE) };
#undef PS_COUNT_ONE
    return type > 0 && type <= TYPES ? (enum ps_entity_type)type : PS_ENTITY_NONE;
}

struct ps_series_page_key {
    uint32_t at, len; /* in the page */
};

/* Zeroed = an empty page. */
struct ps_series_page_writer {
    struct ps_buf body;
    size_t count;
    struct ps_run_series before; /* its key is not kept */
    unsigned key_count;
    struct ps_series_page_key keys[PS_SERIES_PAGE_KEYS_MAX];
    uint16_t slots[PS_SERIES_PAGE_SLOTS]; /* by the key's hash: its number + 1; 0 = free */
};

void ps_series_page_writer_deinit(struct ps_series_page_writer *writer);
/** Begin another page. */
void ps_series_page_writer_reset(struct ps_series_page_writer *writer);
/** Ids ascend (asserted). Returns: PS_OK; PS_ENOMEM the page is as it was */
PS_MUST_CHECK
enum ps_status ps_series_page_add(struct ps_series_page_writer *writer,
                                  const struct ps_run_series *series);
static inline bool ps_series_page_is_full(const struct ps_series_page_writer *writer)
{
    return writer->body.len >= PS_SERIES_PAGE_BYTES;
}
/** The finished page, of one entry or more: bytes of the writer, until its next call. */
const struct ps_buf *ps_series_page_finish(struct ps_series_page_writer *writer);

/* A page being read; ps_series_page_open() begins. */
struct ps_series_page {
    const uint8_t *start;
    struct ps_byte_cursor in;
    bool has_before;
    struct ps_run_series before;
    unsigned key_count;
    struct ps_series_page_key keys[PS_SERIES_PAGE_KEYS_MAX];
};

/** @param bytes  borrowed while it is read. Returns: PS_OK; PS_EPROTO damaged, or a newer one */
PS_MUST_CHECK
enum ps_status ps_series_page_open(struct ps_series_page *page, const void *bytes, size_t len);
/** The next entry; its key lies in the page. Returns: PS_OK; PS_ENOTFOUND at the end; PS_EPROTO */
PS_MUST_CHECK
enum ps_status ps_series_page_next(struct ps_series_page *page, struct ps_run_series *out);

#endif
