/* task_list: things to do later in a shard's loop, first in first out; the links are inside them.
 *
 * Adding a task that waits in a list already does nothing. */
#ifndef PS_ACTORS_TASK_LIST_H
#define PS_ACTORS_TASK_LIST_H

#include "actors/shard.h"

struct ps_task_list {
    struct ps_shard_task *first, **tail;
};

void ps_task_list_init(struct ps_task_list *list);
void ps_task_list_add(struct ps_task_list *list, struct ps_shard_task *task);
/** Run those that are there now; what they add waits for the next time. */
void ps_task_list_run(struct ps_task_list *list);
/** The same, but only while `goes_on(arg)`: the others stay, before what was added. */
void ps_task_list_run_while(struct ps_task_list *list, bool (*goes_on)(const void *arg),
                            const void *arg);

#endif
