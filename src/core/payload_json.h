/* payload_json: the one-pass scanner of device payloads (device contract, sections 3, 4.1, 4.2).
 *
 * It accepts the lenient grammar of 3.2, types values as 3.3 rules (B26, B28, B29 on), and makes no
 * tree: a flat list of typed key-values, grouped into entries, one entry per rule message. Text
 * without escapes points into the input; decoded text and compacted JSON live in the payload.
 *
 * Not here: the rules of keys at storage (3.4), which message an entry becomes. */
#ifndef PS_CORE_PAYLOAD_JSON_H
#define PS_CORE_PAYLOAD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"
#include "core/value.h"

/* One rule message to be: kvs[first .. first+count) of the payload. */
struct ps_payload_entry {
    int64_t ts_ms; /* valid if has_ts */
    bool has_ts;
    uint32_t first, count;
};

struct ps_payload_rules {
    bool type_cast;          /* json.type_cast_enabled: numeric strings become numbers */
    uint32_t string_len_max; /* json.max_string_value_length, in UTF-16 units; 0 = off */
    uint32_t kv_count_max;   /* key-values in one payload; beyond: PS_ELIMIT; 0 = off */
};

struct ps_payload_scratch; /* decoded text and what finds duplicate names */

/* Zeroed = empty. Reused for payload after payload, then without allocating; what it points at is
 * valid until the next parse or deinit, and as long as the parsed input. One thread at a time.
 * After a failed parse it is empty. */
struct ps_payload {
    struct ps_kv *kvs; /* duplicates within an entry are already resolved: last wins */
    size_t kv_count, kv_cap;
    struct ps_payload_entry *entries;
    size_t entry_count, entry_cap;
    struct ps_payload_scratch *scratch;
};

void ps_payload_deinit(struct ps_payload *payload);

/**
 * Parse a telemetry upload: object, {"ts","values"} or array of these (3.1).
 *
 * {} gives one entry without key-values; [] gives no entry. Null members are skipped. A fraction
 * beyond the range of doubles is refused, so no DOUBLE is infinite.
 * Returns: PS_OK; PS_EPROTO not this grammar or shape, `why` says what and at which byte (classes
 *          A and G of 2.5); PS_ELIMIT too many key-values, too long a string or a payload of
 *          512 MiB; PS_ENOMEM.
 * Time:    linear in `len`, whatever the bytes.
 */
PS_MUST_CHECK
enum ps_status ps_payload_parse_telemetry(struct ps_payload *payload, const char *data, size_t len,
                                          const struct ps_payload_rules *rules,
                                          struct ps_text *why);

/** Parse an attributes object (4.1): exactly one entry without ts. Returns: as above. */
PS_MUST_CHECK
enum ps_status ps_payload_parse_attributes(struct ps_payload *payload, const char *data, size_t len,
                                           const struct ps_payload_rules *rules,
                                           struct ps_text *why);

/* Which attributes a device asks for (4.2). Both absent: all of both scopes. */
struct ps_attribute_request {
    bool has_client, has_shared;   /* the member was given and not empty (B30) */
    const struct ps_value *client; /* STRING values, in the payload */
    const struct ps_value *shared;
    size_t client_count, shared_count; /* may be 0 for a member that was given: "," */
};

/**
 * Parse {"clientKeys":"a,b","sharedKeys":"c"}; an array of strings is accepted for either (B30).
 *
 * The key lists live in `payload`, which has no entries then. A text is split at ',' without
 * trimming, an item of an array is one name; empty names are left out. Other members are ignored.
 * A number or boolean counts as its text.
 * Returns: as above.
 */
PS_MUST_CHECK
enum ps_status ps_payload_parse_attribute_request(struct ps_payload *payload, const char *data,
                                                  size_t len, struct ps_attribute_request *out,
                                                  struct ps_text *why);

struct ps_buf;

/**
 * The same from two comma separated lists, as HTTP and CoAP queries bring them; NULL or empty = not
 * given. The names point into the lists. Returns: PS_OK, PS_ENOMEM.
 */
PS_MUST_CHECK
enum ps_status ps_payload_split_attribute_request(struct ps_payload *payload,
                                                  const char *client_keys, const char *shared_keys,
                                                  struct ps_attribute_request *out);

/**
 * Re-serialise any lenient JSON value as compact strict JSON: member order and number text kept,
 * of members with the same name the last value at the first place.
 *
 * @param out  appended to; as before if this fails
 * Returns: PS_OK, PS_EPROTO, PS_ELIMIT a document of 512 MiB, PS_ENOMEM.
 */
PS_MUST_CHECK
enum ps_status ps_json_compact(const char *data, size_t len, struct ps_buf *out,
                               struct ps_text *why);

#endif
