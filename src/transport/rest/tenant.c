/* tenant: reading tenants: section 7.1 of the REST contract. */
#include "core/entity/tenant.h"

#include "transport/rest/call.h"
#include "transport/rest/contact.h"
#include "transport/rest/routes.h"

static void put_tenant(struct ps_buf *buf, const struct ps_tenant *tenant, bool info)
{
    ps_answer_item(buf);
    ps_buf_put_char(buf, '{');
    ps_answer_ref(buf, "id", PS_ENTITY_TENANT, &tenant->id);
    ps_answer_int(buf, "createdTime", tenant->created_ms);
    ps_answer_ref(buf, "tenantProfileId", PS_ENTITY_TENANT_PROFILE, &tenant->profile);
    ps_answer_text(buf, "title", tenant->title);
    ps_answer_text(buf, "name", tenant->title);
    ps_answer_text(buf, "region", tenant->region);
    ps_rest_put_contact(buf, &tenant->contact);
    ps_answer_int(buf, "version", tenant->version);
    ps_answer_raw(buf, "additionalInfo", tenant->additional_info);
    if (info)
        ps_answer_text(buf, "tenantProfileName", tenant->profile_name);
    ps_buf_put_char(buf, '}');
}

static void get_tenant(struct ps_rest_call *call, bool info)
{
    struct ps_uuid id;
    struct ps_tenant tenant;
    if (!ps_rest_uuid(call, call->captures[0], &id))
        return;
    struct ps_ownership owner = { id, PS_UUID_NULL, PS_UUID_NULL };
    if (!ps_rest_allowed(call, PS_RESOURCE_TENANT, PS_READ, &owner, PS_ENTITY_TENANT, &id))
        return;
    enum ps_status st = ps_tenant_get(call->db, &id, &tenant);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_TENANT, &id);
        return;
    }
    put_tenant(ps_rest_json(call), &tenant, info);
    ps_tenant_deinit(&tenant);
}

void ps_rest_tenant_get(struct ps_rest_call *call)
{
    get_tenant(call, false);
}

void ps_rest_tenant_get_info(struct ps_rest_call *call)
{
    get_tenant(call, true);
}

void ps_rest_tenant_list(struct ps_rest_call *call)
{
    struct ps_page_query page;
    struct ps_tenant_list list;
    if (!ps_rest_page(call, &page))
        return;
    enum ps_status st = ps_tenant_list(call->db, &page, &list);
    if (st != PS_OK) {
        ps_http_reply_failure(call->reply, st, "Unknown sort property");
        return;
    }
    struct ps_buf *buf = ps_rest_page_begin(call);
    for (size_t i = 0; i < list.count; i++)
        put_tenant(buf, &list.items[i], false);
    ps_rest_page_end(call, &page, list.total);
    ps_tenant_list_deinit(&list);
}
