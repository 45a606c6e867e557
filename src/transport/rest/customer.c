/* customer: reading customers: section 7.4 of the REST contract. */
#include "core/entity/customer.h"

#include <string.h>

#include "transport/rest/call.h"
#include "transport/rest/contact.h"
#include "transport/rest/routes.h"

static void put_customer(struct ps_buf *buf, const struct ps_customer *customer)
{
    ps_answer_item(buf);
    ps_buf_put_char(buf, '{');
    ps_answer_ref(buf, "id", PS_ENTITY_CUSTOMER, &customer->id);
    ps_answer_int(buf, "createdTime", customer->created_ms);
    ps_answer_ref(buf, "tenantId", PS_ENTITY_TENANT, &customer->tenant);
    ps_answer_text(buf, "title", customer->title);
    ps_answer_text(buf, "name", customer->title);
    ps_rest_put_contact(buf, &customer->contact);
    ps_answer_external_id(buf, PS_ENTITY_CUSTOMER, customer->external_id);
    ps_answer_int(buf, "version", customer->version);
    ps_answer_raw(buf, "additionalInfo", customer->additional_info);
    ps_buf_put_char(buf, '}');
}

void ps_rest_customer_get(struct ps_rest_call *call)
{
    struct ps_uuid id;
    struct ps_customer customer;
    if (!ps_rest_uuid(call, call->captures[0], &id))
        return;
    enum ps_status st = ps_customer_get(call->db, &id, &customer);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_CUSTOMER, &id);
        return;
    }
    struct ps_ownership owner = { customer.tenant, customer.id, PS_UUID_NULL };
    if (ps_rest_allowed(call, PS_RESOURCE_CUSTOMER, PS_READ, &owner, PS_ENTITY_CUSTOMER, &id))
        put_customer(ps_rest_json(call), &customer);
    ps_customer_deinit(&customer);
}

void ps_rest_customer_list(struct ps_rest_call *call)
{
    struct ps_page_query page;
    struct ps_customer_list list;
    if (!ps_rest_page(call, &page))
        return;
    enum ps_status st = ps_customer_list(call->db, &call->principal->tenant, &page, &list);
    if (st != PS_OK) {
        ps_http_reply_failure(call->reply, st, "Unknown sort property");
        return;
    }
    struct ps_buf *buf = ps_rest_page_begin(call);
    for (size_t i = 0; i < list.count; i++)
        put_customer(buf, &list.items[i]);
    ps_rest_page_end(call, &page, list.total);
    ps_customer_list_deinit(&list);
}

void ps_rest_customer_by_title(struct ps_rest_call *call)
{
    const char *title;
    struct ps_customer customer;
    if (!ps_rest_required(call, "customerTitle", &title))
        return;
    enum ps_status st = ps_customer_find_by_title(call->db, &call->principal->tenant, title,
                                                  strlen(title), &customer);
    if (st == PS_ENOTFOUND) {
        ps_http_reply_error(call->reply, 404, PS_HTTP_NOT_FOUND,
                            "Customer with title [%s] is not found", title);
    } else if (ps_rest_changed(call, st, NULL)) {
        put_customer(ps_rest_json(call), &customer);
        ps_customer_deinit(&customer);
    }
}
