#include "core/thread.h"

#include <signal.h>
#include <stdio.h>

/* Thread-local, so not shared state: a thread carries its own role. */
static _Thread_local enum ps_thread_role current_role = PS_THREAD_OTHER;

static void *enter(void *arg)
{
    struct ps_thread *thread = arg;
    current_role = thread->role;
    pthread_setname_np(pthread_self(), thread->name);
    thread->main(thread->arg);
    return NULL;
}

enum ps_status ps_thread_start(struct ps_thread *thread, enum ps_thread_role role, const char *name,
                               void (*main)(void *), void *arg)
{
    thread->role = role;
    thread->main = main;
    thread->arg = arg;
    snprintf(thread->name, sizeof thread->name, "%s", name);

    /* The new thread inherits the mask; blocked here and not in it, so that no signal slips in. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int rc = pthread_create(&thread->handle, NULL, enter, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? PS_OK : PS_EIO;
}

void ps_thread_join(struct ps_thread *thread)
{
    int rc = pthread_join(thread->handle, NULL);
    PS_ASSERT(rc == 0);
}

enum ps_thread_role ps_thread_role(void)
{
    return current_role;
}

void ps_thread_set_role(enum ps_thread_role role)
{
    current_role = role;
}
