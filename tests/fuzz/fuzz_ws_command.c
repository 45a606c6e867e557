/* Frames of WebSocket clients: any text is parsed or refused, and what is accepted keeps its
 * promises: ids, limits and windows are in range, keys are sorted and unique. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "transport/ws/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_keys(const struct ps_ws_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        PS_ASSERT(keys->names[i][0] && !strchr(keys->names[i], ','));
        PS_ASSERT(i == 0 || strcmp(keys->names[i - 1], keys->names[i]) < 0);
    }
}

static void check_command(const struct ps_ws_command *command)
{
    if (command->error != PS_WS_NO_ERROR) {
        PS_ASSERT(command->why.data[0] && !command->keys.count);
        return;
    }
    PS_ASSERT(command->cmd_id >= 0 && command->type != PS_WS_UNAVAILABLE);
    check_keys(&command->keys);
    if (command->type > PS_WS_HISTORY)
        return;
    PS_ASSERT(command->unsubscribe_all || command->entity.type != PS_ENTITY_NONE);
    PS_ASSERT(command->type == PS_WS_ATTRIBUTES ||
              (command->query.limit >= 1 && command->query.limit <= PS_WS_LIMIT_MAX));
    PS_ASSERT(command->type != PS_WS_HISTORY || command->keys.count);
    PS_ASSERT(!command->windowed || command->keys.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ps_ws_request request;
    struct ps_text why;
    if (ps_ws_request_parse((const char *)data, size, &request, &why) != PS_OK)
        return 0;
    PS_ASSERT(!request.token || request.has_auth);
    for (size_t i = 0; i < request.count; i++)
        check_command(&request.commands[i]);
    ps_ws_request_deinit(&request);
    return 0;
}
