/* ack_window: acknowledgements of one connection, in the order the packets came (B11).
 *
 * A packet takes the next place when it arrives; its place is filled when its message settled (or
 * at once, if nothing had to be done); filled places leave from the front. Zeroed = empty; memory
 * is asked for only beyond PS_ACK_WINDOW_FEW packets in flight. */
#ifndef PS_TRANSPORT_MQTT_ACK_WINDOW_H
#define PS_TRANSPORT_MQTT_ACK_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

enum { PS_ACK_WINDOW_MAX = 4096 }; /* packets in flight; then the socket is not read */

struct ps_ack_place {
    uint16_t packet_id;
    uint8_t type;   /* PS_MQTT_PUBACK or PS_MQTT_PUBREC */
    uint8_t reason; /* once filled */
};

enum { PS_ACK_WINDOW_FEW = 8 }; /* places inside the struct: most devices never need more */

struct ps_ack_window {
    uint32_t first, next; /* sequence numbers; next - first are in flight */
    uint32_t cap;         /* of `more`, a power of two; 0 = the few */
    struct ps_ack_place few[PS_ACK_WINDOW_FEW];
    struct ps_ack_place *more; /* ring */
};

/** Take a place. Returns: PS_OK *seq names it; PS_ELIMIT window full; PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_ack_window_take(struct ps_ack_window *window, uint16_t packet_id, uint8_t type,
                                  uint32_t *seq);
/** The packet of this place is done. */
void ps_ack_window_fill(struct ps_ack_window *window, uint32_t seq, uint8_t reason);
/** The oldest place, if it is filled; it leaves. */
bool ps_ack_window_leave(struct ps_ack_window *window, struct ps_ack_place *out);
/** Give back the place that was taken last: its packet will come again. */
void ps_ack_window_untake(struct ps_ack_window *window);
static inline uint32_t ps_ack_window_count(const struct ps_ack_window *window)
{
    return window->next - window->first;
}
void ps_ack_window_deinit(struct ps_ack_window *window);

#endif
