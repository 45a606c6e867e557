#include "core/msg.h"

#include <stdlib.h>

#include "core/buf.h"
#include "core/copy.h"
#include "core/json_text.h"

static const struct msg_type_name {
    const char *wire, *relation;
    uint32_t wire_len;
} msg_types[] = {
#define PS_MSG_TYPE_NAME(name, wire, relation)                                                     \
    [PS_MSG_##name] = { wire, relation, sizeof wire - 1 },
    PS_MSG_TYPE_LIST(PS_MSG_TYPE_NAME)
#undef PS_MSG_TYPE_NAME
};

enum ps_msg_type ps_msg_type_parse(const char *name, size_t len)
{
    for (int i = 0; i < PS_MSG_CUSTOM; i++) {
        if (msg_types[i].wire_len == len && memcmp(msg_types[i].wire, name, len) == 0)
            return (enum ps_msg_type)i;
    }
    return PS_MSG_CUSTOM;
}

const char *ps_msg_type_name(enum ps_msg_type type)
{
    return msg_types[type].wire;
}

const char *ps_msg_type_relation(enum ps_msg_type type)
{
    return msg_types[type].relation;
}

/* How many bytes of text the content holds, checked against the limits of the contract (1.1). */
static enum ps_status measure_text(const struct ps_msg_content *content, size_t *text_len)
{
    size_t data = content->data_kind == PS_DATA_OBJECT ? 0 : content->data_len;
    if (content->data_kind == PS_DATA_OBJECT) {
        for (uint32_t i = 0; i < content->kv_count; i++) {
            const struct ps_kv *kv = &content->kvs[i];
            data += kv->key_len;
            if (kv->value.type >= PS_VALUE_STRING)
                data += kv->value.len;
        }
    }
    size_t metadata = 0;
    for (uint32_t i = 0; i < content->metadata_count; i++)
        metadata += (size_t)content->metadata[i].key_len + content->metadata[i].value_len;
    if (data > PS_MSG_DATA_BYTES_MAX || metadata > PS_MSG_METADATA_BYTES_MAX ||
        content->metadata_count > PS_MSG_METADATA_KEYS_MAX ||
        content->type_name_len > PS_MSG_TYPE_LEN_MAX)
        return PS_ELIMIT;
    *text_len =
        data + metadata + (content->type == PS_MSG_CUSTOM ? (size_t)content->type_name_len : 0);
    return PS_OK;
}

static const char *copy_text(char **at, const char *text, size_t len)
{
    char *copy = *at;
    ps_copy_short(copy, text, len);
    *at += len;
    return copy;
}

static void copy_kvs(struct ps_msg *msg, const struct ps_msg_content *from, struct ps_kv *kvs,
                     char **text)
{
    for (uint32_t i = 0; i < from->kv_count; i++) {
        kvs[i] = from->kvs[i];
        kvs[i].key = copy_text(text, kvs[i].key, kvs[i].key_len);
        if (kvs[i].value.type >= PS_VALUE_STRING)
            kvs[i].value.text = copy_text(text, kvs[i].value.text, kvs[i].value.len);
    }
    msg->content.kvs = kvs;
}

static void copy_metadata(struct ps_msg *msg, const struct ps_msg_content *from,
                          struct ps_pair *pairs, char **text)
{
    for (uint32_t i = 0; i < from->metadata_count; i++) {
        pairs[i] = from->metadata[i];
        pairs[i].key = copy_text(text, pairs[i].key, pairs[i].key_len);
        pairs[i].value = copy_text(text, pairs[i].value, pairs[i].value_len);
    }
    msg->content.metadata = pairs;
}

/* A decimal int64 and nothing else; as "msgTs" of the contract (1.1) reads metadata.ts. */
static bool parse_decimal(const char *text, uint32_t len, int64_t *out)
{
    bool negative = len && text[0] == '-';
    uint32_t i = negative;
    if (i == len || len - i > 19)
        return false;
    uint64_t value = 0;
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static int64_t effective_ts(const struct ps_msg *msg)
{
    for (uint32_t i = 0; i < msg->content.metadata_count; i++) {
        const struct ps_pair *pair = &msg->content.metadata[i];
        int64_t value;
        if (pair->key_len == 2 && pair->key[0] == 't' && pair->key[1] == 's' &&
            parse_decimal(pair->value, pair->value_len, &value))
            return value;
    }
    return msg->created_ms;
}

static void set_type(struct ps_msg *msg, const struct ps_msg_content *from, char **text)
{
    if (from->type == PS_MSG_CUSTOM) {
        msg->content.type_name = copy_text(text, from->type_name, from->type_name_len);
        return;
    }
    msg->content.type_name = msg_types[from->type].wire;
    msg->content.type_name_len = msg_types[from->type].wire_len;
}

enum ps_status ps_msg_create(const struct ps_uuid *tenant, const struct ps_entity_id *originator,
                             const struct ps_uuid *customer, int64_t created_ms,
                             const struct ps_msg_content *content, struct ps_msg **out)
{
    size_t text_len;
    enum ps_status st = measure_text(content, &text_len);
    if (st != PS_OK)
        return st;
    uint32_t kv_count = content->data_kind == PS_DATA_OBJECT ? content->kv_count : 0;
    size_t size = sizeof(struct ps_msg) + kv_count * sizeof(struct ps_kv) +
                  content->metadata_count * sizeof(struct ps_pair) + text_len;
    struct ps_msg *msg = malloc(size);
    if (!msg)
        return PS_ENOMEM;
    msg->next = NULL;
    msg->ack = NULL;
    msg->tenant = *tenant;
    msg->originator = *originator;
    msg->customer = *customer;
    memset(&msg->id, 0, sizeof msg->id);
    msg->created_ms = created_ms;
    msg->references = 1;
    msg->counted = false;
    msg->hops = 0;
    msg->size_bytes = (uint32_t)size;
    msg->content = *content;
    struct ps_kv *kvs = (struct ps_kv *)(msg + 1);
    struct ps_pair *pairs = (struct ps_pair *)(kvs + kv_count);
    char *text = (char *)(pairs + content->metadata_count);
    if (content->data_kind == PS_DATA_OBJECT)
        copy_kvs(msg, content, kvs, &text);
    else
        msg->content.data = copy_text(&text, content->data, content->data_len);
    copy_metadata(msg, content, pairs, &text);
    set_type(msg, content, &text);
    msg->ts_ms = effective_ts(msg);
    *out = msg;
    return PS_OK;
}

enum ps_status ps_msg_derive(const struct ps_msg *origin, const struct ps_msg_content *content,
                             struct ps_msg **out)
{
    struct ps_msg *msg;
    enum ps_status st = ps_msg_create(&origin->tenant, &origin->originator, &origin->customer,
                                      origin->created_ms, content, &msg);
    if (st != PS_OK)
        return st;
    msg->id = origin->id;
    msg->hops = origin->hops;
    *out = msg;
    return PS_OK;
}

struct ps_msg *ps_msg_retain(struct ps_msg *msg)
{
    msg->references++;
    return msg;
}

void ps_msg_release(struct ps_msg *msg)
{
    if (msg && --msg->references == 0)
        free(msg);
}

const struct ps_uuid *ps_msg_id(struct ps_msg *msg)
{
    static const struct ps_uuid zero;
    if (ps_uuid_equal(&msg->id, &zero))
        msg->id = ps_uuid_random();
    return &msg->id;
}

const struct ps_pair *ps_msg_metadata(const struct ps_msg_content *content, const char *key)
{
    size_t len = strlen(key);
    for (uint32_t i = 0; i < content->metadata_count; i++) {
        const struct ps_pair *pair = &content->metadata[i];
        if (pair->key_len == len && memcmp(pair->key, key, len) == 0)
            return pair;
    }
    return NULL;
}

void ps_msg_put_data(const struct ps_msg_content *content, struct ps_buf *out)
{
    if (content->data_kind == PS_DATA_OBJECT)
        ps_json_put_object(out, content->kvs, content->kv_count);
    else
        ps_buf_put(out, content->data, content->data_len);
}

void ps_msg_put_metadata(const struct ps_msg_content *content, struct ps_buf *out)
{
    ps_buf_put_char(out, '{');
    for (uint32_t i = 0; i < content->metadata_count; i++) {
        const struct ps_pair *pair = &content->metadata[i];
        if (i)
            ps_buf_put_char(out, ',');
        ps_json_put_string(out, pair->key, pair->key_len);
        ps_buf_put_char(out, ':');
        ps_json_put_string(out, pair->value, pair->value_len);
    }
    ps_buf_put_char(out, '}');
}
