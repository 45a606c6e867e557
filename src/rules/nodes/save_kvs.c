/* save_kvs: nulls are skipped and counted, never an error (they were the reference's trap). */
#include "rules/nodes/save_kvs.h"

#include <stdlib.h>

#include "rules/run.h"

enum ps_status ps_save_without_nulls(const struct ps_visit *visit, const struct ps_kv *kvs,
                                     uint32_t *count, const struct ps_kv **out, struct ps_kv **copy)
{
    uint32_t nulls = 0, kept = 0, all = *count;
    for (uint32_t i = 0; i < all; i++)
        nulls += kvs[i].value.type == PS_VALUE_NULL;
    *copy = NULL;
    *out = kvs;
    if (nulls == 0)
        return PS_OK;
    struct ps_kv *list = calloc(all, sizeof *list);
    if (!list)
        return PS_ENOMEM;
    for (uint32_t i = 0; i < all; i++)
        if (kvs[i].value.type != PS_VALUE_NULL)
            list[kept++] = kvs[i];
    ps_run_count(&ps_visit_env(visit)->counters.nulls_skipped, nulls);
    *out = *copy = list;
    *count = kept;
    return PS_OK;
}

enum ps_step ps_save_step(struct ps_step_out *out, enum ps_status st, const struct ps_text *why)
{
    if (st == PS_OK)
        return ps_step_next(out, PS_REL_SUCCESS);
    enum ps_failure_kind kind = st == PS_EINVAL ? PS_FAILURE_NODE : PS_FAILURE_STORE;
    return ps_step_failure(out, kind, st, "%s", why->data[0] ? why->data : ps_status_text(st));
}
