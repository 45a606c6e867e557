/* processing_settings: one reader for both save nodes. */
#include "rules/nodes/processing_settings.h"

#include <jansson.h>
#include <string.h>

static enum ps_status refuse_deduplicate(const char *where, struct ps_text *why)
{
    ps_text_set(why, "%s: DEDUPLICATE is not available in this version", where);
    return PS_EINVAL;
}

static enum ps_status read_strategy(const json_t *settings,
                                    const struct ps_processing_effect *effect, struct ps_text *why)
{
    const char *type =
        json_string_value(json_object_get(json_object_get(settings, effect->name), "type"));
    char where[80];
    snprintf(where, sizeof where, "processingSettings.%.40s.type", effect->name);
    if (!type) {
        ps_text_set(why, "%s: must be ON_EVERY_MESSAGE, DEDUPLICATE or SKIP", where);
        return PS_EINVAL;
    }
    if (strcmp(type, "DEDUPLICATE") == 0)
        return refuse_deduplicate(where, why);
    bool skip = strcmp(type, "SKIP") == 0;
    if (!skip && strcmp(type, "ON_EVERY_MESSAGE") != 0) {
        ps_text_set(why, "%s: unknown type '%.40s'", where, type);
        return PS_EINVAL;
    }
    *effect->wanted = !skip;
    return PS_OK;
}

enum ps_status ps_processing_settings_read(const json_t *config,
                                           const struct ps_processing_effect *effects,
                                           struct ps_text *why)
{
    const json_t *settings = json_object_get(config, "processingSettings");
    const char *type = json_string_value(json_object_get(settings, "type"));
    bool every = !settings || json_is_null(settings) || (type && !strcmp(type, "ON_EVERY_MESSAGE"));
    bool websockets = type && strcmp(type, "WEBSOCKETS_ONLY") == 0;
    if (every || websockets) {
        for (; effects->name; effects++)
            *effects->wanted = every || effects->when_websockets_only;
        return PS_OK;
    }
    if (type && strcmp(type, "DEDUPLICATE") == 0)
        return refuse_deduplicate("processingSettings.type", why);
    if (!type || strcmp(type, "ADVANCED") != 0) {
        ps_text_set(why, "processingSettings.type: must be ON_EVERY_MESSAGE, WEBSOCKETS_ONLY, "
                         "DEDUPLICATE or ADVANCED");
        return PS_EINVAL;
    }
    for (; effects->name; effects++) {
        enum ps_status st = read_strategy(settings, effects, why);
        if (st != PS_OK)
            return st;
    }
    return PS_OK;
}
