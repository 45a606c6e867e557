/* server: the whole process put together: what `pacificsoft run` starts and stops. */
#ifndef PS_SERVER_H
#define PS_SERVER_H

#include <stdbool.h>

#include "core/config.h"

struct ps_server_options {
    const struct ps_config *config;
    bool demo;              /* create the demo data at first start */
    const char *ready_file; /* JSON with the real ports, written when serving; NULL: none */
    /* The settings again, for SIGHUP; NULL: cannot be reloaded. */
    bool (*reload)(void *arg, struct ps_config *out);
    void *reload_arg;
};

/** Levels and form of the log as these settings say. */
void ps_server_configure_log(const struct ps_config *config);

/** Start, serve until SIGTERM or SIGINT, drain, stop. Returns: the process's exit status. */
int ps_server_run(const struct ps_server_options *options);

#endif
