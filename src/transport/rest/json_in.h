/* json_in: reading members of a JSON request body, with one error answer for all that is wrong.
 *
 *     struct ps_json_in in;
 *     if (!ps_json_in_open(&in, call))
 *         return;
 *     const char *name = ps_json_in_text(&in, "name");
 *     ...
 *     bool ok = ps_json_in_ok(&in);   400 has been answered if not
 *     ps_json_in_close(&in);
 *
 * A member of the wrong type is remembered (the first one), reads as absent, and fails ok(). */
#ifndef PS_TRANSPORT_REST_JSON_IN_H
#define PS_TRANSPORT_REST_JSON_IN_H

#include "transport/rest/call.h"

struct json_t;

struct ps_json_in {
    struct ps_rest_call *call;
    struct json_t *root;         /* owned */
    const struct json_t *object; /* whose members are read: the root, or an object in it */
    bool failed;
};

/** Parse the body, which must be one JSON object; else 400 `JSON parse error: ...`. */
bool ps_json_in_open(struct ps_json_in *in, struct ps_rest_call *call);
void ps_json_in_close(struct ps_json_in *in);
/** False: something had the wrong type, and 400 is answered. */
bool ps_json_in_ok(const struct ps_json_in *in);

/** Text, or NULL if absent or null. Lives until close. */
const char *ps_json_in_text(struct ps_json_in *in, const char *name);
/** A heap copy of the text, for entities that own theirs; NULL if absent. */
char *ps_json_in_copy(struct ps_json_in *in, const char *name);
/** An integer; `fallback` if absent or null. */
int64_t ps_json_in_int(struct ps_json_in *in, const char *name, int64_t fallback);
bool ps_json_in_bool(struct ps_json_in *in, const char *name, bool fallback);
/** {"id":"<uuid>"}: false and PS_UUID_NULL if absent or null. */
bool ps_json_in_id(struct ps_json_in *in, const char *name, struct ps_uuid *out);
/** The text of an external id's UUID, heap; NULL if absent. */
char *ps_json_in_external_id(struct ps_json_in *in);
/** A member as compact JSON text, heap; NULL if absent or null. Any type. */
char *ps_json_in_raw(struct ps_json_in *in, const char *name);

#endif
