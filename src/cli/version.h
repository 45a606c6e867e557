/* version: `pacificsoft version`. */
#ifndef PS_CLI_VERSION_H
#define PS_CLI_VERSION_H

#include <stdio.h>

/** "0.1.0" */
const char *ps_cli_version_text(void);

/** Print "pacificsoft 0.1.0". Returns: the exit status, 0. */
int ps_cli_version(FILE *out);

#endif
