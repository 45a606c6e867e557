/* cut_vfs: SQLite on a cut_disk.
 *
 * Installed once, before SQLite is used, it becomes the default VFS of the process and puts hooks
 * under SQLite's allocator; from then on every database is on the disk that is in use, whatever
 * its path. It behaves as the "unix" VFS does where that matters after a crash: the folder is
 * synced with the first sync of a new journal or log, an overwrite leaves neighbouring bytes alone
 * (SQLITE_IOCAP_POWERSAFE_OVERWRITE), locks and shared memory are those of one process. Shared
 * memory does not outlive a cut. Random numbers come from a seed.
 *
 * Code that lists a folder sees names there if the folder is mirrored: each database on the disk is
 * an empty file in the real one. */
#ifndef PS_TESTS_CUT_VFS_H
#define PS_TESTS_CUT_VFS_H

#include <stdint.h>

#include "support/cut_disk.h"

/** Once per process. */
void cut_vfs_install(void);
/** The disk of all files opened from now on; no file may be open. `seed`: of SQLite's random
 *  numbers. */
void cut_vfs_use(struct cut_disk *disk, uint64_t seed);
/** Make real files of all there is on the disk, in `to`, which exists with its folders, instead of
 * in `from`. Nothing may be open. */
void cut_vfs_export(struct cut_disk *disk, const char *from, const char *to);
/** Which file system SQLite takes for files opened from now on: this one, or the real one. */
void cut_vfs_make_default(bool is_default);
/** A folder that exists, without a slash at its end; borrowed. Brought up to date by each use. */
void cut_vfs_mirror(const char *folder);

#endif
