/* schema: the tables, as steps from an empty file to the present.
 *
 * A step that has shipped is never edited; a change is a new step. Ids are 16-byte BLOBs, times are
 * Unix milliseconds, JSON is TEXT, a missing reference is NULL. Journal, series and attributes have
 * no foreign keys: they belong to entities of every kind.
 *
 * The SQL is the subset SQLite and PostgreSQL share, but for WITHOUT ROWID and BLOB. */
#include "core/storage/migrations.h"

static const char first_schema[] =
    /* values */
    "CREATE TABLE journal(seq INTEGER PRIMARY KEY, points BLOB NOT NULL);"
    "CREATE TABLE series(id INTEGER PRIMARY KEY, entity_type INTEGER NOT NULL,"
    " entity BLOB NOT NULL, key TEXT NOT NULL, UNIQUE(entity, key));"
    "CREATE TABLE attribute(entity BLOB NOT NULL, entity_type INTEGER NOT NULL,"
    " scope INTEGER NOT NULL, key TEXT NOT NULL, type INTEGER NOT NULL, value,"
    " updated_ms INTEGER NOT NULL, PRIMARY KEY(entity, scope, key)) WITHOUT ROWID;"
    "CREATE TABLE dead_letter(id INTEGER PRIMARY KEY, tenant BLOB NOT NULL,"
    " created_ms INTEGER NOT NULL, originator_type INTEGER NOT NULL, originator BLOB NOT NULL,"
    " msg_type TEXT NOT NULL, data BLOB NOT NULL, metadata TEXT NOT NULL, error TEXT NOT NULL,"
    " chain BLOB, node BLOB, attempts INTEGER NOT NULL);"
    "CREATE INDEX dead_letter_tenant ON dead_letter(tenant, id);"

    /* the installation */
    "CREATE TABLE setting(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE revoked_session(session BLOB PRIMARY KEY, expires_ms INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE revoked_user(user_id BLOB PRIMARY KEY, not_before_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE tenant_profile(id BLOB PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " name TEXT NOT NULL UNIQUE, description TEXT, is_default INTEGER NOT NULL,"
    " profile_data TEXT NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;"

    /* who owns */
    "CREATE TABLE tenant(id BLOB PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " tenant_profile BLOB NOT NULL REFERENCES tenant_profile(id), title TEXT NOT NULL, region TEXT,"
    " country TEXT, state TEXT, city TEXT, address TEXT, address2 TEXT, zip TEXT, phone TEXT,"
    " email TEXT, additional_info TEXT, version INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX tenant_profile_of ON tenant(tenant_profile);"
    "CREATE TABLE customer(id BLOB PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " tenant BLOB NOT NULL REFERENCES tenant(id), title TEXT NOT NULL, country TEXT, state TEXT,"
    " city TEXT, address TEXT, address2 TEXT, zip TEXT, phone TEXT, email TEXT,"
    " is_public INTEGER NOT NULL, additional_info TEXT, external_id TEXT,"
    " version INTEGER NOT NULL, UNIQUE(tenant, title)) WITHOUT ROWID;"
    "CREATE TABLE app_user(id BLOB PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " tenant BLOB REFERENCES tenant(id), customer BLOB REFERENCES customer(id),"
    " authority INTEGER NOT NULL, email TEXT NOT NULL UNIQUE, first_name TEXT, last_name TEXT,"
    " phone TEXT, additional_info TEXT, version INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX app_user_tenant ON app_user(tenant);"
    "CREATE INDEX app_user_customer ON app_user(customer);"
    "CREATE TABLE user_credentials(user_id BLOB PRIMARY KEY"
    " REFERENCES app_user(id) ON DELETE CASCADE, enabled INTEGER NOT NULL, password_hash TEXT,"
    " activate_token TEXT UNIQUE, activate_expires_ms INTEGER NOT NULL, reset_token TEXT UNIQUE,"
    " reset_expires_ms INTEGER NOT NULL, last_login_ms INTEGER NOT NULL,"
    " failed_logins INTEGER NOT NULL) WITHOUT ROWID;"

    /* rules */
    "CREATE TABLE rule_chain(id BLOB PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " tenant BLOB NOT NULL REFERENCES tenant(id), name TEXT NOT NULL, type TEXT NOT NULL,"
    " first_node BLOB, failure_node BLOB, root INTEGER NOT NULL, debug_mode INTEGER NOT NULL,"
    " configuration TEXT, notes TEXT, additional_info TEXT, external_id TEXT,"
    " version INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX rule_chain_tenant ON rule_chain(tenant, name);"
    "CREATE UNIQUE INDEX rule_chain_root ON rule_chain(tenant) WHERE root = 1 AND type = 'CORE';"
    "CREATE TABLE rule_node(id BLOB PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " chain BLOB NOT NULL REFERENCES rule_chain(id) ON DELETE CASCADE, type TEXT NOT NULL,"
    " name TEXT NOT NULL, configuration TEXT NOT NULL, configuration_version INTEGER NOT NULL,"
    " debug_failures INTEGER NOT NULL, debug_all_until_ms INTEGER NOT NULL,"
    " singleton_mode INTEGER NOT NULL, queue_name TEXT, additional_info TEXT, external_id TEXT)"
    " WITHOUT ROWID;"
    "CREATE INDEX rule_node_chain ON rule_node(chain, created_ms, id);"
    "CREATE TABLE rule_connection(chain BLOB NOT NULL REFERENCES rule_chain(id) ON DELETE CASCADE,"
    " from_node BLOB NOT NULL REFERENCES rule_node(id) ON DELETE CASCADE,"
    " to_node BLOB NOT NULL REFERENCES rule_node(id) ON DELETE CASCADE, type TEXT NOT NULL,"
    " PRIMARY KEY(chain, from_node, to_node, type)) WITHOUT ROWID;"
    "CREATE INDEX rule_connection_from ON rule_connection(from_node);"
    "CREATE INDEX rule_connection_to ON rule_connection(to_node);"

    /* things */
    "CREATE TABLE device_profile(id BLOB PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " tenant BLOB NOT NULL REFERENCES tenant(id), name TEXT NOT NULL, description TEXT, image TEXT,"
    " transport_type INTEGER NOT NULL, provision_type TEXT NOT NULL,"
    " provision_device_key TEXT UNIQUE, default_rule_chain BLOB REFERENCES rule_chain(id),"
    " default_dashboard BLOB, default_queue_name TEXT, is_default INTEGER NOT NULL,"
    " profile_data TEXT NOT NULL, external_id TEXT, version INTEGER NOT NULL,"
    " UNIQUE(tenant, name)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX device_profile_default ON device_profile(tenant) WHERE is_default = 1;"
    "CREATE INDEX device_profile_chain ON device_profile(default_rule_chain);"
    "CREATE TABLE device(id BLOB PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " tenant BLOB NOT NULL REFERENCES tenant(id), customer BLOB REFERENCES customer(id),"
    " profile BLOB NOT NULL REFERENCES device_profile(id), name TEXT NOT NULL, label TEXT,"
    " device_data TEXT NOT NULL, is_gateway INTEGER NOT NULL, additional_info TEXT,"
    " external_id TEXT, version INTEGER NOT NULL, UNIQUE(tenant, name)) WITHOUT ROWID;"
    "CREATE INDEX device_customer ON device(customer);"
    "CREATE INDEX device_profile_of ON device(profile);"
    "CREATE TABLE device_credentials(id BLOB PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " device BLOB NOT NULL UNIQUE REFERENCES device(id) ON DELETE CASCADE, type INTEGER NOT NULL,"
    " credentials_id TEXT NOT NULL UNIQUE, credentials_value TEXT, version INTEGER NOT NULL)"
    " WITHOUT ROWID;";

/* Points that left the journal: which files and runs there are, and what was deleted from them. */
static const char sealed_history[] =
    "CREATE TABLE telemetry_file(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " rewritten_ms INTEGER NOT NULL, state INTEGER NOT NULL);"
    "CREATE TABLE telemetry_run(file INTEGER NOT NULL REFERENCES telemetry_file(id)"
    " ON DELETE CASCADE, run INTEGER NOT NULL, level INTEGER NOT NULL,"
    " journal_first INTEGER NOT NULL, journal_last INTEGER NOT NULL, points INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, min_ms INTEGER NOT NULL, max_ms INTEGER NOT NULL,"
    " max_ttl_s INTEGER NOT NULL, has_default_ttl INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " retired_ms INTEGER, PRIMARY KEY(file, run)) WITHOUT ROWID;"
    "CREATE TABLE tombstone(id INTEGER PRIMARY KEY, series INTEGER NOT NULL,"
    " start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " idx INTEGER NOT NULL, created_ms INTEGER NOT NULL);"
    "CREATE INDEX tombstone_series ON tombstone(series);"
    "CREATE TABLE telemetry_state(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "ALTER TABLE series ADD COLUMN latest_floor_ms INTEGER;";

/* Latest values that are not the newest point that is left (telemetry/latest_pin.h). */
static const char pinned_latest[] =
    "CREATE TABLE latest_pin(series INTEGER PRIMARY KEY REFERENCES series(id) ON DELETE CASCADE,"
    " ts_ms INTEGER NOT NULL, ttl_s INTEGER NOT NULL, point BLOB NOT NULL);";

const struct ps_migration PS_SCHEMA[] = {
    { 1, first_schema },
    { 2, sealed_history },
    { 3, pinned_latest },
};
const size_t PS_SCHEMA_COUNT = sizeof PS_SCHEMA / sizeof *PS_SCHEMA;
