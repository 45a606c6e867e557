/* thread: start and join with a role and a name; entry points assert the role they belong to. */
#ifndef PS_CORE_THREAD_H
#define PS_CORE_THREAD_H

#include <pthread.h>

#include "core/status.h"

enum ps_thread_role {
    PS_THREAD_OTHER, /* main before the start, libraries' own threads, tests */
    PS_THREAD_SHARD,
    PS_THREAD_WRITER,
    PS_THREAD_READER,
    PS_THREAD_KEEPER,
    PS_THREAD_FRONT,
    PS_THREAD_HTTP,
    PS_THREAD_COAP,
    PS_THREAD_WS,
    PS_THREAD_SINK,
};

struct ps_thread {
    pthread_t handle;
    enum ps_thread_role role;
    char name[16];
    void (*main)(void *arg);
    void *arg;
};

/**
 * Start `main(arg)` as `role`. Signals are blocked in it: main's signalfd gets them.
 * `thread` must stay where it is until joined. Returns: PS_OK or PS_EIO.
 */
PS_MUST_CHECK
enum ps_status ps_thread_start(struct ps_thread *thread, enum ps_thread_role role, const char *name,
                               void (*main)(void *), void *arg);
void ps_thread_join(struct ps_thread *thread);

/** The role of the calling thread. */
enum ps_thread_role ps_thread_role(void);
/** Give the calling thread a role: for threads that a library made, and for tests. */
void ps_thread_set_role(enum ps_thread_role role);

#define PS_ASSERT_THREAD(wanted) PS_ASSERT(ps_thread_role() == (wanted))

#endif
