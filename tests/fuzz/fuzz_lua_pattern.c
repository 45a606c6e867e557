/* A pattern and a subject: reading and matching end, stay inside their bytes, and a match lies
 * inside the subject. The first byte is the length of the pattern. */
#include <stdlib.h>
#include <string.h>

#include "rules/lua/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_match(const struct ps_pattern_match *match, size_t len)
{
    PS_ASSERT(match->start <= match->end && match->end <= len);
    for (unsigned i = 0; i < match->count; i++) {
        PS_ASSERT(match->captures[i].start <= len);
        PS_ASSERT(match->captures[i].len == PS_PATTERN_POSITION ||
                  (size_t)match->captures[i].len <= len - match->captures[i].start);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t pattern_len = data[0] < size - 1 ? data[0] : size - 1, len = size - 1 - pattern_len;
    /* exact blocks of their own, so that one byte too far is seen */
    char *text = malloc(pattern_len + 1), *subject = malloc(len + 1);
    struct ps_pattern_item *items = malloc(ps_pattern_item_count(pattern_len) * sizeof *items);
    char *exact_text = realloc(text, pattern_len ? pattern_len : 1);
    char *exact_subject = realloc(subject, len ? len : 1);
    memcpy(exact_text, data + 1, pattern_len);
    memcpy(exact_subject, data + 1 + pattern_len, len);
    struct ps_pattern pattern;
    struct ps_pattern_match match;
    const char *why = NULL;
    if (ps_pattern_read(exact_text, pattern_len, true, items, &pattern, &why) == PS_OK) {
        int64_t steps = 20000;
        size_t from = 0;
        while (from <= len &&
               ps_pattern_find(&pattern, exact_subject, len, from, &steps, &match) == PS_OK) {
            check_match(&match, len);
            PS_ASSERT(match.start >= from);
            from = match.end > match.start ? match.end : match.end + 1;
        }
    } else {
        PS_ASSERT(why);
    }
    free(items);
    free(exact_text);
    free(exact_subject);
    return 0;
}
