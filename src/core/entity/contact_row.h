/* contact_row: the contact columns, in the order in which all tables and statements have them. */
#ifndef PS_CORE_ENTITY_CONTACT_ROW_H
#define PS_CORE_ENTITY_CONTACT_ROW_H

#include "core/entity/contact.h"
#include "core/entity/row.h"

#define PS_CONTACT_COLUMNS "country, state, city, address, address2, zip, phone, email"
#define PS_CONTACT_VALUES "?, ?, ?, ?, ?, ?, ?, ?"
#define PS_CONTACT_ASSIGN                                                                          \
    "country = ?, state = ?, city = ?, address = ?, address2 = ?, zip = ?, phone = ?, email = ?"

struct ps_contact ps_contact_read(struct ps_row *row);
void ps_contact_bind(struct ps_args *args, const struct ps_contact *contact);

#endif
