/* demo_data: the accounts, devices and chains that published examples use. Section 16 of the REST
 * contract. */
#ifndef PS_CORE_ENTITY_DEMO_DATA_H
#define PS_CORE_ENTITY_DEMO_DATA_H

#include "core/storage/db.h"

/** Create it all, but for the system administrator. Thread: writer, inside a savepoint. */
PS_MUST_CHECK
enum ps_status ps_demo_data_create(struct ps_db *db);

#endif
