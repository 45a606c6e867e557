/* device: what other resources need of devices: finding one the caller may touch, and telling the
 * rest of the process that one has changed. */
#ifndef PS_TRANSPORT_REST_DEVICE_H
#define PS_TRANSPORT_REST_DEVICE_H

#include "actors/entity_calls.h"
#include "core/entity/device.h"
#include "transport/rest/call.h"

/** Load a device and check the operation, or answer 404 or 403. PS_OK: *out is the caller's. */
bool ps_rest_find_device(struct ps_rest_call *call, const struct ps_uuid *id,
                         enum ps_operation operation, struct ps_device *out);

/** After a commit: cached identities and the actor forget what they knew. */
void ps_rest_device_changed(struct ps_rest_call *call, const struct ps_uuid *tenant,
                            const struct ps_uuid *device, bool end_sessions,
                            enum ps_session_end reason);

/** One device as JSON, an element of an array or the whole answer. */
void ps_rest_put_device(struct ps_buf *buf, const struct ps_device *device);
void ps_rest_put_device_info(struct ps_buf *buf, const struct ps_device_info *info);

#endif
