#include "transport/mqtt/ack_window.h"

#include <stdlib.h>

enum { FILLED = 0x80 }; /* in the type of a place: packet types are below it */

static uint32_t cap_of(const struct ps_ack_window *window)
{
    return window->cap ? window->cap : PS_ACK_WINDOW_FEW;
}

static struct ps_ack_place *place_at(struct ps_ack_window *window, uint32_t seq)
{
    struct ps_ack_place *places = window->cap ? window->more : window->few;
    return &places[seq & (cap_of(window) - 1)];
}

static enum ps_status grow(struct ps_ack_window *window)
{
    struct ps_ack_window bigger = *window;
    bigger.cap = cap_of(window) * 2;
    bigger.more = malloc(bigger.cap * sizeof *bigger.more);
    if (!bigger.more)
        return PS_ENOMEM;
    for (uint32_t seq = window->first; seq != window->next; seq++)
        *place_at(&bigger, seq) = *place_at(window, seq);
    free(window->more);
    *window = bigger;
    return PS_OK;
}

enum ps_status ps_ack_window_take(struct ps_ack_window *window, uint16_t packet_id, uint8_t type,
                                  uint32_t *seq)
{
    uint32_t count = ps_ack_window_count(window);
    if (count >= PS_ACK_WINDOW_MAX)
        return PS_ELIMIT;
    if (count == cap_of(window)) {
        enum ps_status st = grow(window);
        if (st != PS_OK)
            return st;
    }
    *seq = window->next++;
    *place_at(window, *seq) = (struct ps_ack_place){ .packet_id = packet_id, .type = type };
    return PS_OK;
}

void ps_ack_window_fill(struct ps_ack_window *window, uint32_t seq, uint8_t reason)
{
    PS_ASSERT(seq - window->first < ps_ack_window_count(window));
    struct ps_ack_place *place = place_at(window, seq);
    place->reason = reason;
    place->type |= FILLED;
}

bool ps_ack_window_leave(struct ps_ack_window *window, struct ps_ack_place *out)
{
    struct ps_ack_place *place = place_at(window, window->first);
    if (window->first == window->next || !(place->type & FILLED))
        return false;
    *out = *place;
    out->type &= (uint8_t)~FILLED;
    window->first++;
    return true;
}

void ps_ack_window_untake(struct ps_ack_window *window)
{
    PS_ASSERT(window->first != window->next);
    window->next--;
}

void ps_ack_window_deinit(struct ps_ack_window *window)
{
    free(window->more);
    *window = (struct ps_ack_window){ 0 };
}
