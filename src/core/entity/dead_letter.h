/* dead_letter: messages that failed for good, kept for a person to look at. */
#ifndef PS_CORE_ENTITY_DEAD_LETTER_H
#define PS_CORE_ENTITY_DEAD_LETTER_H

#include "core/entity/page.h"
#include "core/storage/db.h"

/* On put everything is borrowed and lengths count; in a list text is owned and terminated too. */
struct ps_dead_letter {
    int64_t id; /* given by the store */
    struct ps_uuid tenant;
    int64_t created_ms;
    struct ps_entity_id originator;
    const char *msg_type, *data, *metadata, *error;
    size_t msg_type_len, data_len, metadata_len, error_len;
    struct ps_uuid chain, node; /* PS_UUID_NULL = unknown */
    int64_t attempts;
};

struct ps_dead_letter_list {
    struct ps_dead_letter *items;
    size_t count;
    int64_t total;
};

void ps_dead_letter_list_deinit(struct ps_dead_letter_list *list);

/** Thread: writer. */
PS_MUST_CHECK
enum ps_status ps_dead_letter_put(struct ps_db *db, const struct ps_dead_letter *letter);
/** Sort: id (default), createdTime, msgType. Search: msgType, error. */
PS_MUST_CHECK
enum ps_status ps_dead_letter_list(struct ps_db *db, const struct ps_uuid *tenant,
                                   const struct ps_page_query *page,
                                   struct ps_dead_letter_list *out);
/** Returns: PS_OK, PS_ENOTFOUND (also: another tenant's). Thread: writer. */
PS_MUST_CHECK
enum ps_status ps_dead_letter_delete(struct ps_db *db, const struct ps_uuid *tenant, int64_t id);
/** Delete the oldest until the rest holds at most `bytes_max` of data, metadata and error text;
 *  *deleted counts them. Thread: writer. */
PS_MUST_CHECK
enum ps_status ps_dead_letter_trim(struct ps_db *db, int64_t bytes_max, int64_t *deleted);

#endif
