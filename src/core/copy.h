/* copy: memcpy for the short texts of messages (keys, names, values), inlined.
 *
 * Two overlapping moves cover any length up to 32 without a call; longer ones go to memcpy. */
#ifndef PS_CORE_COPY_H
#define PS_CORE_COPY_H

#include <stddef.h>
#include <string.h>

static inline void ps_copy_short(char *to, const char *from, size_t len)
{
    if (len > 32) {
        memcpy(to, from, len);
    } else if (len >= 16) {
        char head[16], tail[16];
        memcpy(head, from, 16);
        memcpy(tail, from + len - 16, 16);
        memcpy(to, head, 16);
        memcpy(to + len - 16, tail, 16);
    } else if (len >= 8) {
        char head[8], tail[8];
        memcpy(head, from, 8);
        memcpy(tail, from + len - 8, 8);
        memcpy(to, head, 8);
        memcpy(to + len - 8, tail, 8);
    } else if (len >= 4) {
        char head[4], tail[4];
        memcpy(head, from, 4);
        memcpy(tail, from + len - 4, 4);
        memcpy(to, head, 4);
        memcpy(to + len - 4, tail, 4);
    } else if (len) {
        to[0] = from[0];
        to[len / 2] = from[len / 2];
        to[len - 1] = from[len - 1];
    }
}

/** Equal texts of the same length; as inlined as the copy. */
static inline int ps_same_text(const char *a, const char *b, size_t len)
{
    unsigned long long x, y;
    if (len < 8) {
        for (size_t i = 0; i < len; i++) {
            if (a[i] != b[i])
                return 0;
        }
        return 1;
    }
    if (len > 16)
        return memcmp(a, b, len) == 0;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    if (x != y)
        return 0;
    memcpy(&x, a + len - 8, 8);
    memcpy(&y, b + len - 8, 8);
    return x == y;
}

#endif
