/* The command line of `run` and `check-config`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/options.h"

enum { WORDS_MAX = 8 };

/* Split "a b c" at its spaces; "" is no word. */
struct words {
    char text[256];
    char *list[WORDS_MAX];
    int count;
};

static void split(const char *line, struct words *out)
{
    assert_true(strlen(line) < sizeof out->text);
    strcpy(out->text, line);
    out->count = 0;
    char *rest = out->text, *word;
    while ((word = strsep(&rest, " ")))
        if (*word)
            out->list[out->count++] = word;
}

static enum ps_status parse(enum ps_cli_command command, struct words *words, const char *line,
                            struct ps_cli_options *out, struct ps_text *why)
{
    split(line, words);
    return ps_cli_options_parse(command, words->count, words->list, out, why);
}

static void no_words_are_no_options(void **state)
{
    (void)state;
    struct words words;
    struct ps_cli_options options;
    struct ps_text why;
    assert_int_equal(parse(PS_CLI_RUN, &words, "", &options, &why), PS_OK);
    assert_null(options.config_file);
    assert_null(options.ready_file);
    assert_false(options.demo || options.print || options.help);
    assert_int_equal(options.set_count, 0);
}

static void run_takes_all_of_its_options(void **state)
{
    (void)state;
    struct words words;
    struct ps_cli_options options;
    struct ps_text why;
    assert_int_equal(parse(PS_CLI_RUN, &words,
                           "--config a.conf --demo --set http.port=1 --data=./d "
                           "--ready-file r",
                           &options, &why),
                     PS_OK);
    assert_string_equal(options.config_file, "a.conf");
    assert_string_equal(options.ready_file, "r");
    assert_true(options.demo);
    assert_int_equal(options.set_count, 2);
    assert_string_equal(options.sets[0], "http.port=1");
    assert_string_equal(options.sets[1], "storage.dir=./d");
}

static void upkeep_takes_its_own_options(void **state)
{
    (void)state;
    struct words words;
    struct ps_cli_options options;
    struct ps_text why;
    assert_int_equal(parse(PS_CLI_BACKUP, &words, "--data d --to t", &options, &why), PS_OK);
    assert_string_equal(options.to, "t");
    assert_int_equal(parse(PS_CLI_RESTORE, &words, "--from=t --data d", &options, &why), PS_OK);
    assert_string_equal(options.from, "t");
    assert_int_equal(parse(PS_CLI_FSCK, &words, "--data d --rebuild", &options, &why), PS_OK);
    assert_true(options.rebuild);
    assert_int_equal(parse(PS_CLI_RETENTION, &words, "--config c", &options, &why), PS_OK);
    assert_string_equal(options.config_file, "c");
}

static const struct mistake_case {
    enum ps_cli_command command;
    const char *line, *why;
} mistake_cases[] = {
    { PS_CLI_RUN, "--demos", "unknown option --demos" },
    { PS_CLI_RUN, "demo", "unknown option demo" },
    { PS_CLI_RUN, "--config", "--config needs a value" },
    { PS_CLI_RUN, "--config a --config b", "--config is given twice" },
    { PS_CLI_RUN, "--data a --data=b", "--data is given twice" },
    { PS_CLI_RUN, "--demo=yes", "--demo takes no value" },
    { PS_CLI_RUN, "--print", "unknown option --print" },
    { PS_CLI_CHECK_CONFIG, "--demo", "unknown option --demo" },
    { PS_CLI_CHECK_CONFIG, "--ready-file x", "unknown option --ready-file" },
    { PS_CLI_RUN, "--to x", "unknown option --to" },
    { PS_CLI_BACKUP, "--from x", "unknown option --from" },
    { PS_CLI_BACKUP, "--to x --to y", "--to is given twice" },
    { PS_CLI_RESTORE, "--to x", "unknown option --to" },
    { PS_CLI_RESTORE, "--from", "--from needs a value" },
    { PS_CLI_FSCK, "--rebuild=yes", "--rebuild takes no value" },
    { PS_CLI_RETENTION, "--rebuild", "unknown option --rebuild" },
};

static void mistakes_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistake_cases / sizeof *mistake_cases; i++) {
        const struct mistake_case *c = &mistake_cases[i];
        struct words words;
        struct ps_cli_options options;
        struct ps_text why = { "" };
        assert_int_equal(parse(c->command, &words, c->line, &options, &why), PS_EINVAL);
        assert_string_equal(why.data, c->why);
    }
}

static void the_number_of_settings_is_bounded(void **state)
{
    (void)state;
    char *list[PS_CLI_SETS_MAX + 1];
    struct ps_cli_options options;
    struct ps_text why;
    char word[] = "--set=http.port=1";
    for (int i = 0; i <= PS_CLI_SETS_MAX; i++)
        list[i] = word;
    assert_int_equal(ps_cli_options_parse(PS_CLI_RUN, PS_CLI_SETS_MAX, list, &options, &why),
                     PS_OK);
    assert_int_equal(options.set_count, PS_CLI_SETS_MAX);
    assert_int_equal(ps_cli_options_parse(PS_CLI_RUN, PS_CLI_SETS_MAX + 1, list, &options, &why),
                     PS_EINVAL);
}

static void options_and_environment_become_settings(void **state)
{
    (void)state;
    struct words words;
    struct ps_cli_options options;
    struct ps_config config;
    struct ps_text why;
    char *environment[] = { (char[]){ "PACIFICSOFT_HTTP_PORT=7" },
                            (char[]){ "PACIFICSOFT_MQTT_PORT=8" }, NULL };
    assert_int_equal(parse(PS_CLI_RUN, &words, "--data here --set http.port=9", &options, &why),
                     PS_OK);
    assert_int_equal(ps_cli_options_load(&options, environment, &config, &why), PS_OK);
    assert_string_equal(config.storage_dir, "here");
    assert_int_equal(config.http_port, 9);
    assert_int_equal(config.mqtt_port, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_words_are_no_options),
        cmocka_unit_test(run_takes_all_of_its_options),
        cmocka_unit_test(upkeep_takes_its_own_options),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(the_number_of_settings_is_bounded),
        cmocka_unit_test(options_and_environment_become_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
