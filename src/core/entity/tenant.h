/* tenant: whoever owns devices, users and rule chains; nothing crosses from one to another.
 *
 * A new tenant comes with a device profile "default" and a "Root Rule Chain". */
#ifndef PS_CORE_ENTITY_TENANT_H
#define PS_CORE_ENTITY_TENANT_H

#include "core/entity/contact.h"
#include "core/entity/page.h"
#include "core/storage/db.h"
#include "core/text.h"

/* Text is owned and terminated; NULL = not set. */
struct ps_tenant {
    struct ps_uuid id; /* null (PS_UUID_NULL or zero) = not saved yet */
    int64_t created_ms;
    struct ps_uuid profile; /* null on save = the default profile */
    char *profile_name;     /* read only */
    char *title, *region;
    struct ps_contact contact;
    int64_t version;       /* 0 on save = overwrite whatever is there */
    char *additional_info; /* JSON text */
};

struct ps_tenant_list {
    struct ps_tenant *items;
    size_t count;
    int64_t total;
};

struct ps_tenant_profile {
    struct ps_uuid id;
    int64_t created_ms;
    char *name, *description;
    char *profile_data; /* JSON text */
    bool is_default;
};

void ps_tenant_deinit(struct ps_tenant *tenant);
void ps_tenant_list_deinit(struct ps_tenant_list *list);
void ps_tenant_profile_deinit(struct ps_tenant_profile *profile);

/** Returns: PS_OK *out is the caller's to deinit; PS_ENOTFOUND; PS_ENOMEM; PS_ESTORE. */
PS_MUST_CHECK
enum ps_status ps_tenant_get(struct ps_db *db, const struct ps_uuid *id, struct ps_tenant *out);
/** Sort: createdTime, title, region, country, state, city, address, zip, phone, email. Search:
 *  title. */
PS_MUST_CHECK
enum ps_status ps_tenant_list(struct ps_db *db, const struct ps_page_query *page,
                              struct ps_tenant_list *out);

/**
 * Create (null id) or replace. On PS_OK id, created_ms, profile and version are those stored.
 *
 * Returns: PS_OK; PS_EINVAL `why` is the contract's message; PS_ENOTFOUND no such id;
 *          PS_ECONFLICT another version is stored; PS_ESTORE.
 * Thread:  writer. Atomic on its own.
 */
PS_MUST_CHECK
enum ps_status ps_tenant_save(struct ps_db *db, struct ps_tenant *tenant, struct ps_text *why);

/** Remove the tenant and all it owns, except journal rows. Returns: PS_OK, PS_ENOTFOUND, PS_ESTORE.
 */
PS_MUST_CHECK
enum ps_status ps_tenant_delete(struct ps_db *db, const struct ps_uuid *id);

PS_MUST_CHECK
enum ps_status ps_tenant_profile_get(struct ps_db *db, const struct ps_uuid *id,
                                     struct ps_tenant_profile *out);
PS_MUST_CHECK
enum ps_status ps_tenant_profile_get_default(struct ps_db *db, struct ps_tenant_profile *out);

#endif
