/* run: one message's way through a compiled chain.
 *
 * Depth first, in connection order, in memory and without recursion. A fan-out shares the message;
 * the run ends when every branch has: well, or failed with the first error. A branch that a node
 * suspends leaves the rest running; the run then lives on the heap until ps_run_resume() has ended
 * the last of them.
 *
 * Always true: a node sees a message exactly once per path; every branch ends exactly once;
 *              nothing is allocated for a run without new messages, nested chains or suspension.
 * Not here: queues, retries, acknowledgement of devices (actors). */
#ifndef PS_RULES_RUN_H
#define PS_RULES_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/msg.h"
#include "core/status.h"
#include "core/uuid.h"
#include "rules/chains.h"
#include "rules/host.h"
#include "rules/node.h"
#include "rules/program.h"

enum ps_run_end {
    PS_RUN_DONE,      /* all branches ended well */
    PS_RUN_FAILED,    /* some branch failed; `failure` is the first error */
    PS_RUN_SUSPENDED, /* some branch waits; env->finished tells the end later */
};

struct ps_run_outcome {
    enum ps_run_end end;
    bool acked_early;    /* a flow.ack node was passed */
    uint32_t executions; /* node executions over the whole tree, so far */
    /* PS_RUN_FAILED only; not set otherwise */
    struct ps_failure failure;
    struct ps_uuid failed_chain, failed_node;
    bool retry; /* false: a guard was met, running it again would fail again */
};

struct ps_run_limits {
    uint32_t executions_max; /* over the whole tree: 1000 */
    uint32_t depth_max;      /* nested chains: 16 */
    uint32_t messages_max;   /* made from one message: 1000 */
    int64_t deadline_ms;     /* from the start of the run: 10 s; 0 = none */
};
extern const struct ps_run_limits PS_RUN_LIMITS_DEFAULT;

/* Written by the shard, read by anybody (relaxed). */
struct ps_run_counters {
    _Atomic uint64_t messages, executions, failures, failed, suspended, made, nulls_skipped,
        log_lines_dropped, empty_saves, integers_widened;
};

/* One a shard. A zeroed struct with `limits` and `chains` set is fine. */
struct ps_run_env {
    struct ps_run_limits limits;
    struct ps_chain_cache *chains; /* NULL: no nested chains */
    struct ps_run_counters counters;

    void *user;
    /* A flow.ack node: the root message may be acknowledged with what it did until now. At most
     * once a run. NULL: it is acknowledged at its end. */
    void (*ack_now)(void *user, struct ps_msg *root, struct ps_host *host);
    /* The originator's own chain (of its profile) for "forwardMsgToDefaultRuleChain"; NULL: none.
     */
    const struct ps_uuid *(*default_chain)(void *user, struct ps_host *host,
                                           const struct ps_msg *msg);
    /* A suspended run has ended. `root` is borrowed for the call. */
    void (*finished)(void *user, struct ps_msg *root, struct ps_host *host,
                     const struct ps_run_outcome *outcome);
    /* After each step, for debug events and statistics. NULL: nobody looks. For PS_STEP_FAILURE
     * out->failure is set. `msg` is what came in. */
    void (*stepped)(void *user, const struct ps_program *program, const struct ps_node *node,
                    const struct ps_msg *msg, enum ps_step step, const struct ps_step_out *out);
};

/**
 * Run a message from the first node of `program` until nothing is left to do.
 *
 * @param program  borrowed (from env->chains, or retained by the caller)
 * @param msg      borrowed; retained by what needs it longer
 * @param out      `end` says what is set
 * Thread: the shard's
 */
void ps_run_message(struct ps_run_env *env, const struct ps_program *program, struct ps_msg *msg,
                    struct ps_host *host, struct ps_run_outcome *out);

/** For a node's run(): take the branch out; it must then return PS_STEP_PENDING. NULL if memory
 *  is short (tell failure then). */
struct ps_pending *ps_run_suspend(const struct ps_node *node, const struct ps_visit *visit);
/** The message of a suspended branch, borrowed. */
struct ps_msg *ps_pending_msg(const struct ps_pending *pending);
/**
 * Complete a suspended branch, exactly once, later than the run() that suspended it.
 *
 * Goes on from its node as if it had returned `step` with `out` (PS_STEP_NEXT, _FAILURE or _ACK;
 * `out` was zeroed before it was filled).
 * When this was the last branch, env->finished is called.
 * Thread: the shard's
 */
void ps_run_resume(struct ps_run_env *env, struct ps_pending *pending, struct ps_host *host,
                   enum ps_step step, struct ps_step_out *out);

/** For flow.ack. */
void ps_run_ack_now(const struct ps_visit *visit);
/** The environment of a visit, for counters and callbacks. */
struct ps_run_env *ps_visit_env(const struct ps_visit *visit);

/** Add to a counter of this shard. */
static inline void ps_run_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
