/* nodes: the kinds of this build, one constant a file; node.c makes the table of them. */
#ifndef PS_RULES_NODES_NODES_H
#define PS_RULES_NODES_NODES_H

#include "rules/node.h"

extern const struct ps_node_kind PS_NODE_FILTER_SCRIPT;
extern const struct ps_node_kind PS_NODE_FILTER_SWITCH;
extern const struct ps_node_kind PS_NODE_FILTER_MSG_TYPE_SWITCH;
extern const struct ps_node_kind PS_NODE_FILTER_MSG_TYPE;
extern const struct ps_node_kind PS_NODE_TRANSFORM_SCRIPT;
extern const struct ps_node_kind PS_NODE_SAVE_TIMESERIES;
extern const struct ps_node_kind PS_NODE_SAVE_ATTRIBUTES;
extern const struct ps_node_kind PS_NODE_LOG;
extern const struct ps_node_kind PS_NODE_RULE_CHAIN;
extern const struct ps_node_kind PS_NODE_OUTPUT;
extern const struct ps_node_kind PS_NODE_ACK;
extern const struct ps_node_kind PS_NODE_NOP;

#endif
