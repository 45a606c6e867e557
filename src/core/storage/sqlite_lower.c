#include "core/storage/sqlite_parts.h"

#include <string.h>
#include <wctype.h>

#include "core/utf8.h"

/* Lower case of one UTF-8 sequence, appended; returns the bytes written (at most twice `len`). */
static size_t put_lower(locale_t locale, const unsigned char *in, size_t len, char *out)
{
    if (len == 1) {
        out[0] = (char)(in[0] >= 'A' && in[0] <= 'Z' ? in[0] + 32 : in[0]);
        return 1;
    }
    static const unsigned char lead_bits[] = { 0, 0, 0x1f, 0x0f, 0x07 };
    wint_t code = in[0] & lead_bits[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | (in[i] & 0x3f);
    wint_t lower = locale ? towlower_l(code, locale) : code;
    if (lower < 0x80) { /* the Kelvin sign becomes a k */
        out[0] = (char)lower;
        return 1;
    }
    size_t n = lower < 0x800 ? 2 : lower < 0x10000 ? 3 : 4;
    static const unsigned char lead_mark[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = n; i-- > 1; lower >>= 6)
        out[i] = (char)(0x80 | (lower & 0x3f));
    out[0] = (char)(lead_mark[n] | lower);
    return n;
}

/* lower(text) for all of Unicode that has simple case pairs: SQLite's own knows only ASCII, and
 * searching must find "Küche" by "KÜCHE". */
void ps_sqlite_lower(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    (void)argc;
    const unsigned char *in = sqlite3_value_text(argv[0]);
    if (!in)
        return; /* NULL */
    const struct ps_db *db = sqlite3_user_data(context);
    size_t len = (size_t)sqlite3_value_bytes(argv[0]);
    char *out = sqlite3_malloc64(2 * len + 1);
    if (!out) {
        sqlite3_result_error_nomem(context);
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < len;) {
        size_t bad = 1;
        size_t n = ps_utf8_sequence((const char *)in + i, len - i, &bad);
        if (n > 0)
            at += put_lower(db->locale, in + i, n, out + at);
        else
            memcpy(out + at, in + i, bad), at += bad;
        i += n > 0 ? n : bad;
    }
    sqlite3_result_text64(context, out, at, sqlite3_free, SQLITE_UTF8);
}
