/* Migrations: any older file reaches the present, with a copy kept; a newer one is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "unit/core_storage/temp_db.h"

static const struct ps_migration steps[] = {
    { 1, "CREATE TABLE a(x); INSERT INTO a VALUES(1);" },
    { 2, "CREATE TABLE b(x); INSERT INTO b SELECT x + 10 FROM a;" },
    { 3, "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 20;" },
};

static const struct ps_migration broken[] = {
    { 1, "CREATE TABLE a(x); INSERT INTO a VALUES(1);" },
    { 2, "CREATE TABLE b(x); INSERT INTO nowhere VALUES(1);" },
};

static int setup(void **state)
{
    struct temp_db *temp = calloc(1, sizeof *temp);
    temp_db_init_empty(temp);
    *state = temp;
    return 0;
}

static int teardown(void **state)
{
    temp_db_deinit(*state);
    free(*state);
    return 0;
}

static int64_t version_of(struct ps_db *db)
{
    int64_t version = -1;
    assert_int_equal(ps_db_schema_version(db, &version), PS_OK);
    return version;
}

static bool exists(const struct temp_db *temp, const char *ending)
{
    char path[128];
    snprintf(path, sizeof path, "%s%s", temp->path, ending);
    return access(path, F_OK) == 0;
}

static void an_empty_file_gets_the_whole_schema(void **state)
{
    struct temp_db *temp = *state;
    struct ps_text why;
    assert_int_equal(version_of(temp->db), 0);
    assert_int_equal(ps_db_migrate(temp->db, temp->path, &why), PS_OK);
    assert_int_equal(version_of(temp->db), PS_SCHEMA[PS_SCHEMA_COUNT - 1].version);
    static const char *const tables[] = {
        "journal",         "series",         "attribute", "dead_letter",
        "tenant",          "tenant_profile", "app_user",  "user_credentials",
        "customer",        "device_profile", "device",    "device_credentials",
        "rule_chain",      "rule_node",      "setting",   "rule_connection",
        "revoked_session", "revoked_user",
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
        assert_int_equal(temp_db_number(temp->db, sql), 0);
    }
    assert_false(exists(temp, ".v0.snapshot"));
    temp_db_reopen(temp);
    assert_int_equal(ps_db_migrate(temp->db, temp->path, &why), PS_OK); /* nothing to do */
    assert_int_equal(temp_db_number(temp->db, "SELECT count(*) FROM schema_version"),
                     PS_SCHEMA_COUNT);
}

static void steps_of_the_program_have_no_gaps(void **state)
{
    (void)state;
    for (size_t i = 0; i < PS_SCHEMA_COUNT; i++)
        assert_int_equal(PS_SCHEMA[i].version, i + 1);
}

static void every_older_version_reaches_the_latest(void **state)
{
    struct temp_db *temp = *state;
    struct ps_text why;
    for (size_t from = 0; from <= 3; from++) {
        struct temp_db other;
        (void)temp;
        temp_db_init_empty(&other);
        assert_int_equal(ps_migrations_apply(other.db, other.path, steps, from, &why), PS_OK);
        assert_int_equal(version_of(other.db), from);
        assert_int_equal(ps_migrations_apply(other.db, other.path, steps, 3, &why), PS_OK);
        assert_int_equal(version_of(other.db), 3);
        assert_int_equal(temp_db_number(other.db, "SELECT x FROM b"), 11);
        assert_int_equal(temp_db_number(other.db, "SELECT y FROM a"), 21);
        temp_db_deinit(&other);
    }
}

static void a_copy_of_the_old_file_is_kept(void **state)
{
    struct temp_db *temp = *state;
    struct ps_text why;
    char path[128];
    assert_int_equal(ps_migrations_apply(temp->db, temp->path, steps, 1, &why), PS_OK);
    assert_int_equal(ps_migrations_apply(temp->db, temp->path, steps, 3, &why), PS_OK);
    assert_true(exists(temp, ".v1.snapshot"));
    assert_false(exists(temp, ".v1.snapshot.partial"));
    struct ps_db *copy;
    snprintf(path, sizeof path, "%s.v1.snapshot", temp->path);
    assert_int_equal(ps_db_open(path, PS_DB_READER, &copy, &why), PS_OK);
    assert_int_equal(version_of(copy), 1);
    assert_int_equal(temp_db_number(copy, "SELECT x FROM a"), 1);
    ps_db_close(copy);
}

static void a_step_that_fails_leaves_the_file_as_it_was(void **state)
{
    struct temp_db *temp = *state;
    struct ps_text why = { { 0 } };
    assert_int_equal(ps_migrations_apply(temp->db, temp->path, steps, 1, &why), PS_OK);
    assert_int_equal(ps_migrations_apply(temp->db, temp->path, broken, 2, &why), PS_ESTORE);
    assert_non_null(strstr(why.data, "nothing was changed"));
    assert_non_null(strstr(why.data, "nowhere"));
    assert_int_equal(version_of(temp->db), 1);
    assert_int_equal(
        temp_db_number(temp->db, "SELECT count(*) FROM sqlite_master WHERE name = 'b'"), 0);
    assert_int_equal(ps_migrations_apply(temp->db, temp->path, steps, 3, &why), PS_OK);
}

static void no_copy_means_no_migration(void **state)
{
    struct temp_db *temp = *state;
    struct ps_text why = { { 0 } };
    assert_int_equal(ps_migrations_apply(temp->db, temp->path, steps, 1, &why), PS_OK);
    assert_int_not_equal(ps_migrations_apply(temp->db, "/nowhere/at/all.db", steps, 3, &why),
                         PS_OK);
    assert_non_null(strstr(why.data, "copy"));
    assert_int_equal(version_of(temp->db), 1);
}

static void a_newer_file_is_refused_with_both_versions(void **state)
{
    struct temp_db *temp = *state;
    struct ps_text why = { { 0 } };
    assert_int_equal(ps_migrations_apply(temp->db, temp->path, steps, 3, &why), PS_OK);
    assert_int_equal(ps_migrations_apply(temp->db, temp->path, steps, 2, &why), PS_EUNSUPPORTED);
    assert_non_null(strstr(why.data, "version 3"));
    assert_non_null(strstr(why.data, "up to 2"));
    assert_int_equal(version_of(temp->db), 3);
}

static void somebody_elses_database_is_refused(void **state)
{
    struct temp_db *temp = *state;
    struct ps_text why = { { 0 } };
    assert_int_equal(ps_db_exec(temp->db, "CREATE TABLE mine(x)"), PS_OK);
    assert_int_equal(ps_db_migrate(temp->db, temp->path, &why), PS_EUNSUPPORTED);
    assert_non_null(strstr(why.data, "not one of this program"));
    assert_int_equal(temp_db_number(temp->db, "SELECT count(*) FROM sqlite_master"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(an_empty_file_gets_the_whole_schema),         TEST(steps_of_the_program_have_no_gaps),
        TEST(every_older_version_reaches_the_latest),      TEST(a_copy_of_the_old_file_is_kept),
        TEST(a_step_that_fails_leaves_the_file_as_it_was), TEST(no_copy_means_no_migration),
        TEST(a_newer_file_is_refused_with_both_versions),  TEST(somebody_elses_database_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
