/* port: the inbox of an event loop: a lock-free queue of many producers and an eventfd.
 *
 * Producers push; the owner takes everything at once, in order of arrival. The wake is what costs
 * (LIMITS: 6-25 us), so it is sent only to an owner that announced it is going to sleep:
 *
 *     owner:    ps_port_sleep(port) -> 0 means "something is here, do not block"
 *               epoll_wait(... ps_port_fd(port) ...)
 *               ps_port_awake(port)
 *               ps_port_drain(port, owner)
 *
 * A posted item runs in the owner's thread: item->run(item, owner). The item belongs to the port
 * until then and to its run() afterwards. */
#ifndef PS_CORE_PORT_H
#define PS_CORE_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

struct ps_port_item {
    struct ps_port_item *next;
    void (*run)(struct ps_port_item *item, void *owner);
};

struct ps_port {
    _Alignas(64) _Atomic(struct ps_port_item *) head; /* any thread; newest first */
    _Atomic bool sleeping;                            /* set by the owner, taken by a waker */
    _Atomic unsigned posting;                         /* threads inside post or wake */
    _Alignas(64) int fd;                              /* eventfd, constant after init */
};

PS_MUST_CHECK
enum ps_status ps_port_init(struct ps_port *port);
/** Waits for threads that are still inside post or wake, then closes the eventfd. No new post may
 *  begin; items still queued are the caller's to have drained. */
void ps_port_deinit(struct ps_port *port);

/** Queue an item and wake the owner if it sleeps. Thread: any; never blocks. */
void ps_port_post(struct ps_port *port, struct ps_port_item *item);
/** Wake the owner without an item (a flag it polls has changed). Thread: any. */
void ps_port_wake(struct ps_port *port);

/** The descriptor to poll for reading (level triggered). */
int ps_port_fd(const struct ps_port *port);
/** Announce sleep. False: items are waiting, poll with timeout 0. Owner only. */
bool ps_port_sleep(struct ps_port *port);
/** After polling: withdraw the announcement; `readable` if the descriptor was, to empty it. */
void ps_port_awake(struct ps_port *port, bool readable);
/** Run every item that is there now, oldest first; returns how many. Owner only. */
size_t ps_port_drain(struct ps_port *port, void *owner);

/** For an owner that only waits for its port (no other descriptors): block until an item comes or
 *  `timeout_ms` passed (-1 = for ever), then drain. Returns: items run. */
size_t ps_port_wait(struct ps_port *port, void *owner, int timeout_ms);

#endif
