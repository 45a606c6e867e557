/* attribute: one row a value, clustered by entity, scope and key.
 *
 * A value keeps its type beside it: 5, 5.0, "5" and true are four different things. The database
 * has no NaN; it is stored as NULL. */
#include "core/entity/attribute.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const scope_names[] = {
    [PS_SCOPE_CLIENT] = "CLIENT_SCOPE",
    [PS_SCOPE_SHARED] = "SHARED_SCOPE",
    [PS_SCOPE_SERVER] = "SERVER_SCOPE",
};

const char *ps_attribute_scope_name(enum ps_attribute_scope scope)
{
    return scope_names[scope];
}

enum ps_status ps_attribute_scope_parse(const char *text, size_t len, enum ps_attribute_scope *out)
{
    for (size_t i = 0; i < sizeof scope_names / sizeof *scope_names; i++) {
        if (strlen(scope_names[i]) == len && memcmp(scope_names[i], text, len) == 0) {
            *out = (enum ps_attribute_scope)i;
            return PS_OK;
        }
    }
    return PS_EINVAL;
}

static void attribute_deinit(struct ps_attribute *attribute)
{
    if (attribute->value.type == PS_VALUE_STRING || attribute->value.type == PS_VALUE_JSON)
        free((char *)(uintptr_t)attribute->value.text);
    free(attribute->key);
}

void ps_attribute_list_deinit(struct ps_attribute_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        attribute_deinit(&list->items[i]);
    free(list->items);
    *list = (struct ps_attribute_list){ 0 };
}

/* ---- write ---- */

static void bind_value(struct ps_stmt *stmt, int index, const struct ps_value *value)
{
    switch (value->type) {
    case PS_VALUE_NULL:
        ps_stmt_bind_null(stmt, index);
        break;
    case PS_VALUE_BOOLEAN:
        ps_stmt_bind_int(stmt, index, value->boolean);
        break;
    case PS_VALUE_LONG:
        ps_stmt_bind_int(stmt, index, value->integer);
        break;
    case PS_VALUE_DOUBLE:
        ps_stmt_bind_double(stmt, index, value->real);
        break;
    case PS_VALUE_STRING:
    case PS_VALUE_JSON:
        ps_stmt_bind_text(stmt, index, value->text, value->len);
        break;
    }
}

enum ps_status ps_attribute_put(struct ps_db *db, const struct ps_entity_id *entity,
                                enum ps_attribute_scope scope, const struct ps_kv *kv,
                                int64_t updated_ms)
{
    struct ps_stmt *stmt;
    enum ps_status st = PS_EINVAL;
    if (kv->value.type != PS_VALUE_NULL)
        st = ps_db_prepare(
            db,
            "INSERT INTO attribute(entity, entity_type, scope, key, type, value, updated_ms)"
            " VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT(entity, scope, key) DO UPDATE SET"
            " type = excluded.type, value = excluded.value, updated_ms = excluded.updated_ms",
            &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_uuid(stmt, 1, &entity->id);
    ps_stmt_bind_int(stmt, 2, entity->type);
    ps_stmt_bind_int(stmt, 3, scope);
    ps_stmt_bind_text(stmt, 4, kv->key, kv->key_len);
    ps_stmt_bind_int(stmt, 5, kv->value.type);
    bind_value(stmt, 6, &kv->value);
    ps_stmt_bind_int(stmt, 7, updated_ms);
    return ps_stmt_run(stmt);
}

enum ps_status ps_attribute_delete(struct ps_db *db, const struct ps_entity_id *entity,
                                   enum ps_attribute_scope scope, const char *key, size_t key_len)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(
        db, "DELETE FROM attribute WHERE entity = ? AND scope = ? AND key = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_uuid(stmt, 1, &entity->id);
    ps_stmt_bind_int(stmt, 2, scope);
    ps_stmt_bind_text(stmt, 3, key, key_len);
    st = ps_stmt_run(stmt);
    return st == PS_OK && ps_db_changes(db) == 0 ? PS_ENOTFOUND : st;
}

enum ps_status ps_attribute_delete_all(struct ps_db *db, const struct ps_entity_id *entity)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "DELETE FROM attribute WHERE entity = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_uuid(stmt, 1, &entity->id);
    return ps_stmt_run(stmt);
}

/* ---- read ---- */

/* Owned and terminated; NULL if memory is short. */
static char *copy_column(struct ps_stmt *stmt, int column, uint32_t *len)
{
    size_t bytes_len;
    const char *bytes = ps_stmt_bytes(stmt, column, &bytes_len);
    char *copy = malloc(bytes_len + 1);
    if (!copy)
        return NULL;
    if (bytes_len)
        memcpy(copy, bytes, bytes_len);
    copy[bytes_len] = '\0';
    *len = (uint32_t)bytes_len;
    return copy;
}

static enum ps_status read_value(struct ps_stmt *stmt, int type_column, struct ps_value *value)
{
    int column = type_column + 1;
    int64_t type = ps_stmt_int(stmt, type_column);
    switch (type) {
    case PS_VALUE_BOOLEAN:
        value->boolean = ps_stmt_int(stmt, column) != 0;
        break;
    case PS_VALUE_LONG:
        value->integer = ps_stmt_int(stmt, column);
        break;
    case PS_VALUE_DOUBLE:
        value->real = ps_stmt_is_null(stmt, column) ? (double)NAN : ps_stmt_double(stmt, column);
        break;
    case PS_VALUE_STRING:
    case PS_VALUE_JSON:
        value->text = copy_column(stmt, column, &value->len);
        if (!value->text)
            return PS_ENOMEM;
        break;
    default:
        return PS_ESTORE; /* a type nobody wrote */
    }
    value->type = (enum ps_value_type)type;
    return PS_OK;
}

#define SELECT "SELECT scope, key, type, value, updated_ms FROM attribute"

static enum ps_status read_attribute(struct ps_stmt *stmt, struct ps_attribute *out)
{
    struct ps_attribute attribute = { .scope = (enum ps_attribute_scope)ps_stmt_int(stmt, 0) };
    attribute.key = copy_column(stmt, 1, &attribute.key_len);
    enum ps_status st = attribute.key ? read_value(stmt, 2, &attribute.value) : PS_ENOMEM;
    attribute.updated_ms = ps_stmt_int(stmt, 4);
    if (st == PS_OK)
        *out = attribute;
    else
        free(attribute.key);
    return st;
}

/* Room for one more; the list may have been grown by an earlier call, so by its count alone. */
static enum ps_status grow(struct ps_attribute_list *list)
{
    bool is_full = list->count == 0 || (list->count & (list->count - 1)) == 0;
    if (!is_full)
        return PS_OK;
    void *items = reallocarray(list->items, list->count ? 2 * list->count : 1, sizeof *list->items);
    if (!items)
        return PS_ENOMEM;
    list->items = items;
    return PS_OK;
}

static enum ps_status read_all(struct ps_stmt *stmt, struct ps_attribute_list *list)
{
    enum ps_status st;
    bool found;
    while ((st = ps_stmt_step(stmt, &found)) == PS_OK && found) {
        st = grow(list);
        if (st == PS_OK)
            st = read_attribute(stmt, &list->items[list->count]);
        if (st != PS_OK)
            break;
        list->count++;
    }
    ps_stmt_reset(stmt);
    return st;
}

enum ps_status ps_attribute_get(struct ps_db *db, const struct ps_entity_id *entity,
                                enum ps_attribute_scope scope, const char *key, size_t key_len,
                                struct ps_attribute_list *list)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db, SELECT " WHERE entity = ? AND scope = ? AND key = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_uuid(stmt, 1, &entity->id);
    ps_stmt_bind_int(stmt, 2, scope);
    ps_stmt_bind_text(stmt, 3, key, key_len);
    return read_all(stmt, list);
}

enum ps_status ps_attribute_list(struct ps_db *db, const struct ps_entity_id *entity,
                                 const enum ps_attribute_scope *scope,
                                 struct ps_attribute_list *list)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db,
                      scope ? SELECT " WHERE entity = ? AND scope = ? ORDER BY scope, key"
                            : SELECT " WHERE entity = ? ORDER BY scope, key",
                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_uuid(stmt, 1, &entity->id);
    if (scope)
        ps_stmt_bind_int(stmt, 2, *scope);
    return read_all(stmt, list);
}
