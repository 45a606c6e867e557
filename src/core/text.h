/* text: a short message of fixed size, for "why" parameters: never fails, cuts what is too long. */
#ifndef PS_CORE_TEXT_H
#define PS_CORE_TEXT_H

#include "core/status.h"

enum { PS_TEXT_SIZE = 256 };

struct ps_text {
    char data[PS_TEXT_SIZE]; /* always terminated */
};

/** Set the text, printf style. `text` may be NULL (nobody asked why). Thread: the owner's. */
void ps_text_set(struct ps_text *text, const char *format, ...) PS_PRINTF(2, 3);

#endif
