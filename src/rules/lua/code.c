/* code: compiled scripts, shared by all threads.
 *
 * A script is compiled in a throw-away state without libraries and kept as the bytecode of our own
 * lua_dump; every Lua state loads that on first use. Bytecode from users is never loaded: crafted
 * bytecode breaks the virtual machine. The cache knows codes without holding them: the last release
 * takes a code out. */
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "rules/lua/lint.h"
#include "rules/lua/state.h"

enum {
    BUCKETS = 1024,
    COMPILE_BYTES_MAX = 16 * 1024 * 1024,
};

struct ps_script_code {
    /* constant */
    struct ps_script_cache *cache;
    enum ps_script_kind kind;
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct ps_script_warnings warnings;
    struct ps_buf bytecode;

    atomic_uint references;      /* grown by holders; grown from and shrunk to 0 under `lock` */
    struct ps_script_code *next; /* in its bucket, under `lock` */
};

struct ps_script_cache {
    pthread_mutex_t lock;
    size_t count;
    struct ps_script_code *buckets[BUCKETS];
};

static const char *const argument_names[PS_SCRIPT_KIND_COUNT] = {
    [PS_SCRIPT_FILTER] = "msg, metadata, msgType",
    [PS_SCRIPT_SWITCH] = "msg, metadata, msgType",
    [PS_SCRIPT_TRANSFORM] = "msg, metadata, msgType",
    [PS_SCRIPT_GENERATOR] = "prevMsg, prevMetadata, prevMsgType",
    [PS_SCRIPT_TEXT] = "msg, metadata, msgType",
    [PS_SCRIPT_JSON] = "msg, metadata, msgType, prevDetails",
};

enum ps_status ps_script_cache_create(struct ps_script_cache **out)
{
    struct ps_script_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return PS_ENOMEM;
    pthread_mutex_init(&cache->lock, NULL);
    *out = cache;
    return PS_OK;
}

void ps_script_cache_destroy(struct ps_script_cache *cache)
{
    if (!cache)
        return;
    PS_ASSERT(cache->count == 0);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

size_t ps_script_cache_count(struct ps_script_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t count = cache->count;
    pthread_mutex_unlock(&cache->lock);
    return count;
}

/* --- one script --- */

static void code_destroy(struct ps_script_code *code)
{
    ps_buf_deinit(&code->bytecode);
    free(code);
}

static struct ps_script_code **bucket_of(struct ps_script_cache *cache, const unsigned char *hash)
{
    return &cache->buckets[(hash[0] | hash[1] << 8) % BUCKETS];
}

struct ps_script_code *ps_script_retain(struct ps_script_code *code)
{
    atomic_fetch_add_explicit(&code->references, 1, memory_order_relaxed);
    return code;
}

void ps_script_release(struct ps_script_code *code)
{
    if (!code)
        return;
    struct ps_script_cache *cache = code->cache;
    pthread_mutex_lock(&cache->lock);
    bool last = atomic_fetch_sub(&code->references, 1) == 1;
    if (last) {
        struct ps_script_code **link = bucket_of(cache, code->hash);
        while (*link != code)
            link = &(*link)->next;
        *link = code->next;
        cache->count--;
    }
    pthread_mutex_unlock(&cache->lock);
    if (last)
        code_destroy(code);
}

enum ps_script_kind ps_script_kind(const struct ps_script_code *code)
{
    return code->kind;
}

struct ps_script_bytecode ps_script_bytecode(const struct ps_script_code *code)
{
    return (struct ps_script_bytecode){ code->bytecode.data, code->bytecode.len };
}

/* The code with this hash and one more reference, or NULL. Under `lock`. */
static struct ps_script_code *find_locked(struct ps_script_cache *cache, const unsigned char *hash)
{
    struct ps_script_code *code = *bucket_of(cache, hash);
    while (code && memcmp(code->hash, hash, sizeof code->hash) != 0)
        code = code->next;
    return code ? ps_script_retain(code) : NULL;
}

/* --- compiling --- */

struct compilation {
    const char *parts[3];
    size_t lens[3];
    unsigned part;
    const char *source, *names;
    size_t source_len;
    struct ps_buf *bytecode;
    size_t used_bytes;
};

static void *allocate(void *arg, void *block, size_t old_bytes, size_t bytes)
{
    struct compilation *c = arg;
    if (!block)
        old_bytes = 0;
    if (bytes > old_bytes && c->used_bytes + (bytes - old_bytes) > COMPILE_BYTES_MAX)
        return NULL;
    if (bytes == 0) {
        c->used_bytes -= old_bytes;
        free(block);
        return NULL;
    }
    void *moved = realloc(block, bytes);
    if (moved)
        c->used_bytes += bytes - old_bytes;
    return moved;
}

static const char *next_part(lua_State *L, void *arg, size_t *len)
{
    (void)L;
    struct compilation *c = arg;
    while (c->part < 3 && c->lens[c->part] == 0)
        c->part++;
    if (c->part == 3)
        return NULL;
    *len = c->lens[c->part];
    return c->parts[c->part++];
}

static int append(lua_State *L, const void *data, size_t len, void *arg)
{
    (void)L;
    struct compilation *c = arg;
    ps_buf_put(c->bytecode, data, len);
    return !ps_buf_ok(c->bytecode);
}

/* Load front, source and back as one text, which leaves the user's lines as they are. */
static int load(lua_State *L, struct compilation *c, const char *front, const char *back)
{
    c->part = 0;
    c->parts[0] = front;
    c->lens[0] = strlen(front);
    c->parts[1] = c->source;
    c->lens[1] = c->source_len;
    c->parts[2] = back;
    c->lens[2] = strlen(back);
    return lua_load(L, next_part, c, "=script", "t");
}

/* The chunk of the contract says whether the script is right. What runs is the same block as a
 * function with named parameters, because a vararg chunk pays 25 ns more a call; a block that is
 * a chunk of its own cannot mean anything else inside of one. Only a script that uses "..." itself
 * has to stay a chunk. */
static int compile_protected(lua_State *L)
{
    struct compilation *c = lua_touserdata(L, 1);
    const char *front = lua_pushfstring(L, "local %s = ...;", c->names);
    if (load(L, c, front, "") != LUA_OK)
        return lua_error(L);
    front = lua_pushfstring(L, "return function(%s) ", c->names);
    if (load(L, c, front, "\nend") == LUA_OK)
        lua_call(L, 0, 1);
    else
        lua_pop(L, 2);
    if (lua_dump(L, append, c, 0) != 0)
        return luaL_error(L, "out of memory");
    return 0;
}

static enum ps_status compile_failed(struct compilation *c, lua_State *L, int rc,
                                     struct ps_script_error *error)
{
    if (rc == LUA_ERRMEM && c->used_bytes < COMPILE_BYTES_MAX / 2)
        return PS_ENOMEM;
    size_t len = 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
    if (error && text)
        ps_script_error_set(error, PS_SCRIPT_ERROR_COMPILE, text, len);
    else if (error)
        ps_script_error_set(error, PS_SCRIPT_ERROR_COMPILE, "too complex", 11);
    return PS_ESCRIPT;
}

static enum ps_status compile(struct ps_script_code *code, const char *source, size_t len,
                              struct ps_script_error *error)
{
    struct compilation c = { .names = argument_names[code->kind],
                             .source = source,
                             .source_len = len,
                             .bytecode = &code->bytecode };
    lua_State *L = lua_newstate(allocate, &c);
    if (!L)
        return PS_ENOMEM;
    lua_pushcfunction(L, compile_protected);
    lua_pushlightuserdata(L, &c);
    int rc = lua_pcall(L, 1, 0, 0);
    enum ps_status st = rc == LUA_OK ? PS_OK : compile_failed(&c, L, rc, error);
    lua_close(L);
    if (st == PS_OK)
        ps_lint_globals(code->bytecode.data, code->bytecode.len, &code->warnings);
    return st;
}

static enum ps_status check_text(const char *source, size_t len, struct ps_script_error *error)
{
    char text[96];
    enum ps_script_error_kind kind = PS_SCRIPT_ERROR_COMPILE;
    int line = 0;
    if (len > PS_SCRIPT_SOURCE_BYTES_MAX) {
        kind = PS_SCRIPT_ERROR_TOO_LARGE;
        snprintf(text, sizeof text, "script has %zu bytes, %d are allowed", len,
                 PS_SCRIPT_SOURCE_BYTES_MAX);
    } else if (len > 0 && (line = ps_lint_environment_line(source, len)) > 0) {
        /* it would let one call change what the next one sees */
        snprintf(text, sizeof text, "script:%d: _ENV is not available", line);
    } else {
        return PS_OK;
    }
    if (error)
        ps_script_error_set(error, kind, text, strlen(text));
    return PS_ESCRIPT;
}

static void hash_script(enum ps_script_kind kind, const char *source, size_t len,
                        unsigned char *hash)
{
    /* the kind is part of the identity: it decides the arguments' names */
    SHA256((const unsigned char *)source, len, hash);
    hash[0] = (unsigned char)(hash[0] ^ (kind + 1) * 37);
}

/* Two threads may compile the same text at once; the first to come back here wins. */
static struct ps_script_code *publish(struct ps_script_cache *cache, struct ps_script_code *fresh)
{
    pthread_mutex_lock(&cache->lock);
    struct ps_script_code *code = find_locked(cache, fresh->hash);
    if (!code) {
        struct ps_script_code **bucket = bucket_of(cache, fresh->hash);
        fresh->next = *bucket;
        *bucket = code = fresh;
        cache->count++;
    }
    pthread_mutex_unlock(&cache->lock);
    if (code != fresh)
        code_destroy(fresh);
    return code;
}

enum ps_status ps_script_compile(struct ps_script_cache *cache, enum ps_script_kind kind,
                                 const char *source, size_t len, struct ps_script_code **out,
                                 struct ps_script_error *error, struct ps_script_warnings *warnings)
{
    enum ps_status st = check_text(source, len, error);
    if (st != PS_OK)
        return st;
    unsigned char hash[SHA256_DIGEST_LENGTH];
    hash_script(kind, source, len, hash);
    pthread_mutex_lock(&cache->lock);
    struct ps_script_code *code = find_locked(cache, hash);
    pthread_mutex_unlock(&cache->lock);
    if (!code) {
        code = calloc(1, sizeof *code);
        if (!code)
            return PS_ENOMEM;
        code->cache = cache;
        code->kind = kind;
        memcpy(code->hash, hash, sizeof code->hash);
        atomic_init(&code->references, 1);
        st = compile(code, source, len, error);
        if (st != PS_OK) {
            code_destroy(code);
            return st;
        }
        code = publish(cache, code);
    }
    if (warnings)
        *warnings = code->warnings;
    *out = code;
    return PS_OK;
}
