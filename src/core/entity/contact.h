/* contact: the address fields that tenants and customers share. */
#ifndef PS_CORE_ENTITY_CONTACT_H
#define PS_CORE_ENTITY_CONTACT_H

/* Every member is owned, terminated text or NULL. */
struct ps_contact {
    char *country, *state, *city, *address, *address2, *zip, *phone, *email;
};

void ps_contact_deinit(struct ps_contact *contact);

#endif
