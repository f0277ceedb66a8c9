/* Callers that wait until an instance is ready, settled or gone, and committed as such.
 * Each is ended exactly once: by its goal, its deadline, its node falling silent, or the end. */
#include <stdlib.h>

#include "common/clock.h"
#include "panel/fleet/state.h"

static void wait_finish(struct wait *wait, enum fleet_outcome outcome)
{
    timers_cancel(&wait->fleet->timers, &wait->deadline);
    wait->fn(wait->arg, outcome);
    free(wait);
}

static bool goal_reached(struct fleet_instance *inst, enum fleet_goal goal)
{
    enum instance_phase phase = inst->committed_phase;
    switch (goal) {
    case FLEET_GOAL_READY:
        return phase == PHASE_READY || phase == PHASE_FAILED;
    case FLEET_GOAL_SETTLED:
        if (inst->power == POWER_RESTART)
            return phase == PHASE_FAILED;
        if (inst->down)
            return inst->told && (inst->committed_observed == OBSERVED_STOPPED ||
                                  inst->committed_observed == OBSERVED_ABSENT);
        return phase == PHASE_FAILED || (inst->committed_observed == OBSERVED_RUNNING &&
                                         !inst->changing && instance_is_as_wanted(inst));
    case FLEET_GOAL_GONE:
        return false; /* gone is when the instance is */
    }
    return false;
}

void waits_check(struct fleet_instance *inst)
{
    struct wait **at = &inst->waits;
    while (*at) {
        struct wait *wait = *at;
        if (!goal_reached(inst, wait->goal)) {
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        wait_finish(wait, FLEET_REACHED);
    }
}

void waits_end(struct fleet_instance *inst, enum fleet_outcome outcome)
{
    while (inst->waits) {
        struct wait *wait = inst->waits;
        inst->waits = wait->next;
        wait_finish(wait, outcome);
    }
}

void waits_node_silent(struct fleet_node *node)
{
    for (struct fleet_instance *inst = node->instances; inst; inst = inst->next) {
        struct wait **at = &inst->waits;
        while (*at) {
            struct wait *wait = *at;
            if (wait->goal == FLEET_GOAL_READY) { /* INSTALLING ends by its own deadline */
                at = &wait->next;
                continue;
            }
            *at = wait->next;
            wait_finish(wait, FLEET_NODE_OFFLINE);
        }
    }
}

static void wait_timed_out(struct timer *timer)
{
    struct wait *wait = (struct wait *)((char *)timer - offsetof(struct wait, deadline));
    struct fleet_instance *inst;
    HASH_FIND_STR(wait->fleet->instances, wait->id, inst);
    for (struct wait **at = inst ? &inst->waits : NULL; at && *at; at = &(*at)->next) {
        if (*at == wait) {
            *at = wait->next;
            break;
        }
    }
    wait_finish(wait, FLEET_TIMED_OUT);
}

void wait_add(struct task *task)
{
    struct wait *wait = (struct wait *)task;
    struct fleet *fleet = wait->fleet;
    if (fleet->closed) {
        wait_finish(wait, FLEET_CLOSED);
        return;
    }
    struct fleet_instance *inst = instance_reload(fleet, wait->id);
    if (!inst) {
        wait_finish(wait, FLEET_REACHED); /* the caller reads the store and sees */
        return;
    }
    if (wait->goal != FLEET_GOAL_READY && inst->node->live.status != NODE_ONLINE) {
        instance_drive(inst);
        if (!inst->forgetting) {
            wait_finish(wait, FLEET_NODE_OFFLINE);
            return;
        }
    }
    wait->deadline.fire = wait_timed_out;
    timers_set(&fleet->timers, &wait->deadline, clock_mono_ms() + wait->timeout_ms);
    wait->next = inst->waits;
    inst->waits = wait;
    instance_drive(inst);
}
