/* system: what clients ask first: version and time. */
#include "core/clock.h"
#include "core/json_text.h"
#include "transport/rest/call.h"
#include "transport/rest/routes.h"

/* The reference version whose API this is; clients compare it. */
#define COMPATIBLE_VERSION "4.4.0"
#define PRODUCT_VERSION "0.1.0"

void ps_rest_system_info(struct ps_rest_call *call)
{
    struct ps_buf *buf = ps_rest_json(call);
    ps_buf_put_char(buf, '{');
    ps_answer_text(buf, "version", COMPATIBLE_VERSION);
    ps_answer_text(buf, "artifact", "pacificsoft");
    ps_answer_text(buf, "name", "Pacificsoft");
    ps_answer_text(buf, "type", "CE");
    ps_answer_text(buf, "productVersion", PRODUCT_VERSION);
    ps_buf_put_char(buf, '}');
}

void ps_rest_server_time(struct ps_rest_call *call)
{
    ps_json_put_long(ps_rest_json(call), ps_clock_now_ms());
}
