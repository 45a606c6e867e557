/* repeat: which requests were taken already, so that a retransmission is not done again.
 *
 * RFC 7252 4.5 recognises a duplicate by its sender and message id for 247 s. We know one by a
 * keyed 64-bit digest of sender, message id, token, path and payload, because a retransmission is
 * byte-identical: a device that restarts and counts its message ids from one again is not mistaken
 * for an echo of itself. What is kept is 16 bytes per request, in a ring that grows to
 * PS_COAP_REPEATS_MAX; under more load than that in 247 s the oldest leave earlier.
 *
 * Only requests that change something are worth remembering; the others are simply done again. */
#ifndef PS_TRANSPORT_COAP_REPEAT_H
#define PS_TRANSPORT_COAP_REPEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

enum {
    PS_COAP_REPEATS_MAX = 1 << 19,
    PS_COAP_EXCHANGE_LIFETIME_S = 247, /* RFC 7252 4.8.2 */
};

enum ps_coap_seen {
    PS_COAP_SEEN_NEVER,
    PS_COAP_SEEN_WAITING, /* taken, its answer will ride on the acknowledgement */
    PS_COAP_SEEN_ACKED,   /* acknowledged, the answer comes or came separately */
    PS_COAP_SEEN_DONE,    /* answered: 2.01 */
};

struct ps_coap_repeat;

/* One thread. */
struct ps_coap_repeats {
    uint64_t secret[2];
    struct ps_coap_repeat *ring; /* capacity entries, oldest first from `first` */
    uint32_t *buckets;           /* capacity of them: 1 + index into ring; 0 = none */
    uint32_t capacity;           /* power of two, 0 before the first */
    uint32_t capacity_max;
    uint32_t first, count;
};

/** `capacity_max` is a power of two, at least 16. Allocates nothing. */
void ps_coap_repeats_init(struct ps_coap_repeats *repeats, uint32_t capacity_max);
void ps_coap_repeats_deinit(struct ps_coap_repeats *repeats);

/** Digest of one more part of what identifies a request; start with 0. */
uint64_t ps_coap_repeats_digest(const struct ps_coap_repeats *repeats, uint64_t digest,
                                const void *data, size_t len);

enum ps_coap_seen ps_coap_repeats_find(const struct ps_coap_repeats *repeats, uint64_t digest,
                                       int64_t now_ms);
/** Remember, or change what is remembered; NEVER forgets. If memory is short nothing happens. */
void ps_coap_repeats_set(struct ps_coap_repeats *repeats, uint64_t digest, enum ps_coap_seen seen,
                         int64_t now_ms);
/** Change what is remembered from one state to another; nothing if it is not in that state. */
void ps_coap_repeats_change(struct ps_coap_repeats *repeats, uint64_t digest,
                            enum ps_coap_seen from, enum ps_coap_seen to, int64_t now_ms);

#endif
