#include "transport/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_address(const char *text, uint16_t port, union address *out, socklen_t *len)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        *len = sizeof out->v4;
        return true;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        *len = sizeof out->v6;
        return true;
    }
    return false;
}

static bool listen_on(int fd, const union address *address, socklen_t len, bool shared)
{
    int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
           bind(fd, &address->any, len) == 0 && listen(fd, BACKLOG) == 0;
}

enum ps_status ps_listen_tcp(const char *bind_address, uint16_t *port, bool shared, int *fd,
                             struct ps_text *why)
{
    union address address;
    socklen_t len;
    if (!parse_address(bind_address, *port, &address, &len)) {
        ps_text_set(why, "%s is not an IP address", bind_address);
        return PS_EINVAL;
    }
    int sock = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock < 0 || !listen_on(sock, &address, len, shared) ||
        getsockname(sock, &address.any, &len) != 0) {
        ps_text_set(why, "cannot listen on %s port %u: %s", bind_address, *port, strerror(errno));
        if (sock >= 0)
            close(sock);
        return PS_EIO;
    }
    *port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    *fd = sock;
    return PS_OK;
}
