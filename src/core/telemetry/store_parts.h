/* store_parts: what the files of the store share. Not for others.
 *
 *     store.c          open, close; borrowing and returning handles
 *     store_handles.c  the table of names and the idle handles
 *     store_leave.c    files that are dropped or set aside
 *     store_damage.c   names of damaged files
 *
 * An entry is a name that somebody has open, or that is going; handles hang on it. */
#ifndef PS_CORE_TELEMETRY_STORE_PARTS_H
#define PS_CORE_TELEMETRY_STORE_PARTS_H

#include <pthread.h>

#include "core/telemetry/range_folder.h"
#include "core/telemetry/store.h"
#include "core/telemetry/store_damage.h"

enum { PS_STORE_BUCKETS = 256 };

/* What becomes of a file. */
enum ps_store_state {
    ENTRY_LIVE,
    ENTRY_DROPPING,      /* removed when the last handle is closed */
    ENTRY_SETTING_ASIDE, /* renamed then */
    ENTRY_ASIDE,         /* renamed; the manifest does not know yet */
    ENTRY_STUCK,         /* could not be renamed: refused for good */
};

/* A name that somebody has open, or that is going. */
struct ps_store_entry {
    struct ps_store_entry *next; /* in its bucket */
    char name[PS_MANIFEST_NAME_SIZE];
    enum ps_store_state state;
    bool working; /* somebody removes or renames it just now */
    bool writer_borrowed;
    unsigned open;                /* handles: borrowed, idle, being opened or closed */
    struct ps_store_handle *idle; /* most recently returned first */
    char renamed[PS_MANIFEST_NAME_SIZE];
    int64_t bytes; /* on disk, while it is being dropped */
};

struct ps_store_handle {
    struct ps_run_file *file;
    struct ps_store_entry *entry;
    struct ps_store_handle *next;          /* of the entry's idle ones, or of those to close */
    struct ps_store_handle *older, *newer; /* of all idle ones */
};

struct ps_store {
    /* constant after open */
    struct ps_store_settings settings;
    char folder[PS_RANGE_PATH_SIZE];

    /* any thread, under `lock`; never held while a file is touched */
    pthread_mutex_t lock;
    struct ps_store_entry *buckets[PS_STORE_BUCKETS];
    struct ps_store_handle *oldest, *newest; /* idle */
    unsigned idle_count;
    struct ps_store_handle *lent; /* borrowed handles, to find the one that is returned */
    struct ps_damage_list damage;
};

/* All with the lock held. */

/** NULL: nobody has it open, and it is not going. */
struct ps_store_entry *ps_store_find_entry(struct ps_store *store, const char *name);
/** Made if there is none; NULL if memory is short. */
struct ps_store_entry *ps_store_get_entry(struct ps_store *store, const char *name);
/** Forget it if nobody has it open and nothing is to be remembered. */
void ps_store_release_entry(struct ps_store *store, struct ps_store_entry *entry);

void ps_store_join_idle(struct ps_store *store, struct ps_store_handle *handle);
/** An idle handle of that kind, not idle any more; NULL: there is none. */
struct ps_store_handle *ps_store_take_idle(struct ps_store *store, struct ps_store_entry *entry,
                                           bool write);
/** Close a list of handles that are in no other list any more. The lock is released while a file
 *  is closed; their entries may be gone afterwards. */
void ps_store_close_handles(struct ps_store *store, struct ps_store_handle *first);
void ps_store_close_idle_of(struct ps_store *store, struct ps_store_entry *entry);
/** The longest unused, until there are idle_max. */
void ps_store_close_surplus(struct ps_store *store);

/** Does what was waiting for the last handle of `entry`, which may be gone afterwards. The lock is
 *  released meanwhile. */
void ps_store_work_off(struct ps_store *store, struct ps_store_entry *entry);
/** A damaged file that was found in the folder (a visit of ps_range_folder_list): remember it, and
 *  that the manifest may have to be told. */
PS_MUST_CHECK
enum ps_status ps_store_found_damaged(void *arg, const char *renamed);

/** Without the lock. */
bool ps_store_is_plain_name(const char *name);

#endif
