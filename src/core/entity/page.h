/* page: which part of a list is wanted, and in what order. Section 3 of the REST contract.
 *
 * A list function fills an owned list struct {items, count, total}; `total` counts everything that
 * matches, so the caller derives totalPages and hasNext. */
#ifndef PS_CORE_ENTITY_PAGE_H
#define PS_CORE_ENTITY_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PS_PAGE_SIZE_MAX = 10000 };

struct ps_page_query {
    unsigned page_size;        /* 1 or more; clamped to PS_PAGE_SIZE_MAX */
    unsigned page;             /* from 0 */
    const char *text_search;   /* case-insensitive substring; NULL or "" = no filter */
    const char *sort_property; /* REST name, e.g. "createdTime"; NULL or "" = id.
                                  A name the list does not know: PS_EINVAL */
    bool descending;
};

#endif
