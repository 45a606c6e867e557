/* session_registry: an open-addressed table of ids, under one lock.
 *
 * Sessions and users share it: an entry of a session says "revoked", one of a user says from which
 * begin on sessions count. Entries whose tokens have all expired are dropped when the table is
 * rebuilt, which happens when it is half full. */
#include "core/auth/session_registry.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS_MIN = 64 };

enum entry_kind { ENTRY_FREE, ENTRY_SESSION, ENTRY_USER };

struct entry {
    struct ps_uuid id;
    enum entry_kind kind;
    int64_t not_before_ms; /* ENTRY_USER */
    int64_t expires_ms;
};

struct ps_session_registry {
    /* set before use, constant after */
    size_t entries_max;
    int64_t token_life_ms;

    /* any thread, under `lock` */
    pthread_mutex_t lock;
    struct entry *slots;
    size_t slot_count; /* power of two; at most half are in use */
    size_t entry_count;
};

enum ps_status ps_session_registry_create(size_t entries_max, int64_t token_life_ms,
                                          struct ps_session_registry **out)
{
    struct ps_session_registry *registry = calloc(1, sizeof *registry);
    if (!registry)
        return PS_ENOMEM;
    registry->slots = calloc(SLOTS_MIN, sizeof *registry->slots);
    if (!registry->slots) {
        free(registry);
        return PS_ENOMEM;
    }
    registry->slot_count = SLOTS_MIN;
    registry->entries_max = entries_max;
    registry->token_life_ms = token_life_ms;
    pthread_mutex_init(&registry->lock, NULL);
    *out = registry;
    return PS_OK;
}

void ps_session_registry_destroy(struct ps_session_registry *registry)
{
    if (!registry)
        return;
    pthread_mutex_destroy(&registry->lock);
    free(registry->slots);
    free(registry);
}

/* The entry of this id, or the free slot where it belongs. */
static struct entry *slot_of(struct entry *slots, size_t slot_count, enum entry_kind kind,
                             const struct ps_uuid *id)
{
    for (size_t i = ps_uuid_hash(id);; i++) {
        struct entry *entry = &slots[i & (slot_count - 1)];
        if (entry->kind == ENTRY_FREE || (entry->kind == kind && ps_uuid_equal(&entry->id, id)))
            return entry;
    }
}

static const struct entry *find(const struct ps_session_registry *registry, enum entry_kind kind,
                                const struct ps_uuid *id)
{
    const struct entry *entry = slot_of(registry->slots, registry->slot_count, kind, id);
    return entry->kind == ENTRY_FREE ? NULL : entry;
}

/* Leave out what has expired, and make room for as many again. */
static enum ps_status rebuild(struct ps_session_registry *registry, int64_t now_ms)
{
    size_t live = 0;
    for (size_t i = 0; i < registry->slot_count; i++)
        live += registry->slots[i].kind != ENTRY_FREE && registry->slots[i].expires_ms > now_ms;
    if (live >= registry->entries_max)
        return PS_ELIMIT;
    size_t slot_count = SLOTS_MIN;
    while (slot_count < 4 * (live + 1))
        slot_count *= 2;
    struct entry *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return PS_ENOMEM;
    for (size_t i = 0; i < registry->slot_count; i++) {
        const struct entry *entry = &registry->slots[i];
        if (entry->kind != ENTRY_FREE && entry->expires_ms > now_ms)
            *slot_of(slots, slot_count, entry->kind, &entry->id) = *entry;
    }
    free(registry->slots);
    registry->slots = slots;
    registry->slot_count = slot_count;
    registry->entry_count = live;
    return PS_OK;
}

static enum ps_status put_locked(struct ps_session_registry *registry, const struct entry *entry,
                                 int64_t now_ms)
{
    struct entry *slot = slot_of(registry->slots, registry->slot_count, entry->kind, &entry->id);
    if (slot->kind == ENTRY_FREE) {
        if (2 * (registry->entry_count + 1) > registry->slot_count ||
            registry->entry_count >= registry->entries_max) {
            enum ps_status st = rebuild(registry, now_ms);
            if (st != PS_OK)
                return st;
            slot = slot_of(registry->slots, registry->slot_count, entry->kind, &entry->id);
        }
        registry->entry_count++;
        *slot = *entry;
        return PS_OK;
    }
    if (entry->not_before_ms > slot->not_before_ms)
        slot->not_before_ms = entry->not_before_ms;
    if (entry->expires_ms > slot->expires_ms)
        slot->expires_ms = entry->expires_ms;
    return PS_OK;
}

static enum ps_status put(struct ps_session_registry *registry, const struct entry *entry,
                          int64_t now_ms)
{
    pthread_mutex_lock(&registry->lock);
    enum ps_status st = put_locked(registry, entry, now_ms);
    pthread_mutex_unlock(&registry->lock);
    return st;
}

enum ps_status ps_session_registry_revoke(struct ps_session_registry *registry,
                                          const struct ps_uuid *session, int64_t now_ms)
{
    struct entry entry = { .id = *session,
                           .kind = ENTRY_SESSION,
                           .expires_ms = now_ms + registry->token_life_ms };
    return put(registry, &entry, now_ms);
}

enum ps_status ps_session_registry_revoke_user(struct ps_session_registry *registry,
                                               const struct ps_uuid *user, int64_t now_ms)
{
    struct entry entry = { .id = *user,
                           .kind = ENTRY_USER,
                           .not_before_ms = now_ms + 1,
                           .expires_ms = now_ms + registry->token_life_ms };
    return put(registry, &entry, now_ms);
}

bool ps_session_registry_is_revoked(struct ps_session_registry *registry,
                                    const struct ps_jwt_claims *claims)
{
    pthread_mutex_lock(&registry->lock);
    const struct entry *user = find(registry, ENTRY_USER, &claims->principal.user);
    bool revoked = find(registry, ENTRY_SESSION, &claims->session) ||
                   (user && ps_jwt_session_start_ms(&claims->session) < user->not_before_ms);
    pthread_mutex_unlock(&registry->lock);
    return revoked;
}

int64_t ps_session_registry_not_before(struct ps_session_registry *registry,
                                       const struct ps_uuid *user, int64_t now_ms)
{
    pthread_mutex_lock(&registry->lock);
    const struct entry *entry = find(registry, ENTRY_USER, user);
    int64_t start_ms = entry && entry->not_before_ms > now_ms ? entry->not_before_ms : now_ms;
    pthread_mutex_unlock(&registry->lock);
    return start_ms;
}

/* ---- rows ---- */

static enum ps_status load_rows(struct ps_session_registry *registry, struct ps_db *db,
                                const char *sql, enum entry_kind kind, int64_t now_ms)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, now_ms);
    bool row;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        struct entry entry = { .id = ps_stmt_uuid(stmt, 0),
                               .kind = kind,
                               .expires_ms = ps_stmt_int(stmt, 1),
                               .not_before_ms = ps_stmt_int(stmt, 2) };
        st = put(registry, &entry, now_ms);
        if (st != PS_OK)
            break;
    }
    ps_stmt_reset(stmt);
    return st;
}

enum ps_status ps_session_registry_load(struct ps_session_registry *registry, struct ps_db *db,
                                        int64_t now_ms)
{
    enum ps_status st = load_rows(
        registry, db, "SELECT session, expires_ms, 0 FROM revoked_session WHERE expires_ms > ?",
        ENTRY_SESSION, now_ms);
    if (st != PS_OK)
        return st;
    return load_rows(
        registry, db,
        "SELECT user_id, expires_ms, not_before_ms FROM revoked_user WHERE expires_ms > ?",
        ENTRY_USER, now_ms);
}

static enum ps_status drop_expired(struct ps_db *db, const char *sql, int64_t now_ms)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, now_ms);
    return ps_stmt_run(stmt);
}

enum ps_status ps_revocation_store_session(struct ps_db *db, const struct ps_uuid *session,
                                           int64_t now_ms, int64_t token_life_ms)
{
    enum ps_status st =
        drop_expired(db, "DELETE FROM revoked_session WHERE expires_ms <= ?", now_ms);
    struct ps_stmt *stmt;
    if (st == PS_OK)
        st = ps_db_prepare(db,
                           "INSERT INTO revoked_session(session, expires_ms) VALUES(?, ?)"
                           " ON CONFLICT(session) DO NOTHING",
                           &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_uuid(stmt, 1, session);
    ps_stmt_bind_int(stmt, 2, now_ms + token_life_ms);
    return ps_stmt_run(stmt);
}

enum ps_status ps_revocation_store_user(struct ps_db *db, const struct ps_uuid *user,
                                        int64_t now_ms, int64_t token_life_ms)
{
    enum ps_status st = drop_expired(db, "DELETE FROM revoked_user WHERE expires_ms <= ?", now_ms);
    struct ps_stmt *stmt;
    if (st == PS_OK)
        st = ps_db_prepare(db,
                           "INSERT INTO revoked_user(user_id, not_before_ms, expires_ms)"
                           " VALUES(?, ?, ?) ON CONFLICT(user_id) DO UPDATE SET"
                           " not_before_ms = excluded.not_before_ms,"
                           " expires_ms = excluded.expires_ms"
                           " WHERE excluded.not_before_ms > revoked_user.not_before_ms",
                           &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_uuid(stmt, 1, user);
    ps_stmt_bind_int(stmt, 2, now_ms + 1);
    ps_stmt_bind_int(stmt, 3, now_ms + token_life_ms);
    return ps_stmt_run(stmt);
}
