/* list: one page of rows and how many there are in all, from a description of the query.
 *
 * The SQL is put together from constant pieces only; whatever came from outside is a parameter. */
#ifndef PS_CORE_ENTITY_LIST_H
#define PS_CORE_ENTITY_LIST_H

#include "core/entity/page.h"
#include "core/entity/row.h"

struct ps_list_sort {
    const char *property, *expression; /* REST name, SQL */
};

struct ps_list_query {
    const char *columns, *from;       /* "a, b", "x JOIN y ON .." */
    const char *where;                /* with parameters that `bind` binds; never empty */
    const char *id;                   /* expression of the id: default order, and breaks ties */
    const struct ps_list_sort *sorts; /* ends with a NULL property */
    const char *const *search;        /* expressions; ends with NULL */
    void (*bind)(struct ps_args *args, const void *filter);
    const void *filter;
    ps_row_reader *read;
    size_t item_size;
};

/* What a list struct begins with in spirit: items, count, total. */
struct ps_list_result {
    void *items; /* calloc'ed, `count` items of item_size */
    size_t count;
    int64_t total;
};

/**
 * Run it. On failure `out` holds the items read so far, for the caller to deinit; it starts zeroed.
 * Returns: PS_OK; PS_EINVAL page_size is 0 or the sort property is unknown; PS_ENOMEM; PS_ESTORE.
 */
PS_MUST_CHECK
enum ps_status ps_list_run(struct ps_db *db, const struct ps_list_query *query,
                           const struct ps_page_query *page, struct ps_list_result *out);

#endif
