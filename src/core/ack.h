/* ack: who still owes work on a message, settled exactly once.
 *
 * The transport makes one (usually inside a struct of its own) with one owner and hands it in with
 * the message. A fan-out adds owners, leaves release them, a batch that holds effects owns the ack
 * until its commit returned. The last release settles: `settled` runs in the loop of `port`, or
 * directly if `port` is NULL (the answerer lives on the entity's shard).
 *
 * Always true: settled with PS_OK only after everything the message did is committed.
 * Thread: not atomic. An ack has one thread at a time: the maker's until the message is posted,
 * then the entity's shard, then the port's loop. */
#ifndef PS_CORE_ACK_H
#define PS_CORE_ACK_H

#include <stdint.h>

#include "core/port.h"
#include "core/status.h"

struct ps_ack {
    struct ps_port_item item; /* travels to `port` when settled */
    struct ps_port *port;
    void (*settled)(struct ps_ack *ack);
    uint32_t owners;
    enum ps_status status; /* PS_OK, or the first failure */
};

/** One owner, PS_OK. */
void ps_ack_init(struct ps_ack *ack, struct ps_port *port, void (*settled)(struct ps_ack *ack));
void ps_ack_retain(struct ps_ack *ack, uint32_t owners); /* NULL is fine */
/** One owner is done, well or not; the first failure is kept. NULL is fine. */
void ps_ack_release(struct ps_ack *ack, enum ps_status status);

#endif
