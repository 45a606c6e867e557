/* check_config: `pacificsoft check-config`: would `run` start with these settings, and what are
 * they? Nothing is opened, nothing is written. */
#ifndef PS_CLI_CHECK_CONFIG_H
#define PS_CLI_CHECK_CONFIG_H

#include <stdio.h>

#include "core/config.h"

/**
 * Run the sub-command; the answer goes to `out`, complaints go to `err`.
 * Returns: the exit status: 0 fine, 1 settings refused, 2 wrong command line.
 */
int ps_cli_check_config(int argc, char *const *argv, char *const *environment, FILE *out,
                        FILE *err);

/** Write every setting with its explanation, in the form of conf/pacificsoft.conf. */
void ps_cli_config_write(const struct ps_config *config, FILE *out);

#endif
