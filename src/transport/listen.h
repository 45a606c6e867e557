/* listen: a listening TCP socket from a bind address and a port. */
#ifndef PS_TRANSPORT_LISTEN_H
#define PS_TRANSPORT_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"

/**
 * Listen, non-blocking and close-on-exec.
 *
 * @param bind_address  numeric IPv4 or IPv6 address
 * @param port          0 = any free one; then it is set to the one found
 * @param shared        several sockets of this process share the port (SO_REUSEPORT)
 * Returns: PS_OK *fd is the caller's; PS_EINVAL not an address; PS_EIO; `why` tells
 */
PS_MUST_CHECK
enum ps_status ps_listen_tcp(const char *bind_address, uint16_t *port, bool shared, int *fd,
                             struct ps_text *why);

#endif
