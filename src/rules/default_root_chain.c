/* default_root_chain: what a new tenant's messages go through (rule-engine contract 10.1).
 *
 * In words: a type switch first; telemetry and attributes are saved, RPC from the device and types
 * without a label are logged. All else is not connected, and so ends well. The node that sends RPC
 * to devices joins when this build has it. */
#include "rules/chain.h"

static const char metadata[] =
    "{\"firstNodeIndex\":2,\"nodes\":["
    "{\"type\":\"action.save_timeseries\",\"name\":\"Save Timeseries\","
    "\"configurationVersion\":1,\"configuration\":{\"defaultTTL\":0,\"useServerTs\":false,"
    "\"processingSettings\":{\"type\":\"ON_EVERY_MESSAGE\"}},"
    "\"additionalInfo\":{\"layoutX\":824,\"layoutY\":156}},"
    "{\"type\":\"action.save_attributes\",\"name\":\"Save Client Attributes\","
    "\"configurationVersion\":3,\"configuration\":{"
    "\"processingSettings\":{\"type\":\"ON_EVERY_MESSAGE\"},\"scope\":\"CLIENT_SCOPE\","
    "\"notifyDevice\":false,\"sendAttributesUpdatedNotification\":false,"
    "\"updateAttributesOnlyOnValueChange\":true},"
    "\"additionalInfo\":{\"layoutX\":825,\"layoutY\":52}},"
    "{\"type\":\"filter.msg_type_switch\",\"name\":\"Message Type Switch\",\"configuration\":{},"
    "\"additionalInfo\":{\"layoutX\":347,\"layoutY\":149}},"
    "{\"type\":\"action.log\",\"name\":\"Log RPC from Device\",\"configuration\":{"
    "\"script\":\"return \\\"rpc \\\" .. json.encode(msg) .. \\\" \\\" .. "
    "json.encode(metadata)\"},\"additionalInfo\":{\"layoutX\":825,\"layoutY\":266}},"
    "{\"type\":\"action.log\",\"name\":\"Log Other\",\"configuration\":{"
    "\"script\":\"return msgType .. \\\" \\\" .. json.encode(msg)\"},"
    "\"additionalInfo\":{\"layoutX\":825,\"layoutY\":379}}],"
    "\"connections\":["
    "{\"fromIndex\":2,\"toIndex\":0,\"type\":\"Post telemetry\"},"
    "{\"fromIndex\":2,\"toIndex\":1,\"type\":\"Post attributes\"},"
    "{\"fromIndex\":2,\"toIndex\":3,\"type\":\"RPC Request from Device\"},"
    "{\"fromIndex\":2,\"toIndex\":4,\"type\":\"Other\"}],"
    "\"ruleChainConnections\":[],\"failureNodeIndex\":null}";

const char *ps_default_root_chain_metadata(void)
{
    return metadata;
}
