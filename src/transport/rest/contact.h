/* contact: the address members that tenants and customers show alike. */
#ifndef PS_TRANSPORT_REST_CONTACT_H
#define PS_TRANSPORT_REST_CONTACT_H

#include "core/buf.h"
#include "core/entity/contact.h"
#include "transport/rest/answer.h"

/** "country" to "email", in the order of the contract. */
static inline void ps_rest_put_contact(struct ps_buf *buf, const struct ps_contact *contact)
{
    ps_answer_text(buf, "country", contact->country);
    ps_answer_text(buf, "state", contact->state);
    ps_answer_text(buf, "city", contact->city);
    ps_answer_text(buf, "address", contact->address);
    ps_answer_text(buf, "address2", contact->address2);
    ps_answer_text(buf, "zip", contact->zip);
    ps_answer_text(buf, "phone", contact->phone);
    ps_answer_text(buf, "email", contact->email);
}

#endif
