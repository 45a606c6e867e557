/* coap: the CoAP server: device API over UDP (RFC 7252, device contract section 9).
 *
 * libcoap keeps the sockets, the message format and the retransmissions; one thread runs it. A POST
 * is answered when its message is committed: the answer rides on the acknowledgement if that takes
 * less than coap.piggyback_timeout_ms, else it comes in a message of its own.
 *
 * Always true: a POST that is repeated because its acknowledgement was lost is not done again, as
 *              far back as repeat.h remembers;
 *              what strangers can make us keep (requests, blocks, peers) is bounded.
 * Not here: DTLS, Observe, RPC, claiming, provisioning and packages. */
#ifndef PS_TRANSPORT_COAP_COAP_H
#define PS_TRANSPORT_COAP_COAP_H

#include <stdint.h>

#include "core/status.h"
#include "core/text.h"

struct ps_coap;
struct ps_services;

/**
 * Bind coap.bind:coap.port and serve in a thread of its own.
 *
 * @param services  borrowed, outlives the server
 * Returns: PS_OK *out is the caller's; PS_EINVAL not an address; PS_EIO port in use and the like;
 *          PS_ENOMEM; `why` tells.
 */
PS_MUST_CHECK
enum ps_status ps_coap_start(const struct ps_services *services, struct ps_coap **out,
                             struct ps_text *why);

/** The UDP port bound, also if coap.port was 0. */
uint16_t ps_coap_port(const struct ps_coap *coap);

/**
 * Answer new requests 5.03, wait until those that run are answered (at most
 * server.stop_timeout_ms, then they get 5.03 too), close and free. NULL is fine.
 * Shards and writer must still run.
 */
void ps_coap_stop(struct ps_coap *coap);

#endif
