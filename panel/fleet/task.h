/* Work for the fleet's loop, posted from any thread: what it runs is part of the message. */
#ifndef PANEL_FLEET_TASK_H
#define PANEL_FLEET_TASK_H

#include "common/mailbox.h"

struct task {
    struct mail mail;               /* first */
    void (*run)(struct task *task); /* on the loop's thread; the task is its to free or reuse */
};

static inline void task_post(struct mailbox *loop, struct task *task, void (*run)(struct task *))
{
    task->run = run;
    mailbox_post(loop, &task->mail);
}

#endif
