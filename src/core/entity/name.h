/* name: what every named entity's name must be. Section 1 of the REST contract. */
#ifndef PS_CORE_ENTITY_NAME_H
#define PS_CORE_ENTITY_NAME_H

#include "core/text.h"

enum { PS_NAME_LEN_MAX = 255 /* characters */ };

/** @param type   sentence case, "Device profile"
 *  @param field  "name" or "title"
 *  Returns: PS_OK; PS_EINVAL missing, blank or too long, `why` is the contract's message. */
PS_MUST_CHECK
enum ps_status ps_name_check(const char *name, const char *type, const char *field,
                             struct ps_text *why);
/** The same for a field that may be missing. */
PS_MUST_CHECK
enum ps_status ps_name_check_optional(const char *text, const char *field, struct ps_text *why);

#endif
