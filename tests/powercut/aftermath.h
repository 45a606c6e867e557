/* aftermath: what an operator does with a data directory after a cut.
 *
 * The disk, as the cut left it, becomes real files in a folder of their own. There the programs'
 * own backup and restore, or fsck --rebuild, do their work, and the plant is started on what comes
 * out of it: it must be as whole as what a plain start would have found. */
#ifndef PS_TESTS_POWERCUT_AFTERMATH_H
#define PS_TESTS_POWERCUT_AFTERMATH_H

#include "powercut/scenario.h"
#include "support/cut_disk.h"

enum aftermath {
    AFTERMATH_NONE,
    AFTERMATH_BACKUP,  /* and restore */
    AFTERMATH_REBUILD, /* fsck --rebuild */
};

/** `life` is stopped, and stays as it is; the disk, too. False: `problem` says what is wrong. */
bool aftermath_check(const struct life *life, struct cut_disk *disk, enum aftermath what,
                     char *problem, size_t size);

#endif
