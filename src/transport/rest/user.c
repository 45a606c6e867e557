#include "transport/rest/user.h"

#include <jansson.h>

#include "core/json_text.h"
#include "transport/rest/call.h"
#include "transport/rest/routes.h"

/* The stored object with the read-only members of section 7.3 on top. */
static void put_info_with_state(struct ps_buf *buf, const struct ps_user *user)
{
    const char *stored = user->additional_info ? user->additional_info : "{}";
    json_t *info = json_loads(stored, 0, NULL);
    ps_buf_put_char(buf, '{');
    const char *key;
    json_t *value;
    json_object_foreach(info, key, value)
    {
        ps_answer_name(buf, key);
        ps_answer_put_json(buf, value);
    }
    json_decref(info);
    ps_answer_bool(buf, "userCredentialsEnabled", user->enabled);
    ps_answer_bool(buf, "userActivated", user->activated);
    ps_answer_int(buf, "lastLoginTs", user->last_login_ms);
    ps_buf_put_char(buf, '}');
}

void ps_rest_put_user(struct ps_buf *buf, const struct ps_user *user, bool with_state)
{
    ps_answer_item(buf);
    ps_buf_put_char(buf, '{');
    ps_answer_ref(buf, "id", PS_ENTITY_USER, &user->id);
    ps_answer_int(buf, "createdTime", user->created_ms);
    ps_answer_ref(buf, "tenantId", PS_ENTITY_TENANT, &user->tenant);
    ps_answer_ref(buf, "customerId", PS_ENTITY_CUSTOMER, &user->customer);
    ps_answer_text(buf, "email", user->email);
    ps_answer_text(buf, "authority", ps_authority_name(user->authority));
    ps_answer_text(buf, "firstName", user->first_name);
    ps_answer_text(buf, "lastName", user->last_name);
    ps_answer_text(buf, "phone", user->phone);
    ps_answer_text(buf, "name", user->email);
    ps_answer_int(buf, "version", user->version);
    if (with_state) {
        ps_answer_name(buf, "additionalInfo");
        put_info_with_state(buf, user);
    } else {
        ps_answer_raw(buf, "additionalInfo", user->additional_info ? user->additional_info : "{}");
    }
    ps_buf_put_char(buf, '}');
}

void ps_rest_user_get(struct ps_rest_call *call)
{
    struct ps_uuid id;
    struct ps_user user;
    if (!ps_rest_uuid(call, call->captures[0], &id))
        return;
    enum ps_status st = ps_user_get(call->db, &id, &user);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_USER, &id);
        return;
    }
    struct ps_ownership owner = { user.tenant, user.customer, user.id };
    if (ps_rest_allowed(call, PS_RESOURCE_USER, PS_READ, &owner, PS_ENTITY_USER, &id))
        ps_rest_put_user(ps_rest_json(call), &user, true);
    ps_user_deinit(&user);
}

void ps_rest_user_list(struct ps_rest_call *call)
{
    struct ps_page_query page;
    struct ps_user_list list;
    if (!ps_rest_page(call, &page))
        return;
    const struct ps_user_filter filter = {
        .tenant = call->principal->tenant,
        .customer = call->principal->customer, /* a tenant administrator has none: all users */
    };
    enum ps_status st = ps_user_list(call->db, &filter, &page, &list);
    if (st != PS_OK) {
        ps_http_reply_failure(call->reply, st, "Unknown sort property");
        return;
    }
    struct ps_buf *buf = ps_rest_page_begin(call);
    for (size_t i = 0; i < list.count; i++)
        ps_rest_put_user(buf, &list.items[i], false);
    ps_rest_page_end(call, &page, list.total);
    ps_user_list_deinit(&list);
}
