/* Settings: which source wins, what is refused and how, and that conf/pacificsoft.conf is true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"
#include "core/log.h"

/* A configuration file that exists while the test runs. */
struct temp_file {
    char path[64];
};

static void temp_file_init(struct temp_file *file, const char *text)
{
    snprintf(file->path, sizeof file->path, "/tmp/pacificsoft-config-XXXXXX");
    int fd = mkstemp(file->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static enum ps_status load(const char *file_text, char *const *environment, const char *const *sets,
                           size_t set_count, struct ps_config *out, struct ps_text *why)
{
    struct temp_file file;
    struct ps_config_sources sources = { .environment = environment,
                                         .sets = sets,
                                         .set_count = set_count };
    if (file_text) {
        temp_file_init(&file, file_text);
        sources.file = file.path;
    }
    enum ps_status st = ps_config_load(out, &sources, why);
    if (file_text)
        unlink(file.path);
    return st;
}

static void defaults_need_no_source(void **state)
{
    (void)state;
    struct ps_config config;
    struct ps_text why;
    assert_int_equal(load(NULL, NULL, NULL, 0, &config, &why), PS_OK);
    assert_int_equal(config.http_port, 8080);
    assert_int_equal(config.mqtt_port, 1883);
    assert_int_equal(config.coap_port, 5683);
    assert_string_equal(config.mqtt_bind, "127.0.0.1");
    assert_true(config.transport_json_type_cast_enabled);
    assert_false(config.mqtt_strict_filters);
    assert_int_equal(config.log_level, PS_LOG_INFO);
    assert_int_equal(config.log_format, PS_LOG_LOGFMT);
    assert_string_equal(config.log_levels, "");
}

static void set_beats_environment_beats_file_beats_default(void **state)
{
    (void)state;
    struct ps_config config;
    struct ps_text why;
    char *environment[] = { (char[]){ "HOME=/root" }, (char[]){ "PACIFICSOFT_HTTP_PORT=2" },
                            (char[]){ "PACIFICSOFT_MQTT_PORT=2" }, NULL };
    const char *sets[] = { "http.port=9", "http.port=3" };
    assert_int_equal(load("[http]\nport = 1\n[mqtt]\nport = 1\n[coap]\nport = 1\n", environment,
                          sets, 2, &config, &why),
                     PS_OK);
    assert_int_equal(config.http_port, 3); /* the last --set wins */
    assert_int_equal(config.mqtt_port, 2);
    assert_int_equal(config.coap_port, 1);
    assert_int_equal(config.http_threads, 2); /* the default */
}

static void every_type_is_read(void **state)
{
    (void)state;
    struct ps_config config;
    struct ps_text why;
    const char *text = "; comment\n# comment\n[mqtt]\nstrict_filters = Yes\nbind=::\n"
                       "[log]\nlevel = off\nformat = json\nlevels = mqtt=debug,ws=info\n"
                       "[storage]\ndir = /var/lib/my data ; the place\n"
                       "[telemetry]\nhead_memory_max_bytes = 1099511627776\n";
    assert_int_equal(load(text, NULL, NULL, 0, &config, &why), PS_OK);
    assert_true(config.mqtt_strict_filters);
    assert_string_equal(config.mqtt_bind, "::");
    assert_int_equal(config.log_level, PS_LOG_OFF);
    assert_int_equal(config.log_format, PS_LOG_JSON);
    assert_string_equal(config.log_levels, "mqtt=debug,ws=info");
    assert_string_equal(config.storage_dir, "/var/lib/my data");
    assert_int_equal(config.telemetry_head_memory_max_bytes, 1024 * PS_CONFIG_GIB);
}

static const struct refusal_case {
    const char *name, *file, *set, *why;
} refusal_cases[] = {
    { "unknown key", "[http]\nprot = 1\n", NULL,
      "line 2: unknown setting http.prot; did you mean http.port?" },
    { "unknown section", "\n[htpp]\nport = 1\n", NULL,
      "line 3: unknown setting htpp.port; did you mean http.port?" },
    { "key before any section", "port = 1\n", NULL, "line 1: unknown setting .port" },
    { "half a name", "[mqtt]\nmax_payload = 65536\n", NULL,
      "unknown setting mqtt.max_payload; did you mean mqtt.max_payload_size?" },
    { "above the range", "[http]\nport = 65536\n", NULL,
      "line 2: http.port = \"65536\": must be a whole number from 0 to 65535 (port)" },
    { "below the range", "[http]\nport = -1\n", NULL, "http.port = \"-1\": must be" },
    { "beyond 64 bits", "[http]\nport = 99999999999999999999\n", NULL, "must be a whole number" },
    { "not a number", "[http]\nport = http\n", NULL, "http.port = \"http\": must be" },
    { "number and more", "[http]\nport = 80x\n", NULL, "http.port = \"80x\": must be" },
    { "fraction", "[http]\nport = 80.5\n", NULL, "must be a whole number" },
    { "hexadecimal", "[http]\nport = 0x50\n", NULL, "must be a whole number" },
    { "empty number", "[http]\nport =\n", NULL, "http.port = \"\": must be" },
    { "lone sign", "[http]\nport = -\n", NULL, "http.port = \"-\": must be" },
    { "not a boolean", "[mqtt]\nstrict_filters = maybe\n", NULL,
      "mqtt.strict_filters = \"maybe\": must be true or false" },
    { "not a choice", "[log]\nlevel = loud\n", NULL,
      "log.level = \"loud\": must be one of debug|info|warn|error|off" },
    { "two choices", "[log]\nlevel = info|warn\n", NULL, "must be one of" },
    { "empty text", "[http]\nbind =\n", NULL, "http.bind = \"\": must not be empty" },
    { "given twice", "[http]\nport = 1\nport = 2\n", NULL, "line 3: http.port is given twice" },
    { "indented line", "[http]\nport = 1\n  bind = ::\n", NULL,
      "line 3: http.port is given twice" },
    { "no equals sign", "[http]\nport\n", NULL, "line 2: neither [section] nor key = value" },
    { "section not closed", "[http\nport = 1\n", NULL, "line 1: neither" },
    { "bad level of an area", "[log]\nlevels = mqtt=loud\n", NULL,
      "log.levels: level of \"mqtt\"" },
    { "ping slower than its timeout", "[ws]\nping_interval_ms = 30000\n", NULL,
      "ws.ping_timeout_ms = 30000: must be more than ws.ping_interval_ms = 30000" },
    { "set without value", NULL, "http.port", "--set http.port: must be section.key=value" },
    { "set without section", NULL, "port=1", "--set port=1: must be section.key=value" },
    { "set of an unknown key", NULL, "mqqt.port=1",
      "--set unknown setting mqqt.port; did you mean "
      "mqtt.port?" },
    { "set out of range", NULL, "http.port=70000", "--set http.port = \"70000\": must be" },
};

static void mistakes_are_refused_by_name_value_and_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusal_cases / sizeof *refusal_cases; i++) {
        const struct refusal_case *c = &refusal_cases[i];
        struct ps_config config;
        memset(&config, 0x5a, sizeof config);
        struct ps_config untouched = config;
        struct ps_text why = { "" };
        enum ps_status st = load(c->file, NULL, &c->set, c->set ? 1 : 0, &config, &why);
        if (st != PS_EINVAL)
            fail_msg("%s: %s", c->name, ps_status_text(st));
        if (!strstr(why.data, c->why))
            fail_msg("%s: why is \"%s\"", c->name, why.data);
        assert_memory_equal(&config, &untouched, sizeof config);
    }
}

static void a_mistake_in_the_environment_is_refused(void **state)
{
    (void)state;
    struct ps_config config;
    struct ps_text why;
    char *unknown[] = { (char[]){ "PACIFICSOFT_MQTT_PROT=1" }, NULL };
    assert_int_equal(load(NULL, unknown, NULL, 0, &config, &why), PS_EINVAL);
    assert_string_equal(why.data, "environment: unknown setting PACIFICSOFT_MQTT_PROT; did you "
                                  "mean PACIFICSOFT_MQTT_PORT?");
    char *bad[] = { (char[]){ "PACIFICSOFT_MQTT_PORT=x" }, NULL };
    assert_int_equal(load(NULL, bad, NULL, 0, &config, &why), PS_EINVAL);
    assert_non_null(strstr(why.data, "environment PACIFICSOFT_MQTT_PORT: mqtt.port = \"x\""));
}

static void variables_a_container_platform_adds_are_not_ours(void **state)
{
    (void)state;
    struct ps_config config;
    struct ps_text why;
    char *environment[] = { (char[]){ "PACIFICSOFT_SERVICE_HOST=10.0.0.7" },
                            (char[]){ "PACIFICSOFT_PORT=tcp://10.0.0.7:8080" },
                            (char[]){ "PACIFICSOFT_PORT_1883_TCP_PORT=1883" }, NULL };
    assert_int_equal(load(NULL, environment, NULL, 0, &config, &why), PS_OK);
    assert_int_equal(config.http_port, 8080);
}

static void a_line_too_long_is_refused_not_split(void **state)
{
    (void)state;
    char text[600];
    struct ps_config config;
    struct ps_text why;
    snprintf(text, sizeof text, "[storage]\ndir = %0400d\n", 1);
    assert_int_equal(load(text, NULL, NULL, 0, &config, &why), PS_EINVAL);
    assert_non_null(strstr(why.data, "line 2: line too long"));
    snprintf(text, sizeof text, "# %0400d\n[http]\nport = 1\n", 1);
    assert_int_equal(load(text, NULL, NULL, 0, &config, &why), PS_EINVAL);
    assert_non_null(strstr(why.data, "line 1: line too long"));
}

static void a_file_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct ps_config config;
    struct ps_text why;
    struct ps_config_sources sources = { .file = "/tmp/pacificsoft/no/such.conf" };
    assert_int_equal(ps_config_load(&config, &sources, &why), PS_ENOTFOUND);
    assert_string_equal(why.data, "/tmp/pacificsoft/no/such.conf: No such file or directory");
    sources.file = "/tmp"; /* opens, cannot be read */
    assert_int_equal(ps_config_load(&config, &sources, &why), PS_ENOTFOUND);
}

static void every_value_survives_its_text(void **state)
{
    (void)state;
    struct ps_config config, again;
    struct ps_text why;
    size_t count;
    const struct ps_config_setting *settings = ps_config_settings(&count);
    ps_config_init(&config);
    ps_config_init(&again);
    config.mqtt_strict_filters = true;
    config.log_level = PS_LOG_ERROR;
    for (size_t i = 0; i < count; i++) {
        char text[PS_CONFIG_TEXT_SIZE];
        ps_config_format(&config, &settings[i], text, sizeof text);
        assert_int_equal(ps_config_set(&again, settings[i].section, settings[i].key, text, &why),
                         PS_OK);
    }
    assert_memory_equal(&again, &config, sizeof config);
}

static void reload_takes_what_it_can_and_counts_the_rest(void **state)
{
    (void)state;
    struct ps_config config, wanted;
    ps_config_init(&config);
    ps_config_init(&wanted);
    wanted.log_level = PS_LOG_DEBUG;
    snprintf(wanted.log_levels, sizeof wanted.log_levels, "mqtt=warn");
    wanted.http_port = 1;
    wanted.mqtt_strict_filters = true;
    assert_int_equal(ps_config_reload(&config, &wanted), 2);
    assert_int_equal(config.log_level, PS_LOG_DEBUG);
    assert_string_equal(config.log_levels, "mqtt=warn");
    assert_int_equal(config.http_port, 8080);
    assert_false(config.mqtt_strict_filters);
}

/* ---- conf/pacificsoft.conf ---------------------------------------------- */

static char *read_conf(void)
{
    FILE *file = fopen(PS_CONF_FILE, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

/* The range as the file says it: "port, 0 to 65535". */
static void range_text(const struct ps_config_setting *setting, char *out, size_t size)
{
    switch (setting->type) {
    case PS_CONFIG_BOOL:
        snprintf(out, size, "true or false");
        break;
    case PS_CONFIG_INT:
        snprintf(out, size, "%s, %lld to %lld", setting->unit, (long long)setting->min,
                 (long long)setting->max);
        break;
    case PS_CONFIG_TEXT:
        snprintf(out, size, "text");
        break;
    case PS_CONFIG_ENUM:
        snprintf(out, size, "one of %s", setting->choices);
        break;
    }
}

static void the_file_explains_every_setting_truly(void **state)
{
    (void)state;
    struct ps_config defaults;
    ps_config_init(&defaults);
    size_t count;
    const struct ps_config_setting *settings = ps_config_settings(&count);
    char *conf = read_conf(), *at = conf;
    for (size_t i = 0; i < count; i++) {
        char want[4 * PS_CONFIG_TEXT_SIZE], range[128], value[PS_CONFIG_TEXT_SIZE];
        if (i == 0 || strcmp(settings[i].section, settings[i - 1].section) != 0) {
            snprintf(want, sizeof want, "\n[%s]\n", settings[i].section);
            at = strstr(at, want);
            if (!at)
                fail_msg("no section %s, or not in the order of the table", settings[i].section);
        }
        range_text(&settings[i], range, sizeof range);
        ps_config_format(&defaults, &settings[i], value, sizeof value);
        snprintf(want, sizeof want, "\n# %s\n# %s; default %s%s\n%s =%s%s\n", settings[i].effect,
                 range, *value ? value : "empty",
                 settings[i].reloadable ? "; SIGHUP applies a change" : "", settings[i].key,
                 *value ? " " : "", value);
        at = strstr(at, want);
        if (!at)
            fail_msg("%s.%s should stand as:%s", settings[i].section, settings[i].key, want);
    }
    free(conf);
}

static void the_file_sets_nothing_but_defaults(void **state)
{
    (void)state;
    struct ps_config config, defaults;
    struct ps_text why = { "" };
    ps_config_init(&defaults);
    struct ps_config_sources sources = { .file = PS_CONF_FILE };
    if (ps_config_load(&config, &sources, &why) != PS_OK)
        fail_msg("%s", why.data);
    assert_memory_equal(&config, &defaults, sizeof config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_need_no_source),
        cmocka_unit_test(set_beats_environment_beats_file_beats_default),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(mistakes_are_refused_by_name_value_and_range),
        cmocka_unit_test(a_mistake_in_the_environment_is_refused),
        cmocka_unit_test(variables_a_container_platform_adds_are_not_ours),
        cmocka_unit_test(a_line_too_long_is_refused_not_split),
        cmocka_unit_test(a_file_that_is_not_there_is_an_error),
        cmocka_unit_test(every_value_survives_its_text),
        cmocka_unit_test(reload_takes_what_it_can_and_counts_the_rest),
        cmocka_unit_test(the_file_explains_every_setting_truly),
        cmocka_unit_test(the_file_sets_nothing_but_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
