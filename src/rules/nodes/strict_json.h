/* strict_json: typed key-values out of compact strict JSON text, as save nodes read it.
 *
 * Messages keep nested values as text that was checked when it was made. Save nodes that find
 * {"ts","values"} or lists inside need the members as typed values again, by the rule of nodes
 * (rule-engine contract 4): no casting of strings, integers beyond int64 become DOUBLE. */
#ifndef PS_RULES_NODES_STRICT_JSON_H
#define PS_RULES_NODES_STRICT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/value.h"

/* One parsed object. Zeroed = empty; reused from object to object. */
struct ps_strict_object {
    struct ps_kv *kvs;
    uint32_t count, cap;
    uint64_t integers_widened; /* integers that did not fit and became DOUBLE, in all */
    char *text;                /* decoded strings of this object */
    size_t text_len, text_cap;
};

void ps_strict_object_deinit(struct ps_strict_object *object);

/** Read one JSON object; text of values without escapes points into `text`.
 *  Returns: PS_OK; PS_EPROTO not an object, or not JSON; PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_strict_object_parse(struct ps_strict_object *object, const char *text,
                                      size_t len);

/** Step through the elements of an array. *at starts at 0.
 *  Returns: true with *element, *element_len; false at the end or on anything but an array
 *  (*valid tells which). */
bool ps_strict_array_next(const char *text, size_t len, size_t *at, const char **element,
                          size_t *element_len, bool *valid);

#endif
