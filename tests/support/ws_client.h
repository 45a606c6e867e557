/* ws_client: a WebSocket client of a few functions, for tests and load generators in C.
 *
 * Blocking, with a deadline per call; knows text, close, ping and pong, and servers that do not
 * mask. Everything is on the caller's stack or in struct ws_client. */
#ifndef TESTS_SUPPORT_WS_CLIENT_H
#define TESTS_SUPPORT_WS_CLIENT_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
enum { WS_CLIENT_DEADLINE_MS = 10000, WS_CLIENT_BUFFER = 1 << 20 };

struct ws_client {
    int fd;
    size_t have;      /* bytes read and not yet given out */
    size_t frame_len; /* bytes of the frame given out last */
    unsigned char bytes[WS_CLIENT_BUFFER];
};

/* A frame as it came; payload is valid until the next call. */
struct ws_frame {
    int opcode; /* 0: a continuation; -1: the connection ended */
    bool final;
    const char *payload;
    size_t len;
};

/** A masked frame into `out`, which has room for len + 14 bytes. Returns its length. */
static inline size_t ws_frame_make(unsigned char *out, int opcode, const void *payload, size_t len)
{
    static const unsigned char mask[4] = { 0x11, 0x22, 0x33, 0x44 };
    const unsigned char *from = payload;
    size_t at = 0;
    out[at++] = (unsigned char)(0x80 | opcode);
    if (len < 126) {
        out[at++] = (unsigned char)(0x80 | len);
    } else {
        int bytes = len < 65536 ? 2 : 8;
        out[at++] = (unsigned char)(0x80 | (bytes == 2 ? 126 : 127));
        for (int i = bytes - 1; i >= 0; i--)
            out[at++] = (unsigned char)((uint64_t)len >> (8 * i));
    }
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < len; i++)
        out[at++] = from[i] ^ mask[i & 3];
    return at;
}

static inline bool ws_send_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        len -= (size_t)sent;
    }
    return true;
}

static inline size_t ws_handshake_make(char *out, size_t size, const char *path)
{
    return (size_t)snprintf(out, size,
                            "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                            path);
}

/* One read, waiting at most `timeout_ms`. False: nothing came, or the connection ended. */
static inline bool ws_client_fill(struct ws_client *client, int timeout_ms)
{
    struct pollfd readable = { .fd = client->fd, .events = POLLIN };
    if (client->have == sizeof client->bytes || poll(&readable, 1, timeout_ms) <= 0)
        return false;
    ssize_t got =
        recv(client->fd, client->bytes + client->have, sizeof client->bytes - client->have, 0);
    if (got <= 0)
        return false;
    client->have += (size_t)got;
    return true;
}

static inline void ws_client_drop(struct ws_client *client, size_t len)
{
    client->have -= len;
    memmove(client->bytes, client->bytes + len, client->have);
}

/** Upgrade a connected socket. */
static inline bool ws_client_open(struct ws_client *client, int fd, const char *path)
{
    char request[16384];
    client->fd = fd;
    client->have = client->frame_len = 0;
    size_t len = ws_handshake_make(request, sizeof request, path);
    if (len >= sizeof request || !ws_send_all(fd, request, len))
        return false;
    for (;;) {
        unsigned char *end = memmem(client->bytes, client->have, "\r\n\r\n", 4);
        if (end) {
            bool switched = memcmp(client->bytes, "HTTP/1.1 101", 12) == 0;
            ws_client_drop(client, (size_t)(end + 4 - client->bytes));
            return switched;
        }
        if (!ws_client_fill(client, WS_CLIENT_DEADLINE_MS))
            return false;
    }
}

static inline bool ws_client_send(struct ws_client *client, int opcode, const void *payload,
                                  size_t len)
{
    unsigned char small[4096 + 14];
    if (len > 4096)
        return false;
    return ws_send_all(client->fd, small, ws_frame_make(small, opcode, payload, len));
}

static inline bool ws_client_say(struct ws_client *client, const char *text)
{
    return ws_client_send(client, WS_TEXT, text, strlen(text));
}

/* The first frame of what was read; 0 = incomplete, else its whole length. */
static inline size_t ws_frame_read(const unsigned char *bytes, size_t have, struct ws_frame *frame)
{
    if (have < 2)
        return 0;
    size_t head = 2, len = bytes[1] & 0x7f;
    size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (have < head + extra)
        return 0;
    if (extra)
        len = 0;
    for (size_t i = 0; i < extra; i++)
        len = len << 8 | bytes[head++];
    if (have - head < len)
        return 0;
    frame->opcode = bytes[0] & 0x0f;
    frame->final = bytes[0] & 0x80;
    frame->payload = (const char *)bytes + head;
    frame->len = len;
    return head + len;
}

/** The next frame, whatever it is. False: none within `timeout_ms`; opcode -1: the end. */
static inline bool ws_client_next(struct ws_client *client, int timeout_ms, struct ws_frame *frame)
{
    ws_client_drop(client, client->frame_len);
    client->frame_len = 0;
    for (;;) {
        client->frame_len = ws_frame_read(client->bytes, client->have, frame);
        if (client->frame_len)
            return true;
        if (!ws_client_fill(client, timeout_ms)) {
            struct pollfd readable = { .fd = client->fd, .events = POLLIN };
            frame->opcode = -1;
            return poll(&readable, 1, 0) > 0;
        }
    }
}

#endif
