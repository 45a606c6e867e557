#include "core/telemetry/store_parts.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/metrics.h"

/* ---- damaged files ---- */

static void log_failure(const char *event, const char *name, const char *reason)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, PS_LOG_ERROR, "telemetry", event))
        return;
    ps_log_text(&line, "file", name);
    ps_log_text(&line, "reason", reason);
    ps_log_end(&line);
}

static void count(struct ps_store *store, enum ps_metric metric, int64_t n)
{
    if (store->settings.metrics)
        ps_metrics_add(store->settings.metrics, store->settings.metrics_lane, metric, n);
}

static void note_aside(struct ps_store *store, const char *renamed)
{
    if (ps_damage_names_add(&store->damage.aside, renamed))
        count(store, PS_METRIC_FILES_DAMAGED, 1);
}

/* It is going: what is wrong with it is told another way, or not any more. */
static void forget_partly(struct ps_store *store, const char *name)
{
    if (ps_damage_names_remove(&store->damage.partly, name))
        count(store, PS_METRIC_FILES_PARTLY_DAMAGED, -1);
}

void ps_store_note_damage(struct ps_store *store, const char *name, const char *why)
{
    if (!ps_store_is_plain_name(name))
        return;
    pthread_mutex_lock(&store->lock);
    const struct ps_store_entry *entry = ps_store_find_entry(store, name);
    bool stays = !entry || entry->state == ENTRY_LIVE;
    bool is_new = stays && ps_damage_names_add(&store->damage.partly, name);
    count(store, PS_METRIC_DAMAGE_MET, 1);
    if (is_new)
        count(store, PS_METRIC_FILES_PARTLY_DAMAGED, 1);
    pthread_mutex_unlock(&store->lock);
    if (is_new)
        log_failure("damage_met", name, why);
}

size_t ps_store_damaged(struct ps_store *store, struct ps_text *names)
{
    pthread_mutex_lock(&store->lock);
    size_t damaged = ps_damage_list_tell(&store->damage, names);
    pthread_mutex_unlock(&store->lock);
    return damaged;
}

/* ".damaged.10" comes after ".damaged.2" and after ".damaged". */
static bool is_later(const char *name, const char *than)
{
    size_t len = strlen(name), other = strlen(than);
    return len != other ? len > other : strcmp(name, than) > 0;
}

/* A damaged file found at start. If there is no new file of its name, the process may have ended
 * between renaming it and telling the manifest: then the keeper is asked to do that again. */
enum ps_status ps_store_found_damaged(void *arg, const char *renamed)
{
    struct ps_store *store = arg;
    char name[PS_MANIFEST_NAME_SIZE], path[PS_RANGE_PATH_SIZE];
    note_aside(store, renamed);
    snprintf(name, sizeof name, "%.*s", (int)(strstr(renamed, ".db.damaged") - renamed), renamed);
    if (!ps_range_folder_path(store->folder, name, "", path) || ps_db_exists(path))
        return PS_OK;
    struct ps_store_entry *entry = ps_store_get_entry(store, name);
    if (!entry)
        return PS_ENOMEM;
    if (entry->state != ENTRY_ASIDE || is_later(renamed, entry->renamed))
        snprintf(entry->renamed, sizeof entry->renamed, "%s", renamed);
    entry->state = ENTRY_ASIDE;
    return PS_OK;
}

/* ---- files that go ---- */

static enum ps_store_state remove_file(struct ps_store *store, const char *name)
{
    char path[PS_RANGE_PATH_SIZE];
    if (!ps_range_folder_path(store->folder, name, "", path) || ps_db_remove(path) != PS_OK)
        log_failure("file_not_removed", name, "the file system refused");
    return ENTRY_LIVE;
}

static enum ps_store_state rename_file(struct ps_store *store, const char *name, char *renamed)
{
    enum ps_status st =
        ps_range_folder_set_aside(store->folder, name, renamed, PS_MANIFEST_NAME_SIZE);
    if (st == PS_ENOTFOUND)
        return ENTRY_LIVE; /* it was dropped meanwhile */
    if (st == PS_OK)
        return ENTRY_ASIDE;
    log_failure("file_not_set_aside", name, "it cannot be renamed");
    return ENTRY_STUCK;
}

void ps_store_work_off(struct ps_store *store, struct ps_store_entry *entry)
{
    while ((entry->state == ENTRY_DROPPING || entry->state == ENTRY_SETTING_ASIDE) &&
           !entry->open && !entry->working) {
        enum ps_store_state wish = entry->state, state;
        char renamed[PS_MANIFEST_NAME_SIZE] = "";
        entry->working = true;
        pthread_mutex_unlock(&store->lock);
        state = wish == ENTRY_DROPPING ? remove_file(store, entry->name)
                                       : rename_file(store, entry->name, renamed);
        pthread_mutex_lock(&store->lock);
        entry->working = false;
        forget_partly(store, entry->name);
        if (state == ENTRY_ASIDE) {
            memcpy(entry->renamed, renamed, sizeof renamed);
            note_aside(store, renamed);
        } else if (state == ENTRY_STUCK) {
            note_aside(store, entry->name);
        }
        entry->state = state;
    }
    ps_store_release_entry(store, entry);
}

/* ---- dropping and setting aside ---- */

void ps_store_drop(struct ps_store *store, const char *name)
{
    if (!ps_store_is_plain_name(name))
        return;
    int64_t bytes = ps_store_file_bytes(store, name);
    pthread_mutex_lock(&store->lock);
    struct ps_store_entry *entry = ps_store_get_entry(store, name);
    if (entry && (entry->state == ENTRY_LIVE || entry->state == ENTRY_SETTING_ASIDE)) {
        entry->state = ENTRY_DROPPING;
        entry->bytes = bytes;
        entry->open++; /* so that it stays while its idle handles are closed */
        ps_store_close_idle_of(store, entry);
        entry->open--;
        ps_store_work_off(store, entry);
    }
    pthread_mutex_unlock(&store->lock);
}

void ps_store_set_aside(struct ps_store *store, const char *name, const char *why)
{
    if (!ps_store_is_plain_name(name))
        return;
    pthread_mutex_lock(&store->lock);
    struct ps_store_entry *entry = ps_store_get_entry(store, name);
    if (!entry || entry->state != ENTRY_LIVE) {
        pthread_mutex_unlock(&store->lock);
        return;
    }
    entry->state = ENTRY_SETTING_ASIDE;
    entry->open++;
    pthread_mutex_unlock(&store->lock);
    log_failure("file_set_aside", name, why);
    pthread_mutex_lock(&store->lock);
    ps_store_close_idle_of(store, entry);
    entry->open--;
    ps_store_work_off(store, entry);
    pthread_mutex_unlock(&store->lock);
}

int64_t ps_store_leaving_bytes(struct ps_store *store)
{
    int64_t bytes = 0;
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < PS_STORE_BUCKETS; i++) {
        for (const struct ps_store_entry *entry = store->buckets[i]; entry; entry = entry->next)
            bytes += entry->state == ENTRY_DROPPING ? entry->bytes : 0;
    }
    pthread_mutex_unlock(&store->lock);
    return bytes;
}

bool ps_store_next_aside(struct ps_store *store, char name[PS_MANIFEST_NAME_SIZE],
                         char renamed[PS_MANIFEST_NAME_SIZE])
{
    bool found = false;
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < PS_STORE_BUCKETS && !found; i++) {
        for (struct ps_store_entry *entry = store->buckets[i]; entry && !found;
             entry = entry->next) {
            if (entry->state != ENTRY_ASIDE)
                continue;
            memcpy(name, entry->name, sizeof entry->name);
            memcpy(renamed, entry->renamed, sizeof entry->renamed);
            found = true;
        }
    }
    pthread_mutex_unlock(&store->lock);
    return found;
}

void ps_store_settle_aside(struct ps_store *store, const char *name)
{
    pthread_mutex_lock(&store->lock);
    struct ps_store_entry *entry = ps_store_find_entry(store, name);
    if (entry && entry->state == ENTRY_ASIDE) {
        entry->state = ENTRY_LIVE;
        ps_store_release_entry(store, entry);
    }
    pthread_mutex_unlock(&store->lock);
}

enum ps_status ps_store_put_away(struct ps_store *store, const char *damaged,
                                 char renamed[PS_MANIFEST_NAME_SIZE])
{
    enum ps_status st =
        ps_range_folder_put_away(store->folder, damaged, renamed, PS_MANIFEST_NAME_SIZE);
    if (st != PS_OK)
        return st;
    pthread_mutex_lock(&store->lock);
    if (ps_damage_names_remove(&store->damage.aside, damaged))
        count(store, PS_METRIC_FILES_DAMAGED, -1);
    pthread_mutex_unlock(&store->lock);
    return PS_OK;
}
