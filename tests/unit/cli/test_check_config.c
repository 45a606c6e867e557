/* `pacificsoft check-config`: exit status, and what goes to which stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check_config.h"
#include "cli/version.h"

/* One call of the sub-command, its streams kept in memory. */
struct call {
    int status;
    char *out, *err;
};

static void call_init(struct call *call, int argc, char *const *argv)
{
    char *environment[] = { NULL };
    size_t out_len, err_len;
    FILE *out = open_memstream(&call->out, &out_len), *err = open_memstream(&call->err, &err_len);
    assert_non_null(out);
    assert_non_null(err);
    call->status = ps_cli_check_config(argc, argv, environment, out, err);
    fclose(out);
    fclose(err);
}

static void call_deinit(struct call *call)
{
    free(call->out);
    free(call->err);
}

static void good_settings_are_said_to_be_valid(void **state)
{
    (void)state;
    char *argv[] = { (char[]){ "--set" }, (char[]){ "http.port=0" } };
    struct call call;
    call_init(&call, 2, argv);
    assert_int_equal(call.status, 0);
    assert_string_equal(call.out, "settings are valid\n");
    assert_string_equal(call.err, "");
    call_deinit(&call);
}

static void bad_settings_and_bad_words_have_their_own_status(void **state)
{
    (void)state;
    char *setting[] = { (char[]){ "--set" }, (char[]){ "htp.port=0" } };
    struct call call;
    call_init(&call, 2, setting);
    assert_int_equal(call.status, 1);
    assert_string_equal(call.out, "");
    assert_string_equal(call.err, "pacificsoft check-config: --set unknown setting htp.port; did "
                                  "you mean http.port?\n");
    call_deinit(&call);
    char *word[] = { (char[]){ "--verbose" } };
    call_init(&call, 1, word);
    assert_int_equal(call.status, 2);
    assert_string_equal(call.out, "");
    assert_non_null(strstr(call.err, "unknown option --verbose\nusage: "));
    call_deinit(&call);
}

static void help_is_an_answer(void **state)
{
    (void)state;
    char *argv[] = { (char[]){ "--help" } };
    struct call call;
    call_init(&call, 1, argv);
    assert_int_equal(call.status, 0);
    assert_memory_equal(call.out, "usage: pacificsoft check-config", 31);
    assert_string_equal(call.err, "");
    call_deinit(&call);
}

/* The file in conf/ is what --print shows, under its introduction. */
static void printed_defaults_are_the_documented_file(void **state)
{
    (void)state;
    char *argv[] = { (char[]){ "--print" } };
    struct call call;
    call_init(&call, 1, argv);
    assert_int_equal(call.status, 0);
    FILE *file = fopen(PS_CONF_FILE, "r");
    assert_non_null(file);
    char *conf = calloc(1, 1 << 20);
    assert_non_null(conf);
    assert_true(fread(conf, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    const char *first_section = strstr(conf, "\n[");
    assert_non_null(first_section);
    assert_string_equal(first_section + 1, call.out);
    free(conf);
    call_deinit(&call);
}

static void version_prints_name_and_number(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_int_equal(ps_cli_version(out), 0);
    fclose(out);
    int major, minor, patch;
    assert_int_equal(sscanf(text, "pacificsoft %d.%d.%d\n", &major, &minor, &patch), 3);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_settings_are_said_to_be_valid),
        cmocka_unit_test(bad_settings_and_bad_words_have_their_own_status),
        cmocka_unit_test(help_is_an_answer),
        cmocka_unit_test(printed_defaults_are_the_documented_file),
        cmocka_unit_test(version_prints_name_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
