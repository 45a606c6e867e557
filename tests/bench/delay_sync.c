/* delay_sync: a disk whose cache tells the truth: every fsync and fdatasync takes longer.
 *
 *     LD_PRELOAD=libdelay_sync.so DELAY_SYNC_US=2000 pacificsoft run ...
 *
 * Virtual disks acknowledge a sync early (about 60 us); an SSD without power-loss protection needs
 * 0.5 to 5 ms. Preloaded into any program, this adds DELAY_SYNC_US microseconds (0 if unset)
 * before each real sync. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int sync_function(int fd);

static void delay(void)
{
    const char *text = getenv("DELAY_SYNC_US");
    long us = text ? atol(text) : 0;
    struct timespec left = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
    while (us > 0 && nanosleep(&left, &left) != 0)
        ;
}

static int sync_late(const char *name, int fd)
{
    /* What dlsym returns is no function pointer in ISO C; POSIX says it converts. */
    union {
        void *object;
        sync_function *call;
    } next = { .object = dlsym(RTLD_NEXT, name) };
    delay();
    return next.call(fd);
}

int fsync(int fd)
{
    return sync_late("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_late("fdatasync", fd);
}
