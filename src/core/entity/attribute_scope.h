/* attribute_scope: the three sets of attributes an entity has. Stored as these numbers. */
#ifndef PS_CORE_ENTITY_ATTRIBUTE_SCOPE_H
#define PS_CORE_ENTITY_ATTRIBUTE_SCOPE_H

enum ps_attribute_scope { PS_SCOPE_CLIENT, PS_SCOPE_SHARED, PS_SCOPE_SERVER };

#endif
