/* reply: the answer to an HTTP call while it is being made, and the JSON error body.
 *
 * Pure: it fills a struct; the server turns that into bytes on the wire. */
#ifndef PS_TRANSPORT_HTTP_REPLY_H
#define PS_TRANSPORT_HTTP_REPLY_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/status.h"

/* "errorCode" of the error body: section 2 of the REST contract. */
enum ps_http_error {
    PS_HTTP_GENERAL = 2,
    PS_HTTP_AUTHENTICATION = 10,
    PS_HTTP_TOKEN_EXPIRED = 11,
    PS_HTTP_PERMISSION_DENIED = 20,
    PS_HTTP_BAD_REQUEST = 31,
    PS_HTTP_NOT_FOUND = 32,
    PS_HTTP_VERSION_CONFLICT = 35,
    PS_HTTP_DATABASE = 46,
};

#define PS_HTTP_JSON "application/json"
#define PS_HTTP_CSV "text/csv; charset=utf-8; header=present"

struct ps_db;

enum { PS_HTTP_SLICE_BYTES = 64 * 1024 };

/* Makes the rest of an answer that is too long to be held as a whole: slice after slice, each when
 * the client has taken the one before. Embedded in whatever the maker needs to go on.
 *
 * A maker whose first slice is the whole answer does not hand over a producer: such an answer has a
 * length, and an error in it is still told by a status. */
struct ps_http_producer {
    /**
     * Append the next slice to `out` (empty at the call): about PS_HTTP_SLICE_BYTES, or nothing
     * yet.
     *
     * @param db    the calling reader's connection
     * @param done  set with the last slice
     * Returns: PS_OK; anything else cuts the connection, which is how a client of a chunked answer
     *          learns that it is not whole
     * Thread:  a reader's, another one each time, never two at once
     */
    enum ps_status (*produce)(struct ps_http_producer *producer, struct ps_db *db,
                              struct ps_buf *out, bool *done);
    /** Free it, at the end or before: the client may have gone. Thread: any. */
    void (*destroy)(struct ps_http_producer *producer);
};

enum { PS_HTTP_ALLOW_SIZE = 48 };

/* Zeroed is not an answer yet (status 0). */
struct ps_http_reply {
    unsigned status;
    const char *content_type;       /* of constant life; NULL: no body, or none is told */
    struct ps_buf body;             /* owned; all of it, or the first slice */
    struct ps_http_producer *rest;  /* owned; NULL: there is no more */
    char allow[PS_HTTP_ALLOW_SIZE]; /* with 405: the methods there are; "": not told */
    bool retry_after;               /* tells the client to try again in a second */
    bool close;                     /* ends the connection */
};

void ps_http_reply_deinit(struct ps_http_reply *reply);
/** Forget what was said so far. */
void ps_http_reply_reset(struct ps_http_reply *reply);

/** 200 without body. */
void ps_http_reply_empty(struct ps_http_reply *reply);
/** A status without body, e.g. 401 of the device API. */
void ps_http_reply_status(struct ps_http_reply *reply, unsigned status);
/** Replace whatever was said by {"status","message","errorCode","timestamp"}. */
void ps_http_reply_error(struct ps_http_reply *reply, unsigned status, enum ps_http_error code,
                         const char *format, ...) PS_PRINTF(4, 5);
/**
 * The error of a failed operation: 400/31 for malformed or refused input with `message`, 503 with
 * Retry-After for a full queue, 507 for a full disk, 500/46 for storage, and so on.
 *
 * @param st  not PS_OK
 */
void ps_http_reply_failure(struct ps_http_reply *reply, enum ps_status st, const char *message);

#endif
