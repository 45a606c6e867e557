/* pattern: Lua patterns (reference manual 6.4.1), matched with a bound on the work.
 *
 * A pattern is first read into items, one per thing to match; every error in it is found there. The
 * matcher walks the items and goes back to the latest repetition that can still give way. Patterns
 * repeat single characters only, so each item has at most one such choice open, kept in the item
 * itself: no recursion, no memory beyond the items, no limit on the length of anything. */
#ifndef PS_RULES_LUA_PATTERN_H
#define PS_RULES_LUA_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

enum {
    PS_PATTERN_CAPTURES_MAX = 32,
    PS_PATTERN_POSITION = -1, /* length of a capture that is a position: "()" */
};

struct ps_pattern_item {
    uint8_t op, repeat, c, c2;
    uint32_t from, to; /* of a set, in the pattern's text */
    uint32_t last_choice;
    size_t base, count; /* of the run, while matching */
};

/** Items that reading a pattern of so many bytes needs at most. */
static inline size_t ps_pattern_item_count(size_t len)
{
    return len + 1;
}

struct ps_pattern {
    const char *text; /* borrowed */
    struct ps_pattern_item *items;
    uint32_t item_count;
    unsigned capture_count;
    bool anchored;
};

struct ps_pattern_match {
    size_t start, end;
    unsigned count;
    struct {
        size_t start;
        ptrdiff_t len;
    } captures[PS_PATTERN_CAPTURES_MAX];
};

/**
 * Read a pattern.
 *
 * @param anchor  whether a '^' in front means the start (it does not for gmatch)
 * @param items   ps_pattern_item_count(len) of them; they live as long as `out`
 * @param why     a constant text, set if it fails
 * Returns: PS_OK or PS_EINVAL
 */
PS_MUST_CHECK
enum ps_status ps_pattern_read(const char *text, size_t len, bool anchor,
                               struct ps_pattern_item *items, struct ps_pattern *out,
                               const char **why);

/**
 * Find the first match at `from` or behind.
 *
 * @param steps  work left; counts down
 * Returns: PS_OK; PS_ENOTFOUND; PS_ELIMIT *steps is used up
 */
PS_MUST_CHECK
enum ps_status ps_pattern_find(struct ps_pattern *pattern, const char *subject, size_t len,
                               size_t from, int64_t *steps, struct ps_pattern_match *out);

/** As above, but only a match that begins exactly at `from`. */
PS_MUST_CHECK
enum ps_status ps_pattern_match_at(struct ps_pattern *pattern, const char *subject, size_t len,
                                   size_t from, int64_t *steps, struct ps_pattern_match *out);

/** True if the text holds no character that means something in a pattern. */
bool ps_pattern_is_plain(const char *text, size_t len);

#endif
