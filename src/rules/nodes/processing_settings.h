/* processing_settings: which effects of a save node happen, from its "processingSettings". */
#ifndef PS_RULES_NODES_PROCESSING_SETTINGS_H
#define PS_RULES_NODES_PROCESSING_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"
#include "core/text.h"

struct json_t;

/* A switchable effect: its member name under type ADVANCED, and where the answer goes. */
struct ps_processing_effect {
    const char *name;
    bool *wanted;
    bool when_websockets_only;
};

/**
 * Read settings; absent ones mean everything. The last effect has no name.
 * Returns: PS_OK; PS_EINVAL with `why` (also for DEDUPLICATE, which this version does not have)
 */
PS_MUST_CHECK
enum ps_status ps_processing_settings_read(const struct json_t *config,
                                           const struct ps_processing_effect *effects,
                                           struct ps_text *why);

#endif
