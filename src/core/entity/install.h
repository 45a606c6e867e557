/* install: what a new installation holds before anybody did anything.
 *
 * Always: a default tenant profile, the key that signs tokens, and an id by which a backup knows
 * whose it is. With demo data: the accounts,
 * devices and chains published examples use. Without: one system administrator whose password is
 * generated and shown once. Running it again changes nothing. */
#ifndef PS_CORE_ENTITY_INSTALL_H
#define PS_CORE_ENTITY_INSTALL_H

#include "core/storage/db.h"

enum {
    PS_INSTALL_PASSWORD_SIZE = 25, /* 24 characters and the terminator */
    PS_INSTALL_JWT_KEY_SIZE = 64,  /* 512 bit */
};

/* The setting (setting.h) that holds the id, as text. A restored copy has the same. */
#define PS_INSTALL_ID_SETTING "installation.id"

#define PS_INSTALL_SYSADMIN_EMAIL "sysadmin@thingsboard.org"

/**
 * @param demo      create the demo data, unless it was created once before
 * @param password  filled with the generated password of PS_INSTALL_SYSADMIN_EMAIL if this call
 *                  created that account without demo data, else ""
 * Thread: writer, or main before it starts. Atomic on its own.
 */
PS_MUST_CHECK
enum ps_status ps_install(struct ps_db *db, bool demo, char password[PS_INSTALL_PASSWORD_SIZE]);

/** The key made at install. Returns: PS_OK; PS_ENOTFOUND not installed; PS_ESTORE damaged. */
PS_MUST_CHECK
enum ps_status ps_install_jwt_key(struct ps_db *db, unsigned char out[PS_INSTALL_JWT_KEY_SIZE]);

#endif
