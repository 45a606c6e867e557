/* target: the request target taken apart: decoded path segments and query parameters.
 *
 * Pure: text in, structure out. The path is split before it is decoded, so "%2F" inside a segment
 * stays part of it. In the query '+' is a space. */
#ifndef PS_TRANSPORT_HTTP_TARGET_H
#define PS_TRANSPORT_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"
#include "core/text.h"

enum {
    PS_HTTP_SEGMENTS_MAX = 16, /* no route is longer; more are "not found" */
    PS_HTTP_PARAMS_MAX = 256,
};

struct ps_http_param {
    const char *name, *value; /* terminated; "" if "=value" was left out */
};

/* Zeroed = empty. Text lives in `storage`. */
struct ps_http_target {
    size_t segment_count; /* PS_HTTP_SEGMENTS_MAX + 1: too many, the rest is left out */
    const char *segments[PS_HTTP_SEGMENTS_MAX]; /* terminated; "" between two slashes */
    size_t param_count;
    struct ps_http_param *params; /* in the order given, in `storage` too */
    void *storage;                /* owned */
};

/**
 * Parse "/path?query" or "http://host/path?query"; a fragment is dropped.
 *
 * Returns: PS_OK; PS_EPROTO no path, or bad percent-encoding, or bytes that are not UTF-8 or are
 *          zero: `why` says what; PS_ELIMIT too many parameters; PS_ENOMEM.
 * Thread: any
 */
PS_MUST_CHECK
enum ps_status ps_http_target_parse(const char *text, struct ps_http_target *out,
                                    struct ps_text *why);
void ps_http_target_deinit(struct ps_http_target *target);

/** The first value of a parameter, or NULL if it is absent. */
const char *ps_http_param(const struct ps_http_target *target, const char *name);

#endif
