#include "transport/mqtt/topic.h"

#include <stdio.h>

/* A piece of a topic or filter; not terminated. */
struct piece {
    const char *data;
    size_t len;
};

#define PIECE(text)                                                                                \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

static bool piece_is(struct piece piece, struct piece text)
{
    return piece.len == text.len && memcmp(piece.data, text.data, text.len) == 0;
}

static bool skip_prefix(struct piece *piece, struct piece prefix)
{
    if (piece->len < prefix.len || memcmp(piece->data, prefix.data, prefix.len) != 0)
        return false;
    piece->data += prefix.len;
    piece->len -= prefix.len;
    return true;
}

/* Decimal signed 32-bit, any number of leading zeros: what Java's Integer.valueOf takes. */
static bool parse_int32(struct piece text, int32_t *out)
{
    size_t i = 0;
    bool negative = text.len > 0 && text.data[0] == '-';
    int64_t value = 0;

    if (text.len > 0 && (text.data[0] == '-' || text.data[0] == '+'))
        i++;
    if (i == text.len)
        return false;
    for (; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - '0');
        if (value > (int64_t)INT32_MAX + negative)
            return false;
    }
    *out = (int32_t)(negative ? -value : value);
    return true;
}

/* ---- publish topics (contract 2.3) ---- */

static const struct exact_name {
    struct piece name;
    enum ps_mqtt_topic_kind kind;
    enum ps_mqtt_flavour flavour;
} exact_names[] = {
    { PIECE("v2/t"), PS_MQTT_TOPIC_TELEMETRY, PS_MQTT_V2 },
    { PIECE("v2/t/j"), PS_MQTT_TOPIC_TELEMETRY, PS_MQTT_V2_JSON },
    { PIECE("v2/t/p"), PS_MQTT_TOPIC_TELEMETRY, PS_MQTT_V2_PROTO },
    { PIECE("v1/devices/me/telemetry"), PS_MQTT_TOPIC_TELEMETRY, PS_MQTT_V1 },
    { PIECE("v1/devices/me/attributes"), PS_MQTT_TOPIC_ATTRIBUTES, PS_MQTT_V1 },
    { PIECE("v2/a"), PS_MQTT_TOPIC_ATTRIBUTES, PS_MQTT_V2 },
    { PIECE("v2/a/j"), PS_MQTT_TOPIC_ATTRIBUTES, PS_MQTT_V2_JSON },
    { PIECE("v2/a/p"), PS_MQTT_TOPIC_ATTRIBUTES, PS_MQTT_V2_PROTO },
    { PIECE("v1/devices/me/claim"), PS_MQTT_TOPIC_CLAIM, PS_MQTT_V1 },
    { PIECE("/provision/request"), PS_MQTT_TOPIC_PROVISION, PS_MQTT_V1 },
};

/* An {id} follows. The names with a format letter come before the name they extend. */
static const struct id_name {
    struct piece prefix;
    enum ps_mqtt_topic_kind kind;
    enum ps_mqtt_flavour flavour;
} id_names[] = {
    { PIECE("v1/devices/me/attributes/request/"), PS_MQTT_TOPIC_ATTRIBUTES_REQUEST, PS_MQTT_V1 },
    { PIECE("v1/devices/me/rpc/response/"), PS_MQTT_TOPIC_RPC_RESPONSE, PS_MQTT_V1 },
    { PIECE("v1/devices/me/rpc/request/"), PS_MQTT_TOPIC_RPC_REQUEST, PS_MQTT_V1 },
    { PIECE("v2/a/req/j/"), PS_MQTT_TOPIC_ATTRIBUTES_REQUEST, PS_MQTT_V2_JSON },
    { PIECE("v2/a/req/p/"), PS_MQTT_TOPIC_ATTRIBUTES_REQUEST, PS_MQTT_V2_PROTO },
    { PIECE("v2/a/req/"), PS_MQTT_TOPIC_ATTRIBUTES_REQUEST, PS_MQTT_V2 },
    { PIECE("v2/r/res/j/"), PS_MQTT_TOPIC_RPC_RESPONSE, PS_MQTT_V2_JSON },
    { PIECE("v2/r/res/p/"), PS_MQTT_TOPIC_RPC_RESPONSE, PS_MQTT_V2_PROTO },
    { PIECE("v2/r/res/"), PS_MQTT_TOPIC_RPC_RESPONSE, PS_MQTT_V2 },
    { PIECE("v2/r/req/j/"), PS_MQTT_TOPIC_RPC_REQUEST, PS_MQTT_V2_JSON },
    { PIECE("v2/r/req/p/"), PS_MQTT_TOPIC_RPC_REQUEST, PS_MQTT_V2_PROTO },
    { PIECE("v2/r/req/"), PS_MQTT_TOPIC_RPC_REQUEST, PS_MQTT_V2 },
};

enum { EXACT_NAME_COUNT = sizeof exact_names / sizeof exact_names[0] };
enum { ID_NAME_COUNT = sizeof id_names / sizeof id_names[0] };

static const struct piece gateway_prefix = PIECE("v1/gateway");
static const struct piece firmware_prefix = PIECE("v2/fw/request/");
static const struct piece software_prefix = PIECE("v2/sw/request/");
static const struct piece chunk_infix = PIECE("/chunk/");

/* The digits at the start of `text`, taken off it. */
static struct piece take_digits(struct piece *text)
{
    struct piece digits = { text->data, 0 };
    while (digits.len < text->len && text->data[digits.len] >= '0' && text->data[digits.len] <= '9')
        digits.len++;
    text->data += digits.len;
    text->len -= digits.len;
    return digits;
}

/* "{rid}/chunk/{n}": a name that is not of this shape is unknown, a number too large is an error.
 */
static enum ps_status parse_chunk(struct piece rest, enum ps_mqtt_topic_kind kind,
                                  struct ps_mqtt_topic *out)
{
    struct ps_mqtt_topic topic = { .kind = kind, .flavour = PS_MQTT_V2 };
    struct piece id = take_digits(&rest);
    bool shaped = id.len > 0 && skip_prefix(&rest, chunk_infix);
    struct piece chunk = take_digits(&rest);

    if (!shaped || chunk.len == 0 || rest.len > 0) {
        *out = (struct ps_mqtt_topic){ .kind = PS_MQTT_TOPIC_UNKNOWN };
        return PS_OK;
    }
    if (!parse_int32(id, &topic.id) || !parse_int32(chunk, &topic.chunk))
        return PS_EPROTO;
    *out = topic;
    return PS_OK;
}

enum ps_status ps_mqtt_topic_parse_slow(const char *name, size_t len, struct ps_mqtt_topic *out)
{
    const struct piece whole = { name, len };
    struct piece rest;

    for (size_t i = 0; i < EXACT_NAME_COUNT; i++) {
        if (piece_is(whole, exact_names[i].name)) {
            *out = (struct ps_mqtt_topic){ exact_names[i].kind, exact_names[i].flavour, 0, 0 };
            return PS_OK;
        }
    }
    for (size_t i = 0; i < ID_NAME_COUNT; i++) {
        int32_t id;
        rest = whole;
        if (!skip_prefix(&rest, id_names[i].prefix))
            continue;
        if (!parse_int32(rest, &id))
            return PS_EPROTO;
        *out = (struct ps_mqtt_topic){ id_names[i].kind, id_names[i].flavour, id, 0 };
        return PS_OK;
    }
    rest = whole;
    if (skip_prefix(&rest, firmware_prefix))
        return parse_chunk(rest, PS_MQTT_TOPIC_FW_CHUNK, out);
    if (skip_prefix(&rest, software_prefix))
        return parse_chunk(rest, PS_MQTT_TOPIC_SW_CHUNK, out);
    bool gateway = skip_prefix(&rest, gateway_prefix);
    *out =
        (struct ps_mqtt_topic){ .kind = gateway ? PS_MQTT_TOPIC_GATEWAY : PS_MQTT_TOPIC_UNKNOWN };
    return PS_OK;
}

/* ---- filters (contract 2.4) ---- */

/* What the server sends to a device, "+" standing for a number; as text also the filters of 2.4. */
static const struct downlink_pattern {
    struct piece text;
    uint8_t starts;
    enum ps_mqtt_flavour flavour;
    bool lenient_only; /* granted by B17, not by the literal table */
} downlink_patterns[] = {
    { PIECE("v1/devices/me/attributes"), PS_MQTT_STARTS_ATTRIBUTES, PS_MQTT_V1, false },
    { PIECE("v1/devices/me/rpc/request/+"), PS_MQTT_STARTS_RPC, PS_MQTT_V1, false },
    { PIECE("v1/devices/me/attributes/response/+"), 0, PS_MQTT_V1, false },
    { PIECE("v1/devices/me/rpc/response/+"), 0, PS_MQTT_V1, false },
    { PIECE("v2/a"), PS_MQTT_STARTS_ATTRIBUTES, PS_MQTT_V2, false },
    { PIECE("v2/a/j"), PS_MQTT_STARTS_ATTRIBUTES, PS_MQTT_V2_JSON, false },
    { PIECE("v2/a/p"), PS_MQTT_STARTS_ATTRIBUTES, PS_MQTT_V2_PROTO, false },
    { PIECE("v2/r/req/+"), PS_MQTT_STARTS_RPC, PS_MQTT_V2, false },
    { PIECE("v2/r/req/j/+"), PS_MQTT_STARTS_RPC, PS_MQTT_V2_JSON, false },
    { PIECE("v2/r/req/p/+"), PS_MQTT_STARTS_RPC, PS_MQTT_V2_PROTO, false },
    { PIECE("v2/a/res/+"), 0, PS_MQTT_V2, false },
    { PIECE("v2/a/res/j/+"), 0, PS_MQTT_V2_JSON, false },
    { PIECE("v2/a/res/p/+"), 0, PS_MQTT_V2_PROTO, false },
    { PIECE("v2/r/res/+"), 0, PS_MQTT_V2, false },
    { PIECE("v2/r/res/j/+"), 0, PS_MQTT_V2_JSON, false },
    { PIECE("v2/r/res/p/+"), 0, PS_MQTT_V2_PROTO, false },
    { PIECE("v2/fw/response/+/chunk/+"), 0, PS_MQTT_V2, false },
    { PIECE("v2/sw/response/+/chunk/+"), 0, PS_MQTT_V2, false },
    { PIECE("v2/fw/error"), 0, PS_MQTT_V2, false },
    { PIECE("v2/sw/error"), 0, PS_MQTT_V2, false },
    { PIECE("v1/gateway/attributes"), 0, PS_MQTT_V1, false },
    { PIECE("v1/gateway/attributes/response"), 0, PS_MQTT_V1, false },
    { PIECE("v1/gateway/rpc"), 0, PS_MQTT_V1, false },
    { PIECE("v1/gateway/disconnect"), 0, PS_MQTT_V1, true },
    /* no topic of ours has this form, but OTA clients subscribe it and wait for the SUBACK */
    { PIECE("v2/fw/response/+"), 0, PS_MQTT_V2, true },
    { PIECE("v2/sw/response/+"), 0, PS_MQTT_V2, true },
};

enum { DOWNLINK_PATTERN_COUNT = sizeof downlink_patterns / sizeof downlink_patterns[0] };

static const struct piece provision_filter = PIECE(PS_MQTT_TOPIC_PROVISION_RESPONSE);

/* The levels of a name, one after the other. */
struct levels {
    struct piece rest;
    bool done;
};

static bool next_level(struct levels *levels, struct piece *out)
{
    if (levels->done)
        return false;
    struct piece rest = levels->rest;
    const char *slash = rest.len > 0 ? memchr(rest.data, '/', rest.len) : NULL;
    if (!slash) {
        levels->done = true;
        *out = rest;
        return true;
    }
    size_t len = (size_t)(slash - rest.data);
    *out = (struct piece){ rest.data, len };
    levels->rest = (struct piece){ slash + 1, rest.len - len - 1 };
    return true;
}

static bool is_char(struct piece level, char c)
{
    return level.len == 1 && level.data[0] == c;
}

bool ps_mqtt_filter_is_valid(const char *filter, size_t len)
{
    struct levels levels = { .rest = { filter, len } };
    struct piece level;
    bool tail_seen = false;

    if (len == 0)
        return false;
    while (next_level(&levels, &level)) {
        if (tail_seen)
            return false;
        tail_seen = is_char(level, '#');
        if (tail_seen || is_char(level, '+') || level.len == 0)
            continue;
        if (memchr(level.data, '+', level.len) || memchr(level.data, '#', level.len))
            return false;
    }
    return true;
}

/* Does one level of a filter match one of a name? Where the name is a pattern, its "+" stands for
 * any number, so a literal there must be a number; *one_id tells that it was. */
static bool level_matches(struct piece filter, struct piece name, bool is_pattern, bool *one_id)
{
    int32_t id;
    if (is_char(filter, '+'))
        return true;
    if (is_pattern && is_char(name, '+')) {
        if (!parse_int32(filter, &id))
            return false;
        *one_id = true;
        return true;
    }
    return piece_is(filter, name);
}

/* A valid filter against a name, by MQTT 5 section 4.7.1. */
static bool levels_match(struct piece filter, struct piece name, bool is_pattern, bool *one_id)
{
    struct levels filter_levels = { .rest = filter }, name_levels = { .rest = name };
    struct piece filter_level, name_level;

    while (next_level(&filter_levels, &filter_level)) {
        if (is_char(filter_level, '#')) /* the parent level and everything below it */
            return true;
        if (!next_level(&name_levels, &name_level))
            return false;
        if (!level_matches(filter_level, name_level, is_pattern, one_id))
            return false;
    }
    return name_levels.done;
}

bool ps_mqtt_filter_matches(const char *filter, size_t filter_len, const char *topic,
                            size_t topic_len)
{
    bool one_id = false;
    if (topic_len == 0 || !ps_mqtt_filter_is_valid(filter, filter_len))
        return false;
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#')) /* section 4.7.2 */
        return false;
    return levels_match((struct piece){ filter, filter_len }, (struct piece){ topic, topic_len },
                        false, &one_id);
}

static struct ps_mqtt_filter_match judge_literally(struct piece filter)
{
    for (size_t i = 0; i < DOWNLINK_PATTERN_COUNT; i++) {
        const struct downlink_pattern *pattern = &downlink_patterns[i];
        if (!pattern->lenient_only && piece_is(filter, pattern->text))
            return (struct ps_mqtt_filter_match){
                .granted = true,
                .starts = pattern->starts,
                .flavour = pattern->flavour,
            };
    }
    return (struct ps_mqtt_filter_match){ .granted = false };
}

/* B17. One flavour has to serve both kinds, so it is one the filter covers for each kind it starts:
 * "v2/+/+/#" covers v2/a/j and v2/r/req/j/+ but not v2/a. */
static struct ps_mqtt_filter_match judge_by_cover(struct piece filter)
{
    struct ps_mqtt_filter_match match = { .granted = false };
    unsigned covered[] = {
        [PS_MQTT_STARTS_NOTHING] = 0,
        [PS_MQTT_STARTS_ATTRIBUTES] = 0,
        [PS_MQTT_STARTS_RPC] = 0,
    }; /* a bit per flavour */

    for (size_t i = 0; i < DOWNLINK_PATTERN_COUNT; i++) {
        const struct downlink_pattern *pattern = &downlink_patterns[i];
        bool one_id = false;
        if (!levels_match(filter, pattern->text, true, &one_id))
            continue;
        /* a single RPC id says nothing about the ids the server will choose: it starts nothing */
        uint8_t starts = one_id ? PS_MQTT_STARTS_NOTHING : pattern->starts;
        covered[starts] |= 1u << pattern->flavour;
        match.starts |= starts;
        match.granted = true;
    }
    unsigned attributes = covered[PS_MQTT_STARTS_ATTRIBUTES], rpc = covered[PS_MQTT_STARTS_RPC];
    unsigned flavours = attributes && rpc ? attributes & rpc : attributes | rpc;
    if (!match.starts)
        flavours = covered[PS_MQTT_STARTS_NOTHING];
    if (flavours)
        match.flavour = (enum ps_mqtt_flavour)__builtin_ctz(flavours);
    return match;
}

struct ps_mqtt_filter_match ps_mqtt_filter_judge(const char *filter, size_t len, bool strict)
{
    struct piece text = { filter, len };

    if (piece_is(text, provision_filter))
        return (struct ps_mqtt_filter_match){ .provision = true };
    if (strict)
        return judge_literally(text);
    /* a wildcard in the first place would reach over every namespace: "#", "+", "+/a" */
    if (!ps_mqtt_filter_is_valid(filter, len) || filter[0] == '+' || filter[0] == '#')
        return (struct ps_mqtt_filter_match){ .granted = false };
    return judge_by_cover(text);
}

/* ---- server-to-device topics (contract 2.3) ---- */

static const char *const downlink_texts[PS_MQTT_DOWNLINK_COUNT][PS_MQTT_FLAVOUR_COUNT] = {
    [PS_MQTT_DOWN_ATTRIBUTES] = { "v1/devices/me/attributes", "v2/a", "v2/a/j", "v2/a/p" },
    [PS_MQTT_DOWN_ATTRIBUTES_RESPONSE] = { "v1/devices/me/attributes/response/", "v2/a/res/",
                                           "v2/a/res/j/", "v2/a/res/p/" },
    [PS_MQTT_DOWN_RPC_REQUEST] = { "v1/devices/me/rpc/request/", "v2/r/req/", "v2/r/req/j/",
                                   "v2/r/req/p/" },
    [PS_MQTT_DOWN_RPC_RESPONSE] = { "v1/devices/me/rpc/response/", "v2/r/res/", "v2/r/res/j/",
                                    "v2/r/res/p/" },
};

size_t ps_mqtt_topic_print(enum ps_mqtt_downlink what, enum ps_mqtt_flavour flavour, int32_t id,
                           char out[static PS_MQTT_TOPIC_TEXT_SIZE])
{
    PS_ASSERT(what < PS_MQTT_DOWNLINK_COUNT && flavour < PS_MQTT_FLAVOUR_COUNT);
    const char *text = downlink_texts[what][flavour];
    if (what == PS_MQTT_DOWN_ATTRIBUTES)
        return (size_t)snprintf(out, PS_MQTT_TOPIC_TEXT_SIZE, "%s", text);
    return (size_t)snprintf(out, PS_MQTT_TOPIC_TEXT_SIZE, "%s%d", text, id);
}

size_t ps_mqtt_topic_print_chunk(const struct ps_mqtt_topic *request,
                                 char out[static PS_MQTT_TOPIC_TEXT_SIZE])
{
    PS_ASSERT(request->kind == PS_MQTT_TOPIC_FW_CHUNK || request->kind == PS_MQTT_TOPIC_SW_CHUNK);
    const char *package = request->kind == PS_MQTT_TOPIC_FW_CHUNK ? "fw" : "sw";
    return (size_t)snprintf(out, PS_MQTT_TOPIC_TEXT_SIZE, "v2/%s/response/%d/chunk/%d", package,
                            request->id, request->chunk);
}
