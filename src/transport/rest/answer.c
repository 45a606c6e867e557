#include "transport/rest/answer.h"

#include <jansson.h>

#include "core/json_text.h"

void ps_answer_item(struct ps_buf *buf)
{
    char last = buf->len > 0 ? buf->data[buf->len - 1] : '[';
    if (last != '{' && last != '[')
        ps_buf_put_char(buf, ',');
}

void ps_answer_name(struct ps_buf *buf, const char *name)
{
    ps_answer_item(buf);
    ps_json_put_string(buf, name, strlen(name));
    ps_buf_put_char(buf, ':');
}

void ps_answer_null(struct ps_buf *buf, const char *name)
{
    ps_answer_raw(buf, name, NULL);
}

void ps_answer_text(struct ps_buf *buf, const char *name, const char *text)
{
    ps_answer_name(buf, name);
    if (text)
        ps_json_put_string(buf, text, strlen(text));
    else
        ps_buf_put_text(buf, "null");
}

void ps_answer_int(struct ps_buf *buf, const char *name, int64_t value)
{
    ps_answer_name(buf, name);
    ps_json_put_long(buf, value);
}

void ps_answer_bool(struct ps_buf *buf, const char *name, bool value)
{
    ps_answer_name(buf, name);
    ps_buf_put_text(buf, value ? "true" : "false");
}

void ps_answer_raw(struct ps_buf *buf, const char *name, const char *json)
{
    ps_answer_name(buf, name);
    ps_buf_put_text(buf, json ? json : "null");
}

void ps_answer_uuid(struct ps_buf *buf, const char *name, const struct ps_uuid *id)
{
    char text[PS_UUID_TEXT_SIZE];
    ps_uuid_format(ps_uuid_is_null(id) ? &PS_UUID_NULL : id, text);
    ps_answer_text(buf, name, text);
}

void ps_answer_ref(struct ps_buf *buf, const char *name, enum ps_entity_type type,
                   const struct ps_uuid *id)
{
    ps_answer_name(buf, name);
    ps_buf_put_char(buf, '{');
    ps_answer_text(buf, "entityType", ps_entity_type_name(type));
    ps_answer_uuid(buf, "id", id);
    ps_buf_put_char(buf, '}');
}

void ps_answer_ref_or_null(struct ps_buf *buf, const char *name, enum ps_entity_type type,
                           const struct ps_uuid *id)
{
    if (ps_uuid_is_null(id))
        ps_answer_null(buf, name);
    else
        ps_answer_ref(buf, name, type, id);
}

void ps_answer_external_id(struct ps_buf *buf, enum ps_entity_type type, const char *id)
{
    struct ps_uuid uuid;
    if (id && ps_uuid_parse(id, strlen(id), &uuid) == PS_OK)
        ps_answer_ref(buf, "externalId", type, &uuid);
    else
        ps_answer_null(buf, "externalId");
}

static void put_object(struct ps_buf *buf, const json_t *object)
{
    json_t *unlocked = (json_t *)object; /* the library's iterators want it so; it stays as it is */
    const char *key;
    json_t *member;
    ps_buf_put_char(buf, '{');
    json_object_foreach(unlocked, key, member)
    {
        ps_answer_name(buf, key);
        ps_answer_put_json(buf, member);
    }
    ps_buf_put_char(buf, '}');
}

static void put_array(struct ps_buf *buf, const json_t *array)
{
    ps_buf_put_char(buf, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        ps_answer_item(buf);
        ps_answer_put_json(buf, json_array_get(array, i));
    }
    ps_buf_put_char(buf, ']');
}

void ps_answer_put_json(struct ps_buf *buf, const struct json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(buf, value);
        break;
    case JSON_ARRAY:
        put_array(buf, value);
        break;
    case JSON_STRING:
        ps_json_put_string(buf, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        ps_json_put_long(buf, json_integer_value(value));
        break;
    case JSON_REAL:
        ps_json_put_double(buf, json_real_value(value));
        break;
    case JSON_TRUE:
        ps_buf_put_text(buf, "true");
        break;
    case JSON_FALSE:
        ps_buf_put_text(buf, "false");
        break;
    case JSON_NULL:
        ps_buf_put_text(buf, "null");
        break;
    }
}
