#include "core/entity/device_identity.h"

#include <stdlib.h>
#include <string.h>

#include "core/entity/row.h"

#define SELECT                                                                                     \
    "SELECT d.id, d.tenant, d.customer, d.profile, p.default_rule_chain, p.transport_type, "       \
    "c.type,"                                                                                      \
    " d.is_gateway, d.name, d.label, p.name, c.credentials_id, c.credentials_value"                \
    " FROM device_credentials c JOIN device d ON d.id = c.device"                                  \
    " JOIN device_profile p ON p.id = d.profile"

enum { FIRST_TEXT = 8, TEXTS = 5 };

/* Where the texts go, in the order of the columns. */
struct text_place {
    const char **text;
    uint32_t *len;
};

static void copy_texts(struct ps_stmt *stmt, const struct text_place places[TEXTS], char *to)
{
    for (int i = 0; i < TEXTS; i++) {
        size_t len;
        const char *bytes = ps_stmt_bytes(stmt, FIRST_TEXT + i, &len);
        *places[i].text = bytes ? to : NULL;
        *places[i].len = (uint32_t)len;
        if (!bytes)
            continue;
        memcpy(to, bytes, len);
        to[len] = '\0';
        to += len + 1;
    }
}

static enum ps_status read_identity(struct ps_row *row, void *out)
{
    size_t text_bytes = 0;
    for (int i = 0; i < TEXTS; i++) {
        size_t len;
        (void)ps_stmt_bytes(row->stmt, FIRST_TEXT + i, &len);
        text_bytes += len + 1;
    }
    struct ps_device_identity *identity = malloc(sizeof *identity + text_bytes);
    if (!identity)
        return PS_ENOMEM;
    memset(identity, 0, sizeof *identity);
    atomic_init(&identity->references, 1);
    identity->device = ps_row_uuid(row);
    identity->tenant = ps_row_uuid(row);
    identity->customer = ps_row_uuid(row);
    identity->profile = ps_row_uuid(row);
    identity->default_rule_chain = ps_row_uuid(row);
    identity->transport_type = (enum ps_transport_type)ps_row_int(row);
    identity->credentials_type = (enum ps_credentials_type)ps_row_int(row);
    identity->is_gateway = ps_row_int(row) != 0;
    const struct text_place places[TEXTS] = {
        { &identity->name, &identity->name_len },
        { &identity->label, &identity->label_len },
        { &identity->profile_name, &identity->profile_name_len },
        { &identity->credentials_id, &identity->credentials_id_len },
        { &identity->credentials_value, &identity->credentials_value_len },
    };
    copy_texts(row->stmt, places, (char *)(identity + 1));
    *(struct ps_device_identity **)out = identity;
    return PS_OK;
}

enum ps_status ps_credentials_find(struct ps_db *db, const char *credentials_id, size_t len,
                                   struct ps_device_identity **out)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(db, SELECT " WHERE c.credentials_id = ?", &args);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_text(args.stmt, 1, credentials_id, len);
    return ps_row_find(args.stmt, read_identity, out);
}

enum ps_status ps_device_identity_find(struct ps_db *db, const struct ps_uuid *device,
                                       struct ps_device_identity **out)
{
    return ps_row_find_by_id(db, SELECT " WHERE c.device = ?", device, read_identity, out);
}

struct ps_device_identity *ps_device_identity_retain(struct ps_device_identity *identity)
{
    atomic_fetch_add_explicit(&identity->references, 1, memory_order_relaxed);
    return identity;
}

void ps_device_identity_release(struct ps_device_identity *identity)
{
    /* acquire and release: whoever frees must see what all others did with it */
    if (identity && atomic_fetch_sub_explicit(&identity->references, 1, memory_order_acq_rel) == 1)
        free(identity);
}
