#include "transport/ws/command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/telemetry/history_query.h"

static const char unreadable[] = "Failed to parse the payload";

/* X(type name, legacy group or NULL, what it is). Order = the contract's order of groups. */
static const struct command_name {
    const char *type, *group;
    enum ps_ws_command_type is;
    bool single; /* the legacy group is one command, not an array */
} command_names[] = {
    { "ATTRIBUTES", "attrSubCmds", PS_WS_ATTRIBUTES, false },
    { "TIMESERIES", "tsSubCmds", PS_WS_TIMESERIES, false },
    { "TIMESERIES_HISTORY", "historyCmds", PS_WS_HISTORY, false },
    { "ENTITY_DATA", "entityDataCmds", PS_WS_UNAVAILABLE, false },
    { "ENTITY_DATA_UNSUBSCRIBE", "entityDataUnsubscribeCmds", PS_WS_IGNORED, false },
    { "ALARM_DATA", "alarmDataCmds", PS_WS_UNAVAILABLE, false },
    { "ALARM_DATA_UNSUBSCRIBE", "alarmDataUnsubscribeCmds", PS_WS_IGNORED, false },
    { "ENTITY_COUNT", "entityCountCmds", PS_WS_UNAVAILABLE, false },
    { "ENTITY_COUNT_UNSUBSCRIBE", "entityCountUnsubscribeCmds", PS_WS_IGNORED, false },
    { "ALARM_COUNT", "alarmCountCmds", PS_WS_UNAVAILABLE, false },
    { "ALARM_COUNT_UNSUBSCRIBE", "alarmCountUnsubscribeCmds", PS_WS_IGNORED, false },
    { "ALARM_STATUS", NULL, PS_WS_UNAVAILABLE, false },
    { "ALARM_STATUS_UNSUBSCRIBE", NULL, PS_WS_IGNORED, false },
    { "NOTIFICATIONS_COUNT", "unreadCountSubCmd", PS_WS_NOTIFICATIONS_COUNT, true },
    { "NOTIFICATIONS", "unreadSubCmd", PS_WS_NOTIFICATIONS, true },
    { "MARK_NOTIFICATIONS_AS_READ", "markAsReadCmd", PS_WS_IGNORED, true },
    { "MARK_ALL_NOTIFICATIONS_AS_READ", "markAllAsReadCmd", PS_WS_IGNORED, true },
    { "NOTIFICATIONS_UNSUBSCRIBE", "unsubCmd", PS_WS_IGNORED, true },
};

enum { COMMAND_NAME_COUNT = sizeof command_names / sizeof command_names[0] };

void ps_ws_keys_deinit(struct ps_ws_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        free(keys->names[i]);
    free(keys->names);
    *keys = (struct ps_ws_keys){ 0 };
}

void ps_ws_request_deinit(struct ps_ws_request *request)
{
    for (size_t i = 0; i < request->count; i++)
        ps_ws_keys_deinit(&request->commands[i].keys);
    free(request->commands);
    free(request->token);
    *request = (struct ps_ws_request){ 0 };
}

/* --- members: absent and null are the same; a wrong type rejects the command --- */

static bool rejected(const struct ps_ws_command *command)
{
    return command->error != PS_WS_NO_ERROR;
}

/* The first fault is the one that is told. */
#define reject(command, ...)                                                                       \
    do {                                                                                           \
        if (!rejected(command)) {                                                                  \
            (command)->error = PS_WS_BAD_REQUEST;                                                  \
            ps_text_set(&(command)->why, __VA_ARGS__);                                             \
        }                                                                                          \
    } while (0)

static const json_t *member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static const char *text_member(struct ps_ws_command *command, const json_t *object,
                               const char *name)
{
    const json_t *value = member(object, name);
    if (!value)
        return NULL;
    if (!json_is_string(value)) {
        reject(command, "Member '%s' must be a string", name);
        return NULL;
    }
    return json_string_value(value);
}

static bool bool_member(struct ps_ws_command *command, const json_t *object, const char *name)
{
    const json_t *value = member(object, name);
    if (value && !json_is_boolean(value))
        reject(command, "Member '%s' must be a boolean", name);
    return json_is_true(value);
}

/* Integers, and numbers with a fraction cut off, as browsers compute times. */
static int64_t number_member(struct ps_ws_command *command, const json_t *object, const char *name)
{
    const json_t *value = member(object, name);
    if (!value)
        return 0;
    if (json_is_integer(value))
        return json_integer_value(value);
    double real = json_is_real(value) ? json_real_value(value) : NAN;
    if (real > -9.2e18 && real < 9.2e18)
        return (int64_t)real;
    reject(command, "Member '%s' must be a number", name);
    return 0;
}

/* --- keys --- */

static int compare_names(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;
    return strcmp(*a, *b);
}

static void drop_repeated(struct ps_ws_keys *keys)
{
    size_t kept = 0;
    for (size_t i = 0; i < keys->count; i++) {
        if (kept && strcmp(keys->names[kept - 1], keys->names[i]) == 0)
            free(keys->names[i]);
        else
            keys->names[kept++] = keys->names[i];
    }
    keys->count = kept;
}

static size_t count_char(const char *text, char c)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == c;
    return count;
}

/* Split at ','; names are taken as they are, empty ones are left out. */
static enum ps_status split_keys(const char *text, struct ps_ws_keys *out)
{
    struct ps_ws_keys keys = { .names = calloc(count_char(text, ',') + 1, sizeof *keys.names) };
    if (!keys.names)
        return PS_ENOMEM;
    while (*text) {
        size_t len = strcspn(text, ",");
        if (len) {
            keys.names[keys.count] = strndup(text, len);
            if (!keys.names[keys.count]) {
                ps_ws_keys_deinit(&keys);
                return PS_ENOMEM;
            }
            keys.count++;
        }
        text += len + (text[len] == ',');
    }
    qsort(keys.names, keys.count, sizeof *keys.names, compare_names);
    drop_repeated(&keys);
    *out = keys;
    return PS_OK;
}

static void read_keys(struct ps_ws_command *command, const json_t *object)
{
    const char *text = text_member(command, object, "keys");
    if (text && split_keys(text, &command->keys) != PS_OK) {
        command->error = PS_WS_INTERNAL_ERROR;
        ps_text_set(&command->why, "Internal Server error!");
    }
}

/* --- the parts of a command --- */

static void read_entity(struct ps_ws_command *command, const json_t *object)
{
    const char *id = text_member(command, object, "entityId");
    const char *type = text_member(command, object, "entityType");
    if (rejected(command))
        return;
    if (!id || !*id) {
        if (command->unsubscribe)
            command->unsubscribe_all = true;
        else
            reject(command, "Device id is empty!");
        return;
    }
    if (!type || !*type)
        reject(command, "Entity type is empty!");
    else if (ps_entity_type_parse(type, strlen(type), &command->entity.type) != PS_OK)
        reject(command, "Unknown entity type '%s'", type);
    else if (ps_uuid_parse(id, strlen(id), &command->entity.id) != PS_OK)
        reject(command, "Invalid UUID string: %s", id);
}

static void read_scope(struct ps_ws_command *command, const json_t *object)
{
    static const struct {
        const char *name;
        enum ps_attribute_scope is;
    } scopes[] = { { "CLIENT_SCOPE", PS_SCOPE_CLIENT },
                   { "SHARED_SCOPE", PS_SCOPE_SHARED },
                   { "SERVER_SCOPE", PS_SCOPE_SERVER } };
    const char *scope = text_member(command, object, "scope");
    if (command->type == PS_WS_TIMESERIES) {
        command->latest_only = scope && strcmp(scope, "LATEST_TELEMETRY") == 0;
        return;
    }
    command->all_scopes = !scope || !*scope;
    if (command->all_scopes)
        return;
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        if (strcmp(scope, scopes[i].name) == 0) {
            command->scope = scopes[i].is;
            return;
        }
    }
    reject(command, "Unknown attribute scope '%s'", scope);
}

/* One of the words; absent, null and "" are the first. `what`: how the error calls it. */
static int word_member(struct ps_ws_command *command, const json_t *object, const char *member_name,
                       const char *what, const struct ps_query_word *words)
{
    const char *name = text_member(command, object, member_name);
    int is = words[0].is;
    if (!ps_query_word_find(words, name, &is))
        reject(command, "Unknown %s '%s'", what, name);
    return is;
}

/* Whether the zone exists is the reader's to find out: that may need a file. */
static void read_time_zone(struct ps_ws_command *command, const json_t *object)
{
    const char *zone = text_member(command, object, "timeZoneId");
    if (!zone)
        return;
    if (strlen(zone) >= sizeof command->query.time_zone)
        reject(command, "Unknown time zone '%s'", zone);
    else
        strcpy(command->query.time_zone, zone);
}

/* points, downsample: as E6 of the web UI's contract; more points than there may be are the most.
 */
static void read_downsample(struct ps_ws_command *command, const json_t *object)
{
    int downsample =
        word_member(command, object, "downsample", "downsampling", ps_downsample_words);
    const char *said = text_member(command, object, "downsample");
    int64_t points = number_member(command, object, "points");
    struct ps_text why;
    if (ps_history_query_thin(&command->query, (enum ps_downsample)downsample, said && *said,
                              points > PS_WS_LIMIT_MAX ? PS_WS_LIMIT_MAX : points, &why) != PS_OK)
        reject(command, "%s", why.data);
}

static void read_buckets(struct ps_ws_command *command, const json_t *object)
{
    struct ps_history_query *query = &command->query;
    query->aggregate =
        (enum ps_aggregate)word_member(command, object, "agg", "aggregation", ps_aggregate_words);
    query->interval_type = (enum ps_interval_type)word_member(
        command, object, "intervalType", "interval type", ps_interval_type_words);
    query->interval_ms = number_member(command, object, "interval");
    read_time_zone(command, object);
}

static void read_query(struct ps_ws_command *command, const json_t *object)
{
    struct ps_history_query *query = &command->query;
    read_buckets(command, object);
    read_downsample(command, object);
    query->start_ms = number_member(command, object, "startTs");
    int64_t limit = number_member(command, object, "limit");
    if (query->interval_ms < 0 || limit < 0)
        reject(command, "Interval and limit must not be negative");
    query->limit = limit == 0                ? PS_WS_LIMIT_DEFAULT
                   : limit > PS_WS_LIMIT_MAX ? PS_WS_LIMIT_MAX
                                             : (size_t)limit;
}

/* The snapshot is points, not latest values: is that a question that can be answered? */
static void check_query(struct ps_ws_command *command)
{
    struct ps_text why;
    command->windowed = true;
    if (ps_history_query_check(&command->query, &why) != PS_OK)
        reject(command, "%s", why.data);
}

static void read_window(struct ps_ws_command *command, const json_t *object)
{
    int64_t window = number_member(command, object, "timeWindow");
    read_query(command, object);
    if (__builtin_add_overflow(command->query.start_ms, window, &command->query.end_ms))
        command->query.end_ms = INT64_MAX;
    if (window > 0 && command->keys.count > 0)
        check_query(command);
}

static void read_timeseries(struct ps_ws_command *command, const json_t *object)
{
    read_entity(command, object);
    read_keys(command, object);
    read_scope(command, object);
    read_window(command, object);
}

static void read_attributes(struct ps_ws_command *command, const json_t *object)
{
    read_entity(command, object);
    read_keys(command, object);
    read_scope(command, object);
}

static void read_history(struct ps_ws_command *command, const json_t *object)
{
    command->unsubscribe = false; /* nothing is subscribed */
    read_entity(command, object);
    read_keys(command, object);
    if (!command->keys.count)
        reject(command, "Keys are empty!");
    read_query(command, object);
    command->query.end_ms = number_member(command, object, "endTs");
    check_query(command);
}

/* --- a command, a frame --- */

static void read_cmd_id(struct ps_ws_command *command, const json_t *object)
{
    const json_t *value = member(object, "cmdId");
    if (!value)
        return; /* 0, as in the reference */
    json_int_t id = json_is_integer(value) ? json_integer_value(value) : INT64_MAX;
    if (id < INT32_MIN || id > INT32_MAX) {
        command->cmd_id = PS_WS_UNREADABLE_CMD_ID;
        reject(command, "Member 'cmdId' must be a 32-bit integer");
        return;
    }
    command->cmd_id = (int32_t)id;
    if (id < 0)
        reject(command, "Cmd id is negative value!");
}

static void read_members(struct ps_ws_command *command, const struct command_name *name,
                         const json_t *object)
{
    command->type = name->is;
    command->unsubscribe = bool_member(command, object, "unsubscribe");
    switch (name->is) {
    case PS_WS_TIMESERIES:
        read_timeseries(command, object);
        break;
    case PS_WS_ATTRIBUTES:
        read_attributes(command, object);
        break;
    case PS_WS_HISTORY:
        read_history(command, object);
        break;
    case PS_WS_UNAVAILABLE:
        reject(command, "%s is not available in this version", name->type);
        break;
    case PS_WS_NOTIFICATIONS_COUNT:
    case PS_WS_NOTIFICATIONS:
    case PS_WS_IGNORED:
        break;
    }
}

static const struct command_name *find_type(const char *type)
{
    for (size_t i = 0; i < COMMAND_NAME_COUNT; i++)
        if (strcmp(type, command_names[i].type) == 0)
            return &command_names[i];
    return NULL;
}

/* `name` NULL: the command tells its type itself. */
static void read_command(struct ps_ws_command *command, const struct command_name *name,
                         const json_t *object)
{
    if (!json_is_object(object)) {
        command->cmd_id = PS_WS_UNREADABLE_CMD_ID;
        reject(command, "%s", unreadable);
        return;
    }
    read_cmd_id(command, object);
    if (!name) {
        const char *type = text_member(command, object, "type");
        name = type ? find_type(type) : NULL;
        if (!name) {
            reject(command, "Unknown command type '%s'", type ? type : "");
            return;
        }
    }
    read_members(command, name, object);
    if (rejected(command))
        ps_ws_keys_deinit(&command->keys);
}

/* Does the group fit the envelope? Absent and null do. */
static bool group_is_readable(const json_t *group, bool single)
{
    return !group || (single ? json_is_object(group) : json_is_array(group));
}

static size_t group_size(const json_t *group, bool single)
{
    return !group ? 0 : single ? 1 : json_array_size(group);
}

static void read_group(struct ps_ws_request *request, const json_t *group,
                       const struct command_name *name)
{
    bool single = name && name->single;
    size_t size = group_size(group, single);
    for (size_t i = 0; i < size; i++)
        read_command(&request->commands[request->count++], name,
                     single ? group : json_array_get(group, i));
}

static enum ps_status count_commands(const json_t *root, size_t *count, struct ps_text *why)
{
    const json_t *cmds = member(root, "cmds");
    bool readable = group_is_readable(cmds, false);
    *count = readable ? group_size(cmds, false) : 0;
    for (size_t i = 0; i < COMMAND_NAME_COUNT && readable; i++) {
        const struct command_name *name = &command_names[i];
        const json_t *group = name->group ? member(root, name->group) : NULL;
        readable = group_is_readable(group, name->single);
        if (readable)
            *count += group_size(group, name->single);
    }
    if (!readable)
        ps_text_set(why, "a member that holds commands has the wrong type");
    return readable ? PS_OK : PS_EPROTO;
}

static enum ps_status read_auth(struct ps_ws_request *request, const json_t *root)
{
    const json_t *auth = member(root, "authCmd");
    if (!json_is_object(auth))
        return PS_OK;
    request->has_auth = true;
    request->api_key = json_is_string(member(auth, "apiKey"));
    const char *token = json_string_value(member(auth, "token"));
    if (token && !(request->token = strdup(token)))
        return PS_ENOMEM;
    return PS_OK;
}

static enum ps_status read_request(const json_t *root, struct ps_ws_request *request,
                                   struct ps_text *why)
{
    size_t count = 0;
    enum ps_status st = count_commands(root, &count, why);
    if (st != PS_OK)
        return st;
    if (count && !(request->commands = calloc(count, sizeof *request->commands)))
        return PS_ENOMEM;
    st = read_auth(request, root);
    if (st != PS_OK)
        return st;
    read_group(request, member(root, "cmds"), NULL);
    for (size_t i = 0; i < COMMAND_NAME_COUNT; i++)
        if (command_names[i].group)
            read_group(request, member(root, command_names[i].group), &command_names[i]);
    return PS_OK;
}

enum ps_status ps_ws_request_parse(const char *text, size_t len, struct ps_ws_request *out,
                                   struct ps_text *why)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, 0, &error);
    if (!json_is_object(root)) {
        ps_text_set(why, "%s", root ? "the frame is not a JSON object" : error.text);
        json_decref(root);
        return PS_EPROTO;
    }
    struct ps_ws_request request = { 0 };
    enum ps_status st = read_request(root, &request, why);
    json_decref(root);
    if (st != PS_OK) {
        ps_ws_request_deinit(&request);
        return st;
    }
    *out = request;
    return PS_OK;
}
