#include "core/ack.h"

#include <stddef.h>

static void run_settled(struct ps_port_item *item, void *owner)
{
    (void)owner;
    struct ps_ack *ack = (struct ps_ack *)((char *)item - offsetof(struct ps_ack, item));
    ack->settled(ack);
}

void ps_ack_init(struct ps_ack *ack, struct ps_port *port, void (*settled)(struct ps_ack *ack))
{
    *ack = (struct ps_ack){
        .item = { .run = run_settled },
        .port = port,
        .settled = settled,
        .owners = 1,
        .status = PS_OK,
    };
}

void ps_ack_retain(struct ps_ack *ack, uint32_t owners)
{
    if (ack)
        ack->owners += owners;
}

void ps_ack_release(struct ps_ack *ack, enum ps_status status)
{
    if (!ack)
        return;
    PS_ASSERT(ack->owners > 0);
    if (ack->status == PS_OK)
        ack->status = status;
    if (--ack->owners)
        return;
    if (ack->port)
        ps_port_post(ack->port, &ack->item);
    else
        ack->settled(ack);
}
