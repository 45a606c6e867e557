/* target: see the header. Decoding only shrinks text, so one block of the input's size, after the
 * array of parameters, holds everything. */
#include "transport/http/target.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_utf8(const char *text, size_t len)
{
    size_t bad;
    for (size_t i = 0; i < len;) {
        size_t step = ps_utf8_sequence(text + i, len - i, &bad);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

/* Decode [from, end) to *write, terminate it and move *write behind. */
static enum ps_status decode(const char *from, const char *end, bool plus_is_space, char **write,
                             struct ps_text *why)
{
    char *start = *write, *to = start;
    while (from < end) {
        char c = *from++;
        if (c == '%') {
            int high = end - from >= 2 ? hex_digit(from[0]) : -1;
            int low = high >= 0 ? hex_digit(from[1]) : -1;
            if (low < 0) {
                ps_text_set(why, "Malformed percent-encoding in the request target");
                return PS_EPROTO;
            }
            c = (char)(high << 4 | low);
            from += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0') {
            ps_text_set(why, "Zero byte in the request target");
            return PS_EPROTO;
        }
        *to++ = c;
    }
    if (!is_utf8(start, (size_t)(to - start))) {
        ps_text_set(why, "The request target is not UTF-8");
        return PS_EPROTO;
    }
    *to++ = '\0';
    *write = to;
    return PS_OK;
}

static enum ps_status parse_path(const char *path, const char *end, char **write,
                                 struct ps_http_target *out, struct ps_text *why)
{
    while (path < end) { /* *path is '/' */
        const char *segment = path + 1;
        const char *next = memchr(segment, '/', (size_t)(end - segment));
        path = next ? next : end;
        if (out->segment_count >= PS_HTTP_SEGMENTS_MAX) {
            out->segment_count = PS_HTTP_SEGMENTS_MAX + 1;
            return PS_OK;
        }
        out->segments[out->segment_count++] = *write;
        enum ps_status st = decode(segment, path, false, write, why);
        if (st != PS_OK)
            return st;
    }
    return PS_OK;
}

static enum ps_status parse_query(const char *query, const char *end, char **write,
                                  struct ps_http_target *out, struct ps_text *why)
{
    while (query < end) {
        const char *next = memchr(query, '&', (size_t)(end - query));
        const char *stop = next ? next : end;
        const char *equals = memchr(query, '=', (size_t)(stop - query));
        if (stop > query) {
            struct ps_http_param *param = &out->params[out->param_count++];
            param->name = *write;
            enum ps_status st = decode(query, equals ? equals : stop, true, write, why);
            if (st != PS_OK)
                return st;
            param->value = *write;
            st = decode(equals ? equals + 1 : stop, stop, true, write, why);
            if (st != PS_OK)
                return st;
        }
        query = stop < end ? stop + 1 : end;
    }
    return PS_OK;
}

static size_t count_params(const char *query, const char *end)
{
    size_t count = query < end ? 1 : 0;
    for (const char *p = query; p < end; p++)
        count += *p == '&';
    return count;
}

/* The path of the absolute form; the text itself otherwise. */
static const char *skip_authority(const char *text)
{
    size_t scheme_len = strcspn(text, ":/?#");
    if (text[0] == '/' || strncmp(text + scheme_len, "://", 3) != 0)
        return text;
    return text + scheme_len + 3 + strcspn(text + scheme_len + 3, "/?#");
}

enum ps_status ps_http_target_parse(const char *text, struct ps_http_target *out,
                                    struct ps_text *why)
{
    const char *path = skip_authority(text);
    const char *path_end = path + strcspn(path, "?#");
    const char *query = *path_end == '?' ? path_end + 1 : path_end;
    const char *query_end = query + strcspn(query, "#");
    size_t params = count_params(query, query_end);
    if (*path != '/') {
        ps_text_set(why, "The request target is not a path");
        return PS_EPROTO;
    }
    if (params > PS_HTTP_PARAMS_MAX) {
        ps_text_set(why, "More than %d query parameters", PS_HTTP_PARAMS_MAX);
        return PS_ELIMIT;
    }

    struct ps_http_target target = { 0 };
    /* A parameter of n bytes needs at most n + 2 with both terminators; its '&' gives one. */
    size_t text_size = strlen(path) + params + 2;
    target.storage = malloc(params * sizeof *target.params + text_size);
    if (!target.storage)
        return PS_ENOMEM;
    target.params = target.storage;
    char *write = (char *)target.storage + params * sizeof *target.params;
    enum ps_status st = parse_path(path, path_end, &write, &target, why);
    if (st == PS_OK)
        st = parse_query(query, query_end, &write, &target, why);
    if (st != PS_OK) {
        ps_http_target_deinit(&target);
        return st;
    }
    *out = target;
    return PS_OK;
}

void ps_http_target_deinit(struct ps_http_target *target)
{
    free(target->storage);
    *target = (struct ps_http_target){ 0 };
}

const char *ps_http_param(const struct ps_http_target *target, const char *name)
{
    for (size_t i = 0; i < target->param_count; i++)
        if (strcmp(target->params[i].name, name) == 0)
            return target->params[i].value;
    return NULL;
}
