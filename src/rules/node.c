/* node: the table of kinds, and what script nodes share.
 *
 * The table also names every type of the contract that this build does not run. Chains with them
 * are saved and imported; their messages fail with a clear text. */
#include "rules/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "rules/nodes/nodes.h"
#include "rules/run.h"

#define LACKING(id, class)                                                                         \
    &(const struct ps_node_kind)                                                                   \
    {                                                                                              \
        .type = id, .reference_class = class, .custom_relations = true                             \
    }

static const struct ps_node_kind *const kinds[] = {
    &PS_NODE_FILTER_SCRIPT,
    &PS_NODE_FILTER_SWITCH,
    &PS_NODE_FILTER_MSG_TYPE_SWITCH,
    &PS_NODE_FILTER_MSG_TYPE,
    &PS_NODE_TRANSFORM_SCRIPT,
    &PS_NODE_SAVE_TIMESERIES,
    &PS_NODE_SAVE_ATTRIBUTES,
    &PS_NODE_LOG,
    &PS_NODE_RULE_CHAIN,
    &PS_NODE_OUTPUT,
    &PS_NODE_ACK,
    &PS_NODE_NOP,
    LACKING("filter.fields_present", "filter.TbCheckMessageNode"),
    LACKING("filter.device_profile_switch", "filter.TbDeviceTypeSwitchNode"),
    LACKING("filter.asset_profile_switch", "filter.TbAssetTypeSwitchNode"),
    LACKING("filter.originator_type", "filter.TbOriginatorTypeFilterNode"),
    LACKING("filter.originator_type_switch", "filter.TbOriginatorTypeSwitchNode"),
    LACKING("filter.alarm_status", "filter.TbCheckAlarmStatusNode"),
    LACKING("filter.relation", "filter.TbCheckRelationNode"),
    LACKING("filter.geofence", "geo.TbGpsGeofencingFilterNode"),
    LACKING("enrich.originator_attributes", "metadata.TbGetAttributesNode"),
    LACKING("enrich.originator_fields", "metadata.TbGetOriginatorFieldsNode"),
    LACKING("enrich.originator_telemetry", "metadata.TbGetTelemetryNode"),
    LACKING("enrich.customer_attributes", "metadata.TbGetCustomerAttributeNode"),
    LACKING("enrich.tenant_attributes", "metadata.TbGetTenantAttributeNode"),
    LACKING("enrich.related_entity", "metadata.TbGetRelatedAttributeNode"),
    LACKING("enrich.related_device_attributes", "metadata.TbGetDeviceAttrNode"),
    LACKING("enrich.customer_details", "metadata.TbGetCustomerDetailsNode"),
    LACKING("enrich.tenant_details", "metadata.TbGetTenantDetailsNode"),
    LACKING("enrich.device_credentials", "metadata.TbFetchDeviceCredentialsNode"),
    LACKING("enrich.delta", "metadata.CalculateDeltaNode"),
    LACKING("transform.change_originator", "transform.TbChangeOriginatorNode"),
    LACKING("transform.split_array", "transform.TbSplitArrayMsgNode"),
    LACKING("transform.rename_keys", "transform.TbRenameKeysNode"),
    LACKING("transform.copy_keys", "transform.TbCopyKeysNode"),
    LACKING("transform.delete_keys", "transform.TbDeleteKeysNode"),
    LACKING("transform.deduplication", "deduplication.TbMsgDeduplicationNode"),
    LACKING("transform.to_email", "mail.TbMsgToEmailNode"),
    LACKING("transform.json_path", "transform.TbJsonPathNode"),
    LACKING("action.delete_attributes", "telemetry.TbMsgDeleteAttributesNode"),
    LACKING("action.create_alarm", "action.TbCreateAlarmNode"),
    LACKING("action.clear_alarm", "action.TbClearAlarmNode"),
    LACKING("action.generator", "debug.TbMsgGeneratorNode"),
    LACKING("action.rpc_request", "rpc.TbSendRPCRequestNode"),
    LACKING("action.rpc_reply", "rpc.TbSendRPCReplyNode"),
    LACKING("action.rest_reply", "rest.TbSendRestApiCallReplyNode"),
    LACKING("action.device_state", "action.TbDeviceStateNode"),
    LACKING("action.geofence", "geo.TbGpsGeofencingActionNode"),
    LACKING("action.math", "math.TbMathNode"),
    LACKING("action.msg_count", "action.TbMsgCountNode"),
    LACKING("action.assign_customer", "action.TbAssignToCustomerNode"),
    LACKING("action.unassign_customer", "action.TbUnassignFromCustomerNode"),
    LACKING("action.create_relation", "action.TbCreateRelationNode"),
    LACKING("action.delete_relation", "action.TbDeleteRelationNode"),
    LACKING("action.delay", "delay.TbMsgDelayNode"),
    LACKING("action.device_profile", "profile.TbDeviceProfileNode"),
    LACKING("action.process_rules", "telemetry.TbCalculatedFieldsNode"),
    LACKING("action.copy_to_view", "action.TbCopyAttributesToEntityViewNode"),
    LACKING("action.push_to_edge", "edge.TbMsgPushToEdgeNode"),
    LACKING("action.push_to_cloud", "edge.TbMsgPushToCloudNode"),
    LACKING("flow.checkpoint", "flow.TbCheckpointNode"),
    LACKING("sink.mqtt", "mqtt.TbMqttNode"),
    LACKING("sink.http", "rest.TbRestApiCallNode"),
    LACKING("sink.kafka", "kafka.TbKafkaNode"),
    LACKING("sink.rabbitmq", "rabbitmq.TbRabbitMqNode"),
    LACKING("sink.postgres", NULL),
    LACKING("sink.email", "mail.TbSendEmailNode"),
    LACKING("sink.notification", "notification.TbNotificationNode"),
    LACKING("sink.slack", "notification.TbSlackNode"),
    LACKING("sink.sms", "sms.TbSendSmsNode"),
    LACKING("sink.azure_iot_hub", "mqtt.azure.TbAzureIotHubNode"),
    LACKING("sink.aws_sqs", "aws.sqs.TbSqsNode"),
    LACKING("sink.aws_sns", "aws.sns.TbSnsNode"),
    LACKING("sink.aws_lambda", "aws.lambda.TbAwsLambdaNode"),
    LACKING("sink.gcp_pubsub", "gcp.pubsub.TbPubSubNode"),
    LACKING("sink.ai", "ai.TbAiNode"),
    LACKING("analytics.window", NULL),
    LACKING("analytics.alarm_count", NULL),
};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

const struct ps_node_kind *ps_node_kind_at(unsigned index)
{
    return index < KIND_COUNT ? kinds[index] : NULL;
}

static bool is_class_of(const struct ps_node_kind *kind, const char *class)
{
    return kind->reference_class && strcmp(kind->reference_class, class) == 0;
}

const struct ps_node_kind *ps_node_kind_find(const char *type)
{
    const size_t package_len = strlen(PS_NODE_REFERENCE_PACKAGE);
    const char *class = NULL;
    if (strncmp(type, PS_NODE_REFERENCE_PACKAGE, package_len) == 0)
        class = type + package_len;
    for (unsigned i = 0; i < KIND_COUNT; i++) {
        if (class ? is_class_of(kinds[i], class) : strcmp(kinds[i]->type, type) == 0)
            return kinds[i];
    }
    return NULL;
}

/* --- steps --- */

enum ps_step ps_step_failure(struct ps_step_out *out, enum ps_failure_kind kind,
                             enum ps_status status, const char *format, ...)
{
    va_list args;
    out->failure.kind = kind;
    out->failure.script_kind = PS_SCRIPT_ERROR_NONE;
    out->failure.status = status;
    va_start(args, format);
    vsnprintf(out->failure.text, sizeof out->failure.text, format, args);
    va_end(args);
    return PS_STEP_FAILURE;
}

enum ps_step ps_step_script_failure(struct ps_step_out *out, enum ps_status st,
                                    const struct ps_script_error *error)
{
    if (st != PS_ESCRIPT)
        return ps_step_failure(out, PS_FAILURE_NODE, st, "%s", ps_status_text(st));
    struct ps_buf text = { 0 };
    ps_script_error_put_text(error, &text);
    ps_step_failure(out, PS_FAILURE_SCRIPT, st, "%s", ps_buf_cstr(&text));
    out->failure.script_kind = error->kind;
    ps_buf_deinit(&text);
    return PS_STEP_FAILURE;
}

/* --- logging --- */

/* One more line in this second? Shards race for it; whoever loses looks again. */
static bool take_log_line(struct ps_node_counters *counters)
{
    uint64_t second = (uint64_t)ps_clock_mono_ms() / 1000;
    uint64_t seen = atomic_load_explicit(&counters->log_window, memory_order_relaxed), next;
    do {
        bool same = seen >> 8 == second;
        if (same && (seen & 0xFF) >= PS_NODE_LOG_LINES_PER_S)
            return false;
        next = same ? seen + 1 : second << 8 | 1;
    } while (!atomic_compare_exchange_weak_explicit(&counters->log_window, &seen, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void ps_node_log(const struct ps_node *node, const struct ps_visit *visit, enum ps_log_level level,
                 const char *text, size_t len)
{
    struct ps_log_line line;
    if (!take_log_line(node->counters)) {
        ps_run_count(&ps_visit_env(visit)->counters.log_lines_dropped, 1);
        return;
    }
    if (!ps_log_begin(&line, level, "rules", "node_log"))
        return;
    ps_log_uuid(&line, "tenant", &visit->msg->tenant);
    ps_log_uuid(&line, "node", &node->id);
    ps_log_text(&line, "name", node->name);
    ps_log_span(&line, "text", text, len);
    ps_log_end(&line);
}

static void log_from_script(void *arg, enum ps_script_log_level level, const char *text, size_t len)
{
    static const enum ps_log_level levels[] = {
        [PS_SCRIPT_LOG_DEBUG] = PS_LOG_DEBUG,
        [PS_SCRIPT_LOG_INFO] = PS_LOG_INFO,
        [PS_SCRIPT_LOG_WARN] = PS_LOG_WARN,
        [PS_SCRIPT_LOG_ERROR] = PS_LOG_ERROR,
    };
    const struct ps_node_script_call *call = arg;
    ps_node_log(call->node, call->visit, levels[level], text, len);
}

/* --- scripts --- */

bool ps_node_script_call_init(struct ps_node_script_call *call, const struct ps_node *node,
                              const struct ps_visit *visit, struct ps_step_out *out)
{
    call->lua = visit->host->ops->lua(visit->host, &visit->msg->tenant);
    if (!call->lua) {
        ps_step_failure(out, PS_FAILURE_NODE, PS_ENOMEM, "no memory for a Lua state");
        return false;
    }
    call->node = node;
    call->visit = visit;
    call->context = (struct ps_script_context){
        .rule_chain = &visit->program->chain,
        .node = &node->id,
        .node_name = node->name,
        .keep_nulls = node->keep_nulls,
        .log = log_from_script,
        .log_arg = call,
    };
    return true;
}
