/* additional_info: the few members of the free JSON object that the platform itself reads. */
#ifndef PS_CORE_ENTITY_ADDITIONAL_INFO_H
#define PS_CORE_ENTITY_ADDITIONAL_INFO_H

#include <stdbool.h>

/** True if the text is a JSON object whose `member` is true. NULL text is no object. */
bool ps_additional_info_flag(const char *json, const char *member);

#endif
