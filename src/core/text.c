#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>

void ps_text_set(struct ps_text *text, const char *format, ...)
{
    if (!text)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text->data, sizeof text->data, format, args);
    va_end(args);
}
