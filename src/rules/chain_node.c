/* chain_node: the configuration of one node: older forms repaired, then checked by its kind.
 *
 * Scripts: only Lua runs. JavaScript and TBEL that equal the reference's own default, known by a
 * hash of the source without white space, get our default; any other makes the node INVALID and
 * keeps the text for whoever ports it. */
#include "rules/chain_build.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ps_chain_place at_field(size_t node, const char *field, int line)
{
    return (struct ps_chain_place){ .node_index = (int)node, .field = field, .line = line };
}

static void put(struct ps_chain_build *build, json_t *config, const char *key, json_t *value)
{
    if (json_object_set_new(config, key, value) != 0)
        build->out_of_memory = true;
}

/* --- scripts in other languages --- */

/* First 16 hex digits of SHA-256 over the source without white space. */
static const struct known_default {
    const char *type, *prefix;
} known_defaults[] = {
    { "filter.script", "d8d8af843ac5a6d7" },
    { "transform.script", "284e7b4412650775" },
    { "action.log", "c46e03d3d53fe63d" },
};

static bool hash_prefix(const char *source, char out[17])
{
    size_t len = strlen(source), kept = 0;
    unsigned char digest[EVP_MAX_MD_SIZE];
    char *bare = malloc(len + 1);
    if (!bare)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n\v\f", source[i]))
            bare[kept++] = source[i];
    int done = EVP_Digest(bare, kept, digest, NULL, EVP_sha256(), NULL);
    free(bare);
    for (int i = 0; done == 1 && i < 8; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return done == 1;
}

static bool is_reference_default(const char *type, const char *source)
{
    char prefix[17];
    if (!hash_prefix(source, prefix))
        return false;
    for (size_t i = 0; i < sizeof known_defaults / sizeof known_defaults[0]; i++)
        if (strcmp(known_defaults[i].type, type) == 0 &&
            strcmp(known_defaults[i].prefix, prefix) == 0)
            return true;
    return false;
}

/* The foreign source that would have run: the chosen language's, else whichever is there. */
static const char *foreign_source(const json_t *config)
{
    const char *js = json_string_value(json_object_get(config, "jsScript"));
    const char *tbel = json_string_value(json_object_get(config, "tbelScript"));
    const char *lang = json_string_value(json_object_get(config, "scriptLang"));
    bool wants_tbel = lang && strcmp(lang, "TBEL") == 0;
    if (wants_tbel)
        return tbel ? tbel : js;
    return js ? js : tbel;
}

static void drop_foreign(json_t *config)
{
    json_object_del(config, "jsScript");
    json_object_del(config, "tbelScript");
    json_object_del(config, "scriptLang");
}

/* True: there is Lua to compile in `script`. */
static bool settle_script(struct ps_chain_build *build, size_t index)
{
    struct ps_chain_node *node = &build->chain->nodes[index];
    json_t *config = node->configuration;
    json_t *script = json_object_get(config, "script");
    if (json_is_string(script)) {
        json_object_del(config, "scriptLang");
        return true;
    }
    if (script && !json_is_null(script)) {
        ps_chain_node_error(build, PS_CHAIN_CONFIG, at_field(index, "script", 0),
                            "script is not a string");
        return false;
    }
    const char *source = foreign_source(config);
    if (source && !is_reference_default(node->type, source)) {
        ps_chain_node_invalid(build, index,
                              "the node has no Lua script: JavaScript and TBEL do not run here");
        return false;
    }
    put(build, config, "script", json_string(node->kind->default_script));
    drop_foreign(config);
    return !build->out_of_memory;
}

static void warn_of_globals(struct ps_chain_build *build, size_t index,
                            const struct ps_script_warnings *warnings)
{
    for (unsigned i = 0; i < warnings->count; i++) {
        const struct ps_script_warning *warning = &warnings->list[i];
        ps_chain_warn(build, PS_CHAIN_LUA, at_field(index, "script", warning->line),
                      warning->assigned ? "global '%s' is assigned: it is gone after the call"
                                        : "global '%s' does not exist: it is always nil",
                      warning->name);
    }
}

static void compile_script(struct ps_chain_build *build, size_t index)
{
    struct ps_chain_node *node = &build->chain->nodes[index];
    const json_t *script = json_object_get(node->configuration, "script");
    struct ps_script_error error = { .kind = PS_SCRIPT_ERROR_NONE };
    struct ps_script_warnings warnings = { .count = 0 };
    if (json_string_length(script) > PS_SCRIPT_SOURCE_BYTES_MAX) {
        ps_chain_node_error(build, PS_CHAIN_LIMIT, at_field(index, "script", 0),
                            "script is larger than %d KiB", PS_SCRIPT_SOURCE_BYTES_MAX / 1024);
        return;
    }
    enum ps_status st = ps_script_compile(build->checks->scripts, node->kind->script_kind,
                                          json_string_value(script), json_string_length(script),
                                          &node->script, &error, &warnings);
    if (st == PS_OK)
        warn_of_globals(build, index, &warnings);
    else if (st == PS_ESCRIPT)
        ps_chain_node_error(build, PS_CHAIN_LUA, at_field(index, "script", error.line), "%s",
                            error.message);
    else
        build->out_of_memory = true;
}

/* --- older forms --- */

static void rename_member(struct ps_chain_build *build, json_t *config, const char *from,
                          const char *to)
{
    json_t *value = json_object_get(config, from);
    if (!json_is_string(value))
        return;
    if (!json_is_string(json_object_get(config, to)))
        put(build, config, to, json_incref(value));
    json_object_del(config, from);
}

/* Save Timeseries of configuration version 0 knew one switch where there are four now. */
static void upgrade_save_timeseries(struct ps_chain_build *build, json_t *config)
{
    const json_t *skip = json_object_get(config, "skipLatestPersistence");
    if (!skip)
        return;
    if (json_is_true(skip) && !json_object_get(config, "processingSettings"))
        put(build, config, "processingSettings",
            json_pack("{s:s, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}", "type", "ADVANCED", "timeseries",
                      "type", "ON_EVERY_MESSAGE", "latest", "type", "SKIP", "webSockets", "type",
                      "ON_EVERY_MESSAGE", "calculatedFields", "type", "ON_EVERY_MESSAGE"));
    json_object_del(config, "skipLatestPersistence");
}

static void upgrade(struct ps_chain_build *build, struct ps_chain_node *node)
{
    rename_member(build, node->configuration, "luaScript", "script");
    rename_member(build, node->configuration, "alarmDetailsBuildLua", "detailsScript");
    if (strcmp(node->type, "action.save_timeseries") == 0)
        upgrade_save_timeseries(build, node->configuration);
}

/* --- fields (V8) --- */

static const char *check_int(const struct ps_option_field *field, const json_t *value)
{
    if (!json_is_integer(value))
        return "must be an integer";
    json_int_t number = json_integer_value(value);
    bool bounded = field->min != 0 || field->max != 0;
    return bounded && (number < field->min || number > field->max) ? "is out of range" : NULL;
}

static const char *check_enum(const struct ps_option_field *field, const json_t *value)
{
    const char *text = json_string_value(value);
    for (const char *const *choice = field->choices; text && *choice; choice++)
        if (strcmp(*choice, text) == 0)
            return NULL;
    return text ? "is not one of the possible values" : "must be a string";
}

static const char *check_string_list(const json_t *value)
{
    size_t i;
    const json_t *element;
    if (!json_is_array(value))
        return "must be a list of strings";
    json_array_foreach((json_t *)value, i, element)
    {
        const char *text = json_string_value(element);
        if (!text || !*text)
            return "must be a list of strings that are not empty";
    }
    return NULL;
}

static const char *check_uuid(const json_t *value)
{
    struct ps_uuid id;
    const char *text = json_string_value(value);
    return text && ps_uuid_parse(text, strlen(text), &id) == PS_OK ? NULL : "must be an id (UUID)";
}

/* What is wrong with a value, or NULL. */
static const char *check_value(const struct ps_option_field *field, const json_t *value)
{
    switch (field->type) {
    case PS_OPTION_BOOL:
        return json_is_boolean(value) ? NULL : "must be true or false";
    case PS_OPTION_INT:
        return check_int(field, value);
    case PS_OPTION_STRING:
        return json_is_string(value) ? NULL : "must be a string";
    case PS_OPTION_ENUM:
        return check_enum(field, value);
    case PS_OPTION_STRING_LIST:
        return check_string_list(value);
    case PS_OPTION_UUID:
        return check_uuid(value);
    case PS_OPTION_OBJECT:
        return json_is_object(value) ? NULL : "must be an object";
    case PS_OPTION_ANY:
        break;
    }
    return NULL;
}

/* Older exports write some switches as "true" and "false". */
static void repair_bool(struct ps_chain_build *build, const struct ps_option_field *field,
                        json_t *config)
{
    const char *text = json_string_value(json_object_get(config, field->name));
    if (field->type != PS_OPTION_BOOL || !text)
        return;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        put(build, config, field->name, json_boolean(*text == 't'));
}

/* False: complained of. */
static bool check_field(struct ps_chain_build *build, size_t index,
                        const struct ps_option_field *field)
{
    json_t *config = build->chain->nodes[index].configuration;
    repair_bool(build, field, config);
    const json_t *value = json_object_get(config, field->name);
    if (value && !json_is_null(value)) {
        const char *wrong = check_value(field, value);
        if (wrong)
            ps_chain_node_error(build, PS_CHAIN_CONFIG, at_field(index, field->name, 0), "%s %s",
                                field->name, wrong);
        return !wrong;
    }
    if (field->required) {
        ps_chain_node_error(build, PS_CHAIN_CONFIG, at_field(index, field->name, 0),
                            "%s is required", field->name);
        return false;
    }
    if (field->fallback)
        put(build, config, field->name, json_loads(field->fallback, JSON_DECODE_ANY, NULL));
    return true;
}

static bool is_expected(const struct ps_node_kind *kind, const char *member)
{
    static const char *const always[] = { "version", "keepNulls", NULL };
    static const char *const scripts[] = { "script", "jsScript", "tbelScript", "scriptLang", NULL };
    for (const struct ps_option_field *field = kind->fields; field && field->name; field++)
        if (strcmp(field->name, member) == 0)
            return true;
    for (const char *const *name = always; *name; name++)
        if (strcmp(*name, member) == 0)
            return true;
    for (const char *const *name = scripts; kind->has_script && *name; name++)
        if (strcmp(*name, member) == 0)
            return true;
    return false;
}

static void warn_of_unknown(struct ps_chain_build *build, size_t index)
{
    struct ps_chain_node *node = &build->chain->nodes[index];
    const char *member;
    json_t *value;
    json_object_foreach(node->configuration, member, value)
    {
        if (!is_expected(node->kind, member))
            ps_chain_warn(build, PS_CHAIN_CONFIG, at_field(index, member, 0),
                          "unknown member '%.60s' is kept and ignored", member);
    }
}

/* Let the kind read it once, so that what it would refuse is refused at save. */
static void try_init(struct ps_chain_build *build, size_t index)
{
    const struct ps_chain_node *node = &build->chain->nodes[index];
    struct ps_node trial = { .kind = node->kind, .name = node->name };
    struct ps_text why = { "" };
    if (!node->kind->init)
        return;
    enum ps_status st = node->kind->init(&trial, node->configuration, &why);
    if (node->kind->deinit)
        node->kind->deinit(&trial);
    if (st == PS_EINVAL) {
        char field[64]; /* "member.part: what is wrong with it" */
        snprintf(field, sizeof field, "%.*s", (int)strcspn(why.data, ":"), why.data);
        ps_chain_node_error(build, PS_CHAIN_CONFIG, at_field(index, field, 0), "%s", why.data);
    } else if (st != PS_OK) {
        build->out_of_memory = true;
    }
}

void ps_chain_node_configure(struct ps_chain_build *build, size_t index)
{
    struct ps_chain_node *node = &build->chain->nodes[index];
    bool sound = true;
    upgrade(build, node);
    if (node->invalid || !node->kind->run || build->out_of_memory)
        return;
    if (node->kind->has_script && settle_script(build, index))
        compile_script(build, index);
    for (const struct ps_option_field *field = node->kind->fields; field && field->name; field++)
        sound = check_field(build, index, field) && sound;
    warn_of_unknown(build, index);
    if (sound && !build->out_of_memory)
        try_init(build, index);
}
