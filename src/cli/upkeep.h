/* upkeep: `pacificsoft backup`, `restore`, `fsck` and `retention`.
 *
 * What they found goes to `out`, complaints go to `err`; on a terminal `err` also shows how far
 * they are, elsewhere they are quiet until the end. */
#ifndef PS_CLI_UPKEEP_H
#define PS_CLI_UPKEEP_H

#include <stdio.h>

/* All return the exit status: 0 done; 1 failed (fsck: problems found); 2 wrong command line (fsck:
 * could not look). */

int ps_cli_backup(int argc, char *const *argv, char *const *environment, FILE *out, FILE *err);
int ps_cli_restore(int argc, char *const *argv, char *const *environment, FILE *out, FILE *err);
int ps_cli_fsck(int argc, char *const *argv, char *const *environment, FILE *out, FILE *err);
/** A table of the telemetry files: what is in them and when they will be deleted. */
int ps_cli_retention(int argc, char *const *argv, char *const *environment, FILE *out, FILE *err);

#endif
