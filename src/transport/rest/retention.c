/* retention: which files of telemetry will be deleted when. */
#include <stdlib.h>

#include "core/config.h"
#include "core/telemetry/retention.h"
#include "transport/rest/call.h"
#include "transport/rest/routes.h"

static void put_time_or_null(struct ps_buf *buf, const char *name, int64_t ts_ms, bool known)
{
    if (known)
        ps_answer_int(buf, name, ts_ms);
    else
        ps_answer_null(buf, name);
}

/* The files for timestamps nobody should have are open to one side: that bound is null. */
static void put_file(struct ps_buf *buf, const struct ps_retention_file *file)
{
    ps_answer_item(buf);
    ps_buf_put_char(buf, '{');
    ps_answer_text(buf, "file", file->name);
    put_time_or_null(buf, "startTs", file->start_ms, file->start_ms != INT64_MIN);
    put_time_or_null(buf, "endTs", file->end_ms, file->end_ms != INT64_MAX);
    ps_answer_int(buf, "points", file->points);
    ps_answer_int(buf, "bytes", file->bytes);
    put_time_or_null(buf, "deletedAtTs", file->deleted_at_ms,
                     file->deleted_at_ms != PS_RETENTION_NEVER);
    ps_answer_bool(buf, "damaged", file->damaged);
    ps_buf_put_char(buf, '}');
}

static enum ps_status preview(struct ps_rest_call *call, struct ps_retention_file **files,
                              size_t *count)
{
    int64_t days = call->services->config->telemetry_ttl_days;
    enum ps_status st = ps_db_begin_read(call->db);
    if (st != PS_OK)
        return st;
    st = ps_retention_preview(call->db, (uint32_t)(days * 24 * 3600), files, count);
    ps_db_rollback(call->db);
    return st;
}

void ps_rest_telemetry_retention(struct ps_rest_call *call)
{
    struct ps_retention_file *files;
    size_t count;
    if (!ps_rest_changed(call, preview(call, &files, &count), NULL))
        return;
    struct ps_buf *buf = ps_rest_json(call);
    ps_buf_put_char(buf, '[');
    for (size_t i = 0; i < count; i++)
        put_file(buf, &files[i]);
    ps_buf_put_char(buf, ']');
    free(files);
}
