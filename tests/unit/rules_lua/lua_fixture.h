/* lua_fixture: a cache, a state and messages made from JSON-like tables, for the tests of scripts.
 */
#ifndef PS_TESTS_LUA_FIXTURE_H
#define PS_TESTS_LUA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "rules/lua/script.h"

struct fixture {
    struct ps_script_cache *cache;
    struct ps_lua *lua;
    struct ps_script_context ctx;
    struct ps_script_error error;
    struct ps_buf text; /* of the latest run_*() */
};

#define KV_DOUBLE(k, v)                                                                            \
    {                                                                                              \
        k, sizeof k - 1,                                                                           \
        {                                                                                          \
            .type = PS_VALUE_DOUBLE, .real = v                                                     \
        }                                                                                          \
    }
#define KV_LONG(k, v)                                                                              \
    {                                                                                              \
        k, sizeof k - 1,                                                                           \
        {                                                                                          \
            .type = PS_VALUE_LONG, .integer = v                                                    \
        }                                                                                          \
    }
#define KV_BOOLEAN(k, v)                                                                           \
    {                                                                                              \
        k, sizeof k - 1,                                                                           \
        {                                                                                          \
            .type = PS_VALUE_BOOLEAN, .boolean = v                                                 \
        }                                                                                          \
    }
#define KV_STRING(k, v)                                                                            \
    {                                                                                              \
        k, sizeof k - 1,                                                                           \
        {                                                                                          \
            .type = PS_VALUE_STRING, .len = sizeof v - 1, .text = v                                \
        }                                                                                          \
    }
#define KV_JSON(k, v)                                                                              \
    {                                                                                              \
        k, sizeof k - 1,                                                                           \
        {                                                                                          \
            .type = PS_VALUE_JSON, .len = sizeof v - 1, .text = v                                  \
        }                                                                                          \
    }
#define KV_NULL(k)                                                                                 \
    {                                                                                              \
        k, sizeof k - 1,                                                                           \
        {                                                                                          \
            .type = PS_VALUE_NULL                                                                  \
        }                                                                                          \
    }
#define PAIR(k, v)                                                                                 \
    {                                                                                              \
        k, v, sizeof k - 1, sizeof v - 1                                                           \
    }

static inline void fixture_init_with(struct fixture *f, const struct ps_lua_limits *limits)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(ps_script_cache_create(&f->cache), PS_OK);
    assert_int_equal(ps_lua_create(limits, &f->lua), PS_OK);
}

static inline void fixture_init(struct fixture *f)
{
    struct ps_lua_limits limits = PS_LUA_LIMITS_DEFAULT;
    limits.wall_ms = 10000; /* a busy machine is no failure */
    fixture_init_with(f, &limits);
}

static inline void fixture_deinit(struct fixture *f)
{
    ps_lua_destroy(f->lua);
    assert_int_equal(ps_script_cache_count(f->cache), 0);
    ps_script_cache_destroy(f->cache);
    ps_buf_deinit(&f->text);
}

static inline struct ps_msg *message_of(const struct ps_msg_content *content)
{
    struct ps_uuid tenant = { { 1 } }, customer = { { 3 } };
    struct ps_entity_id device = { PS_ENTITY_DEVICE, { { 2 } } };
    struct ps_msg *msg;
    assert_int_equal(ps_msg_create(&tenant, &device, &customer, 1700000000000, content, &msg),
                     PS_OK);
    return msg;
}

/* {"temperature":21.5,"humidity":40,"active":true,"name":"th","env":{"t":1,"list":[1,null,3]}} */
static inline struct ps_msg *usual_message(void)
{
    static const struct ps_kv kvs[] = {
        KV_DOUBLE("temperature", 21.5),
        KV_LONG("humidity", 40),
        KV_BOOLEAN("active", true),
        KV_STRING("name", "th"),
        KV_JSON("env", "{\"t\":1,\"list\":[1,null,3],\"gone\":null}"),
    };
    static const struct ps_pair metadata[] = { PAIR("deviceName", "A"),
                                               PAIR("ts", "1700000000000") };
    struct ps_msg_content content = { .type = PS_MSG_POST_TELEMETRY,
                                      .data_kind = PS_DATA_OBJECT,
                                      .kvs = kvs,
                                      .kv_count = sizeof kvs / sizeof kvs[0],
                                      .metadata = metadata,
                                      .metadata_count = 2 };
    return message_of(&content);
}

static inline struct ps_script_code *compile(struct fixture *f, enum ps_script_kind kind,
                                             const char *source)
{
    struct ps_script_code *code;
    memset(&f->error, 0, sizeof f->error);
    enum ps_status st =
        ps_script_compile(f->cache, kind, source, strlen(source), &code, &f->error, NULL);
    if (st != PS_OK)
        fail_msg("compile: %s (line %d) in: %s", f->error.message, f->error.line, source);
    return code;
}

/* Run as a text script on a message. The text is in f->text, terminated. */
static inline enum ps_status run_text_on(struct fixture *f, struct ps_msg *msg, const char *source)
{
    struct ps_script_code *code = compile(f, PS_SCRIPT_TEXT, source);
    struct ps_script_text text;
    enum ps_status st = ps_lua_text(f->lua, code, msg, &f->ctx, &text, &f->error);
    ps_buf_clear(&f->text);
    if (st == PS_OK)
        ps_buf_put(&f->text, text.data, text.len);
    ps_buf_cstr(&f->text);
    ps_script_release(code);
    return st;
}

static inline enum ps_status run_text(struct fixture *f, const char *source)
{
    struct ps_msg *msg = usual_message();
    enum ps_status st = run_text_on(f, msg, source);
    ps_msg_release(msg);
    return st;
}

static inline void put_message(struct ps_buf *out, const struct ps_msg_content *content)
{
    if (content->data_kind == PS_DATA_BINARY)
        ps_buf_put_text(out, "BINARY:");
    ps_msg_put_data(content, out);
    ps_buf_put_char(out, '|');
    ps_msg_put_metadata(content, out);
    ps_buf_put_char(out, '|');
    if (content->type == PS_MSG_CUSTOM)
        ps_buf_put(out, content->type_name, content->type_name_len);
    else
        ps_buf_put_text(out, ps_msg_type_name(content->type));
}

/* Run as a transform; f->text is data|metadata|type, messages set apart by a line break. */
static inline enum ps_status run_transform_on(struct fixture *f, struct ps_msg *msg,
                                              const char *source)
{
    struct ps_script_code *code = compile(f, PS_SCRIPT_TRANSFORM, source);
    struct ps_script_messages messages;
    enum ps_status st = ps_lua_transform(f->lua, code, msg, &f->ctx, &messages, &f->error);
    ps_buf_clear(&f->text);
    for (size_t i = 0; st == PS_OK && i < messages.count; i++) {
        if (i)
            ps_buf_put_char(&f->text, '\n');
        put_message(&f->text, &messages.list[i]);
    }
    ps_buf_cstr(&f->text);
    ps_script_release(code);
    return st;
}

static inline enum ps_status run_transform(struct fixture *f, const char *source)
{
    struct ps_msg *msg = usual_message();
    enum ps_status st = run_transform_on(f, msg, source);
    ps_msg_release(msg);
    return st;
}

static inline void expect_error(const struct fixture *f, enum ps_status st,
                                enum ps_script_error_kind kind, const char *message,
                                const char *source)
{
    if (st != PS_ESCRIPT)
        fail_msg("no error (%s) but \"%s\" in: %s", ps_status_text(st), f->text.data, source);
    if (f->error.kind != kind || !strstr(f->error.message, message))
        fail_msg("%s \"%s\" instead of %s \"%s\" in: %s", ps_script_error_kind_name(f->error.kind),
                 f->error.message, ps_script_error_kind_name(kind), message, source);
}

#endif
