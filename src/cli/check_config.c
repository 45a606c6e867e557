#include "cli/check_config.h"

#include <string.h>

#include "cli/options.h"

static const char usage[] =
    "usage: pacificsoft check-config [--config FILE] [--data DIR] [--set section.key=value]...\n"
    "                                [--print]\n"
    "Checks the settings that `pacificsoft run` would use with the same options; --print shows\n"
    "them all, in the form of a configuration file.\n";

static void write_range(const struct ps_config_setting *setting, FILE *out)
{
    switch (setting->type) {
    case PS_CONFIG_BOOL:
        fputs("true or false", out);
        break;
    case PS_CONFIG_INT:
        fprintf(out, "%s, %lld to %lld", setting->unit, (long long)setting->min,
                (long long)setting->max);
        break;
    case PS_CONFIG_TEXT:
        fputs("text", out);
        break;
    case PS_CONFIG_ENUM:
        fprintf(out, "one of %s", setting->choices);
        break;
    }
}

static void write_setting(const struct ps_config *config, const struct ps_config *defaults,
                          const struct ps_config_setting *setting, FILE *out)
{
    char value[PS_CONFIG_TEXT_SIZE], usual[PS_CONFIG_TEXT_SIZE];
    ps_config_format(config, setting, value, sizeof value);
    ps_config_format(defaults, setting, usual, sizeof usual);
    fprintf(out, "\n# %s\n# ", setting->effect);
    write_range(setting, out);
    fprintf(out, "; default %s%s\n%s =%s%s\n", *usual ? usual : "empty",
            setting->reloadable ? "; SIGHUP applies a change" : "", setting->key, *value ? " " : "",
            value);
}

void ps_cli_config_write(const struct ps_config *config, FILE *out)
{
    size_t count;
    const struct ps_config_setting *settings = ps_config_settings(&count);
    struct ps_config defaults;
    ps_config_init(&defaults);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(settings[i].section, settings[i - 1].section) != 0)
            fprintf(out, "%s[%s]\n", i == 0 ? "" : "\n", settings[i].section);
        write_setting(config, &defaults, &settings[i], out);
    }
}

int ps_cli_check_config(int argc, char *const *argv, char *const *environment, FILE *out, FILE *err)
{
    struct ps_cli_options options;
    struct ps_config config;
    struct ps_text why;
    if (ps_cli_options_parse(PS_CLI_CHECK_CONFIG, argc, argv, &options, &why) != PS_OK) {
        fprintf(err, "pacificsoft check-config: %s\n%s", why.data, usage);
        return 2;
    }
    if (options.help) {
        fputs(usage, out);
        return 0;
    }
    if (ps_cli_options_load(&options, environment, &config, &why) != PS_OK) {
        fprintf(err, "pacificsoft check-config: %s\n", why.data);
        return 1;
    }
    if (options.print)
        ps_cli_config_write(&config, out);
    else
        fputs("settings are valid\n", out);
    return 0;
}
