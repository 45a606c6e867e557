/* options: the command line that `run` and `check-config` share.
 *
 *     --config FILE  --data DIR  --set section.key=value (any number)
 *     --demo  --ready-file FILE          run only
 *     --print                            check-config only
 *     --help
 *
 * "--name=value" is accepted beside "--name value". --data DIR is --set storage.dir=DIR. */
#ifndef PS_CLI_OPTIONS_H
#define PS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"
#include "core/status.h"
#include "core/text.h"

enum { PS_CLI_SETS_MAX = 256 };

enum ps_cli_command { PS_CLI_RUN, PS_CLI_CHECK_CONFIG };

struct ps_cli_options {
    const char *config_file; /* NULL: none */
    const char *ready_file;  /* NULL: none */
    bool demo, print, help;
    const char *sets[PS_CLI_SETS_MAX]; /* in order; argv's text, or in `data_set` */
    size_t set_count;
    char data_set[PS_CONFIG_TEXT_SIZE + 16];
};

/**
 * Read what stands behind the sub-command.
 *
 * @param argc, argv  without program and sub-command; must outlive `out`
 * Returns: PS_OK; PS_EINVAL with `why`: unknown or doubled option, missing value, left-over word.
 */
PS_MUST_CHECK
enum ps_status ps_cli_options_parse(enum ps_cli_command command, int argc, char *const *argv,
                                    struct ps_cli_options *out, struct ps_text *why);

/** Load the settings these options and `environment` ask for. Returns: as ps_config_load(). */
PS_MUST_CHECK
enum ps_status ps_cli_options_load(const struct ps_cli_options *options, char *const *environment,
                                   struct ps_config *out, struct ps_text *why);

#endif
