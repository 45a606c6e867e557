#include "transport/mqtt/ack_window.h"

#include <stdlib.h>
#include <string.h>

enum { CAP_FIRST = 32, BITS = 32 };

static struct ps_ack_place *place_at(const struct ps_ack_window *window, uint32_t seq)
{
    return &window->places[seq & (window->cap - 1)];
}

static bool is_filled(const struct ps_ack_window *window, uint32_t seq)
{
    uint32_t at = seq & (window->cap - 1);
    return window->filled[at / BITS] >> at % BITS & 1;
}

static void set_filled(struct ps_ack_window *window, uint32_t seq, bool filled)
{
    uint32_t at = seq & (window->cap - 1), bit = 1u << at % BITS;
    if (filled)
        window->filled[at / BITS] |= bit;
    else
        window->filled[at / BITS] &= ~bit;
}

static enum ps_status grow(struct ps_ack_window *window)
{
    struct ps_ack_window bigger = { .cap = window->cap ? window->cap * 2 : CAP_FIRST,
                                    .first = window->first,
                                    .next = window->next };
    bigger.places = malloc(bigger.cap * sizeof *bigger.places);
    bigger.filled = calloc(bigger.cap / BITS, sizeof *bigger.filled);
    if (!bigger.places || !bigger.filled) {
        ps_ack_window_deinit(&bigger);
        return PS_ENOMEM;
    }
    for (uint32_t seq = window->first; seq != window->next; seq++) {
        *place_at(&bigger, seq) = *place_at(window, seq);
        set_filled(&bigger, seq, is_filled(window, seq));
    }
    free(window->places);
    free(window->filled);
    *window = bigger;
    return PS_OK;
}

enum ps_status ps_ack_window_take(struct ps_ack_window *window, uint16_t packet_id, uint8_t type,
                                  uint32_t *seq)
{
    uint32_t count = ps_ack_window_count(window);
    if (count >= PS_ACK_WINDOW_MAX)
        return PS_ELIMIT;
    if (count == window->cap) {
        enum ps_status st = grow(window);
        if (st != PS_OK)
            return st;
    }
    *seq = window->next++;
    *place_at(window, *seq) = (struct ps_ack_place){ .packet_id = packet_id, .type = type };
    set_filled(window, *seq, false);
    return PS_OK;
}

void ps_ack_window_fill(struct ps_ack_window *window, uint32_t seq, uint8_t reason)
{
    PS_ASSERT(seq - window->first < ps_ack_window_count(window));
    place_at(window, seq)->reason = reason;
    set_filled(window, seq, true);
}

bool ps_ack_window_leave(struct ps_ack_window *window, struct ps_ack_place *out)
{
    if (window->first == window->next || !is_filled(window, window->first))
        return false;
    *out = *place_at(window, window->first++);
    return true;
}

void ps_ack_window_untake(struct ps_ack_window *window)
{
    PS_ASSERT(window->first != window->next);
    window->next--;
}

void ps_ack_window_deinit(struct ps_ack_window *window)
{
    free(window->places);
    free(window->filled);
    *window = (struct ps_ack_window){ 0 };
}
