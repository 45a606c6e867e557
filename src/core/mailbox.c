#include "core/mailbox.h"

enum ps_status ps_mailbox_push(struct ps_mailbox *mailbox, const struct ps_mailbox_limits *limits,
                               struct ps_msg **msg)
{
    struct ps_msg *taken = *msg;
    /* An empty mailbox takes one message of any size: a limit must not make it undeliverable. */
    if (mailbox->count && (mailbox->count >= limits->messages_max ||
                           (uint64_t)mailbox->bytes + taken->size_bytes > limits->bytes_max))
        return PS_EBUSY;
    taken->next = NULL;
    if (mailbox->newest)
        mailbox->newest->next = taken;
    else
        mailbox->oldest = taken;
    mailbox->newest = taken;
    mailbox->count++;
    mailbox->bytes += taken->size_bytes;
    *msg = NULL;
    return PS_OK;
}

struct ps_msg *ps_mailbox_pop(struct ps_mailbox *mailbox)
{
    struct ps_msg *msg = mailbox->oldest;
    if (!msg)
        return NULL;
    mailbox->oldest = msg->next;
    if (!mailbox->oldest)
        mailbox->newest = NULL;
    mailbox->count--;
    mailbox->bytes -= msg->size_bytes;
    msg->next = NULL;
    return msg;
}
