#include "core/status.h"

#include <stdio.h>
#include <stdlib.h>

const char *ps_status_text(enum ps_status st)
{
    switch (st) {
#define PS_STATUS_TEXT(code, text)                                                                 \
    case code:                                                                                     \
        return text;
        PS_STATUS_LIST(PS_STATUS_TEXT)
#undef PS_STATUS_TEXT
    }
    return "unknown status";
}

_Noreturn void ps_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "pacificsoft: assertion failed: %s (%s:%d)\n", expression, file, line);
    abort();
}
