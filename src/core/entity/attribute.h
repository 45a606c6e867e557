/* attribute: the current values of an entity, in three scopes. */
#ifndef PS_CORE_ENTITY_ATTRIBUTE_H
#define PS_CORE_ENTITY_ATTRIBUTE_H

#include "core/entity/attribute_scope.h"
#include "core/storage/db.h"
#include "core/value.h"

struct ps_attribute {
    enum ps_attribute_scope scope;
    char *key; /* owned, terminated */
    uint32_t key_len;
    struct ps_value value; /* STRING and JSON text is owned by the list, terminated */
    int64_t updated_ms;
};

struct ps_attribute_list {
    struct ps_attribute *items;
    size_t count;
};

void ps_attribute_list_deinit(struct ps_attribute_list *list);

/** Name in REST paths: "CLIENT_SCOPE", "SHARED_SCOPE", "SERVER_SCOPE". */
const char *ps_attribute_scope_name(enum ps_attribute_scope scope);
PS_MUST_CHECK
enum ps_status ps_attribute_scope_parse(const char *text, size_t len, enum ps_attribute_scope *out);

/** Create or replace one; a NULL value is PS_EINVAL. Thread: writer. */
PS_MUST_CHECK
enum ps_status ps_attribute_put(struct ps_db *db, const struct ps_entity_id *entity,
                                enum ps_attribute_scope scope, const struct ps_kv *kv,
                                int64_t updated_ms);
/** Returns: PS_OK, PS_ENOTFOUND. Thread: writer. */
PS_MUST_CHECK
enum ps_status ps_attribute_delete(struct ps_db *db, const struct ps_entity_id *entity,
                                   enum ps_attribute_scope scope, const char *key, size_t key_len);
/** All attributes of an entity. Thread: writer. */
PS_MUST_CHECK
enum ps_status ps_attribute_delete_all(struct ps_db *db, const struct ps_entity_id *entity);

/** Append one to the list if it exists; PS_OK either way. The list starts zeroed. */
PS_MUST_CHECK
enum ps_status ps_attribute_get(struct ps_db *db, const struct ps_entity_id *entity,
                                enum ps_attribute_scope scope, const char *key, size_t key_len,
                                struct ps_attribute_list *list);
/** Append all, by scope and key. `scope` NULL = all scopes. */
PS_MUST_CHECK
enum ps_status ps_attribute_list(struct ps_db *db, const struct ps_entity_id *entity,
                                 const enum ps_attribute_scope *scope,
                                 struct ps_attribute_list *list);

#endif
