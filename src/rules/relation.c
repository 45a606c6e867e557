/* relation: labels and their numbers. */
#include "rules/relation.h"

#include <string.h>
#include <strings.h>

/* Indexed by enum ps_relation_id; then the labels of message types. Types that share "Other" never
 * get their own number: ps_relation_of() finds the first entry with a text, and so does the table
 * below that the type switch uses. */
const struct ps_relation PS_RELATIONS[] = { [PS_REL_CUSTOM] = { "", 0, PS_REL_CUSTOM },
                                            [PS_REL_SUCCESS] = { "Success", 7, PS_REL_SUCCESS },
                                            [PS_REL_FAILURE] = { "Failure", 7, PS_REL_FAILURE },
                                            [PS_REL_TRUE] = { "True", 4, PS_REL_TRUE },
                                            [PS_REL_FALSE] = { "False", 5, PS_REL_FALSE },
                                            [PS_REL_OTHER] = { "Other", 5, PS_REL_OTHER },
#define TYPE_RELATION(name, wire, relation)                                                        \
    [PS_REL_MSG_TYPE + PS_MSG_##                                                                   \
        name] = { relation, sizeof(relation) - 1, PS_REL_MSG_TYPE + PS_MSG_##name },
                                            PS_MSG_TYPE_LIST(TYPE_RELATION)
#undef TYPE_RELATION
};

enum { RELATION_COUNT = sizeof PS_RELATIONS / sizeof PS_RELATIONS[0] };

static bool type_has_own_label(enum ps_msg_type type)
{
    switch (type) {
    case PS_MSG_ALARM_DELETE:
    case PS_MSG_PROVISION_SUCCESS:
    case PS_MSG_PROVISION_FAILURE:
    case PS_MSG_SEND_EMAIL:
    case PS_MSG_CUSTOM:
        return false;
    default:
        return type < PS_MSG_TYPE_COUNT;
    }
}

struct ps_relation ps_relation_of(const char *name, size_t len)
{
    if (len > PS_RELATION_LEN_MAX)
        len = PS_RELATION_LEN_MAX + 1;
    for (unsigned i = PS_REL_SUCCESS; i < RELATION_COUNT; i++)
        if (PS_RELATIONS[i].len == len && strncasecmp(PS_RELATIONS[i].name, name, len) == 0)
            return (struct ps_relation){ name, (uint16_t)len, (uint16_t)i };
    return (struct ps_relation){ name, (uint16_t)len, PS_REL_CUSTOM };
}

struct ps_relation ps_relation_of_type(enum ps_msg_type type)
{
    return PS_RELATIONS[type_has_own_label(type) ? PS_REL_MSG_TYPE + type : PS_REL_OTHER];
}

/* strncasecmp looks at the locale only in name: the process never leaves "C". */
bool ps_relation_text_equal(const struct ps_relation *a, const struct ps_relation *b)
{
    return a->len == b->len && strncasecmp(a->name, b->name, a->len) == 0;
}
