/* rest: the server-side REST API (REST contract), one file per resource.
 *
 * A call runs on a reader thread, synchronously: route, token, handler. Handlers read through
 * repositories on the reader's connection, change through the writer, and reach what is alive
 * (attributes, telemetry, sessions) through the entity's actor. */
#ifndef PS_TRANSPORT_REST_REST_H
#define PS_TRANSPORT_REST_REST_H

#include "core/status.h"
#include "core/storage/db.h"
#include "core/text.h"
#include "transport/http/call.h"

struct ps_chains;
struct ps_rest;
struct ps_script_cache;
struct ps_services;

/** @param services  borrowed, outlives it. Returns: PS_OK, PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_rest_create(const struct ps_services *services, struct ps_rest **out);
void ps_rest_destroy(struct ps_rest *rest); /* NULL is fine; no call may run */

/** Answer a call: fills call->reply. `rest` is a struct ps_rest: fits ps_http_settings.
 *  Thread: reader. */
void ps_rest_handle(void *rest, struct ps_http_call *call, struct ps_db *db);

/**
 * Compile every stored chain and make it live; called once at start. A chain that does not compile
 * is logged and left out, the others go on.
 *
 * Returns: PS_OK; PS_ESTORE, PS_ENOMEM.
 */
PS_MUST_CHECK
enum ps_status ps_rest_load_chains(struct ps_db *db, struct ps_script_cache *scripts,
                                   struct ps_chains *chains);

#endif
