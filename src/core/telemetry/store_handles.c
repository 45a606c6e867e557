#include "core/telemetry/store_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

static struct ps_store_entry **bucket_of(struct ps_store *store, const char *name)
{
    unsigned hash = 5381;
    for (const char *c = name; *c; c++)
        hash = hash * 33 + (unsigned char)*c;
    return &store->buckets[hash % PS_STORE_BUCKETS];
}

struct ps_store_entry *ps_store_find_entry(struct ps_store *store, const char *name)
{
    for (struct ps_store_entry *entry = *bucket_of(store, name); entry; entry = entry->next) {
        if (strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}

struct ps_store_entry *ps_store_get_entry(struct ps_store *store, const char *name)
{
    struct ps_store_entry *entry = ps_store_find_entry(store, name);
    if (entry || !(entry = calloc(1, sizeof *entry)))
        return entry;
    snprintf(entry->name, sizeof entry->name, "%s", name);
    struct ps_store_entry **bucket = bucket_of(store, name);
    entry->next = *bucket;
    *bucket = entry;
    return entry;
}

void ps_store_release_entry(struct ps_store *store, struct ps_store_entry *entry)
{
    if (entry->open || entry->state != ENTRY_LIVE)
        return;
    struct ps_store_entry **link = bucket_of(store, entry->name);
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    free(entry);
}

/* ---- idle handles ---- */

static void leave_idle(struct ps_store *store, struct ps_store_handle *handle)
{
    struct ps_store_handle **link = &handle->entry->idle;
    while (*link != handle)
        link = &(*link)->next;
    *link = handle->next;
    *(handle->newer ? &handle->newer->older : &store->newest) = handle->older;
    *(handle->older ? &handle->older->newer : &store->oldest) = handle->newer;
    handle->next = handle->older = handle->newer = NULL;
    store->idle_count--;
}

void ps_store_join_idle(struct ps_store *store, struct ps_store_handle *handle)
{
    handle->next = handle->entry->idle;
    handle->entry->idle = handle;
    handle->newer = NULL;
    handle->older = store->newest;
    *(store->newest ? &store->newest->newer : &store->oldest) = handle;
    store->newest = handle;
    store->idle_count++;
}

struct ps_store_handle *ps_store_take_idle(struct ps_store *store, struct ps_store_entry *entry,
                                           bool write)
{
    for (struct ps_store_handle *handle = entry->idle; handle; handle = handle->next) {
        if (ps_run_file_writable(handle->file) == write) {
            leave_idle(store, handle);
            return handle;
        }
    }
    return NULL;
}

void ps_store_close_handles(struct ps_store *store, struct ps_store_handle *first)
{
    while (first) {
        struct ps_store_handle *handle = first;
        struct ps_store_entry *entry = handle->entry;
        first = handle->next;
        pthread_mutex_unlock(&store->lock);
        ps_run_file_close(handle->file);
        free(handle);
        pthread_mutex_lock(&store->lock);
        entry->open--;
        ps_store_work_off(store, entry);
    }
}

void ps_store_close_idle_of(struct ps_store *store, struct ps_store_entry *entry)
{
    struct ps_store_handle *list = NULL;
    while (entry->idle) {
        struct ps_store_handle *handle = entry->idle;
        leave_idle(store, handle);
        handle->next = list;
        list = handle;
    }
    ps_store_close_handles(store, list);
}

void ps_store_close_surplus(struct ps_store *store)
{
    while (store->idle_count > store->settings.idle_max) {
        struct ps_store_handle *handle = store->oldest;
        leave_idle(store, handle);
        ps_store_close_handles(store, handle);
    }
}
