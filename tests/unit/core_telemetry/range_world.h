/* range_world: a folder for range files, and runs made of points that a formula gives. */
#ifndef PS_TESTS_RANGE_WORLD_H
#define PS_TESTS_RANGE_WORLD_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/telemetry/run_file.h"
#include "core/telemetry/run_writer.h"

struct range_world {
    char folder[64];
    char path[96];
};

static inline void range_world_init(struct range_world *world)
{
    snprintf(world->folder, sizeof world->folder, "/tmp/ps-test-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/2026-W47.db", world->folder);
}

static inline int range_world_remove(const char *path, const struct stat *info, int flag,
                                     struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static inline void range_world_deinit(struct range_world *world)
{
    nftw(world->folder, range_world_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline struct ps_run_file *range_world_open(struct range_world *world, bool write)
{
    struct ps_text why = { "" };
    struct ps_range range;
    struct ps_run_file *file = NULL;
    ps_range_of(PS_RANGE_WEEK, 1795219200000, &range);
    if (ps_run_file_open(world->path, write ? PS_RUN_FILE_WRITE : PS_RUN_FILE_READ,
                         write ? &range : NULL, &file, &why) != PS_OK) {
        print_error("%s\n", why.data);
        fail();
    }
    return file;
}

static inline void range_world_overwrite(const char *path, long offset, const void *bytes,
                                         size_t len)
{
    FILE *stream = fopen(path, "r+b");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, len, stream), len);
    assert_int_equal(fclose(stream), 0);
}

static inline int64_t range_world_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? info.st_size : -1;
}

#endif
