#include "core/telemetry/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/metrics.h"
#include "core/telemetry/range_folder.h"

enum { BUCKETS = 256, IDLE_DEFAULT = 64 /* a year of weeks */ };

/* What becomes of a file. */
enum entry_state {
    ENTRY_LIVE,
    ENTRY_DROPPING,      /* removed when the last handle is closed */
    ENTRY_SETTING_ASIDE, /* renamed then */
    ENTRY_ASIDE,         /* renamed; the manifest does not know yet */
    ENTRY_STUCK,         /* could not be renamed: refused for good */
};

/* A name that somebody has open, or that is going. */
struct entry {
    struct entry *next; /* in its bucket */
    char name[PS_MANIFEST_NAME_SIZE];
    enum entry_state state;
    bool working; /* somebody removes or renames it just now */
    bool writer_borrowed;
    unsigned open;       /* handles: borrowed, idle, being opened or closed */
    struct handle *idle; /* most recently returned first */
    char renamed[PS_MANIFEST_NAME_SIZE];
};

struct handle {
    struct ps_run_file *file;
    struct entry *entry;
    struct handle *next;          /* of the entry's idle ones, or of those to close */
    struct handle *older, *newer; /* of all idle ones */
};

struct ps_store {
    /* constant after open */
    struct ps_store_settings settings;
    char folder[PS_RANGE_PATH_SIZE];

    /* any thread, under `lock`; never held while a file is touched */
    pthread_mutex_t lock;
    struct entry *buckets[BUCKETS];
    struct handle *oldest, *newest; /* idle */
    unsigned idle_count;
    struct handle *lent; /* borrowed handles, to find the one that is returned */
    char (*damaged)[PS_MANIFEST_NAME_SIZE];
    size_t damaged_count, damaged_cap;
};

/* ---- names ---- */

static struct entry **bucket_of(struct ps_store *store, const char *name)
{
    unsigned hash = 5381;
    for (const char *c = name; *c; c++)
        hash = hash * 33 + (unsigned char)*c;
    return &store->buckets[hash % BUCKETS];
}

static struct entry *find_entry(struct ps_store *store, const char *name)
{
    for (struct entry *entry = *bucket_of(store, name); entry; entry = entry->next) {
        if (strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}

/* NULL if memory is short. */
static struct entry *get_entry(struct ps_store *store, const char *name)
{
    struct entry *entry = find_entry(store, name);
    if (entry || !(entry = calloc(1, sizeof *entry)))
        return entry;
    snprintf(entry->name, sizeof entry->name, "%s", name);
    struct entry **bucket = bucket_of(store, name);
    entry->next = *bucket;
    *bucket = entry;
    return entry;
}

/* Nobody has it open and nothing is to be remembered: forget it. */
static void release_entry(struct ps_store *store, struct entry *entry)
{
    if (entry->open || entry->state != ENTRY_LIVE)
        return;
    struct entry **link = bucket_of(store, entry->name);
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    free(entry);
}

/* ---- damaged files ---- */

static void note_damaged(struct ps_store *store, const char *name)
{
    for (size_t i = 0; i < store->damaged_count; i++) {
        if (strcmp(store->damaged[i], name) == 0)
            return;
    }
    if (store->damaged_count == store->damaged_cap) {
        size_t cap = store->damaged_cap ? 2 * store->damaged_cap : 8;
        void *larger = realloc(store->damaged, cap * sizeof *store->damaged);
        if (!larger)
            return; /* the log has it */
        store->damaged = larger;
        store->damaged_cap = cap;
    }
    snprintf(store->damaged[store->damaged_count++], PS_MANIFEST_NAME_SIZE, "%s", name);
    if (store->settings.metrics)
        ps_metrics_add(store->settings.metrics, store->settings.metrics_lane,
                       PS_METRIC_FILES_DAMAGED, 1);
}

/* ".damaged.10" comes after ".damaged.2" and after ".damaged". */
static bool is_later(const char *name, const char *than)
{
    size_t len = strlen(name), other = strlen(than);
    return len != other ? len > other : strcmp(name, than) > 0;
}

/* A damaged file found at start. If there is no new file of its name, the process may have ended
 * between renaming it and telling the manifest: then the keeper is asked to do that again. */
static enum ps_status note_damaged_entry(void *arg, const char *renamed)
{
    struct ps_store *store = arg;
    char name[PS_MANIFEST_NAME_SIZE], path[PS_RANGE_PATH_SIZE];
    note_damaged(store, renamed);
    snprintf(name, sizeof name, "%.*s", (int)(strstr(renamed, ".db.damaged") - renamed), renamed);
    if (!ps_range_folder_path(store->folder, name, "", path) || ps_db_exists(path))
        return PS_OK;
    struct entry *entry = get_entry(store, name);
    if (!entry)
        return PS_ENOMEM;
    if (entry->state != ENTRY_ASIDE || is_later(renamed, entry->renamed))
        snprintf(entry->renamed, sizeof entry->renamed, "%s", renamed);
    entry->state = ENTRY_ASIDE;
    return PS_OK;
}

size_t ps_store_damaged(struct ps_store *store, struct ps_text *names)
{
    char list[PS_TEXT_SIZE];
    size_t len = 0;
    list[0] = '\0';
    pthread_mutex_lock(&store->lock);
    size_t count = store->damaged_count;
    for (size_t i = 0; i < count && len < sizeof list; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "",
                                store->damaged[i]);
    pthread_mutex_unlock(&store->lock);
    ps_text_set(names, "%s", list);
    return count;
}

/* ---- files that go ---- */

static void log_failure(const char *event, const char *name, const char *reason)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, PS_LOG_ERROR, "telemetry", event))
        return;
    ps_log_text(&line, "file", name);
    ps_log_text(&line, "reason", reason);
    ps_log_end(&line);
}

static enum entry_state remove_file(struct ps_store *store, const char *name)
{
    char path[PS_RANGE_PATH_SIZE];
    if (!ps_range_folder_path(store->folder, name, "", path) || ps_db_remove(path) != PS_OK)
        log_failure("file_not_removed", name, "the file system refused");
    return ENTRY_LIVE;
}

static enum entry_state rename_file(struct ps_store *store, const char *name, char *renamed)
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

/* The lock is held on entry and on return, but not between. Does what was waiting for the last
 * handle of `entry`; the entry may be gone afterwards. */
static void work_off(struct ps_store *store, struct entry *entry)
{
    while ((entry->state == ENTRY_DROPPING || entry->state == ENTRY_SETTING_ASIDE) &&
           !entry->open && !entry->working) {
        enum entry_state wish = entry->state, state;
        char renamed[PS_MANIFEST_NAME_SIZE] = "";
        entry->working = true;
        pthread_mutex_unlock(&store->lock);
        state = wish == ENTRY_DROPPING ? remove_file(store, entry->name)
                                       : rename_file(store, entry->name, renamed);
        pthread_mutex_lock(&store->lock);
        entry->working = false;
        if (state == ENTRY_ASIDE) {
            memcpy(entry->renamed, renamed, sizeof renamed);
            note_damaged(store, renamed);
        } else if (state == ENTRY_STUCK) {
            note_damaged(store, entry->name);
        }
        entry->state = state;
    }
    release_entry(store, entry);
}

/* ---- idle handles ---- */

static void leave_idle(struct ps_store *store, struct handle *handle)
{
    struct handle **link = &handle->entry->idle;
    while (*link != handle)
        link = &(*link)->next;
    *link = handle->next;
    *(handle->newer ? &handle->newer->older : &store->newest) = handle->older;
    *(handle->older ? &handle->older->newer : &store->oldest) = handle->newer;
    handle->next = handle->older = handle->newer = NULL;
    store->idle_count--;
}

static void join_idle(struct ps_store *store, struct handle *handle)
{
    handle->next = handle->entry->idle;
    handle->entry->idle = handle;
    handle->newer = NULL;
    handle->older = store->newest;
    *(store->newest ? &store->newest->newer : &store->oldest) = handle;
    store->newest = handle;
    store->idle_count++;
}

static struct handle *take_idle(struct ps_store *store, struct entry *entry, bool write)
{
    for (struct handle *handle = entry->idle; handle; handle = handle->next) {
        if (ps_run_file_writable(handle->file) == write) {
            leave_idle(store, handle);
            return handle;
        }
    }
    return NULL;
}

/* Close a list of handles that are in no other list any more. The lock is held on entry and return,
 * but not while a file is closed. */
static void close_handles(struct ps_store *store, struct handle *first)
{
    while (first) {
        struct handle *handle = first;
        struct entry *entry = handle->entry;
        first = handle->next;
        pthread_mutex_unlock(&store->lock);
        ps_run_file_close(handle->file);
        free(handle);
        pthread_mutex_lock(&store->lock);
        entry->open--;
        work_off(store, entry);
    }
}

static void close_idle_of(struct ps_store *store, struct entry *entry)
{
    struct handle *list = NULL;
    while (entry->idle) {
        struct handle *handle = entry->idle;
        leave_idle(store, handle);
        handle->next = list;
        list = handle;
    }
    close_handles(store, list);
}

static void close_surplus(struct ps_store *store)
{
    while (store->idle_count > store->settings.idle_max) {
        struct handle *handle = store->oldest;
        leave_idle(store, handle);
        close_handles(store, handle);
    }
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
        st = ps_range_folder_list(store->folder, true, note_damaged_entry, store);
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
    close_surplus(store);
    pthread_mutex_unlock(&store->lock);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct entry *entry = store->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    }
    pthread_mutex_destroy(&store->lock);
    free(store->damaged);
    free(store);
}

const char *ps_store_folder(const struct ps_store *store)
{
    return store->folder;
}

/* ---- borrowing ---- */

static enum ps_status refuse(const struct entry *entry, bool write, struct ps_text *why)
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
static enum ps_status open_handle(struct ps_store *store, struct entry *entry, bool write,
                                  struct handle **out, struct ps_text *why)
{
    struct handle *handle = calloc(1, sizeof *handle);
    enum ps_status st =
        handle ? open_file(store, entry->name, write, &handle->file, why) : PS_ENOMEM;
    pthread_mutex_lock(&store->lock);
    if (st != PS_OK) {
        free(handle);
        if (write)
            entry->writer_borrowed = false;
        entry->open--;
        work_off(store, entry);
        return st;
    }
    handle->entry = entry;
    *out = handle;
    return PS_OK;
}

static bool is_plain_name(const char *name)
{
    return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) < PS_MANIFEST_NAME_SIZE;
}

enum ps_status ps_store_borrow(struct ps_store *store, const char *name, bool write,
                               struct ps_run_file **out, struct ps_text *why)
{
    if (!is_plain_name(name)) {
        ps_text_set(why, "not the name of a range");
        return PS_EINVAL;
    }
    pthread_mutex_lock(&store->lock);
    struct entry *entry = get_entry(store, name);
    enum ps_status st = entry ? refuse(entry, write, why) : PS_ENOMEM;
    if (st != PS_OK) {
        pthread_mutex_unlock(&store->lock);
        return st;
    }
    if (write)
        entry->writer_borrowed = true;
    struct handle *handle = take_idle(store, entry, write);
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

static struct handle *take_lent(struct ps_store *store, const struct ps_run_file *file)
{
    struct handle **link = &store->lent;
    while (*link && (*link)->file != file)
        link = &(*link)->next;
    PS_ASSERT(*link);
    struct handle *handle = *link;
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
    struct handle *handle = take_lent(store, file);
    struct entry *entry = handle->entry;
    if (ps_run_file_writable(file))
        entry->writer_borrowed = false;
    if (entry->state == ENTRY_LIVE) {
        join_idle(store, handle);
        close_surplus(store);
    } else {
        close_handles(store, handle);
    }
    pthread_mutex_unlock(&store->lock);
}

/* ---- dropping and setting aside ---- */

void ps_store_drop(struct ps_store *store, const char *name)
{
    if (!is_plain_name(name))
        return;
    pthread_mutex_lock(&store->lock);
    struct entry *entry = get_entry(store, name);
    if (entry && (entry->state == ENTRY_LIVE || entry->state == ENTRY_SETTING_ASIDE)) {
        entry->state = ENTRY_DROPPING;
        entry->open++; /* so that it stays while its idle handles are closed */
        close_idle_of(store, entry);
        entry->open--;
        work_off(store, entry);
    }
    pthread_mutex_unlock(&store->lock);
}

void ps_store_set_aside(struct ps_store *store, const char *name, const char *why)
{
    if (!is_plain_name(name))
        return;
    pthread_mutex_lock(&store->lock);
    struct entry *entry = get_entry(store, name);
    if (!entry || entry->state != ENTRY_LIVE) {
        pthread_mutex_unlock(&store->lock);
        return;
    }
    entry->state = ENTRY_SETTING_ASIDE;
    entry->open++;
    pthread_mutex_unlock(&store->lock);
    log_failure("file_set_aside", name, why);
    pthread_mutex_lock(&store->lock);
    close_idle_of(store, entry);
    entry->open--;
    work_off(store, entry);
    pthread_mutex_unlock(&store->lock);
}

bool ps_store_next_aside(struct ps_store *store, char name[PS_MANIFEST_NAME_SIZE],
                         char renamed[PS_MANIFEST_NAME_SIZE])
{
    bool found = false;
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < BUCKETS && !found; i++) {
        for (struct entry *entry = store->buckets[i]; entry && !found; entry = entry->next) {
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
    struct entry *entry = find_entry(store, name);
    if (entry && entry->state == ENTRY_ASIDE) {
        entry->state = ENTRY_LIVE;
        release_entry(store, entry);
    }
    pthread_mutex_unlock(&store->lock);
}

enum ps_status ps_store_list(struct ps_store *store,
                             enum ps_status (*visit)(void *arg, const char *name), void *arg)
{
    return ps_range_folder_list(store->folder, false, visit, arg);
}

int64_t ps_store_file_bytes(struct ps_store *store, const char *name)
{
    return is_plain_name(name) ? ps_range_folder_bytes(store->folder, name) : 0;
}
