/* loop: the state of the CoAP thread, shared by the files of this folder. */
#ifndef PS_TRANSPORT_COAP_LOOP_H
#define PS_TRANSPORT_COAP_LOOP_H

#include <stdatomic.h>

#include <coap3/coap.h>

#include "core/buf.h"
#include "core/metrics.h"
#include "core/port.h"
#include "core/thread.h"
#include "transport/coap/pending.h"
#include "transport/coap/repeat.h"
#include "transport/coap/upload.h"
#include "transport/device_uplink.h"
#include "transport/services.h"

struct ps_coap {
    /* set before the thread starts, constant after */
    const struct ps_services *services;
    uint16_t port_number;
    unsigned metrics_lane;
    int epoll_fd; /* libcoap's; our port's descriptor is in it too */
    struct ps_thread thread;
    bool thread_runs;

    /* any thread */
    struct ps_port port;
    struct ps_port_item stop_item; /* wakes the thread to see that it is */
    _Atomic bool stopping;

    /* coap thread only */
    coap_context_t *context;
    struct ps_device_uplink uplink;
    struct ps_coap_pendings pendings;
    struct ps_coap_repeats repeats;
    struct ps_coap_uploads uploads;
    struct ps_buf query; /* scratch */
    struct ps_coap_pending *first_to_post, **last_to_post;
    struct ps_buf bodies; /* of those, until the end of the turn */
    size_t peers;         /* sessions libcoap has */
    int64_t now_ms;       /* monotonic, of this turn */
    int64_t stop_by_ms;   /* when draining; 0 = not yet */
    unsigned reads;       /* datagrams to read in the next turn */
    unsigned requests;    /* handled in this turn */
};

static inline void ps_coap_count(struct ps_coap *coap, enum ps_metric metric, size_t n)
{
    ps_metrics_add(coap->services->metrics, coap->metrics_lane, metric, (int64_t)n);
}

/** Make all requests that libcoap receives arrive in device_api.c. Returns: PS_OK, PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_coap_device_api_register(struct ps_coap *coap);
/** Hand the uplinks that arrived in this turn to their devices. */
void ps_coap_device_api_post(struct ps_coap *coap);

#endif
