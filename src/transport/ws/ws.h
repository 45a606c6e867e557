/* ws: the WebSocket server: telemetry and attributes pushed to dashboards and scripts.
 *
 * One thread runs libwebsockets on a libev loop of ours, so waking costs the same with ten sessions
 * as with ten thousand. Sockets come from the front door with the upgrade request still unread.
 * What changed comes from the shards to this thread's port; what must be read (permission,
 * snapshots, history) is a job of the reader pool, whose finished frame comes to the same port.
 *
 * Not here: accepting, TLS. ENTITY_DATA, counts and alarms are refused with a clear text. */
#ifndef PS_TRANSPORT_WS_WS_H
#define PS_TRANSPORT_WS_WS_H

#include "core/status.h"
#include "transport/services.h"

struct ps_ws;

/**
 * Start the thread. The process's limit of open files must have its final value: the library sizes
 * its descriptor table by it.
 *
 * Returns: PS_OK; PS_EUNSUPPORTED the library's libev plugin cannot be loaded; PS_EIO, PS_ENOMEM.
 */
PS_MUST_CHECK
enum ps_status ps_ws_start(const struct ps_services *services, struct ps_ws **out);

/** Serve this socket; it is the server's from now on. After ps_ws_stop() it is closed.
 *  Thread: any. */
void ps_ws_adopt(struct ps_ws *ws, int fd);

/** Close every session with 1001, wait for reader jobs that are under way, join the thread. Shards
 *  and readers must still run. */
void ps_ws_stop(struct ps_ws *ws);

/** Free it; NULL is fine. After ps_ws_stop(), and only when no shard runs any more: updates that
 *  were on their way still came to the port. */
void ps_ws_destroy(struct ps_ws *ws);

#endif
