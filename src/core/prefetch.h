/* prefetch: ask the processor for memory that is needed soon.
 *
 * With thousands of devices each one's memory has left the cache since its last message; a miss
 * costs as much as all other work on a message. Asking a system call or a few items ahead hides it.
 */
#ifndef PS_CORE_PREFETCH_H
#define PS_CORE_PREFETCH_H

#include <stddef.h>

enum { PS_CACHE_LINE = 64 };

/** `object` may be any address, also NULL: nothing is read. */
static inline void ps_prefetch(const void *object, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PS_CACHE_LINE)
        __builtin_prefetch((const char *)object + at);
}

#endif
