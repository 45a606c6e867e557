#include "core/upkeep/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

enum { CHUNK_BYTES = 1 << 20 };

enum ps_status ps_path_set(struct ps_path *path, struct ps_text *why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(path->data, sizeof path->data, format, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof path->data)
        return PS_OK;
    ps_text_set(why, "a path is longer than %d bytes", PS_PATH_SIZE - 1);
    return PS_ELIMIT;
}

enum ps_status ps_file_failed(const char *path, int number, struct ps_text *why)
{
    ps_text_set(why, "%s: %s", path, strerror(number));
    switch (number) {
    case ENOENT:
        return PS_ENOTFOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return PS_EFULL;
    default:
        return PS_EIO;
    }
}

/* What a copy needs: where it reads, where it writes (or -1), and the sum so far. */
struct flow {
    int in, out;
    XXH3_state_t *hash;
    char *chunk;
    int64_t bytes;
};

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* False with errno if reading or writing failed; *reading tells which. */
static bool pump(struct flow *flow, bool *reading)
{
    for (;;) {
        *reading = true;
        ssize_t n = read(flow->in, flow->chunk, CHUNK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        XXH3_64bits_update(flow->hash, flow->chunk, (size_t)n);
        flow->bytes += n;
        *reading = false;
        if (flow->out >= 0 && !write_all(flow->out, flow->chunk, (size_t)n))
            return false;
    }
}

static enum ps_status run_flow(struct flow *flow, const char *from, const char *to,
                               struct ps_file_sum *out, struct ps_text *why)
{
    bool reading;
    enum ps_status st = PS_ENOMEM;
    flow->hash = XXH3_createState();
    flow->chunk = malloc(CHUNK_BYTES);
    if (flow->hash && flow->chunk) {
        XXH3_64bits_reset(flow->hash);
        st = pump(flow, &reading) ? PS_OK : ps_file_failed(reading ? from : to, errno, why);
    }
    if (st == PS_OK)
        *out = (struct ps_file_sum){ flow->bytes, XXH3_64bits_digest(flow->hash) };
    XXH3_freeState(flow->hash);
    free(flow->chunk);
    return st;
}

static enum ps_status sum_open_file(int fd, const char *path, struct ps_file_sum *out,
                                    struct ps_text *why)
{
    struct flow flow = { .in = fd, .out = -1 };
    return run_flow(&flow, path, path, out, why);
}

enum ps_status ps_file_sum(const char *path, struct ps_file_sum *out, struct ps_text *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ps_file_failed(path, errno, why);
    enum ps_status st = sum_open_file(fd, path, out, why);
    close(fd);
    return st;
}

enum ps_status ps_file_sum_from_disk(const char *path, struct ps_file_sum *out, struct ps_text *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ps_file_failed(path, errno, why);
    enum ps_status st = fsync(fd) == 0 ? PS_OK : ps_file_failed(path, errno, why);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (st == PS_OK)
        st = sum_open_file(fd, path, out, why);
    close(fd);
    return st;
}

enum ps_status ps_file_copy(const char *from, const char *to, struct ps_file_sum *out,
                            struct ps_text *why)
{
    struct flow flow = { .in = open(from, O_RDONLY | O_CLOEXEC), .out = -1 };
    if (flow.in < 0)
        return ps_file_failed(from, errno, why);
    flow.out = open(to, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    enum ps_status st =
        flow.out < 0 ? ps_file_failed(to, errno, why) : run_flow(&flow, from, to, out, why);
    if (flow.out >= 0 && close(flow.out) != 0 && st == PS_OK)
        st = ps_file_failed(to, errno, why);
    close(flow.in);
    return st;
}

enum ps_status ps_folder_sync(const char *path, struct ps_text *why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ps_file_failed(path, errno, why);
    enum ps_status st = fsync(fd) == 0 ? PS_OK : ps_file_failed(path, errno, why);
    close(fd);
    return st;
}

/* Its name is an entry of the folder above. */
static enum ps_status sync_parent(const char *path, struct ps_text *why)
{
    struct ps_path parent;
    enum ps_status st = ps_path_set(&parent, why, "%s", path);
    return st == PS_OK ? ps_folder_sync(dirname(parent.data), why) : st;
}

enum ps_status ps_folder_make(const char *path, struct ps_text *why)
{
    if (mkdir(path, 0700) == 0)
        return sync_parent(path, why);
    if (errno != EEXIST)
        return ps_file_failed(path, errno, why);
    struct ps_text ignored; /* whoever made it may have been cut off; we need not own the parent */
    (void)!sync_parent(path, &ignored);
    return PS_OK;
}

enum ps_status ps_file_rename(const char *from, const char *to, struct ps_text *why)
{
    return rename(from, to) == 0 ? PS_OK : ps_file_failed(to, errno, why);
}
