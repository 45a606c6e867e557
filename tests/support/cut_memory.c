#include "support/cut_memory.h"

#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 16 };

/* The linker makes them of malloc and so on; see cut_memory_wrap. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **out, size_t alignment, size_t size);
void __real_free(void *memory);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);
void __wrap_free(void *memory);

/* There is one allocator in a process, so this is the process's, too. */
static struct {
    struct cut_disk *_Atomic disk;
    _Atomic int64_t live;
    void *frames[FRAMES_MAX];
    _Atomic int frame_count;
} installed;

void cut_memory_use(struct cut_disk *disk)
{
    installed.frame_count = 0;
    installed.disk = disk;
}

int64_t cut_memory_live(void)
{
    return installed.live;
}

int cut_memory_refused_at(void **frames, int max)
{
    int count = installed.frame_count < max ? installed.frame_count : max;
    memcpy(frames, installed.frames, (size_t)count * sizeof *frames);
    return count;
}

static bool is_refused(void)
{
    struct cut_disk *disk = installed.disk;
    if (!disk || cut_disk_passes(disk, CUT_OP_MALLOC, ""))
        return false;
    if (!installed.frame_count)
        installed.frame_count = backtrace(installed.frames, FRAMES_MAX);
    return true;
}

static void *counted(void *memory)
{
    if (memory)
        installed.live++;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    if (cut_disk_is_inside())
        return __real_malloc(size);
    return is_refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (cut_disk_is_inside())
        return __real_calloc(count, size);
    return is_refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (cut_disk_is_inside())
        return __real_realloc(memory, size);
    if (is_refused())
        return NULL;
    void *moved = __real_realloc(memory, size);
    return memory ? moved : counted(moved);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return size && count > SIZE_MAX / size ? NULL : __wrap_realloc(memory, count * size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    if (cut_disk_is_inside())
        return __real_aligned_alloc(alignment, size);
    return is_refused() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    bool is_ours = cut_disk_is_inside();
    if (!is_ours && is_refused())
        return ENOMEM;
    int number = __real_posix_memalign(out, alignment, size);
    if (!is_ours && number == 0)
        (void)counted(*out);
    return number;
}

char *__wrap_strndup(const char *text, size_t max)
{
    size_t len = strnlen(text, max);
    char *copy = __wrap_malloc(len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *__wrap_strdup(const char *text)
{
    return __wrap_strndup(text, SIZE_MAX);
}

void __wrap_free(void *memory)
{
    if (memory && !cut_disk_is_inside())
        installed.live--;
    __real_free(memory);
}
