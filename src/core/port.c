#include "core/port.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum ps_status ps_port_init(struct ps_port *port)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return PS_EIO;
    atomic_init(&port->head, NULL);
    atomic_init(&port->sleeping, false);
    atomic_init(&port->posting, 0);
    port->fd = fd;
    return PS_OK;
}

void ps_port_deinit(struct ps_port *port)
{
    /* Who posted the item that ended the owner may still be on its way out of ps_port_post(). */
    while (atomic_load_explicit(&port->posting, memory_order_acquire))
        sched_yield();
    if (port->fd >= 0)
        close(port->fd);
    port->fd = -1;
}

static void wake(struct ps_port *port)
{
    if (!atomic_exchange(&port->sleeping, false))
        return;
    uint64_t one = 1;
    ssize_t written;
    do {
        written = write(port->fd, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    /* EAGAIN: the counter is full, so the owner is woken anyway */
}

static void enter(struct ps_port *port)
{
    atomic_fetch_add_explicit(&port->posting, 1, memory_order_relaxed);
}

/* The port may be gone as soon as this was seen. */
static void leave(struct ps_port *port)
{
    atomic_fetch_sub_explicit(&port->posting, 1, memory_order_release);
}

void ps_port_wake(struct ps_port *port)
{
    enter(port);
    wake(port);
    leave(port);
}

void ps_port_post(struct ps_port *port, struct ps_port_item *item)
{
    enter(port);
    struct ps_port_item *head = atomic_load_explicit(&port->head, memory_order_relaxed);
    do {
        item->next = head;
    } while (!atomic_compare_exchange_weak(&port->head, &head, item));
    /* Only the first item of a run can meet a sleeper: the owner takes all or nothing. */
    if (!head)
        wake(port);
    leave(port);
}

int ps_port_fd(const struct ps_port *port)
{
    return port->fd;
}

bool ps_port_sleep(struct ps_port *port)
{
    atomic_store(&port->sleeping, true);
    /* A post between our last drain and the flag saw an awake owner: look once more. */
    if (!atomic_load(&port->head))
        return true;
    atomic_store(&port->sleeping, false);
    return false;
}

void ps_port_awake(struct ps_port *port, bool readable)
{
    atomic_store(&port->sleeping, false);
    if (readable) {
        uint64_t count;
        ssize_t got = read(port->fd, &count, sizeof count);
        (void)got; /* EAGAIN: another wake was taken already */
    }
}

static struct ps_port_item *oldest_first(struct ps_port_item *newest)
{
    struct ps_port_item *oldest = NULL;
    while (newest) {
        struct ps_port_item *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

size_t ps_port_drain(struct ps_port *port, void *owner)
{
    if (!atomic_load_explicit(&port->head, memory_order_relaxed))
        return 0;
    struct ps_port_item *item = oldest_first(atomic_exchange(&port->head, NULL));
    size_t count = 0;
    while (item) {
        struct ps_port_item *next = item->next; /* run() may free the item */
        item->run(item, owner);
        item = next;
        count++;
    }
    return count;
}

size_t ps_port_wait(struct ps_port *port, void *owner, int timeout_ms)
{
    if (ps_port_sleep(port)) {
        struct pollfd poll_port = { .fd = port->fd, .events = POLLIN };
        int ready = poll(&poll_port, 1, timeout_ms);
        ps_port_awake(port, ready > 0);
    }
    return ps_port_drain(port, owner);
}
