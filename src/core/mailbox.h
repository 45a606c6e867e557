/* mailbox: the bounded queue of one actor's data messages, first in first out.
 *
 * Zeroed = empty. Belongs to the actor's shard; what arrives from other threads comes through the
 * shard's port. */
#ifndef PS_CORE_MAILBOX_H
#define PS_CORE_MAILBOX_H

#include "core/msg.h"
#include "core/status.h"

struct ps_mailbox {
    struct ps_msg *oldest, *newest;
    uint32_t count;
    uint32_t bytes;
};

struct ps_mailbox_limits {
    uint32_t messages_max;
    uint32_t bytes_max;
};

/* Exactly one of two things holds on return:
 *   PS_OK     the mailbox owns the message and *msg is NULL
 *   PS_EBUSY  the mailbox is full and *msg is still the caller's */
PS_MUST_CHECK
enum ps_status ps_mailbox_push(struct ps_mailbox *mailbox, const struct ps_mailbox_limits *limits,
                               struct ps_msg **msg);

/** The oldest message, now the caller's; NULL if there is none. */
struct ps_msg *ps_mailbox_pop(struct ps_mailbox *mailbox);

#endif
