#include "transport/rest/json_in.h"

#include <jansson.h>
#include <stdlib.h>

static void wrong_type(struct ps_json_in *in, const char *name, const char *wanted)
{
    if (!in->failed)
        ps_rest_bad_request(in->call, "JSON parse error: %s must be %s", name, wanted);
    in->failed = true;
}

static void out_of_memory(struct ps_json_in *in)
{
    if (!in->failed)
        ps_http_reply_failure(in->call->reply, PS_ENOMEM, NULL);
    in->failed = true;
}

bool ps_json_in_open(struct ps_json_in *in, struct ps_rest_call *call)
{
    const struct ps_buf *body = &call->http->body;
    json_error_t error = { .text = "the body is missing" };
    *in = (struct ps_json_in){ .call = call };
    if (body->len > 0)
        in->root = json_loadb(body->data, body->len, 0, &error);
    if (!json_is_object(in->root)) {
        ps_rest_bad_request(call, "JSON parse error: %s",
                            in->root ? "an object is expected" : error.text);
        ps_json_in_close(in);
        return false;
    }
    in->object = in->root;
    return true;
}

void ps_json_in_close(struct ps_json_in *in)
{
    json_decref(in->root);
    in->root = NULL;
    in->object = NULL;
}

bool ps_json_in_ok(const struct ps_json_in *in)
{
    return !in->failed;
}

/* The member; NULL if absent or null. */
static json_t *member(const struct ps_json_in *in, const char *name)
{
    json_t *value = json_object_get(in->object, name);
    return json_is_null(value) ? NULL : value;
}

const char *ps_json_in_text(struct ps_json_in *in, const char *name)
{
    json_t *value = member(in, name);
    if (value && !json_is_string(value))
        wrong_type(in, name, "a string");
    return json_string_value(value);
}

char *ps_json_in_copy(struct ps_json_in *in, const char *name)
{
    const char *text = ps_json_in_text(in, name);
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        out_of_memory(in);
    return copy;
}

int64_t ps_json_in_int(struct ps_json_in *in, const char *name, int64_t fallback)
{
    json_t *value = member(in, name);
    if (!value)
        return fallback;
    if (!json_is_integer(value)) {
        wrong_type(in, name, "an integer");
        return fallback;
    }
    return json_integer_value(value);
}

bool ps_json_in_bool(struct ps_json_in *in, const char *name, bool fallback)
{
    json_t *value = member(in, name);
    if (!value)
        return fallback;
    if (!json_is_boolean(value)) {
        wrong_type(in, name, "true or false");
        return fallback;
    }
    return json_is_true(value);
}

bool ps_json_in_id(struct ps_json_in *in, const char *name, struct ps_uuid *out)
{
    *out = PS_UUID_NULL;
    json_t *value = member(in, name);
    if (!value)
        return false;
    const char *text = json_string_value(json_object_get(value, "id"));
    if (!text || ps_uuid_parse(text, strlen(text), out) != PS_OK) {
        wrong_type(in, name, "an object with the id of an entity");
        return false;
    }
    return true;
}

char *ps_json_in_external_id(struct ps_json_in *in)
{
    struct ps_uuid id;
    if (!ps_json_in_id(in, "externalId", &id))
        return NULL;
    char *text = malloc(PS_UUID_TEXT_SIZE);
    if (text)
        ps_uuid_format(&id, text);
    else
        out_of_memory(in);
    return text;
}

char *ps_json_in_raw(struct ps_json_in *in, const char *name)
{
    json_t *value = member(in, name);
    if (!value)
        return NULL;
    struct ps_buf text = { 0 };
    ps_answer_put_json(&text, value);
    ps_buf_put_char(&text, '\0');
    if (!ps_buf_ok(&text)) {
        ps_buf_deinit(&text);
        out_of_memory(in);
        return NULL;
    }
    return text.data;
}
