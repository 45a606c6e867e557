/* buf: a growing byte buffer.
 *
 * Appending remembers a failed allocation instead of returning it every time: after a series of
 * appends the writer asks once with ps_buf_ok(). A zeroed struct is an empty buffer. */
#ifndef PS_CORE_BUF_H
#define PS_CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/status.h"

struct ps_buf {
    char *data; /* owned; not terminated unless ps_buf_cstr() was called */
    size_t len, cap;
    bool failed; /* an allocation failed; content is incomplete */
};

void ps_buf_deinit(struct ps_buf *buf);
/** Room for `extra` more bytes; false and `failed` set if memory is short. */
bool ps_buf_reserve(struct ps_buf *buf, size_t extra);
void ps_buf_printf(struct ps_buf *buf, const char *format, ...) PS_PRINTF(2, 3);
/** Terminates without counting the zero; "" if the buffer failed. Valid until the next append. */
const char *ps_buf_cstr(struct ps_buf *buf);

static inline void ps_buf_clear(struct ps_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

static inline bool ps_buf_ok(const struct ps_buf *buf)
{
    return !buf->failed;
}

static inline void ps_buf_put(struct ps_buf *buf, const void *data, size_t len)
{
    if ((buf->cap - buf->len >= len && buf->data) || ps_buf_reserve(buf, len)) {
        if (len)
            memcpy(buf->data + buf->len, data, len);
        buf->len += len;
    }
}

static inline void ps_buf_put_char(struct ps_buf *buf, char c)
{
    ps_buf_put(buf, &c, 1);
}

static inline void ps_buf_put_text(struct ps_buf *buf, const char *text)
{
    ps_buf_put(buf, text, strlen(text));
}

#endif
