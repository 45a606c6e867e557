/* answer: writing JSON answers straight into the reply, member by member.
 *
 * Each function puts the comma it needs itself: none after '{' or '['. A NULL value is `null`,
 * because entity members without value are present (REST contract, section 1). */
#ifndef PS_TRANSPORT_REST_ANSWER_H
#define PS_TRANSPORT_REST_ANSWER_H

#include "core/buf.h"
#include "core/uuid.h"

struct json_t;

/** Comma if needed. Before an array's element or an object that is one. */
void ps_answer_item(struct ps_buf *buf);
/** "name": */
void ps_answer_name(struct ps_buf *buf, const char *name);

void ps_answer_null(struct ps_buf *buf, const char *name);
void ps_answer_text(struct ps_buf *buf, const char *name, const char *text);
void ps_answer_int(struct ps_buf *buf, const char *name, int64_t value);
void ps_answer_bool(struct ps_buf *buf, const char *name, bool value);
/** JSON text that is known to be well-formed, e.g. from the store. */
void ps_answer_raw(struct ps_buf *buf, const char *name, const char *json);
/** "name":"<uuid>"; a null id is NULL_ID. */
void ps_answer_uuid(struct ps_buf *buf, const char *name, const struct ps_uuid *id);
/** "name":{"entityType":"DEVICE","id":"..."}; a null id is NULL_ID. */
void ps_answer_ref(struct ps_buf *buf, const char *name, enum ps_entity_type type,
                   const struct ps_uuid *id);
/** The same, but `null` for a null id. */
void ps_answer_ref_or_null(struct ps_buf *buf, const char *name, enum ps_entity_type type,
                           const struct ps_uuid *id);
/** An "externalId" kept as the text of a UUID. */
void ps_answer_external_id(struct ps_buf *buf, enum ps_entity_type type, const char *id);

/** Any JSON value: compact, members in order, doubles as the shortest text that keeps them. */
void ps_answer_put_json(struct ps_buf *buf, const struct json_t *value);

#endif
