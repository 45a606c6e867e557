#include "core/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"

enum metric_type { COUNTER, GAUGE, SECONDS };

static const struct metric_row {
    enum metric_type type;
    const char *name, *labels, *help;
} metric_rows[] = {
#define METRIC_ROW(id, type_, name_, labels_, help_)                                               \
    [PS_METRIC_##id] = { .type = type_, .name = name_, .labels = labels_, .help = help_ },
    PS_METRIC_LIST(METRIC_ROW)
};

enum ps_status ps_metrics_create(unsigned lane_count, struct ps_metrics **out)
{
    PS_ASSERT(lane_count > 0);
    struct ps_metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics)
        return PS_ENOMEM;
    size_t size = lane_count * sizeof *metrics->lanes;
    metrics->lane_count = lane_count;
    metrics->lanes = aligned_alloc(_Alignof(struct ps_metrics_lane), size);
    if (!metrics->lanes) {
        ps_metrics_destroy(metrics);
        return PS_ENOMEM;
    }
    memset(metrics->lanes, 0, size);
    *out = metrics;
    return PS_OK;
}

void ps_metrics_destroy(struct ps_metrics *metrics)
{
    if (!metrics)
        return;
    free(metrics->lanes);
    free(metrics);
}

void ps_metrics_msg_received(struct ps_metrics *metrics, unsigned lane, enum ps_metric transport,
                             int64_t n)
{
    PS_ASSERT(transport >= PS_METRIC_MQTT_MESSAGES && transport <= PS_METRIC_REST_MESSAGES);
    ps_metrics_add(metrics, lane, transport, n);
}

void ps_metrics_msg_stored(struct ps_metrics *metrics, unsigned lane, int64_t n)
{
    ps_metrics_add(metrics, lane, PS_METRIC_MSG_STORED, n);
}

static bool is_refusal(enum ps_metric reason)
{
    return reason >= PS_METRIC_REFUSED_MALFORMED && reason <= PS_METRIC_REFUSED_MEMORY;
}

static bool is_drop(enum ps_metric reason)
{
    return reason >= PS_METRIC_DROPPED_BUSY && reason <= PS_METRIC_DROPPED_ENTITY_GONE;
}

void ps_metrics_msg_lost(struct ps_metrics *metrics, unsigned lane, enum ps_metric reason,
                         int64_t n)
{
    PS_ASSERT(is_refusal(reason) || is_drop(reason));
    enum ps_metric total = is_refusal(reason) ? PS_METRIC_MSG_REFUSED : PS_METRIC_MSG_DROPPED;
    ps_metrics_add(metrics, lane, reason, n);
    ps_metrics_add(metrics, lane, total, n);
}

static int64_t sum_of_lanes(const struct ps_metrics *metrics, enum ps_metric id)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < metrics->lane_count; i++)
        sum += atomic_load_explicit(&metrics->lanes[i].values[id], memory_order_relaxed);
    return sum;
}

/* Not counted on the way in: it is what the transports counted. */
static int64_t received(const struct ps_metrics *metrics)
{
    int64_t sum = 0;
    for (int id = PS_METRIC_MQTT_MESSAGES; id <= PS_METRIC_REST_MESSAGES; id++)
        sum += sum_of_lanes(metrics, (enum ps_metric)id);
    return sum + sum_of_lanes(metrics, PS_METRIC_MSG_RECEIVED);
}

int64_t ps_metrics_read(const struct ps_metrics *metrics, enum ps_metric id)
{
    if (id == PS_METRIC_MSG_RECEIVED)
        return received(metrics);
    if (id == PS_METRIC_MSG_IN_FLIGHT) {
        int64_t over = sum_of_lanes(metrics, PS_METRIC_MSG_STORED) +
                       sum_of_lanes(metrics, PS_METRIC_MSG_REFUSED) +
                       sum_of_lanes(metrics, PS_METRIC_MSG_DROPPED);
        return received(metrics) - over; /* read last: it never looks negative */
    }
    return sum_of_lanes(metrics, id);
}

static void put_head(const struct metric_row *row, struct ps_buf *out)
{
    ps_buf_printf(out, "# HELP pacificsoft_%s %s\n# TYPE pacificsoft_%s %s\n", row->name, row->help,
                  row->name, row->type == GAUGE ? "gauge" : "counter");
}

static void put_value(const struct metric_row *row, int64_t value, struct ps_buf *out)
{
    ps_buf_printf(out, "pacificsoft_%s", row->name);
    if (*row->labels)
        ps_buf_printf(out, "{%s}", row->labels);
    if (row->type == SECONDS)
        ps_buf_printf(out, " %" PRId64 ".%09" PRId64 "\n", value / 1000000000, value % 1000000000);
    else
        ps_buf_printf(out, " %" PRId64 "\n", value);
}

void ps_metrics_render(const struct ps_metrics *metrics, struct ps_buf *out)
{
    for (int id = 0; id < PS_METRIC_COUNT; id++) {
        const struct metric_row *row = &metric_rows[id];
        if (id == 0 || strcmp(row->name, metric_rows[id - 1].name) != 0)
            put_head(row, out);
        put_value(row, ps_metrics_read(metrics, (enum ps_metric)id), out);
    }
}
