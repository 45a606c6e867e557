#include "core/entity/additional_info.h"

#include <jansson.h>

bool ps_additional_info_flag(const char *json, const char *member)
{
    if (!json)
        return false;
    json_t *root = json_loads(json, JSON_DECODE_ANY, NULL);
    bool flag = json_is_true(json_object_get(root, member)); /* NULL and other kinds are fine */
    json_decref(root);
    return flag;
}
