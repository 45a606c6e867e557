/* rest_client: calls to a rest_world as its users make them, and what is expected of the answers.
 */
#ifndef TESTS_REST_CLIENT_H
#define TESTS_REST_CLIENT_H

#include "unit/transport_http/rest_world.h"

#include <jansson.h>
#include <string.h>

#include "core/auth/session_registry.h"

struct fixture {
    struct rest_world world;
    char *tenant, *customer, *sysadmin; /* headers: "Bearer ..." */
    const char *accept;                 /* of the next calls; NULL: none */
    /* of the last answer */
    unsigned status;
    const char *content_type;
    size_t slices; /* that came behind the first; the text is all of them */
    size_t longest_slice;
    json_t *json; /* of the last answer; NULL if its body is empty */
    char *text;
};

static inline void forget(struct fixture *f)
{
    json_decref(f->json);
    free(f->text);
    f->json = NULL;
    f->text = NULL;
}

/* As the server would send them. */
static inline void take_slices(struct fixture *f, struct ps_http_reply *reply)
{
    bool done = !reply->rest;
    f->slices = 0;
    f->longest_slice = reply->body.len;
    for (; !done; f->slices++) {
        struct ps_buf slice = { 0 };
        MUST(reply->rest->produce(reply->rest, f->world.db, &slice, &done));
        assert_true(ps_buf_ok(&slice));
        ps_buf_put(&reply->body, slice.data, slice.len);
        if (slice.len > f->longest_slice)
            f->longest_slice = slice.len;
        ps_buf_deinit(&slice);
    }
}

static inline unsigned call_as(struct fixture *f, const char *bearer, enum ps_http_method method,
                               const char *target, const char *body)
{
    struct ps_http_call call = { .method = method };
    forget(f);
    assert_int_equal(ps_http_target_parse(target, &call.target, NULL), PS_OK);
    call.x_authorization = bearer ? strdup(bearer) : NULL;
    if (body)
        ps_buf_put_text(&call.body, body);
    call.accept = f->accept ? strdup(f->accept) : NULL;
    ps_rest_handle(f->world.rest, &call, f->world.db);
    f->status = call.reply.status;
    f->content_type = call.reply.content_type;
    take_slices(f, &call.reply);
    f->text = strdup(ps_buf_cstr(&call.reply.body));
    f->json = json_loads(f->text, JSON_DECODE_ANY, NULL);
    if (*f->text && strcmp(f->content_type, PS_HTTP_CSV) != 0) {
        assert_non_null(f->json);
        assert_string_equal(f->content_type, PS_HTTP_JSON);
    }
    ps_http_target_deinit(&call.target);
    free(call.x_authorization);
    free(call.accept);
    ps_buf_deinit(&call.body);
    ps_http_reply_deinit(&call.reply);
    return f->status;
}

#define GET(f, target) call_as(f, (f)->tenant, PS_HTTP_GET, target, NULL)
#define POST(f, target, body) call_as(f, (f)->tenant, PS_HTTP_POST, target, body)
#define DELETE(f, target) call_as(f, (f)->tenant, PS_HTTP_DELETE, target, NULL)

/* The target with an id in it; the buffer is the caller's statement's. */
#define AT(...) at((char[512]){ 0 }, __VA_ARGS__)

static inline const char *at(char out[512], const char *format, ...) PS_PRINTF(2, 3);
static inline const char *at(char out[512], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out, 512, format, args);
    va_end(args);
    return out;
}

/* Status, errorCode and message of an error answer. */
static inline void assert_error(struct fixture *f, unsigned status, int code, const char *message)
{
    if (f->status != status)
        print_message("%u %s\n", f->status, f->text);
    assert_int_equal(f->status, status);
    assert_int_equal(json_integer_value(json_object_get(f->json, "status")), status);
    assert_int_equal(json_integer_value(json_object_get(f->json, "errorCode")), code);
    assert_true(json_integer_value(json_object_get(f->json, "timestamp")) > 0);
    if (message)
        assert_string_equal(json_string_value(json_object_get(f->json, "message")), message);
}

static inline void log_in(struct fixture *f, const char *email, const char *password, char **bearer)
{
    char body[256];
    snprintf(body, sizeof body, "{\"username\":\"%s\",\"password\":\"%s\"}", email, password);
    assert_int_equal(call_as(f, NULL, PS_HTTP_POST, "/api/auth/login", body), 200);
    const char *token = json_string_value(json_object_get(f->json, "token"));
    assert_true(asprintf(bearer, "Bearer %s", token) > 0);
}

/* The id of the entity in the last answer. */
static inline void take_id(struct fixture *f, char id[PS_UUID_TEXT_SIZE])
{
    const char *text = json_string_value(json_object_get(json_object_get(f->json, "id"), "id"));
    assert_non_null(text);
    snprintf(id, PS_UUID_TEXT_SIZE, "%s", text);
}

static inline int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    world_init(&f->world);
    log_in(f, "tenant@thingsboard.org", "tenant", &f->tenant);
    log_in(f, "customer@thingsboard.org", "customer", &f->customer);
    log_in(f, "sysadmin@thingsboard.org", "sysadmin", &f->sysadmin);
    *state = f;
    return 0;
}

static inline int stop(void **state)
{
    struct fixture *f = *state;
    forget(f);
    world_deinit(&f->world);
    free(f->tenant);
    free(f->customer);
    free(f->sysadmin);
    free(f);
    return 0;
}

#endif
