/* main: the sub-commands of pacificsoft. What `run` puts together is in server.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check_config.h"
#include "cli/options.h"
#include "cli/upkeep.h"
#include "cli/version.h"
#include "core/log.h"
#include "server.h"

extern char **environ;

static const char usage[] =
    "Usage: pacificsoft COMMAND\n"
    "\n"
    "  run [--config FILE] [--data DIR] [--demo] [--set section.key=value]... [--ready-file FILE]\n"
    "                  serve until SIGTERM; SIGHUP reloads, SIGUSR1 logs what is going on\n"
    "  check-config [--config FILE] [--data DIR] [--set section.key=value]... [--print]\n"
    "                  tell whether run would accept these settings\n"
    "  backup --data DIR --to TARGET\n"
    "                  copy the data while the server runs; again: only what has changed\n"
    "  restore --from TARGET --data DIR\n"
    "                  put a backup into an empty directory\n"
    "  fsck --data DIR [--rebuild]\n"
    "                  check everything (server stopped); remake what can be remade\n"
    "  retention --data DIR\n"
    "                  which telemetry will be deleted when\n"
    "  version         print the version\n";

static bool reload(void *arg, struct ps_config *out)
{
    struct ps_text why;
    if (ps_cli_options_load(arg, environ, out, &why) == PS_OK)
        return true;
    ps_log_event(PS_LOG_ERROR, "server", "reload_refused", "error", why.data);
    return false;
}

static int run(int argc, char **argv)
{
    static struct ps_cli_options options;
    struct ps_config config;
    struct ps_text why;
    if (ps_cli_options_parse(PS_CLI_RUN, argc, argv, &options, &why) != PS_OK) {
        fprintf(stderr, "pacificsoft run: %s\n", why.data);
        return 2;
    }
    if (options.help) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (ps_cli_options_load(&options, environ, &config, &why) != PS_OK) {
        fprintf(stderr, "pacificsoft run: %s\n", why.data);
        return EXIT_FAILURE;
    }
    ps_server_configure_log(&config);
    struct ps_server_options server = { .config = &config,
                                        .demo = options.demo,
                                        .ready_file = options.ready_file,
                                        .reload = reload,
                                        .reload_arg = &options };
    return ps_server_run(&server);
}

static const struct command {
    const char *name;
    int (*run)(int argc, char *const *argv, char *const *environment, FILE *out, FILE *err);
} commands[] = {
    { "check-config", ps_cli_check_config }, { "backup", ps_cli_backup },
    { "restore", ps_cli_restore },           { "fsck", ps_cli_fsck },
    { "retention", ps_cli_retention },
};

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "run") == 0)
        return run(argc - 2, argv + 2);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(command, commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2, environ, stdout, stderr);
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0)
        return ps_cli_version(stdout);
    bool asked = strcmp(command, "help") == 0 || strcmp(command, "--help") == 0;
    if (!asked && *command)
        fprintf(stderr, "pacificsoft: there is no command '%s'\n\n", command);
    fputs(usage, asked ? stdout : stderr);
    return asked ? EXIT_SUCCESS : 2;
}
