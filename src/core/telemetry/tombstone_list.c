#include "core/telemetry/tombstone_list.h"

#include <stdlib.h>

enum { ITEMS_FIRST = 16 };

void ps_tombstone_list_deinit(struct ps_tombstone_list *list)
{
    free(list->items);
    *list = (struct ps_tombstone_list){ 0 };
}

enum ps_status ps_tombstone_list_add(struct ps_tombstone_list *list,
                                     const struct ps_tombstone *tombstone)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : ITEMS_FIRST;
        struct ps_tombstone *items = realloc(list->items, cap * sizeof *items);
        if (!items)
            return PS_ENOMEM;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = *tombstone;
    return PS_OK;
}
