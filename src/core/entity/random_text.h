/* random_text: tokens and passwords: letters and digits, each equally likely. */
#ifndef PS_CORE_ENTITY_RANDOM_TEXT_H
#define PS_CORE_ENTITY_RANDOM_TEXT_H

#include <stddef.h>

/** Fill `size - 1` characters and the terminator. Aborts if the system has no randomness. */
void ps_random_text(char *out, size_t size);

#endif
