#include "core/entity/random_text.h"

#include <openssl/rand.h>

#include "core/status.h"

void ps_random_text(char *out, size_t size)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    enum { LETTERS = sizeof alphabet - 1, USABLE = 256 / LETTERS * LETTERS };
    for (size_t at = 0; at + 1 < size;) {
        unsigned char byte;
        int got = RAND_bytes(&byte, 1);
        PS_ASSERT(got == 1);
        if (byte < USABLE) /* a remainder would favour the first letters */
            out[at++] = alphabet[byte % LETTERS];
    }
    out[size - 1] = '\0';
}
