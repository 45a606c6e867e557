#include "core/config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/log.h"

enum { SETTING_NAME_SIZE = 80 }; /* "section.key" */

#define RESTART false
#define RELOAD true
static const struct ps_config_setting settings[] = {
#define BOOL_ROW(section_, key_, default_, reload, effect_)                                        \
    { .section = #section_,                                                                        \
      .key = #key_,                                                                                \
      .type = PS_CONFIG_BOOL,                                                                      \
      .offset = offsetof(struct ps_config, section_##_##key_),                                     \
      .default_text = "",                                                                          \
      .default_int = (default_),                                                                   \
      .unit = "",                                                                                  \
      .choices = "",                                                                               \
      .reloadable = (reload),                                                                      \
      .effect = (effect_) },
#define INT_ROW(section_, key_, default_, min_, max_, unit_, reload, effect_)                      \
    { .section = #section_,                                                                        \
      .key = #key_,                                                                                \
      .type = PS_CONFIG_INT,                                                                       \
      .offset = offsetof(struct ps_config, section_##_##key_),                                     \
      .default_text = "",                                                                          \
      .default_int = (default_),                                                                   \
      .min = (min_),                                                                               \
      .max = (max_),                                                                               \
      .unit = (unit_),                                                                             \
      .choices = "",                                                                               \
      .reloadable = (reload),                                                                      \
      .effect = (effect_) },
#define TEXT_ROW(section_, key_, default_, reload, effect_)                                        \
    { .section = #section_,                                                                        \
      .key = #key_,                                                                                \
      .type = PS_CONFIG_TEXT,                                                                      \
      .offset = offsetof(struct ps_config, section_##_##key_),                                     \
      .default_text = (default_),                                                                  \
      .unit = "",                                                                                  \
      .choices = "",                                                                               \
      .reloadable = (reload),                                                                      \
      .effect = (effect_) },
#define ENUM_ROW(section_, key_, default_, choices_, reload, effect_)                              \
    { .section = #section_,                                                                        \
      .key = #key_,                                                                                \
      .type = PS_CONFIG_ENUM,                                                                      \
      .offset = offsetof(struct ps_config, section_##_##key_),                                     \
      .default_text = (default_),                                                                  \
      .unit = "",                                                                                  \
      .choices = (choices_),                                                                       \
      .reloadable = (reload),                                                                      \
      .effect = (effect_) },
    PS_CONFIG_LIST(BOOL_ROW, INT_ROW, TEXT_ROW, ENUM_ROW)
};

enum { SETTING_COUNT = sizeof settings / sizeof *settings };

const struct ps_config_setting *ps_config_settings(size_t *count)
{
    *count = SETTING_COUNT;
    return settings;
}

static void *field_of(struct ps_config *config, const struct ps_config_setting *setting)
{
    return (char *)config + setting->offset;
}

static const void *field_in(const struct ps_config *config, const struct ps_config_setting *setting)
{
    return (const char *)config + setting->offset;
}

static void setting_name(const struct ps_config_setting *setting, char out[SETTING_NAME_SIZE])
{
    snprintf(out, SETTING_NAME_SIZE, "%s.%s", setting->section, setting->key);
}

/* ---- names -------------------------------------------------------------- */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Characters to insert, delete or replace to turn `a` into `b` (Levenshtein); both are shorter than
 * SETTING_NAME_SIZE. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    size_t row[SETTING_NAME_SIZE + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0]; /* of the row above */
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

/* The setting whose name, as `write_name` spells it, is closest to what was given. */
static const struct ps_config_setting *
nearest_setting(const char *given,
                void (*write_name)(const struct ps_config_setting *, char[SETTING_NAME_SIZE]))
{
    const struct ps_config_setting *best = settings;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        char known[SETTING_NAME_SIZE];
        write_name(&settings[i], known);
        size_t distance = edit_distance(given, known);
        if (distance < best_distance) {
            best = &settings[i];
            best_distance = distance;
        }
    }
    return best;
}

static const struct ps_config_setting *find_setting(const char *section, const char *key)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].key, key) == 0)
            return &settings[i];
    return NULL;
}

static enum ps_status unknown_setting(const char *section, const char *key, struct ps_text *why)
{
    char given[SETTING_NAME_SIZE], known[SETTING_NAME_SIZE];
    snprintf(given, sizeof given, "%s.%s", section, key);
    setting_name(nearest_setting(given, setting_name), known);
    ps_text_set(why, "unknown setting %s; did you mean %s?", given, known);
    return PS_EINVAL;
}

/* ---- values ------------------------------------------------------------- */

/* Position of `value` among "a|b|c", or -1. */
static int choice_index(const char *choices, const char *value)
{
    size_t len = strlen(value);
    for (int i = 0;; i++) {
        size_t choice_len = strcspn(choices, "|");
        if (choice_len == len && memcmp(choices, value, len) == 0)
            return i;
        if (choices[choice_len] == '\0')
            return -1;
        choices += choice_len + 1;
    }
}

static enum ps_status set_bool(const struct ps_config_setting *setting, bool *field,
                               const char *value, struct ps_text *why)
{
    static const struct spelling {
        const char *text;
        bool value;
    } spellings[] = {
        { "true", true }, { "false", false }, { "yes", true }, { "no", false },
        { "on", true },   { "off", false },   { "1", true },   { "0", false },
    };
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (strcasecmp(spellings[i].text, value) == 0) {
            *field = spellings[i].value;
            return PS_OK;
        }
    ps_text_set(why, "%s.%s = \"%.40s\": must be true or false", setting->section, setting->key,
                value);
    return PS_EINVAL;
}

static bool is_decimal(const char *text)
{
    if (*text == '-')
        text++;
    return *text && text[strspn(text, "0123456789")] == '\0';
}

static enum ps_status set_int(const struct ps_config_setting *setting, int64_t *field,
                              const char *value, struct ps_text *why)
{
    errno = 0;
    long long number = is_decimal(value) ? strtoll(value, NULL, 10) : 0;
    if (!is_decimal(value) || errno || number < setting->min || number > setting->max) {
        ps_text_set(why, "%s.%s = \"%.40s\": must be a whole number from %lld to %lld (%s)",
                    setting->section, setting->key, value, (long long)setting->min,
                    (long long)setting->max, setting->unit);
        return PS_EINVAL;
    }
    *field = number;
    return PS_OK;
}

static enum ps_status set_text(const struct ps_config_setting *setting, char *field,
                               const char *value, struct ps_text *why)
{
    size_t len = strlen(value);
    if (len >= PS_CONFIG_TEXT_SIZE) {
        ps_text_set(why, "%s.%s: longer than %d bytes", setting->section, setting->key,
                    PS_CONFIG_TEXT_SIZE - 1);
        return PS_EINVAL;
    }
    if (len == 0 && *setting->default_text) {
        ps_text_set(why, "%s.%s = \"\": must not be empty", setting->section, setting->key);
        return PS_EINVAL;
    }
    memcpy(field, value, len + 1);
    return PS_OK;
}

static enum ps_status set_enum(const struct ps_config_setting *setting, int *field,
                               const char *value, struct ps_text *why)
{
    int index = choice_index(setting->choices, value);
    if (index < 0) {
        ps_text_set(why, "%s.%s = \"%.40s\": must be one of %s", setting->section, setting->key,
                    value, setting->choices);
        return PS_EINVAL;
    }
    *field = index;
    return PS_OK;
}

enum ps_status ps_config_set(struct ps_config *config, const char *section, const char *key,
                             const char *value, struct ps_text *why)
{
    const struct ps_config_setting *setting = find_setting(section, key);
    if (!setting)
        return unknown_setting(section, key, why);
    void *field = field_of(config, setting);
    switch (setting->type) {
    case PS_CONFIG_BOOL:
        return set_bool(setting, field, value, why);
    case PS_CONFIG_INT:
        return set_int(setting, field, value, why);
    case PS_CONFIG_TEXT:
        return set_text(setting, field, value, why);
    case PS_CONFIG_ENUM:
        return set_enum(setting, field, value, why);
    }
    return PS_EINVAL;
}

void ps_config_init(struct ps_config *config)
{
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct ps_config_setting *setting = &settings[i];
        void *field = field_of(config, setting);
        switch (setting->type) {
        case PS_CONFIG_BOOL:
            *(bool *)field = setting->default_int != 0;
            break;
        case PS_CONFIG_INT:
            PS_ASSERT(setting->default_int >= setting->min && setting->default_int <= setting->max);
            *(int64_t *)field = setting->default_int;
            break;
        case PS_CONFIG_TEXT:
            memcpy(field, setting->default_text, strlen(setting->default_text) + 1);
            break;
        case PS_CONFIG_ENUM:
            *(int *)field = choice_index(setting->choices, setting->default_text);
            PS_ASSERT(*(int *)field >= 0);
            break;
        }
    }
}

void ps_config_format(const struct ps_config *config, const struct ps_config_setting *setting,
                      char *out, size_t size)
{
    const void *field = field_in(config, setting);
    switch (setting->type) {
    case PS_CONFIG_BOOL:
        snprintf(out, size, "%s", *(const bool *)field ? "true" : "false");
        break;
    case PS_CONFIG_INT:
        snprintf(out, size, "%lld", (long long)*(const int64_t *)field);
        break;
    case PS_CONFIG_TEXT:
        snprintf(out, size, "%s", (const char *)field);
        break;
    case PS_CONFIG_ENUM: {
        const char *choice = setting->choices;
        for (int i = *(const int *)field; i > 0; i--)
            choice += strcspn(choice, "|") + 1;
        snprintf(out, size, "%.*s", (int)strcspn(choice, "|"), choice);
        break;
    }
    }
}

static size_t field_size(const struct ps_config_setting *setting)
{
    switch (setting->type) {
    case PS_CONFIG_BOOL:
        return sizeof(bool);
    case PS_CONFIG_INT:
        return sizeof(int64_t);
    case PS_CONFIG_TEXT:
        return PS_CONFIG_TEXT_SIZE;
    case PS_CONFIG_ENUM:
        return sizeof(int);
    }
    return 0;
}

size_t ps_config_reload(struct ps_config *config, const struct ps_config *from)
{
    size_t waiting = 0;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        char now[PS_CONFIG_TEXT_SIZE], wanted[PS_CONFIG_TEXT_SIZE];
        ps_config_format(config, &settings[i], now, sizeof now);
        ps_config_format(from, &settings[i], wanted, sizeof wanted);
        if (strcmp(now, wanted) == 0)
            continue;
        if (settings[i].reloadable)
            memcpy(field_of(config, &settings[i]), field_in(from, &settings[i]),
                   field_size(&settings[i]));
        else
            waiting++;
    }
    return waiting;
}

/* ---- the file ----------------------------------------------------------- */

struct file_reading {
    FILE *file;
    const char *path;
    struct ps_config *config;
    struct ps_text *why;
    int line;                 /* of the line inih has in hand */
    int failed_line;          /* 0: none yet */
    bool seen[SETTING_COUNT]; /* a setting given twice is a mistake, not a preference */
};

static void fail_line(struct file_reading *reading, const char *what)
{
    if (reading->failed_line)
        return;
    reading->failed_line = reading->line;
    ps_text_set(reading->why, "%s line %d: %s", reading->path, reading->line, what);
}

/* What inih reads with instead of fgets: counts lines, and refuses the ones it would cut in two. */
static char *read_line(char *out, int size, void *arg)
{
    struct file_reading *reading = arg;
    char *line = fgets(out, size, reading->file);
    if (!line)
        return NULL;
    reading->line++;
    size_t len = strlen(line);
    if (len + 1 == (size_t)size && line[len - 1] != '\n') {
        fail_line(reading, "line too long");
        return NULL;
    }
    return line;
}

static int take_file_value(void *arg, const char *section, const char *key, const char *value)
{
    struct file_reading *reading = arg;
    if (reading->failed_line)
        return 0;
    const struct ps_config_setting *setting = find_setting(section, key);
    if (setting && reading->seen[setting - settings]) {
        /* Also what an indented line is to inih: more of the value above. */
        char text[SETTING_NAME_SIZE + 40];
        snprintf(text, sizeof text, "%s.%s is given twice", section, key);
        fail_line(reading, text);
        return 0;
    }
    struct ps_text why;
    if (ps_config_set(reading->config, section, key, value, &why) != PS_OK) {
        fail_line(reading, why.data);
        return 0;
    }
    reading->seen[setting - settings] = true;
    return 1;
}

static enum ps_status load_file(struct ps_config *config, const char *path, struct ps_text *why)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        ps_text_set(why, "%s: %s", path, strerror(errno));
        return PS_ENOTFOUND;
    }
    struct file_reading reading = { .file = file, .path = path, .config = config, .why = why };
    int first_bad_line = ini_parse_stream(read_line, &reading, take_file_value, &reading);
    bool unreadable = ferror(file) != 0;
    fclose(file);
    if (unreadable) {
        ps_text_set(why, "%s: cannot be read", path);
        return PS_ENOTFOUND;
    }
    if (first_bad_line > 0 && (!reading.failed_line || first_bad_line < reading.failed_line)) {
        ps_text_set(why, "%s line %d: neither [section] nor key = value", path, first_bad_line);
        return PS_EINVAL;
    }
    return reading.failed_line ? PS_EINVAL : PS_OK;
}

/* ---- the environment ---------------------------------------------------- */

static const char ENVIRONMENT_PREFIX[] = "PACIFICSOFT_";

static void environment_name(const struct ps_config_setting *setting, char out[SETTING_NAME_SIZE])
{
    int len = snprintf(out, SETTING_NAME_SIZE, "%s_%s", setting->section, setting->key);
    for (int i = 0; i < len; i++)
        if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
}

/* Kubernetes and Docker set such variables in every container beside a service that is called
 * "pacificsoft"; they are not meant for us. */
static bool is_service_link(const char *name)
{
    return strncmp(name, "SERVICE_", 8) == 0 || strncmp(name, "PORT_", 5) == 0 ||
           strcmp(name, "PORT") == 0;
}

static enum ps_status unknown_variable(const char *name, struct ps_text *why)
{
    char known[SETTING_NAME_SIZE];
    environment_name(nearest_setting(name, environment_name), known);
    ps_text_set(why, "environment: unknown setting %s%s; did you mean %s%s?", ENVIRONMENT_PREFIX,
                name, ENVIRONMENT_PREFIX, known);
    return PS_EINVAL;
}

/* `text` is what follows the prefix: "HTTP_PORT=8080". */
static enum ps_status take_variable(struct ps_config *config, const char *text, struct ps_text *why)
{
    char name[SETTING_NAME_SIZE];
    size_t name_len = strcspn(text, "=");
    snprintf(name, sizeof name, "%.*s", (int)name_len, text);
    if (text[name_len] != '=' || is_service_link(name))
        return PS_OK;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        char known[SETTING_NAME_SIZE];
        environment_name(&settings[i], known);
        if (strcmp(known, name) != 0)
            continue;
        struct ps_text reason;
        enum ps_status st = ps_config_set(config, settings[i].section, settings[i].key,
                                          text + name_len + 1, &reason);
        if (st != PS_OK)
            ps_text_set(why, "environment %s%s: %s", ENVIRONMENT_PREFIX, name, reason.data);
        return st;
    }
    return unknown_variable(name, why);
}

static enum ps_status load_environment(struct ps_config *config, char *const *environment,
                                       struct ps_text *why)
{
    size_t prefix_len = strlen(ENVIRONMENT_PREFIX);
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, ENVIRONMENT_PREFIX, prefix_len) != 0)
            continue;
        enum ps_status st = take_variable(config, *environment + prefix_len, why);
        if (st != PS_OK)
            return st;
    }
    return PS_OK;
}

/* ---- all of them -------------------------------------------------------- */

static enum ps_status take_set(struct ps_config *config, const char *text, struct ps_text *why)
{
    char section[SETTING_NAME_SIZE], key[SETTING_NAME_SIZE];
    size_t name_len = strcspn(text, "="), section_len = strcspn(text, ".=");
    if (text[name_len] != '=' || section_len >= name_len || name_len >= SETTING_NAME_SIZE) {
        ps_text_set(why, "--set %.60s: must be section.key=value", text);
        return PS_EINVAL;
    }
    snprintf(section, sizeof section, "%.*s", (int)section_len, text);
    snprintf(key, sizeof key, "%.*s", (int)(name_len - section_len - 1), text + section_len + 1);
    struct ps_text reason;
    enum ps_status st = ps_config_set(config, section, key, text + name_len + 1, &reason);
    if (st != PS_OK)
        ps_text_set(why, "--set %s", reason.data);
    return st;
}

/* What no single value can be wrong about. */
static enum ps_status check_whole(const struct ps_config *config, struct ps_text *why)
{
    struct ps_text reason;
    if (ps_log_check_levels(config->log_levels, &reason) != PS_OK) {
        ps_text_set(why, "log.levels: %s", reason.data);
        return PS_EINVAL;
    }
    if (config->ws_ping_timeout_ms <= config->ws_ping_interval_ms) {
        ps_text_set(why, "ws.ping_timeout_ms = %lld: must be more than ws.ping_interval_ms = %lld",
                    (long long)config->ws_ping_timeout_ms, (long long)config->ws_ping_interval_ms);
        return PS_EINVAL;
    }
    if (config->lua_call_bytes_max > config->lua_state_bytes_max) {
        ps_text_set(why, "lua.call_bytes_max = %lld: must not exceed lua.state_bytes_max = %lld",
                    (long long)config->lua_call_bytes_max, (long long)config->lua_state_bytes_max);
        return PS_EINVAL;
    }
    return PS_OK;
}

enum ps_status ps_config_load(struct ps_config *out, const struct ps_config_sources *sources,
                              struct ps_text *why)
{
    struct ps_config config;
    ps_config_init(&config);
    enum ps_status st = PS_OK;
    if (sources->file)
        st = load_file(&config, sources->file, why);
    if (st == PS_OK)
        st = load_environment(&config, sources->environment, why);
    for (size_t i = 0; st == PS_OK && i < sources->set_count; i++)
        st = take_set(&config, sources->sets[i], why);
    if (st == PS_OK)
        st = check_whole(&config, why);
    if (st == PS_OK)
        *out = config;
    return st;
}
