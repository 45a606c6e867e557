/* upkeep_shell: what the upkeep commands share: options, progress, sizes in words. */
#ifndef PS_CLI_UPKEEP_SHELL_H
#define PS_CLI_UPKEEP_SHELL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/options.h"
#include "core/upkeep/backup.h"

struct ps_upkeep_shell {
    const char *name; /* of the command */
    FILE *out, *err;
    bool terminal; /* `err` is one: progress is shown */
    bool line_open;
    struct ps_cli_options options;
    struct ps_config config;
    struct ps_text why;
};

/**
 * Read the command line and the settings; --help is answered here.
 * Returns: true go on; false end with *status.
 */
bool ps_upkeep_begin(struct ps_upkeep_shell *shell, enum ps_cli_command command, int argc,
                     char *const *argv, char *const *environment, int *status);
/** "pacificsoft backup: text" to err; returns `status`. */
int ps_upkeep_fail(struct ps_upkeep_shell *shell, int status, const char *text);
/** Progress and tell (lines go to `out`), ready to be handed on. */
struct ps_upkeep_watcher ps_upkeep_watcher(struct ps_upkeep_shell *shell);
/** Take the progress line away. */
void ps_upkeep_end_progress(struct ps_upkeep_shell *shell);

struct ps_bytes_text {
    char data[24];
};
/** "12.3 MB" */
struct ps_bytes_text ps_bytes_text(int64_t bytes);
/** "2026-11-21 07:20:00 UTC" */
struct ps_bytes_text ps_time_text(int64_t ms);

#endif
