#include "actors/task_list.h"

#include "core/prefetch.h"

void ps_task_list_init(struct ps_task_list *list)
{
    list->first = NULL;
    list->tail = &list->first;
}

void ps_task_list_add(struct ps_task_list *list, struct ps_shard_task *task)
{
    if (task->queued)
        return;
    task->queued = true;
    task->next = NULL;
    *list->tail = task;
    list->tail = &task->next;
}

/* The task may be freed by what it does. Returns the next. */
static struct ps_shard_task *run_one(struct ps_shard_task *task)
{
    struct ps_shard_task *next = task->next;
    ps_prefetch(next, sizeof *next);
    task->queued = false;
    task->run(task);
    return next;
}

void ps_task_list_run(struct ps_task_list *list)
{
    struct ps_shard_task *task = list->first;
    ps_task_list_init(list);
    while (task)
        task = run_one(task);
}

void ps_task_list_run_while(struct ps_task_list *list, bool (*goes_on)(const void *arg),
                            const void *arg)
{
    struct ps_shard_task *task = list->first, **tail = list->tail;
    ps_task_list_init(list);
    while (task && goes_on(arg))
        task = run_one(task);
    if (!task)
        return;
    *tail = list->first;
    if (list->first)
        tail = list->tail;
    list->first = task;
    list->tail = tail;
}
