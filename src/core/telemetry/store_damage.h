/* store_damage: the names of damaged files, as /readyz shows them.
 *
 * Two kinds: files that were set aside (renamed; nothing of them is shown), and files in use in
 * which a reader or a merge met damage and passed over it. The list is bounded; what does not fit
 * is counted but not named. Part of the store, whose lock guards it. */
#ifndef PS_CORE_TELEMETRY_STORE_DAMAGE_H
#define PS_CORE_TELEMETRY_STORE_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/telemetry/manifest.h"
#include "core/text.h"

enum { PS_DAMAGE_NAMES_MAX = 256 /* of each kind */ };

struct ps_damage_names {
    char (*items)[PS_MANIFEST_NAME_SIZE]; /* owned */
    size_t count, cap;
    size_t unnamed; /* there was no room for */
};

/* Zeroed = empty. */
struct ps_damage_list {
    struct ps_damage_names aside, partly;
};
void ps_damage_list_deinit(struct ps_damage_list *list);

/** Returns: whether it is new and counts. */
bool ps_damage_names_add(struct ps_damage_names *names, const char *name);
/** Returns: whether it was there. */
bool ps_damage_names_remove(struct ps_damage_names *names, const char *name);

/** "2026-W46.db.damaged, 2026-W47.db" in `names` (may be NULL), cut between names to what fits.
 *  Returns: how many there are, unnamed ones included. */
size_t ps_damage_list_tell(const struct ps_damage_list *list, struct ps_text *names);

#endif
