/* The table of instances and the journal of their changes. See instance.h.
 *
 * Invariant: the journal holds every entry exactly once, by rising change_seq, and table->seq is
 * the last one's or above. seq starts at 1, so that cursor 0 always means "everything". */
#include "agent/instance.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

void instance_table_init(struct instance_table *table, void (*changed)(void *arg), void *arg)
{
    *table = (struct instance_table){.seq = 1, .changed = changed, .changed_arg = arg};
}

struct instance *instance_find(const struct instance_table *table, const char *id)
{
    struct instance *inst = NULL;
    HASH_FIND_STR(table->by_id, id, inst);
    return inst;
}

struct instance *instance_insert(struct instance_table *table, const char *id)
{
    struct instance *inst = calloc(1, sizeof(*inst));
    if (!inst)
        return NULL;
    memcpy(inst->id, id, strlen(id) + 1);
    inst->observed = WIRE__OBSERVED__OBSERVED_ABSENT;
    HASH_ADD_STR(table->by_id, id, inst);
    if (!inst->hh.tbl) {
        free(inst);
        return NULL;
    }
    inst->change_seq = ++table->seq;
    DL_APPEND(table->journal, inst);
    return inst;
}

void instance_drop(struct instance_table *table, struct instance *inst)
{
    HASH_DEL(table->by_id, inst);
    DL_DELETE(table->journal, inst);
    if (inst->spec)
        wire__instance_spec__free_unpacked(inst->spec, NULL);
    docker_progress_fini(&inst->pull);
    free(inst->stop.command);
    free(inst);
}

void instance_touch(struct instance_table *table, struct instance *inst)
{
    DL_DELETE(table->journal, inst);
    inst->change_seq = ++table->seq;
    DL_APPEND(table->journal, inst);
    if (table->changed)
        table->changed(table->changed_arg);
}

/* Changes are asked for soon after they happen, so looking from the end is short. */
struct instance *instance_changed_since(const struct instance_table *table, uint64_t cursor)
{
    struct instance *head = table->journal;
    struct instance *at = head ? head->prev : NULL; /* utlist: the head's prev is the tail */
    struct instance *found = NULL;
    while (at && at->change_seq > cursor) {
        found = at;
        if (at == head)
            break;
        at = at->prev;
    }
    return found;
}

void instance_fill_status(struct instance *inst, Wire__InstanceStatus *ret_status)
{
    struct docker_container *container =
        inst->container.state == CONTAINER_NONE ? &inst->spare : &inst->container;
    wire__instance_status__init(ret_status);
    ret_status->instance_id = inst->id;
    ret_status->generation = inst->generation;
    ret_status->attempt = inst->attempt;
    ret_status->observed = inst->observed;
    /* One that has not proved itself isn't what is wanted yet. */
    ret_status->spec_hash = inst->spare.state == CONTAINER_NONE ? inst->container.spec_hash : "";
    ret_status->container_id = container->id;
    ret_status->exit_code = container->exit_code;
    ret_status->oom_killed = container->oom_killed;
    ret_status->finished_at_ms = container->finished_at_ms;
    ret_status->error_code = inst->error_code;
    ret_status->error_message = inst->error_message;
    ret_status->progress_percent = inst->progress;
}

const char *instance_step_name(enum instance_step step)
{
    static const char *const names[] = {
        "idle",   "image",  "pull_wait", "pull",    "install_wait", "wipe",    "install",
        "create", "lookup", "start",     "unpause", "resize",       "rearm",   "stop",
        "disarm", "say",    "wait_end",  "check",   "spare",        "restore", "prove",
        "drop",   "halt",   "delete",    "erase",   "pause"};
    return names[step];
}
