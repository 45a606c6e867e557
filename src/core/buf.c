#include "core/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 64 };

void ps_buf_deinit(struct ps_buf *buf)
{
    free(buf->data);
    *buf = (struct ps_buf){ 0 };
}

bool ps_buf_reserve(struct ps_buf *buf, size_t extra)
{
    if (buf->failed)
        return false;
    if (buf->data && buf->cap - buf->len >= extra)
        return true;
    size_t cap = buf->cap ? buf->cap : FIRST_CAP;
    while (cap - buf->len < extra) {
        if (cap > SIZE_MAX / 2) {
            buf->failed = true;
            return false;
        }
        cap *= 2;
    }
    char *data = realloc(buf->data, cap);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

void ps_buf_printf(struct ps_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len >= 0 && ps_buf_reserve(buf, (size_t)len + 1)) {
        vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

const char *ps_buf_cstr(struct ps_buf *buf)
{
    if (!ps_buf_reserve(buf, 1))
        return "";
    buf->data[buf->len] = '\0';
    return buf->data;
}
