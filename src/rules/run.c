/* run: depth first over a stack of branches.
 *
 * A branch is a message on its way into a node. The loop takes the newest branch, lets the node do
 * its step and pushes what follows in reverse, so that the first connection runs first. Nested
 * chains are frames, a tree by index: branches that came through the same call share them. A step
 * that needs no new message hands the reference on, so a straight chain neither counts nor
 * allocates.
 *
 * Every branch waiting on the stack will cost at least one execution, so the guard on executions
 * counts them when they are pushed: the stack cannot outgrow the limit. */
#include "rules/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

const struct ps_run_limits PS_RUN_LIMITS_DEFAULT = {
    .executions_max = 1000,
    .depth_max = 16,
    .messages_max = 1000,
    .deadline_ms = 10000,
};

enum {
    INLINE_BRANCHES = 24,
    INLINE_FRAMES = 4,
    DEADLINE_LOOK_EVERY = 16, /* executions between looks at the clock */
    TARGETS_AT_ONCE = 64,
};

/* A message on its way into a node. Owns one reference of the message. */
struct branch {
    const struct ps_program *program;
    struct ps_msg *msg;
    uint32_t node;
    int32_t frame;          /* the call it is inside of; -1: none */
    bool failure_node_used; /* once per branch (3.3) */
};

/* A flow.rule_chain node that was entered and may be returned to. */
struct frame {
    const struct ps_program *program;
    uint32_t node;
    int32_t parent;
    uint32_t depth;
};

struct ps_run {
    struct ps_run_env *env;
    struct ps_host *host;
    struct ps_msg *root;
    struct ps_run *heap; /* where suspended branches will find the run; NULL: none was suspended */
    bool on_heap, aborted, failed, acked_early, retry;
    uint32_t executions, made, pending;
    int64_t deadline_mono_ms; /* 0: not looked at the clock yet */
    struct ps_run_outcome *outcome;
    struct branch now; /* the branch being stepped; its msg is NULL once handed on or ended */

    size_t branch_count, branch_cap, frame_count, frame_cap;
    struct branch *branches;
    struct frame *frames;
    struct branch inline_branches[INLINE_BRANCHES];
    struct frame inline_frames[INLINE_FRAMES];
};

struct ps_pending {
    struct ps_run *run; /* on the heap */
    struct branch branch;
};

/* --- outcome --- */

static void fail_branch(struct ps_run *run, const struct ps_program *program,
                        const struct ps_node *node, const struct ps_failure *failure, bool retry)
{
    ps_run_count(&run->env->counters.failures, 1);
    if (!retry)
        run->retry = false;
    if (run->failed)
        return;
    run->failed = true;
    run->outcome->failure = *failure;
    run->outcome->failed_chain = program->chain;
    run->outcome->failed_node = node->id;
}

static void drop_waiting(struct ps_run *run)
{
    while (run->branch_count)
        ps_msg_release(run->branches[--run->branch_count].msg);
}

/* A guard was met: nothing of this message runs any further. */
static void abort_run(struct ps_run *run, const struct branch *at, struct ps_step_out *out,
                      bool retry)
{
    fail_branch(run, at->program, &at->program->nodes[at->node].node, &out->failure, retry);
    run->aborted = true;
    drop_waiting(run);
}

static void abort_out_of_memory(struct ps_run *run, const struct branch *at,
                                struct ps_step_out *out)
{
    ps_step_failure(out, PS_FAILURE_NODE, PS_ENOMEM, "out of memory");
    abort_run(run, at, out, true);
}

static void abort_executions(struct ps_run *run, const struct branch *at, struct ps_step_out *out)
{
    ps_step_failure(out, PS_FAILURE_LIMIT, PS_ELIMIT,
                    "more than %u node executions for one message, at node '%.80s' of chain "
                    "'%.80s', %u calls deep",
                    run->env->limits.executions_max, at->program->nodes[at->node].node.name,
                    at->program->name, at->frame < 0 ? 0 : run->frames[at->frame].depth);
    abort_run(run, at, out, false);
}

/* --- the stack --- */

static bool grow_branches(struct ps_run *run, size_t extra)
{
    size_t cap = run->branch_cap * 2;
    while (cap < run->branch_count + extra)
        cap *= 2;
    struct branch *grown = malloc(cap * sizeof *grown);
    if (!grown)
        return false;
    memcpy(grown, run->branches, run->branch_count * sizeof *grown);
    if (run->branches != run->inline_branches)
        free(run->branches);
    run->branches = grown;
    run->branch_cap = cap;
    return true;
}

/* Room for `extra` more branches under the guard; false: the run was aborted. */
static bool admit(struct ps_run *run, size_t extra, struct ps_step_out *out)
{
    size_t in_all = run->executions + run->branch_count + extra;
    if (in_all > run->env->limits.executions_max) {
        struct branch at = run->now;
        abort_executions(run, &at, out);
        return false;
    }
    if (run->branch_count + extra > run->branch_cap && !grow_branches(run, extra)) {
        abort_out_of_memory(run, &run->now, out);
        return false;
    }
    return true;
}

static void push(struct ps_run *run, const struct branch *branch)
{
    run->branches[run->branch_count++] = *branch;
}

/* One more frame; -1 if memory is short. */
static int32_t push_frame(struct ps_run *run, const struct branch *caller)
{
    if (run->frame_count == run->frame_cap) {
        size_t cap = run->frame_cap * 2;
        struct frame *grown = malloc(cap * sizeof *grown);
        if (!grown)
            return -1;
        memcpy(grown, run->frames, run->frame_count * sizeof *grown);
        if (run->frames != run->inline_frames)
            free(run->frames);
        run->frames = grown;
        run->frame_cap = cap;
    }
    if (run->on_heap)
        ps_program_retain(caller->program);
    run->frames[run->frame_count] = (struct frame){
        .program = caller->program,
        .node = caller->node,
        .parent = caller->frame,
        .depth = caller->frame < 0 ? 1 : run->frames[caller->frame].depth + 1,
    };
    return (int32_t)run->frame_count++;
}

/* --- where a step leads --- */

/* Targets of several relations, merged in connection order. Sorted by insertion: rarely more than
 * three. Returns how many; at most `max`. */
static size_t merge_targets(const struct ps_program *program, const struct ps_route *const *routes,
                            size_t route_count, uint32_t *targets, uint32_t *orders, size_t max)
{
    size_t count = 0;
    for (size_t r = 0; r < route_count; r++) {
        for (uint32_t i = 0; i < routes[r]->count && count < max; i++) {
            uint32_t order = program->orders[routes[r]->first + i];
            size_t at = count++;
            for (; at > 0 && orders[at - 1] > order; at--) {
                orders[at] = orders[at - 1];
                targets[at] = targets[at - 1];
            }
            orders[at] = order;
            targets[at] = program->targets[routes[r]->first + i];
        }
    }
    return count;
}

/* Send `msg` (one reference, taken) to `count` targets. */
static void fan_out(struct ps_run *run, const struct branch *from, struct ps_msg *msg,
                    const uint32_t *targets, size_t count)
{
    struct branch branch = *from;
    branch.msg = msg;
    for (size_t i = count; i-- > 0;) {
        branch.node = targets[i];
        if (i > 0)
            ps_msg_retain(msg);
        push(run, &branch);
    }
}

static void release_made(struct ps_step_out *out)
{
    ps_msg_release(out->msg);
    for (uint32_t i = 0; i < out->more_count; i++)
        ps_msg_release(out->more[i]);
    free(out->more);
    out->msg = NULL;
    out->more = NULL;
    out->more_count = 0;
}

/* The message of the current branch with its reference: what the step made, or what came in. */
static struct ps_msg *take_msg(struct ps_run *run, struct ps_step_out *out)
{
    struct ps_msg *msg = out->msg;
    if (msg) {
        out->msg = NULL;
        return msg;
    }
    msg = run->now.msg;
    run->now.msg = NULL;
    return msg;
}

/* Everything the step told goes to `targets`. */
static void send_on(struct ps_run *run, const struct branch *from, struct ps_step_out *out,
                    const uint32_t *targets, size_t count)
{
    size_t messages = (size_t)1 + out->more_count;
    run->made += out->more_count;
    if (out->msg || out->more_count)
        ps_run_count(&run->env->counters.made, messages);
    if (!admit(run, messages * count, out))
        return;
    for (uint32_t i = out->more_count; i-- > 0;)
        fan_out(run, from, out->more[i], targets, count);
    out->more_count = 0;
    fan_out(run, from, take_msg(run, out), targets, count);
}

static void fail_step(struct ps_run *run, const struct branch *from, struct ps_step_out *out);

/* Routes of all told relations, each once. */
static size_t find_routes(const struct branch *from, const struct ps_step_out *out,
                          const struct ps_route **routes)
{
    size_t count = 0;
    for (unsigned i = 0; i < out->relation_count; i++) {
        const struct ps_route *route =
            ps_program_route(from->program, from->node, &out->relations[i]);
        size_t known = 0;
        while (known < count && routes[known] != route)
            known++;
        if (route && known == count)
            routes[count++] = route;
    }
    return count;
}

static bool tells_failure(const struct ps_step_out *out)
{
    for (unsigned i = 0; i < out->relation_count; i++)
        if (out->relations[i].id == PS_REL_FAILURE)
            return true;
    return false;
}

static void follow_many(struct ps_run *run, const struct branch *from, struct ps_step_out *out,
                        const struct ps_route *const *routes, size_t route_count)
{
    uint32_t few_targets[TARGETS_AT_ONCE], few_orders[TARGETS_AT_ONCE];
    size_t total = 0;
    for (size_t i = 0; i < route_count; i++)
        total += routes[i]->count;
    if (total <= TARGETS_AT_ONCE) {
        merge_targets(from->program, routes, route_count, few_targets, few_orders, total);
        send_on(run, from, out, few_targets, total);
        return;
    }
    uint32_t *many = calloc(total * 2, sizeof *many);
    if (!many) {
        abort_out_of_memory(run, from, out);
        return;
    }
    merge_targets(from->program, routes, route_count, many, many + total, total);
    send_on(run, from, out, many, total);
    free(many);
}

/* Tell next: follow every connection of the told relations from `from`. */
static void follow(struct ps_run *run, const struct branch *from, struct ps_step_out *out)
{
    const struct ps_route *routes[PS_STEP_RELATIONS_MAX];
    size_t count = find_routes(from, out, routes);
    if (count == 1) {
        send_on(run, from, out, &from->program->targets[routes[0]->first], routes[0]->count);
    } else if (count > 1) {
        follow_many(run, from, out, routes, count);
    } else if (tells_failure(out)) {
        ps_step_failure(out, PS_FAILURE_NODE, PS_EINVAL, "node '%.80s' told Failure",
                        from->program->nodes[from->node].node.name);
        fail_step(run, from, out);
    }
}

/* --- failure (3.3) --- */

struct extra_metadata {
    const char *key, *value;
};

/* The message with metadata added or replaced; NULL if it does not fit. */
static struct ps_msg *with_metadata(const struct ps_msg *msg, const struct extra_metadata *extra,
                                    unsigned extra_count)
{
    struct ps_msg_content content = msg->content;
    struct ps_pair *pairs = calloc(content.metadata_count + extra_count, sizeof *pairs);
    if (!pairs)
        return NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < content.metadata_count; i++) {
        const struct ps_pair *pair = &content.metadata[i];
        bool replaced = false;
        for (unsigned e = 0; e < extra_count; e++)
            replaced |= pair->key_len == strlen(extra[e].key) &&
                        memcmp(pair->key, extra[e].key, pair->key_len) == 0;
        if (!replaced)
            pairs[count++] = *pair;
    }
    for (unsigned e = 0; e < extra_count; e++)
        pairs[count++] = (struct ps_pair){ .key = extra[e].key,
                                           .value = extra[e].value,
                                           .key_len = (uint32_t)strlen(extra[e].key),
                                           .value_len = (uint32_t)strlen(extra[e].value) };
    content.metadata = pairs;
    content.metadata_count = count;
    struct ps_msg *made = NULL;
    if (ps_msg_derive(msg, &content, &made) != PS_OK)
        made = NULL; /* over a limit: it goes on as it is */
    free(pairs);
    return made;
}

/* Where a failure is handled gets the text in the metadata; what does not fit is left out. */
static void explain(struct ps_run *run, struct ps_step_out *out, const struct extra_metadata *extra,
                    unsigned extra_count)
{
    const struct ps_msg *told = out->msg ? out->msg : run->now.msg;
    struct ps_msg *made = with_metadata(told, extra, extra_count);
    if (!made)
        return;
    ps_msg_release(out->msg);
    out->msg = made;
}

static void fail_step(struct ps_run *run, const struct branch *from, struct ps_step_out *out)
{
    const struct ps_program *program = from->program;
    const struct ps_node *node = &program->nodes[from->node].node;
    const struct ps_relation relation = ps_relation_known(PS_REL_FAILURE);
    const struct extra_metadata extra[] = {
        { "error", out->failure.text },
        { "errorNode", node->name },
        { "errorChain", program->name },
    };
    bool final = out->failure.kind == PS_FAILURE_CHAIN_MISSING;
    const struct ps_route *route = final ? NULL : ps_program_route(program, from->node, &relation);
    if (route) {
        explain(run, out, extra, 1);
        send_on(run, from, out, &program->targets[route->first], route->count);
    } else if (!final && program->failure_node >= 0 && !from->failure_node_used) {
        struct branch to = *from;
        uint32_t target = (uint32_t)program->failure_node;
        to.failure_node_used = true;
        explain(run, out, extra, 3);
        send_on(run, &to, out, &target, 1);
    } else {
        fail_branch(run, program, node, &out->failure, out->failure.kind != PS_FAILURE_LIMIT);
    }
}

/* --- nested chains --- */

static const struct ps_program *find_chain(struct ps_run *run, const struct ps_uuid *chain)
{
    return run->env->chains ? ps_chain_cache_find(run->env->chains, &run->root->tenant, chain)
                            : NULL;
}

/* Why a call may not be made; NULL: it may. */
static const char *call_refused(const struct ps_run *run, const struct branch *from,
                                const struct ps_uuid *target)
{
    if (ps_uuid_equal(target, &from->program->chain))
        return "the node calls its own chain";
    for (int32_t i = from->frame; i >= 0; i = run->frames[i].parent) {
        const struct frame *frame = &run->frames[i];
        if (frame->node == from->node &&
            ps_uuid_equal(&frame->program->chain, &from->program->chain))
            return "loop: this node was entered before on the way here";
    }
    uint32_t depth = from->frame < 0 ? 0 : run->frames[from->frame].depth;
    return depth >= run->env->limits.depth_max ? "rule chains are nested too deep" : NULL;
}

static void call_chain(struct ps_run *run, const struct branch *from, struct ps_step_out *out)
{
    char id[PS_UUID_TEXT_SIZE];
    const char *refused = call_refused(run, from, out->chain);
    if (refused) {
        ps_step_failure(out, PS_FAILURE_LIMIT, PS_ELIMIT, "%s", refused);
        fail_step(run, from, out);
        return;
    }
    const struct ps_program *target = find_chain(run, out->chain);
    if (!target) {
        ps_uuid_format(out->chain, id);
        ps_step_failure(out, PS_FAILURE_CHAIN_MISSING, PS_ENOTFOUND, "rule chain %s does not exist",
                        id);
        fail_step(run, from, out);
        return;
    }
    if (target->first_node < 0)
        return; /* an empty chain: the branch ends well in it */
    int32_t frame = push_frame(run, from);
    if (frame < 0) {
        abort_out_of_memory(run, from, out);
        return;
    }
    struct branch into = *from;
    into.program = target;
    into.frame = frame;
    uint32_t first = (uint32_t)target->first_node;
    send_on(run, &into, out, &first, 1);
}

static void return_to_caller(struct ps_run *run, const struct branch *from, struct ps_step_out *out)
{
    if (from->frame < 0)
        return; /* entered directly: the branch ends well */
    const struct frame *frame = &run->frames[from->frame];
    struct branch back = *from;
    back.program = frame->program;
    back.node = frame->node;
    back.frame = frame->parent;
    follow(run, &back, out);
}

/* --- the loop --- */

static bool past_deadline(struct ps_run *run)
{
    if (!run->env->limits.deadline_ms || run->executions % DEADLINE_LOOK_EVERY)
        return false;
    int64_t now = ps_clock_mono_ms();
    if (!run->deadline_mono_ms)
        run->deadline_mono_ms = now + run->env->limits.deadline_ms;
    return now > run->deadline_mono_ms;
}

static void abort_deadline(struct ps_run *run, struct ps_step_out *out)
{
    ps_step_failure(out, PS_FAILURE_TIMEOUT, PS_ETIMEOUT,
                    "message timed out after %lld ms, before node '%.80s' of chain '%.80s'",
                    (long long)run->env->limits.deadline_ms,
                    run->now.program->nodes[run->now.node].node.name, run->now.program->name);
    abort_run(run, &run->now, out, true);
}

static enum ps_step step_node(struct ps_run *run, struct ps_step_out *out)
{
    const struct ps_node *node = &run->now.program->nodes[run->now.node].node;
    const struct ps_visit visit = {
        .run = run, .host = run->host, .program = run->now.program, .msg = run->now.msg
    };
    if (node->invalid)
        return ps_step_failure(out, PS_FAILURE_INVALID, PS_EUNSUPPORTED, "%s", node->invalid);
    return node->kind->run(node, &visit, out);
}

/* The usual step: one relation, one message, at most one connection. The branch just moves to its
 * next node, or ends well. False: it is anything else, and nothing was done. */
static bool go_straight(struct ps_run *run, struct ps_step_out *out)
{
    struct branch *now = &run->now;
    if (out->relation_count != 1 || out->more_count)
        return false;
    const struct ps_route *route = ps_program_route(now->program, now->node, &out->relations[0]);
    if (!route && out->relations[0].id != PS_REL_FAILURE && !out->msg) {
        ps_msg_release(now->msg);
        now->msg = NULL;
        return true;
    }
    if (!route || route->count != 1 ||
        run->executions + run->branch_count >= run->env->limits.executions_max)
        return false;
    if (out->msg) {
        ps_run_count(&run->env->counters.made, 1);
        ps_msg_release(now->msg);
        now->msg = out->msg;
        out->msg = NULL;
    }
    now->node = now->program->targets[route->first];
    return true;
}

/* What the node of the current branch told, carried out. */
static void carry_out(struct ps_run *run, enum ps_step step, struct ps_step_out *out)
{
    if (step == PS_STEP_NEXT && out->more_count + run->made > run->env->limits.messages_max) {
        release_made(out);
        step = ps_step_failure(out, PS_FAILURE_LIMIT, PS_ELIMIT,
                               "more than %u messages made from one message",
                               run->env->limits.messages_max);
    }
    if (run->env->stepped)
        run->env->stepped(run->env->user, run->now.program,
                          &run->now.program->nodes[run->now.node].node, run->now.msg, step, out);
    if (step == PS_STEP_NEXT && go_straight(run, out))
        return;
    struct branch from = run->now;
    switch (step) {
    case PS_STEP_NEXT:
        follow(run, &from, out);
        break;
    case PS_STEP_FAILURE:
        fail_step(run, &from, out);
        break;
    case PS_STEP_CALL:
        call_chain(run, &from, out);
        break;
    case PS_STEP_RETURN:
        return_to_caller(run, &from, out);
        break;
    case PS_STEP_ACK:
    case PS_STEP_PENDING:
        break;
    }
    release_made(out);
    ps_msg_release(run->now.msg);
    run->now.msg = NULL;
}

static void run_branches(struct ps_run *run)
{
    struct ps_step_out out;
    out.msg = NULL;
    out.more = NULL;
    out.more_count = 0;
    uint32_t before = run->executions;
    while (run->now.msg || run->branch_count) {
        if (!run->now.msg)
            run->now = run->branches[--run->branch_count];
        run->executions++;
        if (past_deadline(run)) {
            abort_deadline(run, &out);
            ps_msg_release(run->now.msg);
            run->now.msg = NULL;
            break;
        }
        out.relation_count = 0;
        carry_out(run, step_node(run, &out), &out);
    }
    ps_run_count(&run->env->counters.executions, run->executions - before);
}

static void describe_end(struct ps_run *run)
{
    struct ps_run_outcome *outcome = run->outcome;
    outcome->end = run->pending ? PS_RUN_SUSPENDED : run->failed ? PS_RUN_FAILED : PS_RUN_DONE;
    outcome->acked_early = run->acked_early;
    outcome->executions = run->executions;
    outcome->retry = run->retry;
    if (outcome->end == PS_RUN_FAILED)
        ps_run_count(&run->env->counters.failed, 1);
}

static void free_arrays(struct ps_run *run)
{
    if (run->branches != run->inline_branches)
        free(run->branches);
    if (run->frames != run->inline_frames)
        free(run->frames);
}

/* --- suspension --- */

/* The heap block: the run, then its outcome, which the caller's stack held until now. */
struct heap_run {
    struct ps_run run;
    struct ps_run_outcome outcome;
};

/* The stack is empty: move what is left to where the suspended branches look for it. */
static void move_to_heap(struct ps_run *run)
{
    struct heap_run *heap = (struct heap_run *)run->heap;
    heap->run = *run;
    if (run->branches == run->inline_branches)
        heap->run.branches = heap->run.inline_branches;
    if (run->frames == run->inline_frames)
        heap->run.frames = heap->run.inline_frames;
    heap->outcome = *run->outcome;
    heap->run.outcome = &heap->outcome;
    heap->run.on_heap = true;
    ps_msg_retain(heap->run.root);
    for (size_t i = 0; i < heap->run.frame_count; i++)
        ps_program_retain(heap->run.frames[i].program);
    ps_run_count(&run->env->counters.suspended, 1);
}

static void destroy_heap_run(struct ps_run *run)
{
    for (size_t i = 0; i < run->frame_count; i++)
        ps_program_release(run->frames[i].program);
    ps_msg_release(run->root);
    free_arrays(run);
    free((struct heap_run *)run);
}

struct ps_pending *ps_run_suspend(const struct ps_node *node, const struct ps_visit *visit)
{
    struct ps_run *run = visit->run;
    PS_ASSERT(&run->now.program->nodes[run->now.node].node == node);
    struct ps_pending *pending = calloc(1, sizeof *pending);
    if (!pending)
        return NULL;
    if (!run->heap && !run->on_heap) {
        struct heap_run *heap = calloc(1, sizeof *heap);
        if (!heap) {
            free(pending);
            return NULL;
        }
        run->heap = &heap->run;
    }
    pending->run = run->on_heap ? run : run->heap;
    pending->branch = run->now;
    ps_msg_retain(pending->branch.msg);
    ps_program_retain(pending->branch.program);
    run->pending++;
    return pending;
}

struct ps_msg *ps_pending_msg(const struct ps_pending *pending)
{
    return pending->branch.msg;
}

void ps_run_resume(struct ps_run_env *env, struct ps_pending *pending, struct ps_host *host,
                   enum ps_step step, struct ps_step_out *out)
{
    struct ps_run *run = pending->run;
    const struct ps_program *program = pending->branch.program;
    PS_ASSERT(run->on_heap && run->pending > 0);
    PS_ASSERT(step == PS_STEP_NEXT || step == PS_STEP_FAILURE || step == PS_STEP_ACK);
    run->env = env;
    run->host = host;
    run->pending--;
    run->deadline_mono_ms = 0; /* waiting does not count: what waits has a limit of its own */
    run->now = pending->branch;
    free(pending);
    if (env->chains) {
        (void)ps_chain_cache_root(env->chains, &run->root->tenant); /* see what is live now */
        ps_chain_cache_hold(env->chains);
    }
    if (run->aborted)
        step = PS_STEP_ACK;
    carry_out(run, step, out);
    run_branches(run);
    if (env->chains)
        ps_chain_cache_unhold(env->chains);
    ps_program_release(program);
    if (run->pending)
        return;
    describe_end(run);
    if (env->finished)
        env->finished(env->user, run->root, host, run->outcome);
    destroy_heap_run(run);
}

/* --- entry --- */

void ps_run_message(struct ps_run_env *env, const struct ps_program *program, struct ps_msg *msg,
                    struct ps_host *host, struct ps_run_outcome *out)
{
    struct ps_run run;
    run.env = env;
    run.host = host;
    run.root = msg;
    run.heap = NULL;
    run.on_heap = run.aborted = run.failed = run.acked_early = false;
    run.retry = true;
    run.executions = run.made = run.pending = 0;
    run.deadline_mono_ms = 0;
    run.outcome = out;
    run.branches = run.inline_branches;
    run.frames = run.inline_frames;
    run.now.msg = NULL;
    run.branch_count = run.frame_count = 0;
    run.branch_cap = INLINE_BRANCHES;
    run.frame_cap = INLINE_FRAMES;
    ps_run_count(&env->counters.messages, 1);
    if (program->first_node >= 0) {
        if (env->chains)
            ps_chain_cache_hold(env->chains);
        run.now = (struct branch){ .program = program,
                                   .msg = ps_msg_retain(msg),
                                   .node = (uint32_t)program->first_node,
                                   .frame = -1 };
        run_branches(&run);
        if (env->chains)
            ps_chain_cache_unhold(env->chains);
    }
    describe_end(&run);
    if (run.pending)
        move_to_heap(&run);
    else
        free(run.heap); /* a node asked for suspension and then changed its mind */
    if (!run.pending)
        free_arrays(&run);
}

/* --- for nodes --- */

void ps_run_ack_now(const struct ps_visit *visit)
{
    struct ps_run *run = visit->run;
    if (run->acked_early)
        return;
    run->acked_early = true;
    if (run->env->ack_now)
        run->env->ack_now(run->env->user, run->root, run->host);
}

struct ps_run_env *ps_visit_env(const struct ps_visit *visit)
{
    return visit->run->env;
}
