/* telemetry: the path and key parameters that reading and writing telemetry share (section 8). */
#ifndef PS_TRANSPORT_REST_TELEMETRY_H
#define PS_TRANSPORT_REST_TELEMETRY_H

#include "actors/entity_calls.h"
#include "transport/rest/call.h"

/**
 * The entity a path names, if the caller may do `operation` with it; else 400, 403 or 404.
 *
 * @param type_text  "DEVICE"; NULL: a device
 */
bool ps_rest_find_entity(struct ps_rest_call *call, const char *type_text, const char *id_text,
                         enum ps_operation operation, struct ps_entity_ref *out);

/* Keys asked for. Zeroed = none. */
struct ps_rest_keys {
    size_t count;
    const char **list;
    char *storage; /* owned, as is `list` */
};

/** keys=a,b (repeatable), or key=a&key=b,c which are taken as they are; each once, where it stood
 *  first. False: 503 is answered. */
bool ps_rest_keys_parse(struct ps_rest_call *call, struct ps_rest_keys *out);
void ps_rest_keys_deinit(struct ps_rest_keys *keys);

/** A scope of the path, or 400 `Invalid scope: X`. */
bool ps_rest_scope(struct ps_rest_call *call, const char *text, enum ps_attribute_scope *out);

#endif
