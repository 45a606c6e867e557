/* utf8: telling well-formed UTF-8 from bytes that only look like it.
 *
 * One question, asked wherever text from outside is kept or written: how long is the sequence here,
 * and if there is none, how many bytes does one U+FFFD stand for. The second answer follows the
 * "maximal subpart" practice of the Unicode Standard, section 3.9, as most decoders do. */
#ifndef PS_CORE_UTF8_H
#define PS_CORE_UTF8_H

#include <stddef.h>

#define PS_UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

enum { PS_UTF8_REPLACEMENT_LEN = 3 };

/**
 * Length of the well-formed sequence at `text` (1..4), 0 if there is none.
 *
 * @param left  bytes that may be read, at least 1
 * @param bad   set only when 0 is returned: bytes to replace by one U+FFFD (1..3)
 */
static inline size_t ps_utf8_sequence(const char *text, size_t left, size_t *bad)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned char lead = p[0], low = 0x80, high = 0xBF;
    if (lead < 0x80)
        return 1;
    size_t len = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    *bad = 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    if (lead == 0xE0)
        low = 0xA0; /* shorter forms exist */
    else if (lead == 0xED)
        high = 0x9F; /* surrogates */
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F; /* beyond U+10FFFF */
    for (size_t i = 1; i < len; i++) {
        *bad = i;
        if (i == left || p[i] < low || p[i] > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return len;
}

#endif
