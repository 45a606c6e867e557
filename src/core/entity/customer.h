/* customer: a tenant's client, who sees the devices assigned to it. */
#ifndef PS_CORE_ENTITY_CUSTOMER_H
#define PS_CORE_ENTITY_CUSTOMER_H

#include "core/entity/contact.h"
#include "core/entity/page.h"
#include "core/storage/db.h"
#include "core/text.h"

struct ps_customer {
    struct ps_uuid id; /* null = not saved yet */
    int64_t created_ms;
    struct ps_uuid tenant;
    char *title; /* unique per tenant */
    struct ps_contact contact;
    int64_t version; /* 0 on save = overwrite */
    char *additional_info;
    char *external_id; /* a UUID as text, or NULL */
    bool is_public;    /* read only: additional_info.isPublic */
};

struct ps_customer_list {
    struct ps_customer *items;
    size_t count;
    int64_t total;
};

void ps_customer_deinit(struct ps_customer *customer);
void ps_customer_list_deinit(struct ps_customer_list *list);

/** Of any tenant: the caller checks. */
PS_MUST_CHECK
enum ps_status ps_customer_get(struct ps_db *db, const struct ps_uuid *id, struct ps_customer *out);
PS_MUST_CHECK
enum ps_status ps_customer_find_by_title(struct ps_db *db, const struct ps_uuid *tenant,
                                         const char *title, size_t len, struct ps_customer *out);
/** Sort: createdTime, title and the contact fields but address2. Search: title. */
PS_MUST_CHECK
enum ps_status ps_customer_list(struct ps_db *db, const struct ps_uuid *tenant,
                                const struct ps_page_query *page, struct ps_customer_list *out);
/** Create (null id) or replace. Returns: PS_OK; PS_EEXISTS title taken; PS_EINVAL; PS_ENOTFOUND
 *  (also: the id is another tenant's); PS_ECONFLICT. `why` is the contract's message.
 *  Thread: writer. */
PS_MUST_CHECK
enum ps_status ps_customer_save(struct ps_db *db, struct ps_customer *customer,
                                struct ps_text *why);
/** Deletes its users and attributes, unassigns its devices. Atomic on its own. */
PS_MUST_CHECK
enum ps_status ps_customer_delete(struct ps_db *db, const struct ps_uuid *id);

#endif
