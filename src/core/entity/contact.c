#include "core/entity/contact.h"

#include <stdlib.h>

#include "core/entity/contact_row.h"

void ps_contact_deinit(struct ps_contact *contact)
{
    free(contact->country);
    free(contact->state);
    free(contact->city);
    free(contact->address);
    free(contact->address2);
    free(contact->zip);
    free(contact->phone);
    free(contact->email);
    *contact = (struct ps_contact){ 0 };
}

struct ps_contact ps_contact_read(struct ps_row *row)
{
    struct ps_contact contact;
    contact.country = ps_row_text(row);
    contact.state = ps_row_text(row);
    contact.city = ps_row_text(row);
    contact.address = ps_row_text(row);
    contact.address2 = ps_row_text(row);
    contact.zip = ps_row_text(row);
    contact.phone = ps_row_text(row);
    contact.email = ps_row_text(row);
    return contact;
}

void ps_contact_bind(struct ps_args *args, const struct ps_contact *contact)
{
    ps_args_text(args, contact->country);
    ps_args_text(args, contact->state);
    ps_args_text(args, contact->city);
    ps_args_text(args, contact->address);
    ps_args_text(args, contact->address2);
    ps_args_text(args, contact->zip);
    ps_args_text(args, contact->phone);
    ps_args_text(args, contact->email);
}
