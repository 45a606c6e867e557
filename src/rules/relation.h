/* relation: the label on a connection between two nodes.
 *
 * Nodes tell relations, routes match them ignoring ASCII case. The labels that built-in nodes use
 * have a small number, so that the usual match is one comparison; any other label is PS_REL_CUSTOM
 * and is compared as text. */
#ifndef PS_RULES_RELATION_H
#define PS_RULES_RELATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/msg.h"

enum ps_relation_id {
    PS_REL_CUSTOM,
    PS_REL_SUCCESS,
    PS_REL_FAILURE,
    PS_REL_TRUE,
    PS_REL_FALSE,
    PS_REL_OTHER,
    PS_REL_MSG_TYPE, /* + enum ps_msg_type: the labels of the type switch */
};

struct ps_relation {
    const char *name; /* not terminated */
    uint16_t len;
    uint16_t id; /* enum ps_relation_id and beyond */
};

enum { PS_RELATION_LEN_MAX = 255 };

/** The relation of a label; `name` is borrowed. A label too long is cut to PS_RELATION_LEN_MAX + 1
 *  bytes, which matches nothing. */
struct ps_relation ps_relation_of(const char *name, size_t len);
/** All numbered relations, indexed by their number. */
extern const struct ps_relation PS_RELATIONS[];
/** One of the numbered relations, without a search. */
static inline struct ps_relation ps_relation_known(enum ps_relation_id id)
{
    return PS_RELATIONS[id];
}
/** The label of the message type switch. */
struct ps_relation ps_relation_of_type(enum ps_msg_type type);

bool ps_relation_text_equal(const struct ps_relation *a, const struct ps_relation *b);

static inline bool ps_relation_equal(const struct ps_relation *a, const struct ps_relation *b)
{
    if (a->id != b->id)
        return false;
    return a->id != PS_REL_CUSTOM || ps_relation_text_equal(a, b);
}

#endif
