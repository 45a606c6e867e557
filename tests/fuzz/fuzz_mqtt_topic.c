/* Any text as publish topic and as subscribe filter.
 *
 * What the strict table grants the lenient one grants alike, and whatever a filter starts is sent
 * on topics that match that filter. The first input byte splits the rest into a filter and a topic.
 */
#include "transport/mqtt/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_publish_topic(const char *text, size_t len)
{
    struct ps_mqtt_topic topic;
    char printed[PS_MQTT_TOPIC_TEXT_SIZE];
    if (ps_mqtt_topic_parse(text, len, &topic) != PS_OK)
        return;
    PS_ASSERT(topic.kind <= PS_MQTT_TOPIC_PROVISION && topic.flavour < PS_MQTT_FLAVOUR_COUNT);
    if (topic.kind == PS_MQTT_TOPIC_FW_CHUNK || topic.kind == PS_MQTT_TOPIC_SW_CHUNK) {
        PS_ASSERT(topic.id >= 0 && topic.chunk >= 0);
        PS_ASSERT(ps_mqtt_topic_print_chunk(&topic, printed) < sizeof printed);
    }
}

static void check_started(enum ps_mqtt_downlink what, enum ps_mqtt_flavour flavour,
                          const char *filter, size_t len)
{
    char topic[PS_MQTT_TOPIC_TEXT_SIZE];
    size_t topic_len = ps_mqtt_topic_print(what, flavour, -17, topic);
    PS_ASSERT(topic_len < sizeof topic);
    PS_ASSERT(ps_mqtt_filter_matches(filter, len, topic, topic_len));
}

static void check_filter(const char *filter, size_t len)
{
    struct ps_mqtt_filter_match lenient = ps_mqtt_filter_judge(filter, len, false);
    struct ps_mqtt_filter_match strict = ps_mqtt_filter_judge(filter, len, true);
    if (strict.granted)
        PS_ASSERT(lenient.granted && lenient.starts == strict.starts &&
                  lenient.flavour == strict.flavour);
    PS_ASSERT(lenient.granted || !lenient.starts);
    PS_ASSERT(!lenient.granted || ps_mqtt_filter_is_valid(filter, len));
    PS_ASSERT(!lenient.granted || filter[0] == 'v');
    if (lenient.starts & PS_MQTT_STARTS_ATTRIBUTES)
        check_started(PS_MQTT_DOWN_ATTRIBUTES, lenient.flavour, filter, len);
    if (lenient.starts & PS_MQTT_STARTS_RPC)
        check_started(PS_MQTT_DOWN_RPC_REQUEST, lenient.flavour, filter, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    size_t len = size - 1, split = len ? data[0] % (len + 1) : 0;

    check_publish_topic(text, len);
    check_filter(text, len);
    if (ps_mqtt_filter_matches(text, split, text + split, len - split))
        PS_ASSERT(ps_mqtt_filter_is_valid(text, split));
    return 0;
}
