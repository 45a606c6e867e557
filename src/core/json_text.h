/* json_text: writing strict JSON text by hand, where no tree is wanted.
 *
 * Doubles are the shortest text that reads back the same: fixed notation for
 * 1e-6 <= abs < 1e21 ("25.0", "0.001"), else with exponent ("1e+21"); always '.' or exponent, so a
 * DOUBLE stays a DOUBLE. Strings escape control characters, '"' and '\'; bytes that are not
 * UTF-8 become U+FFFD. */
#ifndef PS_CORE_JSON_TEXT_H
#define PS_CORE_JSON_TEXT_H

#include "core/buf.h"
#include "core/value.h"

enum { PS_DOUBLE_TEXT_SIZE = 32 };

/** Shortest text; returns its length. NaN and infinities give "NaN", "Infinity", "-Infinity". */
size_t ps_double_format(double value, char out[PS_DOUBLE_TEXT_SIZE]);
/** Decimal text; returns its length (at most 20). */
size_t ps_long_format(int64_t value, char out[24]);

void ps_json_put_string(struct ps_buf *buf, const char *text, size_t len);
void ps_json_put_long(struct ps_buf *buf, int64_t value);
void ps_json_put_double(struct ps_buf *buf, double value); /* NaN and infinities: null */
/** The value as strict JSON: 21.5, true, "text", {"a":1}. */
void ps_json_put_value(struct ps_buf *buf, const struct ps_value *value);
/** The value as bare text, as REST and WebSocket quote it: 21.5, true, text, {"a":1}. */
void ps_value_put_text(struct ps_buf *buf, const struct ps_value *value);
/** {"k":v,...} in the order given. */
void ps_json_put_object(struct ps_buf *buf, const struct ps_kv *kvs, size_t count);

#endif
