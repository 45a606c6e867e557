/* routes: the table of the REST API, and the handlers it names, by the file they are in. */
#ifndef PS_TRANSPORT_REST_ROUTES_H
#define PS_TRANSPORT_REST_ROUTES_H

#include "transport/rest/route.h"

/** All rows, in the order they are tried. */
const struct ps_rest_route *ps_rest_routes(size_t *count);

/* auth.c */
void ps_rest_login(struct ps_rest_call *call);
void ps_rest_refresh(struct ps_rest_call *call);
void ps_rest_whoami(struct ps_rest_call *call);
void ps_rest_logout(struct ps_rest_call *call);

/* device.c */
void ps_rest_device_save(struct ps_rest_call *call);
void ps_rest_device_get(struct ps_rest_call *call);
void ps_rest_device_get_info(struct ps_rest_call *call);
void ps_rest_device_delete(struct ps_rest_call *call);
void ps_rest_device_by_name(struct ps_rest_call *call);
void ps_rest_tenant_devices(struct ps_rest_call *call);
void ps_rest_tenant_device_infos(struct ps_rest_call *call);
void ps_rest_customer_devices(struct ps_rest_call *call);
void ps_rest_customer_device_infos(struct ps_rest_call *call);
void ps_rest_device_assign(struct ps_rest_call *call);
void ps_rest_device_unassign(struct ps_rest_call *call);

/* credentials.c */
void ps_rest_credentials_get(struct ps_rest_call *call);
void ps_rest_credentials_save(struct ps_rest_call *call);

/* device_profile.c */
void ps_rest_device_profile_save(struct ps_rest_call *call);
void ps_rest_device_profile_get(struct ps_rest_call *call);
void ps_rest_device_profile_list(struct ps_rest_call *call);
void ps_rest_device_profile_delete(struct ps_rest_call *call);
void ps_rest_device_profile_set_default(struct ps_rest_call *call);
void ps_rest_device_profile_info_default(struct ps_rest_call *call);
void ps_rest_device_profile_info(struct ps_rest_call *call);
void ps_rest_device_profile_infos(struct ps_rest_call *call);

/* telemetry_read.c */
void ps_rest_timeseries_keys(struct ps_rest_call *call);
void ps_rest_attribute_keys(struct ps_rest_call *call);
void ps_rest_attribute_values(struct ps_rest_call *call);
void ps_rest_timeseries_values(struct ps_rest_call *call);
void ps_rest_timeseries_history(struct ps_rest_call *call);

/* telemetry_write.c */
void ps_rest_timeseries_save(struct ps_rest_call *call);
void ps_rest_timeseries_delete(struct ps_rest_call *call);
void ps_rest_attributes_save(struct ps_rest_call *call);
void ps_rest_device_attributes_save(struct ps_rest_call *call);
void ps_rest_attributes_delete(struct ps_rest_call *call);
void ps_rest_device_attributes_delete(struct ps_rest_call *call);

/* rule_chain.c */
void ps_rest_rule_chain_list(struct ps_rest_call *call);
void ps_rest_rule_chain_get(struct ps_rest_call *call);
void ps_rest_rule_chain_save(struct ps_rest_call *call);
void ps_rest_rule_chain_delete(struct ps_rest_call *call);
void ps_rest_rule_chain_set_root(struct ps_rest_call *call);
void ps_rest_rule_chain_metadata_get(struct ps_rest_call *call);
void ps_rest_rule_chain_metadata_save(struct ps_rest_call *call);
void ps_rest_rule_chain_validate(struct ps_rest_call *call);

/* tenant.c, customer.c, user.c */
void ps_rest_tenant_get(struct ps_rest_call *call);
void ps_rest_tenant_get_info(struct ps_rest_call *call);
void ps_rest_tenant_list(struct ps_rest_call *call);
void ps_rest_customer_get(struct ps_rest_call *call);
void ps_rest_customer_list(struct ps_rest_call *call);
void ps_rest_customer_by_title(struct ps_rest_call *call);
void ps_rest_user_get(struct ps_rest_call *call);
void ps_rest_user_list(struct ps_rest_call *call);

/* retention.c */
void ps_rest_telemetry_retention(struct ps_rest_call *call);

/* system.c */
void ps_rest_system_info(struct ps_rest_call *call);
void ps_rest_server_time(struct ps_rest_call *call);

#endif
