#include "cli/upkeep_shell.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"

static const char usage[] =
    "Usage: pacificsoft backup --data DIR --to TARGET\n"
    "         copy the data while the server runs; a second time into the same TARGET copies\n"
    "         only what has changed\n"
    "       pacificsoft restore --from TARGET --data DIR\n"
    "         put a backup into a directory that is missing or empty\n"
    "       pacificsoft fsck --data DIR [--rebuild]\n"
    "         check everything while the server is stopped; --rebuild remakes what can be remade\n"
    "         exit status: 0 clean, 1 problems found, 2 could not look\n"
    "       pacificsoft retention --data DIR\n"
    "         which telemetry files there are, and when each will be deleted\n"
    "All of them take --config FILE and --set section.key=value, too: storage.dir is the data\n"
    "directory, telemetry.ttl_days counts for retention.\n";

int ps_upkeep_fail(struct ps_upkeep_shell *shell, int status, const char *text)
{
    ps_upkeep_end_progress(shell);
    fprintf(shell->err, "pacificsoft %s: %s\n", shell->name, text);
    return status;
}

bool ps_upkeep_begin(struct ps_upkeep_shell *shell, enum ps_cli_command command, int argc,
                     char *const *argv, char *const *environment, int *status)
{
    shell->terminal = isatty(fileno(shell->err)) == 1;
    shell->line_open = false;
    ps_log_configure(PS_LOG_OFF, PS_LOG_LOGFMT); /* what is found is told, once */
    enum ps_status st = ps_cli_options_parse(command, argc, argv, &shell->options, &shell->why);
    if (st == PS_OK && shell->options.help) {
        fputs(usage, shell->out);
        *status = 0;
        return false;
    }
    if (st == PS_OK && command == PS_CLI_BACKUP && !shell->options.to) {
        ps_text_set(&shell->why, "--to DIR is missing");
        st = PS_EINVAL;
    }
    if (st == PS_OK && command == PS_CLI_RESTORE && !shell->options.from) {
        ps_text_set(&shell->why, "--from DIR is missing");
        st = PS_EINVAL;
    }
    if (st == PS_OK)
        st = ps_cli_options_load(&shell->options, environment, &shell->config, &shell->why);
    if (st == PS_OK)
        return true;
    *status = ps_upkeep_fail(shell, 2, shell->why.data);
    return false;
}

/* ---- while it runs ---- */

void ps_upkeep_end_progress(struct ps_upkeep_shell *shell)
{
    if (shell->line_open)
        fputs("\r\033[K", shell->err);
    shell->line_open = false;
    fflush(shell->err);
}

static void tell(void *arg, const char *line)
{
    struct ps_upkeep_shell *shell = arg;
    ps_upkeep_end_progress(shell);
    fprintf(shell->out, "%s\n", line);
}

static void progress(void *arg, const char *name, size_t done, size_t total)
{
    struct ps_upkeep_shell *shell = arg;
    if (!shell->terminal)
        return;
    fprintf(shell->err, "\r\033[K%s: %zu of %zu: %s", shell->name, done + 1, total, name);
    fflush(shell->err);
    shell->line_open = true;
}

struct ps_upkeep_watcher ps_upkeep_watcher(struct ps_upkeep_shell *shell)
{
    return (struct ps_upkeep_watcher){ .tell = tell, .progress = progress, .arg = shell };
}

/* ---- words ---- */

struct ps_bytes_text ps_bytes_text(int64_t bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    struct ps_bytes_text text;
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1000;
    snprintf(text.data, sizeof text.data, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

struct ps_bytes_text ps_time_text(int64_t ms)
{
    struct ps_bytes_text text;
    struct tm tm;
    time_t seconds = (time_t)(ms / 1000);
    if (!gmtime_r(&seconds, &tm) || strftime(text.data, sizeof text.data, "%F %T UTC", &tm) == 0)
        snprintf(text.data, sizeof text.data, "far away");
    return text;
}
