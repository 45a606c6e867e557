/* cut_memory: the program's own allocations, refused on demand and counted.
 *
 * A program linked with cut_memory_wrap (CMake) has its calls of malloc and its kin come by here:
 * of all code that is linked into it, not of shared libraries. What the cut_disk allocates for
 * itself passes uncounted. The others are operations (CUT_OP_MALLOC) of the disk in use; each that
 * succeeds is a thing that somebody must free. */
#ifndef PS_TESTS_CUT_MEMORY_H
#define PS_TESTS_CUT_MEMORY_H

#include <stdint.h>

#include "support/cut_disk.h"

/** Ask this disk from now on; NULL: all succeed. */
void cut_memory_use(struct cut_disk *disk);
/** Things allocated and not freed yet. */
int64_t cut_memory_live(void);
/** Where the first refusal since cut_memory_use() came from, as addresses in the program, innermost
 *  first; returns how many. */
int cut_memory_refused_at(void **frames, int max);

#endif
