/* device: the things that talk. Sections 7.5 and 7.6 of the REST contract. */
#ifndef PS_CORE_ENTITY_DEVICE_H
#define PS_CORE_ENTITY_DEVICE_H

#include "core/entity/credentials.h"
#include "core/entity/page.h"
#include "core/storage/db.h"
#include "core/text.h"

struct ps_device {
    struct ps_uuid id; /* null = not saved yet */
    int64_t created_ms;
    struct ps_uuid tenant, customer; /* customer: PS_UUID_NULL if none */
    char *name;                      /* unique per tenant, case-sensitive */
    char *type;                      /* the profile's name; on save see ps_device_save() */
    char *label;
    struct ps_uuid profile;
    char *device_data;     /* JSON text; NULL on save = the shape of the profile's transport */
    char *external_id;     /* a UUID as text, or NULL */
    int64_t version;       /* 0 on save = overwrite */
    char *additional_info; /* JSON text */
};

/* A device as lists show it. */
struct ps_device_info {
    struct ps_device device;
    char *customer_title; /* NULL if not assigned */
    bool customer_is_public;
    bool active; /* SERVER attribute "active" */
};

struct ps_device_list {
    struct ps_device_info *items;
    size_t count;
    int64_t total;
};

void ps_device_deinit(struct ps_device *device);
void ps_device_info_deinit(struct ps_device_info *info);
void ps_device_list_deinit(struct ps_device_list *list);

/** Of any tenant: the caller checks. Returns: PS_OK *out is the caller's to deinit; PS_ENOTFOUND;
 *  PS_ENOMEM; PS_ESTORE. */
PS_MUST_CHECK
enum ps_status ps_device_get(struct ps_db *db, const struct ps_uuid *id, struct ps_device *out);
PS_MUST_CHECK
enum ps_status ps_device_get_info(struct ps_db *db, const struct ps_uuid *id,
                                  struct ps_device_info *out);
PS_MUST_CHECK
enum ps_status ps_device_find_by_name(struct ps_db *db, const struct ps_uuid *tenant,
                                      const char *name, size_t len, struct ps_device *out);

/* Which devices; null members do not filter. */
struct ps_device_filter {
    struct ps_uuid tenant;
    struct ps_uuid customer, profile;
    const char *type; /* profile name */
    const bool *active;
    bool search_infos; /* text search also in type and customer title */
};
/** Sort: createdTime, name, type, deviceProfileName, label, customerTitle, active. Search: name,
 *  label. */
PS_MUST_CHECK
enum ps_status ps_device_list(struct ps_db *db, const struct ps_device_filter *filter,
                              const struct ps_page_query *page, struct ps_device_list *out);

/**
 * Create (null id) or replace. The profile is `profile` if set, else the one named `type` (made if
 * it does not exist), else the default one. On PS_OK id, created_ms, profile, type, device_data and
 * version are those stored.
 *
 * @param credentials  for a new device; NULL = an access token of 20 random characters. Only type,
 *                     credentials_id and credentials_value are read
 * Returns: PS_OK; PS_EEXISTS name or credentials id taken; PS_EINVAL; PS_ENOTFOUND no such id in
 *          this tenant; PS_ECONFLICT. `why` is the contract's message.
 * Thread:  writer. Atomic on its own.
 */
PS_MUST_CHECK
enum ps_status ps_device_save(struct ps_db *db, struct ps_device *device,
                              const struct ps_credentials *credentials, struct ps_text *why);

/** Assign to a customer, or to none with PS_UUID_NULL; version + 1. Returns: PS_OK; PS_ENOTFOUND;
 *  PS_EINVAL the customer is not of the device's tenant. */
PS_MUST_CHECK
enum ps_status ps_device_assign(struct ps_db *db, const struct ps_uuid *id,
                                const struct ps_uuid *customer);

/** Remove the device, its credentials, attributes and series; journal rows stay. */
PS_MUST_CHECK
enum ps_status ps_device_delete(struct ps_db *db, const struct ps_uuid *id);

#endif
