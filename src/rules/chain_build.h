/* chain_build: what the files that parse and check a chain share. */
#ifndef PS_RULES_CHAIN_BUILD_H
#define PS_RULES_CHAIN_BUILD_H

#include "rules/chain.h"

/* Room for issues that were found; the list is cut at PS_CHAIN_ISSUES_MAX. */
struct ps_chain_build {
    struct ps_chain *chain;
    const struct ps_chain_checks *checks;
    bool out_of_memory;
};

/* Where an issue was found. */
struct ps_chain_place {
    int node_index;    /* -1: of no node */
    const char *field; /* NULL: none */
    int line;          /* 0: none */
};

void ps_chain_error(struct ps_chain_build *build, enum ps_chain_code code,
                    struct ps_chain_place place, const char *format, ...) PS_PRINTF(4, 5);
void ps_chain_warn(struct ps_chain_build *build, enum ps_chain_code code,
                   struct ps_chain_place place, const char *format, ...) PS_PRINTF(4, 5);
/** An error of one node: in mode LOAD the node becomes INVALID instead, with a warning. */
void ps_chain_node_error(struct ps_chain_build *build, enum ps_chain_code code,
                         struct ps_chain_place place, const char *format, ...) PS_PRINTF(4, 5);
/** The node is kept but will fail its messages with this text; warned of as NODE_TYPE. */
void ps_chain_node_invalid(struct ps_chain_build *build, size_t node, const char *format, ...)
    PS_PRINTF(3, 4);

/** Repair and check the configuration of a node whose type is known (V7, V8, V9). */
void ps_chain_node_configure(struct ps_chain_build *build, size_t node);
/** Checks over the whole graph (V5, V6, V10, V11, V12, V14); indexes are valid. */
void ps_chain_graph_check(struct ps_chain_build *build);

#endif
