/* options: the command line that the sub-commands share.
 *
 *     --config FILE  --data DIR  --set section.key=value (any number)  --help
 *     --demo  --ready-file FILE          run
 *     --print                            check-config
 *     --to DIR                           backup
 *     --from DIR                         restore
 *     --rebuild                          fsck
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

/* Bits: an option says of which commands it is. */
enum ps_cli_command {
    PS_CLI_RUN = 1,
    PS_CLI_CHECK_CONFIG = 2,
    PS_CLI_BACKUP = 4,
    PS_CLI_RESTORE = 8,
    PS_CLI_FSCK = 16,
    PS_CLI_RETENTION = 32,
    PS_CLI_ALL = 63,
};

struct ps_cli_options {
    const char *config_file; /* NULL: none */
    const char *ready_file;  /* NULL: none */
    const char *to, *from;   /* NULL: none */
    bool demo, print, rebuild, help;
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
