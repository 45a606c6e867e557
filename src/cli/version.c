#include "cli/version.h"

const char *ps_cli_version_text(void)
{
    return PS_VERSION;
}

int ps_cli_version(FILE *out)
{
    fprintf(out, "pacificsoft %s\n", ps_cli_version_text());
    return 0;
}
