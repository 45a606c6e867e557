#include "core/payload_json.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/decimal.h"
#include "core/json_lenient.h"

enum {
    EXPONENT_MAX = 400,   /* B28: expanding 1e999999999 into digits costs a gigabyte */
    FAST_DIGITS_MAX = 15, /* n and 10^k are exact doubles and n fits a LONG with room to spare */
    PAIRWISE_MAX = 8,     /* names compared with each other; more go through the name table */
    KVS_FIRST_CAP = 32,
    ENTRIES_FIRST_CAP = 8,
    CHUNK_BYTES = 16 * 1024,
    CHUNK_ALIGN = 8,
    /* No text may outgrow the 32-bit lengths of values: one byte becomes at most six ("\u001f"). */
    INPUT_LEN_MAX = 512 * 1024 * 1024 - 1,
};

/* Text that must keep its place lives in chunks; the newest is first in the list. */
struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(CHUNK_ALIGN) char bytes[];
};

struct ps_payload_scratch {
    struct ps_json_reader reader;
    struct ps_buf text; /* a value being re-serialised or expanded */
    struct chunk *chunks;
};

/* One run over one payload. */
struct parse {
    const char *end;
    struct ps_json_reader *reader; /* payload->scratch->reader */
    struct ps_payload *payload;
    const struct ps_payload_rules *rules;
    struct request *request; /* attribute requests only */
};

/* ---- memory ---- */

/* Keep one chunk of the usual size warm, give the others back. */
static void forget_text(struct ps_payload_scratch *scratch)
{
    while (scratch->chunks && (scratch->chunks->next || scratch->chunks->size > CHUNK_BYTES)) {
        struct chunk *chunk = scratch->chunks;
        scratch->chunks = chunk->next;
        free(chunk);
    }
    if (scratch->chunks)
        scratch->chunks->used = 0;
}

void ps_payload_deinit(struct ps_payload *payload)
{
    struct ps_payload_scratch *scratch = payload->scratch;
    free(payload->kvs);
    free(payload->entries);
    while (scratch && scratch->chunks) {
        struct chunk *chunk = scratch->chunks;
        scratch->chunks = chunk->next;
        free(chunk);
    }
    if (scratch) {
        ps_json_reader_deinit(&scratch->reader);
        ps_buf_deinit(&scratch->text);
        free(scratch);
    }
    *payload = (struct ps_payload){ 0 };
}

static const char *no_memory(const struct parse *parse, const char *at)
{
    return ps_json_fail(parse->reader, at, PS_ENOMEM, ps_status_text(PS_ENOMEM));
}

/* Memory that lives until the next parse; NULL if there is none. */
static void *keep_room(struct ps_payload_scratch *scratch, size_t len)
{
    struct chunk *chunk = scratch->chunks;
    len = (len + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN;
    if (!chunk || chunk->size - chunk->used < len) {
        size_t size = len > CHUNK_BYTES ? len : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + size);
        if (!chunk)
            return NULL;
        *chunk = (struct chunk){ .next = scratch->chunks, .size = size };
        scratch->chunks = chunk;
    }
    void *room = chunk->bytes + chunk->used;
    chunk->used += len;
    return room;
}

/* Make text permanent that a buffer holds for the moment. */
static bool keep_text(struct ps_payload_scratch *scratch, const char **text, size_t len)
{
    char *copy = keep_room(scratch, len);
    if (!copy)
        return false;
    if (len)
        memcpy(copy, *text, len);
    *text = copy;
    return true;
}

static bool keep_token(const struct parse *parse, struct ps_json_token *token)
{
    return !token->decoded || keep_text(parse->payload->scratch, &token->text, token->len);
}

static bool grow_kvs(struct ps_payload *payload)
{
    size_t cap = payload->kv_cap ? payload->kv_cap * 2 : KVS_FIRST_CAP;
    struct ps_kv *kvs = realloc(payload->kvs, cap * sizeof *kvs);
    if (!kvs)
        return false;
    payload->kvs = kvs;
    payload->kv_cap = cap;
    return true;
}

/* Room for one more key-value, not counted yet. */
static inline struct ps_kv *next_kv(const struct parse *parse, const char *at)
{
    struct ps_payload *payload = parse->payload;
    uint32_t max = parse->rules->kv_count_max;
    if (max && payload->kv_count >= max) {
        ps_json_fail(parse->reader, at, PS_ELIMIT, "too many key-values");
        return NULL;
    }
    if (payload->kv_count == payload->kv_cap && !grow_kvs(payload)) {
        no_memory(parse, at);
        return NULL;
    }
    return &payload->kvs[payload->kv_count];
}

static bool grow_entries(struct ps_payload *payload)
{
    size_t cap = payload->entry_cap ? payload->entry_cap * 2 : ENTRIES_FIRST_CAP;
    struct ps_payload_entry *entries = realloc(payload->entries, cap * sizeof *entries);
    if (!entries)
        return false;
    payload->entries = entries;
    payload->entry_cap = cap;
    return true;
}

static bool add_entry(const struct parse *parse, const struct ps_payload_entry *entry)
{
    struct ps_payload *payload = parse->payload;
    if (payload->entry_count == payload->entry_cap && !grow_entries(payload))
        return false;
    payload->entries[payload->entry_count++] = *entry;
    return true;
}

/* ---- the common spellings ---- */

static inline const char *skip_blank(const struct parse *parse, const char *p)
{
    while (p < parse->end && ps_json_is(*p, PS_JSON_BLANK | PS_JSON_COMMENT)) {
        if (ps_json_is(*p, PS_JSON_COMMENT))
            return ps_json_skip_blank(parse->reader, p);
        p++;
    }
    return p;
}

static const char *malformed(const struct parse *parse, const char *at, const char *what)
{
    if (at == parse->end)
        what = "unexpected end";
    return ps_json_fail(parse->reader, at, PS_EPROTO, what);
}

/* The high bit of each byte of `word` that is '"', '\\' or not ASCII; the lowest one is exact, the
 * ones above it may be borrows. The zero byte test of "Hacker's Delight", section 6-1. */
static inline uint64_t find_marks(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t quotes = word ^ ones * '"', slashes = word ^ ones * '\\';
    return (((quotes - ones) & ~quotes) | ((slashes - ones) & ~slashes) | word) & highs;
}

/* The quote that closes ASCII text without escapes; NULL if this is not that simple. */
static inline const char *plain_quoted_end(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        uint64_t marks = find_marks(le64toh(word)); /* first byte lowest */
        if (marks) {
            p += __builtin_ctzll(marks) / 8;
            return *p == '"' ? p : NULL;
        }
        p += 8;
    }
    while (p < end && *p != '"') {
        if (ps_json_is(*p, PS_JSON_SPECIAL))
            return NULL;
        p++;
    }
    return p < end ? p : NULL;
}

static inline const char *read_digits(const char *p, const char *end, uint64_t *n)
{
    unsigned digit;
    while (p < end && (digit = (unsigned)(*p - '0')) < 10) {
        *n = *n * 10 + digit; /* wraps for long texts, which the caller then does not use */
        p++;
    }
    return p;
}

/* A number of few digits without exponent; NULL if this is not that simple. */
static inline const char *read_short_number(const char *p, const char *end, struct ps_value *out)
{
    uint64_t n = 0;
    bool negative = *p == '-';
    const char *whole = p + negative;
    p = read_digits(whole, end, &n);
    if (p == whole || (*whole == '0' && p - whole > 1) || p == end)
        return NULL;
    if (*p != '.') {
        if (p - whole > FAST_DIGITS_MAX || !ps_json_is(*p, PS_JSON_ENDS))
            return NULL;
        out->type = PS_VALUE_LONG;
        out->integer = negative ? -(int64_t)n : (int64_t)n;
        return p;
    }
    const char *fraction = p + 1;
    p = read_digits(fraction, end, &n);
    if (p == fraction || p - whole > FAST_DIGITS_MAX + 1 || p == end ||
        !ps_json_is(*p, PS_JSON_ENDS))
        return NULL;
    double value = (double)n / ps_decimal_pow10[p - fraction];
    out->type = PS_VALUE_DOUBLE;
    out->real = negative ? -value : value;
    return p;
}

/* `word` and the end of the token; NULL if it is something else. */
static inline const char *read_word(const char *p, const char *end, const char *word, size_t len)
{
    if ((size_t)(end - p) <= len || memcmp(p, word, len) != 0 || !ps_json_is(p[len], PS_JSON_ENDS))
        return NULL;
    return p + len;
}

/* ---- typing (3.3) ---- */

/* Rules (1) and (2) for number text, from a number token or a string that is cast. */
static bool type_number(const struct parse *parse, const char *at, const char *text, size_t len,
                        struct ps_value *out)
{
    struct ps_decimal decimal;
    ps_decimal_split(text, len, &decimal);
    if (decimal.exponent > EXPONENT_MAX || decimal.exponent < -EXPONENT_MAX)
        return malformed(parse, at, "exponent out of range");
    bool whole = ps_decimal_is_integral(&decimal) && (!decimal.has_point || decimal.has_exponent);
    if (!whole) {
        out->type = PS_VALUE_DOUBLE;
        out->real = ps_decimal_to_double(&decimal);
        if (out->real - out->real != 0) /* infinite */
            return malformed(parse, at, "number out of range");
        return true;
    }
    out->type = PS_VALUE_LONG;
    if (ps_decimal_truncate(&decimal, &out->integer))
        return true;
    if (!parse->rules->type_cast)
        return malformed(parse, at, "number out of range");
    struct ps_payload_scratch *scratch = parse->payload->scratch;
    ps_buf_clear(&scratch->text);
    ps_decimal_put_plain(&decimal, &scratch->text);
    out->type = PS_VALUE_STRING;
    out->len = (uint32_t)scratch->text.len;
    out->text = scratch->text.data;
    if (!ps_buf_ok(&scratch->text) || !keep_text(scratch, &out->text, out->len))
        return no_memory(parse, at);
    return true;
}

/* -? digits* (. digits)? with a digit at the end */
static bool is_castable(const char *p, size_t len)
{
    const char *end = p + len;
    bool point = false;
    if (len == 0 || (unsigned char)(end[-1] - '0') >= 10)
        return false;
    for (p += *p == '-'; p < end; p++) {
        if ((unsigned char)(*p - '0') < 10)
            continue;
        if (*p != '.' || point)
            return false;
        point = true;
    }
    return true;
}

/* Counted as the reference counts: UTF-16 units, two for what needs four bytes of UTF-8. */
static bool is_longer_than(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return false;
    size_t units = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        units += (c & 0xC0) != 0x80 ? 1 : 0;
        units += c >= 0xF0 ? 1 : 0;
    }
    return units > max;
}

static inline bool type_string(const struct parse *parse, const char *at, const char *text,
                               size_t len, bool quoted, struct ps_value *out)
{
    uint32_t max = parse->rules->string_len_max;
    if (max && is_longer_than(text, len, max))
        return ps_json_fail(parse->reader, at, PS_ELIMIT, "string too long");
    if (quoted && parse->rules->type_cast && is_castable(text, len))
        return type_number(parse, at, text, len, out);
    out->type = PS_VALUE_STRING;
    out->text = text;
    out->len = (uint32_t)len;
    return true;
}

static const char *read_any_scalar(const struct parse *parse, const char *p, struct ps_value *out)
{
    struct ps_json_token token;
    const char *at = p;
    p = ps_json_read_scalar(parse->reader, p, &token);
    if (!p)
        return NULL;
    switch (token.kind) {
    case PS_JSON_NULL:
        out->type = PS_VALUE_NULL;
        return p;
    case PS_JSON_TRUE:
    case PS_JSON_FALSE:
        out->type = PS_VALUE_BOOLEAN;
        out->boolean = token.kind == PS_JSON_TRUE;
        return p;
    case PS_JSON_NUMBER:
        return type_number(parse, at, token.text, token.len, out) ? p : NULL;
    case PS_JSON_QUOTED:
    case PS_JSON_UNQUOTED:
        break;
    }
    if (!keep_token(parse, &token))
        return no_memory(parse, at);
    bool quoted = token.kind == PS_JSON_QUOTED;
    return type_string(parse, at, token.text, token.len, quoted, out) ? p : NULL;
}

/* An object or array becomes JSON text: the input's own if that is compact already. */
static const char *read_container(const struct parse *parse, const char *p, unsigned depth,
                                  struct ps_value *out)
{
    struct ps_payload_scratch *scratch = parse->payload->scratch;
    const char *at = p;
    ps_buf_clear(&scratch->text);
    p = ps_json_read_compact(parse->reader, p, depth, &scratch->text);
    if (!p)
        return NULL;
    size_t len = scratch->text.len;
    out->type = PS_VALUE_JSON;
    out->len = (uint32_t)len;
    out->text = at;
    if ((size_t)(p - at) == len && memcmp(at, scratch->text.data, len) == 0)
        return p;
    out->text = scratch->text.data;
    return keep_text(scratch, &out->text, len) ? p : no_memory(parse, at);
}

/* A member's value: the common spellings here, anything else through the lenient reader. */
static inline const char *read_value(const struct parse *parse, const char *p, unsigned depth,
                                     struct ps_value *out)
{
    const char *end = parse->end, *next = NULL;
    if (p == end)
        return malformed(parse, p, "expected a value");
    switch (*p) {
    case '"':
        next = plain_quoted_end(p + 1, end);
        if (!next)
            break;
        return type_string(parse, p, p + 1, (size_t)(next - p - 1), true, out) ? next + 1 : NULL;
    case 't':
        next = read_word(p, end, "true", 4);
        out->type = PS_VALUE_BOOLEAN;
        out->boolean = true;
        break;
    case 'f':
        next = read_word(p, end, "false", 5);
        out->type = PS_VALUE_BOOLEAN;
        out->boolean = false;
        break;
    case '{':
    case '[':
        return read_container(parse, p, depth, out);
    default:
        next = read_short_number(p, end, out);
        break;
    }
    return next ? next : read_any_scalar(parse, p, out);
}

/* ---- members of one object ---- */

static const char *read_any_name(const struct parse *parse, const char *p, struct ps_kv *kv)
{
    struct ps_json_token token;
    const char *at = p;
    p = ps_json_read_name(parse->reader, p, &token);
    if (!p)
        return NULL;
    if (!keep_token(parse, &token))
        return no_memory(parse, at);
    kv->key = token.text;
    kv->key_len = (uint32_t)token.len;
    return ps_json_read_colon(parse->reader, p);
}

/* Name and colon; the value is next. */
static inline const char *read_name(const struct parse *parse, const char *p, struct ps_kv *kv)
{
    if (p < parse->end && ps_json_is(*p, PS_JSON_BLANK | PS_JSON_COMMENT))
        p = skip_blank(parse, p);
    if (p && p < parse->end && *p == '"') {
        const char *close = plain_quoted_end(p + 1, parse->end);
        if (close && parse->end - close > 1 && close[1] == ':') {
            kv->key = p + 1;
            kv->key_len = (uint32_t)(close - p - 1);
            return skip_blank(parse, close + 2);
        }
    }
    return p ? read_any_name(parse, p, kv) : NULL;
}

static inline bool has_key(const struct ps_kv *kv, const char *key, uint32_t len)
{
    return kv->key_len == len && memcmp(kv->key, key, len) == 0;
}

static inline bool has_twins(const struct ps_kv *kvs, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (has_key(&kvs[j], kvs[i].key, kvs[i].key_len))
                return true;
        }
    }
    return false;
}

/* The last value of a name moves to the first place of that name; the others become null. */
static bool merge_twins(struct ps_name_table *names, struct ps_kv *kvs, size_t count, bool *found)
{
    if (ps_name_table_begin(names, count) != PS_OK)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = ps_name_table_enter(names, kvs[i].key, kvs[i].key_len, i);
        if (first == i)
            continue;
        kvs[first].value = kvs[i].value;
        kvs[i].value.type = PS_VALUE_NULL;
        *found = true;
    }
    return true;
}

static void drop_nulls(struct ps_payload *payload, size_t first)
{
    size_t kept = first;
    for (size_t i = first; i < payload->kv_count; i++) {
        if (payload->kvs[i].value.type != PS_VALUE_NULL)
            payload->kvs[kept++] = payload->kvs[i];
    }
    payload->kv_count = kept;
}

/* Resolve duplicates and nulls of the object whose members start at `first`. */
static inline bool settle_members(const struct parse *parse, size_t first, bool has_null)
{
    struct ps_payload *payload = parse->payload;
    struct ps_kv *kvs = payload->kvs + first;
    size_t count = payload->kv_count - first;
    if (count > PAIRWISE_MAX || has_twins(kvs, count)) {
        if (!merge_twins(&parse->reader->names, kvs, count, &has_null))
            return false;
    }
    if (has_null)
        drop_nulls(payload, first);
    return true;
}

/* Members up to and with the '}' are added as they come. p is after the '{', `depth` counts it. */
static inline const char *read_raw_members(const struct parse *parse, const char *p, unsigned depth,
                                           bool *has_null)
{
    struct ps_payload *payload = parse->payload;
    const char *end = parse->end;
    p = skip_blank(parse, p);
    if (p && p < end && *p == '}')
        return p + 1;
    while (p) {
        struct ps_kv *kv = next_kv(parse, p);
        if (!kv || !(p = read_name(parse, p, kv)) || !(p = read_value(parse, p, depth, &kv->value)))
            return NULL;
        payload->kv_count++;
        *has_null |= kv->value.type == PS_VALUE_NULL;
        if (p < end && *p != ',' && *p != '}' && !(p = skip_blank(parse, p)))
            return NULL;
        if (p == end || (*p != ',' && *p != ';'))
            break;
        p++; /* blanks are skipped with the name */
    }
    if (p && (p == end || *p != '}'))
        return malformed(parse, p, "expected ',' or '}'");
    return p ? p + 1 : NULL;
}

static const char *read_members(const struct parse *parse, const char *p, unsigned depth)
{
    size_t first = parse->payload->kv_count;
    bool has_null = false;
    p = read_raw_members(parse, p, depth, &has_null);
    if (p && !settle_members(parse, first, has_null))
        return no_memory(parse, p);
    return p;
}

/* ---- telemetry elements ---- */

/* Where the members "ts" and "values" of an element have their values; NULL = no such member. */
struct element_shape {
    const char *ts, *values;
};

/* Walk over an element without keeping anything. p is after the '{'. */
static const char *find_shape(const struct parse *parse, const char *p, unsigned depth,
                              struct element_shape *out)
{
    struct ps_buf *skipped = &parse->payload->scratch->text;
    p = skip_blank(parse, p);
    if (p && p < parse->end && *p == '}')
        return p + 1;
    while (p) {
        struct ps_kv kv;
        p = read_any_name(parse, p, &kv);
        if (!p)
            return NULL;
        if (has_key(&kv, "ts", 2))
            out->ts = p;
        else if (has_key(&kv, "values", 6))
            out->values = p;
        ps_buf_clear(skipped);
        p = ps_json_read_compact(parse->reader, p, depth, skipped);
        p = p ? skip_blank(parse, p) : NULL;
        if (!p || p == parse->end || (*p != ',' && *p != ';'))
            break;
        p = skip_blank(parse, p + 1);
    }
    if (p && (p == parse->end || *p != '}'))
        return malformed(parse, p, "expected ',' or '}'");
    return p ? p + 1 : NULL;
}

static bool is_integer_text(const char *p, size_t len)
{
    size_t sign = len > 0 && *p == '-';
    for (size_t i = sign; i < len; i++) {
        if ((unsigned char)(p[i] - '0') >= 10)
            return false;
    }
    return len > sign;
}

/* A number, truncated, or text of digits (3.1). */
static bool read_ts(const struct parse *parse, const char *p, int64_t *out)
{
    struct ps_json_token token;
    struct ps_decimal decimal;
    if (*p == '{' || *p == '[')
        return malformed(parse, p, "ts is not a number");
    if (!ps_json_read_scalar(parse->reader, p, &token))
        return false;
    bool is_string = token.kind == PS_JSON_QUOTED || token.kind == PS_JSON_UNQUOTED;
    if (token.kind != PS_JSON_NUMBER && !(is_string && is_integer_text(token.text, token.len)))
        return malformed(parse, p, "ts is not a number");
    ps_decimal_split(token.text, token.len, &decimal);
    if (decimal.exponent > EXPONENT_MAX || decimal.exponent < -EXPONENT_MAX ||
        !ps_decimal_truncate(&decimal, out))
        return malformed(parse, p, "ts out of range");
    return true;
}

/* An element of any spelling: find its shape first, then read what that shape keeps. */
static const char *read_element_carefully(const struct parse *parse, const char *p, unsigned depth,
                                          struct ps_payload_entry *entry)
{
    struct element_shape shape = { 0 };
    const char *end = find_shape(parse, p, depth, &shape);
    if (!end)
        return NULL;
    entry->has_ts = shape.ts && shape.values;
    if (!entry->has_ts)
        return read_members(parse, p, depth);
    if (!read_ts(parse, shape.ts, &entry->ts_ms))
        return NULL;
    if (*shape.values != '{')
        return malformed(parse, shape.values, "values is not an object");
    return read_members(parse, shape.values + 1, depth + 1) ? end : NULL;
}

/* `word` at p, and the blanks around it; NULL if it is not there. */
static inline const char *match(const struct parse *parse, const char *p, const char *word,
                                size_t len)
{
    p = p ? skip_blank(parse, p) : NULL;
    if (!p || (size_t)(parse->end - p) < len || memcmp(p, word, len) != 0)
        return NULL;
    return skip_blank(parse, p + len);
}

/* {"ts":1700000000000,"values":{...}} in this order and nothing else; NULL if not so. */
static inline const char *read_ts_values(const struct parse *parse, const char *p, unsigned depth,
                                         struct ps_payload_entry *entry)
{
    struct ps_value ts = { .type = PS_VALUE_NULL };
    p = match(parse, p, "\"ts\"", 4);
    p = match(parse, p, ":", 1);
    if (!p || p == parse->end || !(p = read_short_number(p, parse->end, &ts)) ||
        ts.type != PS_VALUE_LONG)
        return NULL;
    p = match(parse, p, ",", 1);
    p = match(parse, p, "\"values\"", 8);
    p = match(parse, p, ":", 1);
    p = match(parse, p, "{", 1);
    p = p ? read_members(parse, p, depth + 1) : NULL;
    p = p ? skip_blank(parse, p) : NULL;
    if (!p || p == parse->end || *p != '}')
        return NULL;
    entry->has_ts = true;
    entry->ts_ms = ts.integer;
    return p + 1;
}

static inline bool may_be_ts_values(const struct ps_kv *kvs, size_t count)
{
    bool ts = false, values = false;
    for (size_t i = 0; i < count; i++) {
        ts |= has_key(&kvs[i], "ts", 2);
        values |= has_key(&kvs[i], "values", 6);
    }
    return ts && values;
}

/* The two common shapes; NULL if the element is neither or there is anything wrong with it. */
static const char *read_element_fast(const struct parse *parse, const char *p, unsigned depth,
                                     struct ps_payload_entry *entry)
{
    const struct ps_payload *payload = parse->payload;
    bool has_null = false;
    if (parse->end - p > 4 && memcmp(p, "\"ts\"", 4) == 0)
        return read_ts_values(parse, p, depth, entry);
    p = read_raw_members(parse, p, depth, &has_null);
    if (!p || may_be_ts_values(payload->kvs + entry->first, payload->kv_count - entry->first))
        return NULL;
    return settle_members(parse, entry->first, has_null) ? p : NULL;
}

/* p is after the '{' of an element. */
static const char *read_element(const struct parse *parse, const char *p, unsigned depth)
{
    struct ps_payload *payload = parse->payload;
    struct ps_payload_entry entry = { .first = (uint32_t)payload->kv_count };
    struct ps_text *why = parse->reader->why;
    parse->reader->why = NULL; /* the careful way tells what is really wrong */
    const char *next = read_element_fast(parse, p, depth, &entry);
    parse->reader->why = why;
    if (!next) {
        payload->kv_count = entry.first;
        next = read_element_carefully(parse, p, depth, &entry);
    }
    if (!next)
        return NULL;
    entry.count = (uint32_t)(payload->kv_count - entry.first);
    return add_entry(parse, &entry) ? next : no_memory(parse, next);
}

/* p is after the '['. */
static const char *read_elements(const struct parse *parse, const char *p)
{
    p = skip_blank(parse, p);
    if (p && p < parse->end && *p == ']')
        return p + 1;
    while (p) {
        if (p == parse->end || *p != '{')
            return malformed(parse, p, "array item is not an object");
        p = read_element(parse, p + 1, 2);
        p = p ? skip_blank(parse, p) : NULL;
        if (!p || p == parse->end || (*p != ',' && *p != ';'))
            break;
        p = skip_blank(parse, p + 1);
    }
    if (p && (p == parse->end || *p != ']'))
        return malformed(parse, p, "expected ',' or ']'");
    return p ? p + 1 : NULL;
}

static const char *read_telemetry(const struct parse *parse, const char *p)
{
    if (p < parse->end && *p == '{')
        return read_element(parse, p + 1, 1);
    if (p < parse->end && *p == '[')
        return read_elements(parse, p + 1);
    return malformed(parse, p, "neither an object nor an array");
}

static const char *read_attributes(const struct parse *parse, const char *p)
{
    struct ps_payload_entry entry = { 0 };
    if (p == parse->end || *p != '{')
        return malformed(parse, p, "not an object");
    p = read_members(parse, p + 1, 1);
    if (!p)
        return NULL;
    entry.count = (uint32_t)parse->payload->kv_count;
    return add_entry(parse, &entry) ? p : no_memory(parse, p);
}

/* ---- documents ---- */

/* From here on no array is NULL, so nobody has to think about empty ones. */
static bool warm_up(struct ps_payload *payload)
{
    if (!payload->scratch && !(payload->scratch = calloc(1, sizeof *payload->scratch)))
        return false;
    if (payload->scratch->chunks)
        forget_text(payload->scratch);
    return (payload->kv_cap || grow_kvs(payload)) && (payload->entry_cap || grow_entries(payload));
}

static enum ps_status start(struct ps_payload *payload, const char *data, size_t len,
                            struct ps_text *why)
{
    payload->kv_count = payload->entry_count = 0;
    if (len > INPUT_LEN_MAX) {
        ps_text_set(why, "payload of %zu bytes", len);
        return PS_ELIMIT;
    }
    if (!warm_up(payload)) {
        ps_text_set(why, "%s", ps_status_text(PS_ENOMEM));
        return PS_ENOMEM;
    }
    struct ps_json_reader *reader = &payload->scratch->reader;
    reader->start = data ? data : "";
    reader->end = reader->start + len;
    reader->why = why;
    return PS_OK;
}

/* What all documents share: the lenient beginning, the strict end, nothing left after a failure. */
static enum ps_status parse_document(struct ps_payload *payload, const char *data, size_t len,
                                     const struct ps_payload_rules *rules, struct request *request,
                                     struct ps_text *why,
                                     const char *(*read_body)(const struct parse *, const char *))
{
    enum ps_status st = start(payload, data, len, why);
    if (st != PS_OK)
        return st;
    struct ps_json_reader *reader = &payload->scratch->reader;
    const struct parse parse = {
        .end = reader->end, .reader = reader, .payload = payload, .rules = rules, .request = request
    };
    bool plain = len > 0 && (*data == '{' || *data == '[');
    const char *p = plain ? data : ps_json_read_start(reader);
    p = p ? read_body(&parse, p) : NULL;
    if (p != reader->end)
        st = p ? ps_json_read_end(reader, p) : reader->status;
    if (st != PS_OK)
        payload->kv_count = payload->entry_count = 0;
    reader->why = NULL;
    return st;
}

enum ps_status ps_payload_parse_telemetry(struct ps_payload *payload, const char *data, size_t len,
                                          const struct ps_payload_rules *rules, struct ps_text *why)
{
    return parse_document(payload, data, len, rules, NULL, why, read_telemetry);
}

enum ps_status ps_payload_parse_attributes(struct ps_payload *payload, const char *data, size_t len,
                                           const struct ps_payload_rules *rules,
                                           struct ps_text *why)
{
    return parse_document(payload, data, len, rules, NULL, why, read_attributes);
}

/* ---- attribute requests (4.2) ---- */

/* The names asked for in one scope: payload->kvs[first .. first+count), as values. */
struct scope_names {
    bool given;
    size_t first, count;
};

struct request {
    struct scope_names client, shared;
};

static bool add_requested_name(const struct parse *parse, const char *at, const char *name,
                               size_t len)
{
    if (len == 0)
        return true;
    struct ps_kv *kv = next_kv(parse, at);
    if (!kv)
        return false;
    *kv =
        (struct ps_kv){ .key = "",
                        .value = { .type = PS_VALUE_STRING, .len = (uint32_t)len, .text = name } };
    parse->payload->kv_count++;
    return true;
}

static bool split_names(const struct parse *parse, const char *at, const char *text, size_t len)
{
    const char *end = text + len;
    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *name_end = comma ? comma : end;
        if (!add_requested_name(parse, at, text, (size_t)(name_end - text)))
            return false;
        text = comma ? comma + 1 : end;
    }
    return true;
}

static const char *read_requested_text(const struct parse *parse, const char *p,
                                       struct scope_names *out)
{
    struct ps_json_token token;
    const char *at = p;
    p = ps_json_read_scalar(parse->reader, p, &token);
    if (!p)
        return NULL;
    if (token.kind == PS_JSON_NULL)
        return malformed(parse, at, "keys are null");
    if (!keep_token(parse, &token))
        return no_memory(parse, at);
    out->given = token.len > 0;
    return split_names(parse, at, token.text, token.len) ? p : NULL;
}

/* p is after the '['. */
static const char *read_requested_array(const struct parse *parse, const char *p,
                                        struct scope_names *out)
{
    p = skip_blank(parse, p);
    if (p && p < parse->end && *p == ']')
        return p + 1;
    while (p) {
        struct ps_json_token token;
        const char *at = p;
        p = ps_json_read_scalar(parse->reader, p, &token);
        if (!p)
            return NULL;
        if (token.kind != PS_JSON_QUOTED && token.kind != PS_JSON_UNQUOTED)
            return malformed(parse, at, "key is not a string");
        if (!keep_token(parse, &token))
            return no_memory(parse, at);
        if (!add_requested_name(parse, at, token.text, token.len))
            return NULL;
        out->given = true;
        p = skip_blank(parse, p);
        if (!p || p == parse->end || (*p != ',' && *p != ';'))
            break;
        p = skip_blank(parse, p + 1);
    }
    if (p && (p == parse->end || *p != ']'))
        return malformed(parse, p, "expected ',' or ']'");
    return p ? p + 1 : NULL;
}

static const char *read_request_member(const struct parse *parse, const char *p)
{
    struct ps_kv kv;
    p = read_name(parse, p, &kv);
    if (!p)
        return NULL;
    struct scope_names *names = has_key(&kv, "clientKeys", 10)   ? &parse->request->client
                                : has_key(&kv, "sharedKeys", 10) ? &parse->request->shared
                                                                 : NULL;
    if (!names) {
        ps_buf_clear(&parse->payload->scratch->text);
        return ps_json_read_compact(parse->reader, p, 1, &parse->payload->scratch->text);
    }
    *names = (struct scope_names){ .first = parse->payload->kv_count };
    if (p < parse->end && *p == '[')
        p = read_requested_array(parse, p + 1, names);
    else
        p = read_requested_text(parse, p, names);
    names->count = parse->payload->kv_count - names->first;
    return p;
}

static const char *read_request(const struct parse *parse, const char *p)
{
    if (p == parse->end || *p != '{')
        return malformed(parse, p, "not an object");
    p = skip_blank(parse, p + 1);
    if (p && p < parse->end && *p == '}')
        return p + 1;
    while (p) {
        p = read_request_member(parse, p);
        p = p ? skip_blank(parse, p) : NULL;
        if (!p || p == parse->end || (*p != ',' && *p != ';'))
            break;
        p = skip_blank(parse, p + 1);
    }
    if (p && (p == parse->end || *p != '}'))
        return malformed(parse, p, "expected ',' or '}'");
    return p ? p + 1 : NULL;
}

/* The values alone, side by side, where they stay; NULL if there is no memory. */
static struct ps_value *keep_names(struct ps_payload *payload, const struct scope_names *names)
{
    struct ps_value *values = keep_room(payload->scratch, names->count * sizeof *values);
    for (size_t i = 0; values && i < names->count; i++)
        values[i] = payload->kvs[names->first + i].value;
    return values;
}

static enum ps_status keep_request(struct ps_payload *payload, const struct request *request,
                                   struct ps_attribute_request *out, struct ps_text *why)
{
    struct ps_value *client = keep_names(payload, &request->client);
    struct ps_value *shared = keep_names(payload, &request->shared);
    payload->kv_count = 0;
    if (!client || !shared) {
        ps_text_set(why, "%s", ps_status_text(PS_ENOMEM));
        return PS_ENOMEM;
    }
    *out = (struct ps_attribute_request){
        .has_client = request->client.given,
        .has_shared = request->shared.given,
        .client = client,
        .shared = shared,
        .client_count = request->client.count,
        .shared_count = request->shared.count,
    };
    return PS_OK;
}

enum ps_status ps_payload_parse_attribute_request(struct ps_payload *payload, const char *data,
                                                  size_t len, struct ps_attribute_request *out,
                                                  struct ps_text *why)
{
    static const struct ps_payload_rules no_limits = { 0 };
    struct request request = { 0 };
    enum ps_status st = parse_document(payload, data, len, &no_limits, &request, why, read_request);
    return st == PS_OK ? keep_request(payload, &request, out, why) : st;
}

/* An absent or empty list is one that was not given. */
static bool split_list(const struct parse *parse, const char *list, struct scope_names *out)
{
    *out = (struct scope_names){ .given = list && *list, .first = parse->payload->kv_count };
    if (out->given && !split_names(parse, parse->end, list, strlen(list)))
        return false;
    out->count = parse->payload->kv_count - out->first;
    return true;
}

enum ps_status ps_payload_split_attribute_request(struct ps_payload *payload,
                                                  const char *client_keys, const char *shared_keys,
                                                  struct ps_attribute_request *out)
{
    static const struct ps_payload_rules no_limits = { 0 };
    enum ps_status st = start(payload, "", 0, NULL);
    if (st != PS_OK)
        return st;
    struct request request = { 0 };
    struct ps_json_reader *reader = &payload->scratch->reader;
    const struct parse parse = { .end = reader->end,
                                 .reader = reader,
                                 .payload = payload,
                                 .rules = &no_limits,
                                 .request = &request };
    if (!split_list(&parse, client_keys, &request.client) ||
        !split_list(&parse, shared_keys, &request.shared))
        return PS_ENOMEM;
    return keep_request(payload, &request, out, NULL);
}

/* ---- any value ---- */

enum ps_status ps_json_compact(const char *data, size_t len, struct ps_buf *out,
                               struct ps_text *why)
{
    if (len > INPUT_LEN_MAX) {
        ps_text_set(why, "document of %zu bytes", len);
        return PS_ELIMIT;
    }
    const char *begin = data ? data : "";
    struct ps_json_reader reader = { .start = begin, .end = begin + len, .why = why };
    size_t out_len = out->len;
    const char *p = ps_json_read_start(&reader);
    p = p ? ps_json_read_compact(&reader, p, 0, out) : NULL;
    enum ps_status st = p ? ps_json_read_end(&reader, p) : reader.status;
    if (st != PS_OK)
        out->len = out_len;
    ps_json_reader_deinit(&reader);
    return st;
}
