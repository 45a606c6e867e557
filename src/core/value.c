#include "core/value.h"

#include <string.h>

bool ps_value_equal(const struct ps_value *a, const struct ps_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case PS_VALUE_NULL:
        return true;
    case PS_VALUE_BOOLEAN:
        return a->boolean == b->boolean;
    case PS_VALUE_LONG:
        return a->integer == b->integer;
    case PS_VALUE_DOUBLE:
        return memcmp(&a->real, &b->real, sizeof a->real) == 0;
    case PS_VALUE_STRING:
    case PS_VALUE_JSON:
        return a->len == b->len && (a->len == 0 || memcmp(a->text, b->text, a->len) == 0);
    }
    return false;
}
