/* device_profile: what devices of a kind have in common: transport, rule chain, alarm rules. */
#ifndef PS_CORE_ENTITY_DEVICE_PROFILE_H
#define PS_CORE_ENTITY_DEVICE_PROFILE_H

#include "core/entity/page.h"
#include "core/storage/db.h"
#include "core/text.h"

enum ps_transport_type { PS_TRANSPORT_DEFAULT, PS_TRANSPORT_MQTT, PS_TRANSPORT_COAP };

/** "DEFAULT", "MQTT", "COAP". */
const char *ps_transport_type_name(enum ps_transport_type type);
PS_MUST_CHECK
enum ps_status ps_transport_type_parse(const char *text, size_t len, enum ps_transport_type *out);

struct ps_device_profile {
    struct ps_uuid id; /* null = not saved yet */
    int64_t created_ms;
    struct ps_uuid tenant;
    char *name; /* unique per tenant */
    char *description;
    char *image;
    enum ps_transport_type transport_type;
    char *provision_type;              /* NULL on save = "DISABLED" */
    char *provision_device_key;        /* unique over the installation */
    struct ps_uuid default_rule_chain; /* PS_UUID_NULL = the tenant's root chain */
    struct ps_uuid default_dashboard;  /* PS_UUID_NULL = none */
    char *default_queue_name;
    char *external_id;
    bool is_default;    /* read only; ps_device_profile_set_default() */
    char *profile_data; /* JSON text; NULL on save = the default shape */
    int64_t version;    /* 0 on save = overwrite */
};

struct ps_device_profile_list {
    struct ps_device_profile *items;
    size_t count;
    int64_t total;
};

void ps_device_profile_deinit(struct ps_device_profile *profile);
void ps_device_profile_list_deinit(struct ps_device_profile_list *list);

/** Of any tenant: the caller checks. */
PS_MUST_CHECK
enum ps_status ps_device_profile_get(struct ps_db *db, const struct ps_uuid *id,
                                     struct ps_device_profile *out);
PS_MUST_CHECK
enum ps_status ps_device_profile_get_default(struct ps_db *db, const struct ps_uuid *tenant,
                                             struct ps_device_profile *out);
PS_MUST_CHECK
enum ps_status ps_device_profile_find_by_name(struct ps_db *db, const struct ps_uuid *tenant,
                                              const char *name, size_t len,
                                              struct ps_device_profile *out);

struct ps_device_profile_filter {
    struct ps_uuid tenant;
    const enum ps_transport_type *transport_type; /* NULL = any */
    bool in_use;                                  /* only profiles that some device has */
};
/** Sort: createdTime, name, type, transportType, description, isDefault. Search: name. */
PS_MUST_CHECK
enum ps_status ps_device_profile_list(struct ps_db *db,
                                      const struct ps_device_profile_filter *filter,
                                      const struct ps_page_query *page,
                                      struct ps_device_profile_list *out);

/**
 * Create (null id) or replace. On PS_OK id, created_ms, version, is_default and defaulted members
 * are those stored.
 *
 * Returns: PS_OK; PS_EEXISTS name or provision key taken; PS_EINVAL; PS_ENOTFOUND; PS_ECONFLICT.
 *          `why` is the contract's message.
 * Thread:  writer.
 */
PS_MUST_CHECK
enum ps_status ps_device_profile_save(struct ps_db *db, struct ps_device_profile *profile,
                                      struct ps_text *why);
/** Make it the tenant's default instead of the present one. Atomic on its own. */
PS_MUST_CHECK
enum ps_status ps_device_profile_set_default(struct ps_db *db, const struct ps_uuid *id);
/** Returns: PS_OK; PS_ENOTFOUND; PS_EINVAL it is the default or in use, `why` says which. */
PS_MUST_CHECK
enum ps_status ps_device_profile_delete(struct ps_db *db, const struct ps_uuid *id,
                                        struct ps_text *why);

#endif
