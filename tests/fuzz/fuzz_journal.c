/* Journal blobs: no bytes read outside, and what decodes encodes to the same records again.
 *
 * The first byte chooses: even = the blob as it is; odd = its body sealed with a right checksum, so
 * that the records are reached; 3 modulo 4 = the same, said to be of version 1. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/telemetry/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(const struct ps_buf *again, const void *blob, size_t len)
{
    struct ps_journal_decoder first, second;
    struct ps_journal_record a, b;
    PS_ASSERT(ps_journal_open(&first, blob, len) == PS_OK);
    PS_ASSERT(ps_journal_open(&second, again->data, again->len) == PS_OK);
    while (ps_journal_next(&first, &a) == PS_OK) {
        PS_ASSERT(ps_journal_next(&second, &b) == PS_OK);
        PS_ASSERT(a.series == b.series && a.ts_ms == b.ts_ms);
        PS_ASSERT(ps_value_equal(&a.value, &b.value));
        PS_ASSERT(a.ttl_s == b.ttl_s && a.index == b.index);
    }
    PS_ASSERT(ps_journal_next(&second, &b) == PS_ENOTFOUND);
}

static void read_blob(const void *blob, size_t len)
{
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    if (ps_journal_open(&decoder, blob, len) != PS_OK)
        return;
    struct ps_buf again = { 0 };
    struct ps_journal_encoder encoder;
    ps_journal_begin(&encoder, &again);
    while (ps_journal_next(&decoder, &record) == PS_OK)
        ps_journal_put(&encoder, record.series, record.ts_ms, &record.value, record.ttl_s);
    ps_journal_finish(&encoder);
    PS_ASSERT(ps_buf_ok(&again));
    read_again(&again, blob, len);
    ps_buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0) {
        read_blob(data + 1, size - 1);
        return 0;
    }
    struct ps_buf sealed = { 0 };
    struct ps_journal_encoder encoder;
    ps_journal_begin(&encoder, &sealed);
    ps_buf_put(&sealed, data + 1, size - 1);
    ps_journal_finish(&encoder);
    if (data[0] % 4 == 3)
        sealed.data[0] = 1; /* not under the checksum */
    read_blob(sealed.data, sealed.len);
    ps_buf_deinit(&sealed);
    return 0;
}
