/* Telling a node: Apply and Remove, at most CALLS_MAX under way at a node, the rest in order. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "panel/fleet/spec.h"
#include "panel/fleet/state.h"

#define CALLS_MAX 16u
#define CALL_MS   4000 /* an agent answers at once; what it does then is told by Sync */
#define RESEND_MS 20000

/* What an answer must be matched to: the instance may be gone by then. */
struct told {
    struct fleet_node *node;
    char id[ID_SIZE];
    uint64_t generation;
    uint64_t attempt;
};

static void look_again(struct timer *timer)
{
    struct fleet_instance *inst =
        (struct fleet_instance *)((char *)timer - offsetof(struct fleet_instance, timer));
    instance_drive(inst);
}

void apply_come_back(struct fleet_instance *inst, uint32_t delay_ms)
{
    int64_t now = clock_mono_ms();
    int64_t due = now + delay_ms;
    int64_t deadline = instance_deadline(inst);
    inst->retry_set = false;
    inst->timer.fire = look_again;
    timers_set(&inst->fleet->timers, &inst->timer,
               deadline > now && deadline < due ? deadline : due);
}

static void refused(struct fleet_instance *inst, const Wire__Failure *failure)
{
    if (strcmp(failure->code, "stale_generation") == 0) {
        inst->seen_generation = inst->generation + 1; /* at least */
        instance_drive(inst);
        return;
    }
    /* A refusal is an answer like a failed attempt: the rule decides what follows. */
    Wire__InstanceStatus status = WIRE__INSTANCE_STATUS__INIT;
    status.instance_id = inst->id;
    status.attempt = inst->attempt;
    status.observed = WIRE__OBSERVED__OBSERVED_FAILED;
    status.container_id = inst->container_id;
    status.error_code = failure->code;
    status.error_message = failure->message;
    instance_take_status(inst, &status);
}

static void answered(void *arg, Wire__Envelope **reply, const struct err *err)
{
    (void)FAILPOINT("panel.send.answered");
    struct told *told = arg;
    struct fleet_node *node = told->node;
    struct fleet_instance *inst;
    node->calls--;
    HASH_FIND_STR(node->fleet->instances, told->id, inst);
    bool current = inst && inst->node == node && inst->generation == told->generation &&
                   inst->attempt == told->attempt;
    if (inst && inst->node == node)
        inst->calling = false;
    if (inst && !current)
        instance_drive(inst);
    else if (current && err)
        apply_come_back(inst, 1000);
    else if (current && (*reply)->body_case == WIRE__ENVELOPE__BODY_FAILURE)
        refused(inst, (*reply)->failure);
    free(told);
    apply_pump(node);
}

static int put_apply(const struct instance *row, void *arg, struct err *err)
{
    struct fleet_instance *inst = arg;
    if (row->generation != inst->generation)
        return 0; /* a notice of it is on its way */
    Wire__Envelope envelope;
    Wire__Apply apply = WIRE__APPLY__INIT;
    Wire__InstanceSpec *spec = NULL;
    char hash[65];
    struct told *told = calloc(1, sizeof(*told));
    if (!told)
        return err_nomem(err);
    int rc = spec_create(row, &spec, err);
    if (rc == 0)
        rc = envelope_spec_hash(spec, hash, err);
    if (rc < 0)
        goto out;
    inst->want_spec = spec_number(hash);
    node_envelope(inst->node, &envelope);
    apply.instance_id = inst->id;
    apply.generation = inst->generation;
    apply.attempt = inst->attempt;
    apply.desired = inst->down ? WIRE__DESIRED__DESIRED_STOPPED : WIRE__DESIRED__DESIRED_RUNNING;
    apply.spec = spec;
    apply.spec_hash = hash;
    apply.node_address = inst->node->address;
    apply.stop_command = (char *)(uintptr_t)row->stop_command;
    apply.stop_grace_seconds = row->stop_timeout_s;
    apply.kill = inst->power == POWER_KILL;
    envelope.body_case = WIRE__ENVELOPE__BODY_APPLY;
    envelope.apply = &apply;
    *told =
        (struct told){.node = inst->node, .generation = inst->generation, .attempt = inst->attempt};
    snprintf(told->id, sizeof(told->id), "%s", inst->id);
    rc = link_call(inst->node->link, &envelope, CALL_MS, answered, told, err);
out:
    spec_destroy(spec);
    if (rc < 0)
        free(told);
    else
        inst->calling = true;
    return rc;
}

static int put_remove(struct fleet_instance *inst, struct err *err)
{
    Wire__Envelope envelope;
    Wire__Remove remove = WIRE__REMOVE__INIT;
    struct told *told = calloc(1, sizeof(*told));
    if (!told)
        return err_nomem(err);
    node_envelope(inst->node, &envelope);
    remove.instance_id = inst->id;
    remove.generation = inst->generation;
    remove.volume_id = inst->id;
    remove.attempt = inst->attempt;
    envelope.body_case = WIRE__ENVELOPE__BODY_REMOVE;
    envelope.remove = &remove;
    *told =
        (struct told){.node = inst->node, .generation = inst->generation, .attempt = inst->attempt};
    snprintf(told->id, sizeof(told->id), "%s", inst->id);
    int rc = link_call(inst->node->link, &envelope, CALL_MS, answered, told, err);
    if (rc < 0)
        free(told);
    else
        inst->calling = true;
    return rc;
}

static void send_now(struct fleet_instance *inst)
{
    (void)FAILPOINT("panel.send.before");
    struct err err = {0};
    int rc = inst->phase == PHASE_DELETING
                 ? put_remove(inst, &err)
                 : store_instance_scan(inst->fleet->store, NULL, inst->id, put_apply, inst, &err);
    (void)FAILPOINT("panel.send.after");
    if (inst->calling)
        inst->node->calls++;
    if (rc < 0) {
        log_warn("instance not sent", "instance=%s node=%s op=%s reason=\"%s\"", inst->id,
                 inst->node->id, inst->phase == PHASE_DELETING ? "remove" : "apply", err.msg);
        apply_come_back(inst, 1000);
    }
}

void apply_pump(struct fleet_node *node)
{
    while (node_is_ready(node) && node->calls < CALLS_MAX && node->queue) {
        struct fleet_instance *inst = node->queue;
        node->queue = inst->queue_next;
        if (!node->queue)
            node->queue_tail = &node->queue;
        inst->queue_next = NULL;
        inst->queued = false;
        send_now(inst);
    }
}

void instance_send(struct fleet_instance *inst)
{
    apply_come_back(inst, RESEND_MS); /* should nothing be heard of it */
    if (inst->calling)
        return;
    if (!inst->queued) {
        inst->queued = true;
        inst->queue_next = NULL;
        *inst->node->queue_tail = inst;
        inst->node->queue_tail = &inst->queue_next;
    }
    apply_pump(inst->node); /* it may be there since before the node could be asked again */
}
