/* fuzz_payload_json: any bytes as telemetry, attributes and attribute request.
 *
 * Beyond "does not crash" it holds the scanner to these:
 *   - entries lie side by side and cover all key-values; there is no null among these;
 *   - what is accepted without casting is accepted with it, in the same entries;
 *   - what is accepted at all is a value that ps_json_compact accepts, and compact text is a fixed
 *     point of it;
 *   - an entry written as JSON and read again without casting is the same entry. Except for doubles
 *     of 1e21 and more: their text has an exponent, and to a device that means an integer (3.3). */
#include <stdlib.h>

#include "core/buf.h"
#include "core/json_text.h"
#include "core/payload_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ps_payload_rules cast_rules = { .type_cast = true };
static const struct ps_payload_rules strict_rules = { .type_cast = false };

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool has_huge_double(const struct ps_kv *kvs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double real = kvs[i].value.type == PS_VALUE_DOUBLE ? kvs[i].value.real : 0;
        if (real >= 1e21 || real <= -1e21)
            return true;
    }
    return false;
}

static void check_reads_back(const struct ps_kv *kvs, size_t count)
{
    struct ps_buf text = { 0 };
    struct ps_payload again = { 0 };
    struct ps_text why;
    ps_json_put_object(&text, kvs, count);
    must(ps_buf_ok(&text));
    must(ps_payload_parse_attributes(&again, text.data, text.len, &strict_rules, &why) == PS_OK);
    must(again.entry_count == 1 && again.entries[0].count == count && again.kv_count == count);
    for (size_t i = 0; i < count; i++) {
        const struct ps_kv *a = &kvs[i], *b = &again.kvs[i];
        must(a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0);
        must(ps_value_equal(&a->value, &b->value));
    }
    ps_payload_deinit(&again);
    ps_buf_deinit(&text);
}

static void check_entries(const struct ps_payload *payload)
{
    size_t next = 0;
    for (size_t i = 0; i < payload->entry_count; i++) {
        const struct ps_payload_entry *entry = &payload->entries[i];
        const struct ps_kv *kvs = payload->kvs + next;
        must(entry->first == next);
        next += entry->count;
        must(next <= payload->kv_count);
        for (size_t k = 0; k < entry->count; k++)
            must(kvs[k].value.type != PS_VALUE_NULL);
        if (!has_huge_double(kvs, entry->count))
            check_reads_back(kvs, entry->count);
    }
    must(next == payload->kv_count);
}

static bool check_compact(const char *text, size_t len)
{
    struct ps_buf once = { 0 }, twice = { 0 };
    bool accepted = ps_json_compact(text, len, &once, NULL) == PS_OK;
    if (accepted) {
        must(ps_json_compact(once.data, once.len, &twice, NULL) == PS_OK);
        must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    }
    ps_buf_deinit(&once);
    ps_buf_deinit(&twice);
    return accepted;
}

/* All texts are readable to their ends; the sanitizer watches. */
static size_t sum_names(const struct ps_value *names, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        must(names[i].type == PS_VALUE_STRING && names[i].len > 0);
        for (uint32_t k = 0; k < names[i].len; k++)
            sum += (unsigned char)names[i].text[k];
    }
    return sum;
}

static void check_request(struct ps_payload *payload, const char *text, size_t len)
{
    struct ps_attribute_request request;
    struct ps_text why;
    if (ps_payload_parse_attribute_request(payload, text, len, &request, &why) != PS_OK)
        return;
    volatile size_t sum = sum_names(request.client, request.client_count) +
                          sum_names(request.shared, request.shared_count);
    (void)sum;
    must(request.has_client || request.client_count == 0);
    must(request.has_shared || request.shared_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct ps_payload cast = { 0 }, strict = { 0 };
    struct ps_text why;
    bool is_value = check_compact(text, size);
    bool cast_ok = ps_payload_parse_telemetry(&cast, text, size, &cast_rules, &why) == PS_OK;
    bool strict_ok = ps_payload_parse_telemetry(&strict, text, size, &strict_rules, &why) == PS_OK;
    must(is_value || !cast_ok);
    must(cast_ok || !strict_ok);
    if (strict_ok)
        must(strict.entry_count == cast.entry_count && strict.kv_count == cast.kv_count);
    check_entries(&cast);
    check_entries(&strict);
    if (ps_payload_parse_attributes(&cast, text, size, &cast_rules, &why) == PS_OK)
        must(is_value && cast.entry_count == 1);
    check_entries(&cast);
    check_request(&cast, text, size);
    ps_payload_deinit(&cast);
    ps_payload_deinit(&strict);
    return 0;
}
