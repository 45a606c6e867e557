/* result: from what a script returned to what its caller asked for (contract 5.2, 5.3).
 *
 * Runs after the script, outside of any protected call, so nothing here may raise: raw access only,
 * keys come from a table made with the state, text is copied into the call's arena. An argument
 * table that came back untouched needs no reading at all: the input's member stays. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json_text.h"
#include "rules/lua/state.h"

enum {
    LABELS_MAX = 256,
    MESSAGE_COST_BYTES = 64, /* each message counts this much more, so that none are free */
    MEMBERS_FIRST = 16,
};

/* Where PS_LUA_SLOT_NAMES keeps the names of a result's members. */
enum name { NAME_MSG = 1, NAME_METADATA, NAME_MSG_TYPE, NAME_DATA_TYPE, NAME_COUNT };

void ps_lua_result_names_push(lua_State *L)
{
    static const char *const names[] = { NULL, "msg", "metadata", "msgType", "dataType" };
    lua_createtable(L, NAME_COUNT - 1, 0);
    for (int i = NAME_MSG; i < NAME_COUNT; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, i);
    }
}

PS_PRINTF(3, 4)
static bool fail(struct ps_lua *lua, enum ps_script_error_kind kind, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!lua->tripped)
        ps_script_error_set(&lua->error, kind, text, strlen(text));
    return false;
}

static bool no_memory(struct ps_lua *lua)
{
    lua->process_out_of_memory = true;
    return false;
}

/* Push a member of the table at `index`. Returns: its type. */
static int push_member(struct ps_lua *lua, int index, enum name name)
{
    lua_rawgeti(lua->L, PS_LUA_SLOT_NAMES, name);
    return lua_rawget(lua->L, index);
}

static bool write_json(struct ps_lua *lua, int index, const char *what)
{
    struct ps_lua_writer writer = {
        .lua = lua, .L = lua->L, .out = &lua->text, .bytes_max = lua->limits.result_bytes
    };
    ps_buf_clear(&lua->text);
    if (ps_lua_json_write(&writer, index))
        return true;
    return fail(lua, writer.kind, "%s: %s", what, writer.why);
}

/* An untouched argument table in a place where it has to be read. */
static bool fill_lazy(struct ps_lua *lua, int index)
{
    return ps_lua_table_fill(lua, lua->L, index) ||
           fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "argument table cannot be read");
}

/* Account for bytes of result. */
static bool spend_size(struct ps_lua *lua, size_t *left, size_t bytes)
{
    if (bytes > *left)
        return fail(lua, PS_SCRIPT_ERROR_TOO_LARGE, "result has more than %zu bytes",
                    lua->limits.result_bytes);
    *left -= bytes;
    return true;
}

/* --- keys of both kinds of table --- */

/* The text of a key at `index`, copied to the arena. */
static bool copy_key(struct ps_lua *lua, int index, const char **key, uint32_t *len, size_t *left)
{
    lua_State *L = lua->L;
    char number[PS_DOUBLE_TEXT_SIZE];
    size_t key_len;
    const char *text = number;
    if (lua_type(L, index) == LUA_TSTRING)
        text = lua_tolstring(L, index, &key_len);
    else if (lua_isinteger(L, index))
        key_len = ps_long_format(lua_tointeger(L, index), number);
    else if (lua_type(L, index) == LUA_TNUMBER)
        key_len = ps_double_format(lua_tonumber(L, index), number);
    else
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "a %s cannot be a key",
                    luaL_typename(L, index));
    if (!spend_size(lua, left, key_len + 4))
        return false;
    if (ps_lua_utf8_valid_len(text, key_len) != key_len)
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "key is not UTF-8");
    *key = ps_arena_copy(&lua->results, text, key_len);
    *len = (uint32_t)key_len;
    return *key || no_memory(lua);
}

static int compare_keys(const char *a, uint32_t a_len, const char *b, uint32_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

/* --- msg --- */

static int compare_kvs(const void *a, const void *b)
{
    const struct ps_kv *left = a, *right = b;
    return compare_keys(left->key, left->key_len, right->key, right->key_len);
}

static bool copy_text(struct ps_lua *lua, const char *text, size_t len, struct ps_value *out,
                      size_t *left)
{
    if (!spend_size(lua, left, len + 2))
        return false;
    out->text = ps_arena_copy(&lua->results, text, len);
    out->len = (uint32_t)len;
    return out->text || no_memory(lua);
}

static bool read_number(struct ps_lua *lua, int index, struct ps_value *out)
{
    if (lua_isinteger(lua->L, index)) {
        *out = (struct ps_value){ .type = PS_VALUE_LONG, .integer = lua_tointeger(lua->L, index) };
        return true;
    }
    double real = lua_tonumber(lua->L, index);
    if (real - real != 0)
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "msg: %s has no JSON form",
                    real != real ? "NaN" : "infinity");
    *out = (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = real };
    return true;
}

static bool read_string(struct ps_lua *lua, int index, struct ps_value *out, size_t *left)
{
    size_t len;
    const char *text = lua_tolstring(lua->L, index, &len);
    if (ps_lua_utf8_valid_len(text, len) != len)
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT,
                    "msg: string is not UTF-8 (encode it as base64 or hex first)");
    out->type = PS_VALUE_STRING;
    return copy_text(lua, text, len, out, left);
}

static bool read_value(struct ps_lua *lua, int index, struct ps_value *out, size_t *left)
{
    if (!spend_size(lua, left, 1))
        return false;
    switch (lua_type(lua->L, index)) {
    case LUA_TBOOLEAN:
        *out =
            (struct ps_value){ .type = PS_VALUE_BOOLEAN, .boolean = lua_toboolean(lua->L, index) };
        return true;
    case LUA_TNUMBER:
        return read_number(lua, index, out);
    case LUA_TSTRING:
        return read_string(lua, index, out, left);
    case LUA_TTABLE:
        out->type = PS_VALUE_JSON;
        return write_json(lua, index, "msg") &&
               copy_text(lua, lua->text.data, lua->text.len, out, left);
    default:
        if (!ps_lua_is_null(lua->L, index))
            return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "msg: a %s has no JSON form",
                        luaL_typename(lua->L, index));
        *out = (struct ps_value){ .type = PS_VALUE_NULL };
        return true;
    }
}

/* Room for one more element of `size` bytes in an arena array. Returns: the array, or NULL. */
static void *grow(struct ps_lua *lua, void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return list;
    size_t larger = *cap ? *cap * 2 : MEMBERS_FIRST;
    void *moved = ps_arena_alloc(&lua->results, larger * size);
    if (!moved) {
        no_memory(lua);
        return NULL;
    }
    if (count)
        memcpy(moved, list, count * size);
    *cap = larger;
    return moved;
}

static bool check_same_keys(struct ps_lua *lua, const struct ps_kv *kvs, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (compare_kvs(&kvs[i - 1], &kvs[i]) == 0)
            return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "msg: two keys become \"%.60s\"",
                        kvs[i].key);
    }
    return true;
}

static bool read_object(struct ps_lua *lua, int index, struct ps_msg_content *out, size_t *left)
{
    lua_State *L = lua->L;
    bool keep_nulls = lua->call->ctx->keep_nulls;
    struct ps_kv *kvs = NULL;
    size_t count = 0, cap = 0;
    int top = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (!keep_nulls && ps_lua_is_null(L, -1)) {
            lua_settop(L, top + 1);
            continue;
        }
        kvs = grow(lua, kvs, count, &cap, sizeof *kvs);
        if (!kvs || !copy_key(lua, top + 1, &kvs[count].key, &kvs[count].key_len, left) ||
            !read_value(lua, top + 2, &kvs[count].value, left))
            return false;
        count++;
        lua_settop(L, top + 1);
    }
    if (count > 1)
        qsort(kvs, count, sizeof *kvs, compare_kvs);
    out->data_kind = PS_DATA_OBJECT;
    out->kvs = kvs;
    out->kv_count = (uint32_t)count;
    return check_same_keys(lua, kvs, count);
}

static bool read_json(struct ps_lua *lua, int index, struct ps_msg_content *out, size_t *left)
{
    if (!write_json(lua, index, "msg") || !spend_size(lua, left, lua->text.len))
        return false;
    out->data_kind = PS_DATA_JSON;
    out->data = ps_arena_copy(&lua->results, lua->text.data, lua->text.len);
    out->data_len = (uint32_t)lua->text.len;
    return out->data || no_memory(lua);
}

static bool read_binary(struct ps_lua *lua, int index, struct ps_msg_content *out, size_t *left)
{
    size_t len;
    if (lua_type(lua->L, index) != LUA_TSTRING)
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT,
                    "msg of dataType BINARY must be a string, got %s",
                    luaL_typename(lua->L, index));
    const char *bytes = lua_tolstring(lua->L, index, &len);
    if (!spend_size(lua, left, len))
        return false;
    out->data_kind = PS_DATA_BINARY;
    out->data = ps_arena_copy(&lua->results, bytes, len);
    out->data_len = (uint32_t)len;
    return out->data || no_memory(lua);
}

static bool read_msg(struct ps_lua *lua, int index, bool binary, struct ps_msg_content *out,
                     size_t *left)
{
    lua_State *L = lua->L;
    const void *table = lua_topointer(L, index);
    if (lua_isnil(L, index) || (!binary && lua->msg_lazy && table == lua->msg_table))
        return true; /* missing or untouched: the input's */
    out->kvs = NULL;
    out->kv_count = out->data_len = 0;
    out->data = NULL;
    if (binary)
        return read_binary(lua, index, out, left);
    size_t count;
    if (!lua_istable(L, index) || ps_lua_table_is_array(lua, L, index, &count))
        return read_json(lua, index, out, left);
    return fill_lazy(lua, index) && read_object(lua, index, out, left);
}

/* --- metadata --- */

static int compare_pairs(const void *a, const void *b)
{
    const struct ps_pair *left = a, *right = b;
    return compare_keys(left->key, left->key_len, right->key, right->key_len);
}

static bool read_pair_text(struct ps_lua *lua, int index, struct ps_pair *out, size_t *left)
{
    lua_State *L = lua->L;
    char number[PS_DOUBLE_TEXT_SIZE];
    const char *text = number;
    size_t len = 0;
    int type = lua_type(L, index);
    if (type == LUA_TSTRING) {
        text = lua_tolstring(L, index, &len);
        if (ps_lua_utf8_valid_len(text, len) != len)
            return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "metadata: string is not UTF-8");
    } else if (type == LUA_TNUMBER && lua_isinteger(L, index)) {
        len = ps_long_format(lua_tointeger(L, index), number);
    } else if (type == LUA_TBOOLEAN) {
        text = lua_toboolean(L, index) ? "true" : "false";
        len = strlen(text);
    } else {
        if (!write_json(lua, index, "metadata"))
            return false;
        text = lua->text.data;
        len = lua->text.len;
    }
    if (!spend_size(lua, left, len))
        return false;
    out->value = ps_arena_copy(&lua->results, text, len);
    out->value_len = (uint32_t)len;
    return out->value || no_memory(lua);
}

static bool check_metadata(struct ps_lua *lua, const struct ps_msg_content *content)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < content->metadata_count; i++) {
        bytes += content->metadata[i].key_len + content->metadata[i].value_len;
        if (i && compare_pairs(&content->metadata[i - 1], &content->metadata[i]) == 0)
            return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "metadata: two keys become \"%.60s\"",
                        content->metadata[i].key);
    }
    if (content->metadata_count > PS_MSG_METADATA_KEYS_MAX || bytes > PS_MSG_METADATA_BYTES_MAX)
        return fail(lua, PS_SCRIPT_ERROR_TOO_LARGE, "metadata has more than %d keys or %d bytes",
                    PS_MSG_METADATA_KEYS_MAX, PS_MSG_METADATA_BYTES_MAX);
    return true;
}

static bool read_metadata(struct ps_lua *lua, int index, struct ps_msg_content *out, size_t *left)
{
    lua_State *L = lua->L;
    if (lua_isnil(L, index))
        return true;
    if (!lua_istable(L, index))
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "metadata must be a table, got %s",
                    luaL_typename(L, index));
    if (lua->metadata_lazy && lua_topointer(L, index) == lua->metadata_table)
        return true; /* untouched: the input's */
    if (!fill_lazy(lua, index))
        return false;
    struct ps_pair *pairs = NULL;
    size_t count = 0, cap = 0;
    int top = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (!ps_lua_is_null(L, -1)) {
            pairs = grow(lua, pairs, count, &cap, sizeof *pairs);
            if (!pairs || !copy_key(lua, top + 1, &pairs[count].key, &pairs[count].key_len, left) ||
                !read_pair_text(lua, top + 2, &pairs[count], left))
                return false;
            count++;
        }
        lua_settop(L, top + 1);
    }
    if (count > 1)
        qsort(pairs, count, sizeof *pairs, compare_pairs);
    out->metadata = pairs;
    out->metadata_count = (uint32_t)count;
    return check_metadata(lua, out);
}

/* --- msgType, dataType --- */

static bool read_type(struct ps_lua *lua, int index, struct ps_msg_content *out)
{
    if (lua_isnil(lua->L, index))
        return true;
    size_t len = 0;
    const char *text =
        lua_type(lua->L, index) == LUA_TSTRING ? lua_tolstring(lua->L, index, &len) : NULL;
    if (!text || len == 0)
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "msgType must be a string, got %s",
                    text ? "an empty one" : luaL_typename(lua->L, index));
    if (len > PS_MSG_TYPE_LEN_MAX)
        return fail(lua, PS_SCRIPT_ERROR_TOO_LARGE, "msgType is longer than %d bytes",
                    PS_MSG_TYPE_LEN_MAX);
    if (ps_lua_utf8_valid_len(text, len) != len)
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "msgType is not UTF-8");
    out->type = ps_msg_type_parse(text, len);
    out->type_name = ps_arena_copy(&lua->results, text, len);
    out->type_name_len = (uint32_t)len;
    return out->type_name || no_memory(lua);
}

static bool read_data_type(struct ps_lua *lua, int index, bool *binary)
{
    *binary = false;
    if (lua_isnil(lua->L, index))
        return true;
    const char *text = lua_type(lua->L, index) == LUA_TSTRING ? lua_tostring(lua->L, index) : "";
    *binary = strcmp(text, "BINARY") == 0;
    if (*binary || strcmp(text, "JSON") == 0)
        return true;
    return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "dataType must be \"JSON\" or \"BINARY\"");
}

/* --- messages --- */

static bool has_members(struct ps_lua *lua, int index)
{
    for (enum name name = NAME_MSG; name <= NAME_MSG_TYPE; name++) {
        int type = push_member(lua, index, name);
        lua_pop(lua->L, 1);
        if (type != LUA_TNIL)
            return true;
    }
    return false;
}

static bool read_message(struct ps_lua *lua, int index, struct ps_msg_content *out, size_t *left)
{
    lua_State *L = lua->L;
    int top = lua_gettop(L);
    bool binary;
    *out = *lua->call->in;
    push_member(lua, index, NAME_MSG);
    push_member(lua, index, NAME_METADATA);
    push_member(lua, index, NAME_MSG_TYPE);
    push_member(lua, index, NAME_DATA_TYPE);
    bool fine = spend_size(lua, left, MESSAGE_COST_BYTES) &&
                read_data_type(lua, top + 4, &binary) &&
                read_msg(lua, top + 1, binary, out, left) &&
                read_metadata(lua, top + 2, out, left) && read_type(lua, top + 3, out);
    lua_settop(L, top);
    return fine;
}

static bool not_a_message(struct ps_lua *lua, const char *where, int index)
{
    if (lua_istable(lua->L, index))
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT,
                    "%s has none of the keys msg, metadata, msgType", where);
    return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "%s must be a table, got %s", where,
                luaL_typename(lua->L, index));
}

static bool read_list(struct ps_lua *lua, int index, size_t count, struct ps_script_messages *out,
                      size_t *left)
{
    lua_State *L = lua->L;
    if (count > lua->limits.result_bytes / MESSAGE_COST_BYTES)
        return fail(lua, PS_SCRIPT_ERROR_TOO_LARGE, "result has too many messages");
    out->list = ps_arena_alloc(&lua->results, count * sizeof *out->list);
    if (!out->list)
        return no_memory(lua);
    for (size_t i = 0; i < count; i++) {
        char where[40];
        snprintf(where, sizeof where, "result[%zu]", i + 1);
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        int element = lua_gettop(L);
        if (!fill_lazy(lua, element))
            return false;
        if (!lua_istable(L, element) || !has_members(lua, element))
            return not_a_message(lua, where, element);
        if (!read_message(lua, element, &out->list[i], left))
            return false;
        lua_pop(L, 1);
    }
    out->count = count;
    return true;
}

static bool is_empty(lua_State *L, int index)
{
    lua_pushnil(L);
    if (!lua_next(L, index))
        return true;
    lua_pop(L, 2);
    return false;
}

bool ps_lua_result_messages(struct ps_lua *lua, bool one_only, struct ps_script_messages *out)
{
    lua_State *L = lua->L;
    int index = lua_gettop(L);
    size_t left = lua->limits.result_bytes, count;
    struct ps_script_messages messages = { 0 };
    if (!lua_isnil(L, index)) {
        if (!lua_istable(L, index))
            return not_a_message(lua, "result", index);
        if (!fill_lazy(lua, index))
            return false;
        if (has_members(lua, index)) {
            messages.list = ps_arena_alloc(&lua->results, sizeof *messages.list);
            if (!messages.list)
                return no_memory(lua);
            if (!read_message(lua, index, messages.list, &left))
                return false;
            messages.count = 1;
        } else if (ps_lua_table_is_array(lua, L, index, &count) && count > 0 && !one_only) {
            if (!read_list(lua, index, count, &messages, &left))
                return false;
        } else if (!is_empty(L, index)) {
            return not_a_message(lua, "result", index);
        }
    }
    *out = messages;
    return true;
}

/* --- labels --- */

static bool add_label(struct ps_lua *lua, int index, struct ps_script_labels *labels, size_t *left)
{
    size_t len;
    if (lua_type(lua->L, index) != LUA_TSTRING)
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT,
                    "switch must return a string or an array of strings, got %s",
                    luaL_typename(lua->L, index));
    const char *text = lua_tolstring(lua->L, index, &len);
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->list[i].len == len && memcmp(labels->list[i].text, text, len) == 0)
            return true;
    }
    if (!spend_size(lua, left, len))
        return false;
    if (ps_lua_utf8_valid_len(text, len) != len)
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT, "label is not UTF-8");
    char *copy = ps_arena_copy(&lua->results, text, len);
    labels->list[labels->count++] = (struct ps_script_label){ copy, len };
    return copy || no_memory(lua);
}

bool ps_lua_result_labels(struct ps_lua *lua, struct ps_script_labels *out)
{
    lua_State *L = lua->L;
    int index = lua_gettop(L);
    size_t left = lua->limits.result_bytes, count = 0;
    struct ps_script_labels labels = { 0 };
    bool table = lua_istable(L, index);
    if (!fill_lazy(lua, index))
        return false;
    if (table && !ps_lua_table_is_array(lua, L, index, &count) && !is_empty(L, index))
        return fail(lua, PS_SCRIPT_ERROR_BAD_RESULT,
                    "switch must return a string or an array of strings, got an object");
    if (count > LABELS_MAX)
        return fail(lua, PS_SCRIPT_ERROR_TOO_LARGE, "more than %d labels", LABELS_MAX);
    labels.list = ps_arena_alloc(&lua->results, (count + 1) * sizeof *labels.list);
    if (!labels.list)
        return no_memory(lua);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i);
        if (!add_label(lua, index + 1, &labels, &left))
            return false;
        lua_pop(L, 1);
    }
    if (!table && !lua_isnil(L, index) && !add_label(lua, index, &labels, &left))
        return false;
    *out = labels;
    return true;
}

bool ps_lua_result_text(struct ps_lua *lua, bool bare_strings, struct ps_script_text *out)
{
    lua_State *L = lua->L;
    int index = lua_gettop(L);
    const char *text;
    size_t len, left = lua->limits.result_bytes;
    if (bare_strings && lua_type(L, index) == LUA_TSTRING) {
        text = lua_tolstring(L, index, &len);
    } else {
        if (!write_json(lua, index, "result"))
            return false;
        text = lua->text.data;
        len = lua->text.len;
    }
    if (!spend_size(lua, &left, len))
        return false;
    struct ps_script_text copy = { ps_arena_copy(&lua->results, text, len), len };
    if (!copy.data)
        return no_memory(lua);
    *out = copy;
    return true;
}
