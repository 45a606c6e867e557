#include "cli/options.h"

#include <stdio.h>
#include <string.h>

/* The words that are left to read. */
struct words {
    int left;
    char *const *next;
};

typedef enum ps_status take_fn(struct ps_cli_options *options, const char *value,
                               struct ps_text *why);

static enum ps_status take_once(const char **field, const char *option, const char *value,
                                struct ps_text *why)
{
    if (*field) {
        ps_text_set(why, "%s is given twice", option);
        return PS_EINVAL;
    }
    *field = value;
    return PS_OK;
}

static enum ps_status take_config(struct ps_cli_options *options, const char *value,
                                  struct ps_text *why)
{
    return take_once(&options->config_file, "--config", value, why);
}

static enum ps_status take_ready_file(struct ps_cli_options *options, const char *value,
                                      struct ps_text *why)
{
    return take_once(&options->ready_file, "--ready-file", value, why);
}

static enum ps_status take_to(struct ps_cli_options *options, const char *value,
                              struct ps_text *why)
{
    return take_once(&options->to, "--to", value, why);
}

static enum ps_status take_from(struct ps_cli_options *options, const char *value,
                                struct ps_text *why)
{
    return take_once(&options->from, "--from", value, why);
}

static enum ps_status take_set(struct ps_cli_options *options, const char *value,
                               struct ps_text *why)
{
    if (options->set_count == PS_CLI_SETS_MAX) {
        ps_text_set(why, "more than %d settings on the command line", PS_CLI_SETS_MAX);
        return PS_EINVAL;
    }
    options->sets[options->set_count++] = value;
    return PS_OK;
}

static enum ps_status take_data(struct ps_cli_options *options, const char *value,
                                struct ps_text *why)
{
    if (*options->data_set) {
        ps_text_set(why, "--data is given twice");
        return PS_EINVAL;
    }
    if (strlen(value) >= PS_CONFIG_TEXT_SIZE) {
        ps_text_set(why, "--data: longer than %d bytes", PS_CONFIG_TEXT_SIZE - 1);
        return PS_EINVAL;
    }
    snprintf(options->data_set, sizeof options->data_set, "storage.dir=%s", value);
    return take_set(options, options->data_set, why);
}

static enum ps_status take_demo(struct ps_cli_options *options, const char *value,
                                struct ps_text *why)
{
    (void)value, (void)why;
    options->demo = true;
    return PS_OK;
}

static enum ps_status take_print(struct ps_cli_options *options, const char *value,
                                 struct ps_text *why)
{
    (void)value, (void)why;
    options->print = true;
    return PS_OK;
}

static enum ps_status take_rebuild(struct ps_cli_options *options, const char *value,
                                   struct ps_text *why)
{
    (void)value, (void)why;
    options->rebuild = true;
    return PS_OK;
}

static enum ps_status take_help(struct ps_cli_options *options, const char *value,
                                struct ps_text *why)
{
    (void)value, (void)why;
    options->help = true;
    return PS_OK;
}

static const struct option {
    const char *name;
    bool has_value;
    unsigned commands; /* bits of enum ps_cli_command */
    take_fn *take;
} known_options[] = {
    { "--config", true, PS_CLI_ALL, take_config },
    { "--data", true, PS_CLI_ALL, take_data },
    { "--set", true, PS_CLI_ALL, take_set },
    { "--demo", false, PS_CLI_RUN, take_demo },
    { "--ready-file", true, PS_CLI_RUN, take_ready_file },
    { "--print", false, PS_CLI_CHECK_CONFIG, take_print },
    { "--to", true, PS_CLI_BACKUP, take_to },
    { "--from", true, PS_CLI_RESTORE, take_from },
    { "--rebuild", false, PS_CLI_FSCK, take_rebuild },
    { "--help", false, PS_CLI_ALL, take_help },
};

static const struct option *find_option(enum ps_cli_command command, const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof known_options / sizeof *known_options; i++) {
        const struct option *option = &known_options[i];
        if ((option->commands & command) && strlen(option->name) == len &&
            memcmp(option->name, word, len) == 0)
            return option;
    }
    return NULL;
}

static enum ps_status take_word(enum ps_cli_command command, struct words *words,
                                struct ps_cli_options *options, struct ps_text *why)
{
    const char *word = *words->next++;
    words->left--;
    size_t name_len = strcspn(word, "=");
    const struct option *option = find_option(command, word, name_len);
    if (!option) {
        ps_text_set(why, "unknown option %.80s", word);
        return PS_EINVAL;
    }
    const char *value = word[name_len] == '=' ? word + name_len + 1 : NULL;
    if (!option->has_value && value) {
        ps_text_set(why, "%s takes no value", option->name);
        return PS_EINVAL;
    }
    if (option->has_value && !value) {
        if (words->left == 0) {
            ps_text_set(why, "%s needs a value", option->name);
            return PS_EINVAL;
        }
        value = *words->next++;
        words->left--;
    }
    return option->take(options, value, why);
}

enum ps_status ps_cli_options_parse(enum ps_cli_command command, int argc, char *const *argv,
                                    struct ps_cli_options *out, struct ps_text *why)
{
    *out = (struct ps_cli_options){ 0 };
    struct words words = { .left = argc, .next = argv };
    enum ps_status st = PS_OK;
    while (st == PS_OK && words.left > 0)
        st = take_word(command, &words, out, why);
    return st;
}

enum ps_status ps_cli_options_load(const struct ps_cli_options *options, char *const *environment,
                                   struct ps_config *out, struct ps_text *why)
{
    return ps_config_load(out,
                          &(struct ps_config_sources){ .file = options->config_file,
                                                       .environment = environment,
                                                       .sets = options->sets,
                                                       .set_count = options->set_count },
                          why);
}
