/* entity_world: an installed database with one tenant, and the few entities that many tests need.
 */
#ifndef PS_TESTS_ENTITY_WORLD_H
#define PS_TESTS_ENTITY_WORLD_H

#include <string.h>

#include "core/entity/customer.h"
#include "core/entity/device.h"
#include "core/entity/install.h"
#include "core/entity/rule_chain.h"
#include "core/entity/tenant.h"
#include "core/entity/user.h"
#include "unit/core_storage/temp_db.h"

struct entity_world {
    struct temp_db temp;
    struct ps_db *db;
    struct ps_uuid tenant;
    struct ps_text why;
};

static inline struct ps_uuid world_tenant(struct entity_world *world, const char *title)
{
    struct ps_tenant tenant = { .title = strdup(title) };
    assert_int_equal(ps_tenant_save(world->db, &tenant, &world->why), PS_OK);
    struct ps_uuid id = tenant.id;
    ps_tenant_deinit(&tenant);
    return id;
}

static inline struct ps_uuid world_customer(struct entity_world *world, const char *title)
{
    struct ps_customer customer = { .tenant = world->tenant, .title = strdup(title) };
    assert_int_equal(ps_customer_save(world->db, &customer, &world->why), PS_OK);
    struct ps_uuid id = customer.id;
    ps_customer_deinit(&customer);
    return id;
}

/* A device with that access token; NULL = a random one. */
static inline struct ps_uuid world_device(struct entity_world *world, const char *name,
                                          const char *token)
{
    struct ps_device device = { .tenant = world->tenant, .name = strdup(name) };
    struct ps_credentials credentials = { .type = PS_CREDENTIALS_ACCESS_TOKEN };
    credentials.credentials_id = token ? strdup(token) : NULL;
    assert_int_equal(ps_device_save(world->db, &device, token ? &credentials : NULL, &world->why),
                     PS_OK);
    struct ps_uuid id = device.id;
    ps_device_deinit(&device);
    ps_credentials_deinit(&credentials);
    return id;
}

/* SELECT count(*) FROM <rest> */
static inline int64_t world_count(struct entity_world *world, const char *rest)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", rest);
    return temp_db_number(world->db, sql);
}

static inline int world_setup(void **state)
{
    struct entity_world *world = calloc(1, sizeof *world);
    char password[PS_INSTALL_PASSWORD_SIZE];
    temp_db_init(&world->temp);
    world->db = world->temp.db;
    assert_int_equal(ps_install(world->db, false, password), PS_OK);
    world->tenant = world_tenant(world, "Acme");
    *state = world;
    return 0;
}

static inline int world_teardown(void **state)
{
    struct entity_world *world = *state;
    temp_db_deinit(&world->temp);
    free(world);
    return 0;
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

#endif
