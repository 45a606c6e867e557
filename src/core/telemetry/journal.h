/* journal: the durable form of a batch's points, one blob per commit.
 *
 * Layout (version 2, little endian):
 *
 *     u8  version = 2
 *     u64 XXH3 of everything after these nine bytes
 *     records, each:
 *         varint  zigzag(series id - previous series id)      first previous is 0
 *         varint  zigzag(ts_ms - previous ts_ms)              wraps, first previous is 0
 *         u8      kind: 1 false, 2 true, 3 long, 4 double, 5 string, 6 json,
 *                 16 + k: decimal, value = mantissa / 10^k;
 *                 + 128: the point brings its own time to live
 *         varint  time to live in seconds, at least 1; only if the kind says so
 *         long, decimal: varint zigzag; double: 8 bytes; string, json: varint length, bytes
 *
 * Version 1 knew no time to live and is otherwise the same; it is still read.
 *
 * Points of one message share ts and neighbouring ids, so a typical reading takes five bytes.
 * A double is written as a decimal only if that reads back bit for bit.
 *
 * Pure: bytes in, records out. Storing blobs is batch's, reading them back history's. */
#ifndef PS_CORE_TELEMETRY_JOURNAL_H
#define PS_CORE_TELEMETRY_JOURNAL_H

#include "core/buf.h"
#include "core/status.h"
#include "core/telemetry/byte_cursor.h"
#include "core/value.h"

struct ps_journal_encoder {
    struct ps_buf *out;
    size_t start;
    int64_t ts_ms;
    uint32_t series;
    unsigned decimals; /* what the last decimal needed: the next likely needs the same */
};

/** Start a blob at the end of `out`; ask ps_buf_ok(out) after finish. */
void ps_journal_begin(struct ps_journal_encoder *encoder, struct ps_buf *out);
/** @param ttl_s  the point's own time to live; 0 = none: the default of its owner counts */
void ps_journal_put(struct ps_journal_encoder *encoder, uint32_t series, int64_t ts_ms,
                    const struct ps_value *value, uint32_t ttl_s);
/** Seal the blob: its checksum goes into the header. */
void ps_journal_finish(struct ps_journal_encoder *encoder);

struct ps_journal_record {
    uint32_t series;
    int64_t ts_ms;
    struct ps_value value; /* text points into the blob */
    uint32_t ttl_s;        /* 0 = none of its own */
    uint32_t index;        /* of the record in its blob, from 0 */
};

struct ps_journal_decoder {
    struct ps_byte_cursor in; /* the rest of the blob */
    int64_t ts_ms;
    uint32_t series;
    uint32_t index; /* of the next record */
    uint8_t version;
};

/** Returns: PS_OK; PS_EPROTO unknown version or wrong checksum. The blob is borrowed. */
PS_MUST_CHECK
enum ps_status ps_journal_open(struct ps_journal_decoder *decoder, const void *blob, size_t len);
/** The next record in *record. Returns: PS_OK; PS_ENOTFOUND at the end; PS_EPROTO a record that
 *  cannot be (the rest of the blob is lost). */
PS_MUST_CHECK
enum ps_status ps_journal_next(struct ps_journal_decoder *decoder,
                               struct ps_journal_record *record);
/** The next record of a series in [first, last]; what lies before it is passed over, which takes
 *  about half the time of reading it. Returns: as ps_journal_next() */
PS_MUST_CHECK
enum ps_status ps_journal_next_of(struct ps_journal_decoder *decoder, uint32_t first, uint32_t last,
                                  struct ps_journal_record *record);

#endif
