#include "core/telemetry/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/telemetry/store_parts.h"

enum { IDLE_DEFAULT = 64 /* a year of weeks */ };

bool ps_store_is_plain_name(const char *name)
{
    return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) < PS_MANIFEST_NAME_SIZE;
}

/* ---- open and close ---- */

enum ps_status ps_store_open(const struct ps_store_settings *settings, struct ps_store **out,
                             struct ps_text *why)
{
    struct ps_store *store = calloc(1, sizeof *store);
    if (!store) {
        ps_text_set(why, "out of memory");
        return PS_ENOMEM;
    }
    store->settings = *settings;
    store->settings.dir = NULL; /* the caller's, maybe gone tomorrow */
    if (!settings->idle_max)
        store->settings.idle_max = IDLE_DEFAULT;
    pthread_mutex_init(&store->lock, NULL);
    enum ps_status st = PS_OK;
    if ((size_t)snprintf(store->folder, sizeof store->folder, "%s/telemetry", settings->dir) >=
        sizeof store->folder) {
        ps_text_set(why, "the path of the data directory is too long");
        st = PS_EIO;
    }
    if (st == PS_OK)
        st = ps_range_folder_make(store->folder, why);
    if (st == PS_OK) {
        st = ps_range_folder_list(store->folder, true, ps_store_found_damaged, store);
        if (st != PS_OK)
            ps_text_set(why, "%s: cannot be read", store->folder);
    }
    if (st != PS_OK) {
        ps_store_close(store);
        return st;
    }
    *out = store;
    return PS_OK;
}

void ps_store_close(struct ps_store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->lock);
    PS_ASSERT(!store->lent);
    store->settings.idle_max = 0;
    ps_store_close_surplus(store);
    pthread_mutex_unlock(&store->lock);
    for (size_t i = 0; i < PS_STORE_BUCKETS; i++) {
        for (struct ps_store_entry *entry = store->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    }
    pthread_mutex_destroy(&store->lock);
    ps_damage_list_deinit(&store->damage);
    free(store);
}

const char *ps_store_folder(const struct ps_store *store)
{
    return store->folder;
}

/* ---- borrowing ---- */

static enum ps_status refuse(const struct ps_store_entry *entry, bool write, struct ps_text *why)
{
    switch (entry->state) {
    case ENTRY_LIVE:
        if (!write || !entry->writer_borrowed)
            return PS_OK;
        ps_text_set(why, "%s: being written", entry->name);
        return PS_EBUSY;
    case ENTRY_DROPPING:
        ps_text_set(why, "%s: being removed", entry->name);
        return write ? PS_EBUSY : PS_ENOTFOUND;
    default:
        ps_text_set(why, "%s: set aside because it is damaged", entry->name);
        return PS_EPROTO;
    }
}

static enum ps_status open_file(struct ps_store *store, const char *name, bool write,
                                struct ps_run_file **out, struct ps_text *why)
{
    char path[PS_RANGE_PATH_SIZE];
    struct ps_range range;
    if (!ps_range_folder_path(store->folder, name, "", path))
        return PS_EINVAL;
    if (write && ps_range_parse(name, &range) != PS_OK) {
        ps_text_set(why, "%s: not the name of a range", name);
        return PS_EINVAL;
    }
    return ps_run_file_open(path, write ? PS_RUN_FILE_WRITE : PS_RUN_FILE_READ,
                            write ? &range : NULL, out, why);
}

/* The entry counts the handle already; the lock is not held on entry, but on return. */
static enum ps_status open_handle(struct ps_store *store, struct ps_store_entry *entry, bool write,
                                  struct ps_store_handle **out, struct ps_text *why)
{
    struct ps_store_handle *handle = calloc(1, sizeof *handle);
    enum ps_status st =
        handle ? open_file(store, entry->name, write, &handle->file, why) : PS_ENOMEM;
    pthread_mutex_lock(&store->lock);
    if (st != PS_OK) {
        free(handle);
        if (write)
            entry->writer_borrowed = false;
        entry->open--;
        ps_store_work_off(store, entry);
        return st;
    }
    handle->entry = entry;
    *out = handle;
    return PS_OK;
}

enum ps_status ps_store_borrow(struct ps_store *store, const char *name, bool write,
                               struct ps_run_file **out, struct ps_text *why)
{
    if (!ps_store_is_plain_name(name)) {
        ps_text_set(why, "not the name of a range");
        return PS_EINVAL;
    }
    pthread_mutex_lock(&store->lock);
    struct ps_store_entry *entry = ps_store_get_entry(store, name);
    enum ps_status st = entry ? refuse(entry, write, why) : PS_ENOMEM;
    if (st != PS_OK) {
        pthread_mutex_unlock(&store->lock);
        return st;
    }
    if (write)
        entry->writer_borrowed = true;
    struct ps_store_handle *handle = ps_store_take_idle(store, entry, write);
    if (!handle) {
        entry->open++;
        pthread_mutex_unlock(&store->lock);
        st = open_handle(store, entry, write, &handle, why);
    }
    if (st == PS_OK) {
        handle->next = store->lent;
        store->lent = handle;
        *out = handle->file;
    }
    pthread_mutex_unlock(&store->lock);
    return st;
}

static struct ps_store_handle *take_lent(struct ps_store *store, const struct ps_run_file *file)
{
    struct ps_store_handle **link = &store->lent;
    while (*link && (*link)->file != file)
        link = &(*link)->next;
    PS_ASSERT(*link);
    struct ps_store_handle *handle = *link;
    *link = handle->next;
    handle->next = NULL;
    return handle;
}

void ps_store_return(struct ps_store *store, struct ps_run_file *file)
{
    if (!file)
        return;
    ps_run_file_settle(file);
    pthread_mutex_lock(&store->lock);
    struct ps_store_handle *handle = take_lent(store, file);
    struct ps_store_entry *entry = handle->entry;
    if (ps_run_file_writable(file))
        entry->writer_borrowed = false;
    if (entry->state == ENTRY_LIVE) {
        ps_store_join_idle(store, handle);
        ps_store_close_surplus(store);
    } else {
        ps_store_close_handles(store, handle);
    }
    pthread_mutex_unlock(&store->lock);
}

/* ---- the folder ---- */

enum ps_status ps_store_list(struct ps_store *store,
                             enum ps_status (*visit)(void *arg, const char *name), void *arg)
{
    return ps_range_folder_list(store->folder, false, visit, arg);
}

bool ps_store_has(struct ps_store *store, const char *file_name)
{
    char path[PS_RANGE_PATH_SIZE];
    int len = snprintf(path, sizeof path, "%s/%s", store->folder, file_name);
    return len < (int)sizeof path && (ps_db_exists(path) || access(path, F_OK) == 0);
}

int64_t ps_store_file_bytes(struct ps_store *store, const char *name)
{
    return ps_store_is_plain_name(name) ? ps_range_folder_bytes(store->folder, name) : 0;
}
