/* The container that is kept while another takes its place. See reconcile_parts.h.
 *
 *   stopped → renamed to "panel-ID-old" → the new one is created and started → proved → the old
 *   one is deleted; or, whatever goes wrong on the way: the new one is deleted → the old one gets
 *   its name back and is started, and the goal ends with the reason
 *
 * Which of the two a container is, its name says, so this goes on after any death of agent or
 * Engine. Invariants: there is at most one spare; it never runs while the other does; it is
 * deleted only when the other has been seen running for PROOF_MS without the Engine having
 * started it again, or when the instance is removed. */
#include <stddef.h>
#include <string.h>

#include "agent/container_spec.h"
#include "agent/reconcile_parts.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"

/* What can't work mostly shows at once: a wrong command, a missing variable, a port in use. */
#define PROOF_MS 2000

static void see_spare(struct instance *inst, const struct docker_container *container)
{
    observe_spare(inst, container, ++inst->reconcile->stamp);
}

/* Only one that has run is worth more than none. What an install puts into the volume would be
 * another's, so then the old one goes, too. */
bool sparing_is_due(const struct instance *inst)
{
    return inst->container.state == CONTAINER_EXITED && inst->spare.state == CONTAINER_NONE &&
           !install_is_due(inst->reconcile->installs, inst->spec);
}

bool sparing_fall_back(struct instance *inst, const struct failure *why)
{
    if (inst->goal != GOAL_RUNNING || inst->spare.state == CONTAINER_NONE || inst->kept.why.code)
        return false;
    log_warn("the older container is put back", "instance=%s code=%s reason=\"%s\"", inst->id,
             why->code, why->message);
    reconcile_keep(inst, inst->spare.id, why);
    return true;
}

/* ---- Its name ---- */

static void end_spare(void *arg, const struct docker_reply *reply)
{
    (void)FAILPOINT("agent.container.spared");
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code == ERR_NONE) {
        struct docker_container spare = inst->container;
        spare.spare = true;
        step_see(inst, NULL);
        see_spare(inst, &spare);
        reconcile_decide(inst);
    } else if (reply->err.code == ERR_NOT_FOUND) {
        step_see(inst, NULL);
        reconcile_decide(inst);
    } else {
        struct failure failure;
        failure_of_other(&failure, "create_failed", "rename the older container", &reply->err);
        if (inst->work == inst->step_work)
            reconcile_keep(inst, inst->container.id, &failure);
        reconcile_decide(inst);
    }
}

static void rename_it(struct instance *inst, enum instance_step step, const char *container_id,
                      docker_done done)
{
    struct err err;
    char name[DOCKER_NAME_SIZE];
    docker_json_name(inst->id, step == STEP_SPARE, name);
    step_begin(inst, step);
    reconcile_report(inst, WIRE__OBSERVED__OBSERVED_CREATING);
    step_begun(inst, docker_rename(inst->reconcile->docker, container_id, name, done, inst, &err),
               &err);
}

void steps_spare(struct instance *inst)
{
    (void)FAILPOINT("agent.container.sparing");
    rename_it(inst, STEP_SPARE, inst->container.id, end_spare);
}

static void end_restore(void *arg, const struct docker_reply *reply)
{
    (void)FAILPOINT("agent.container.restored");
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code == ERR_NONE) {
        struct docker_container back = inst->spare;
        back.spare = false;
        see_spare(inst, NULL);
        step_see(inst, &back);
        reconcile_decide(inst);
    } else if (reply->err.code == ERR_NOT_FOUND) {
        see_spare(inst, NULL);
        reconcile_decide(inst);
    } else if (reply->err.code == ERR_CONFLICT) { /* a create that the Engine had still in hand */
        steps_lookup(inst);
    } else {
        struct failure failure;
        failure_of_other(&failure, "create_failed", "rename the older container", &reply->err);
        step_give_up(inst, &failure);
    }
}

static void restore(struct instance *inst)
{
    (void)FAILPOINT("agent.container.restoring");
    rename_it(inst, STEP_RESTORE, inst->spare.id, end_restore);
}

/* ---- Does the new one run? ---- */

static void disprove(struct instance *inst)
{
    const struct docker_container *container = &inst->container;
    struct failure failure;
    if (container->state == CONTAINER_NONE)
        failure_set(&failure, "container_gone", "The new container was removed.");
    else if (container->state == CONTAINER_RUNNING) /* again: how it ended isn't told any more */
        failure_set(&failure, "container_exited", "The new container does not stay up.");
    else
        failure_set(&failure, "container_exited", "The new container exited with code %d%s.",
                    container->exit_code,
                    container->oom_killed ? " (out of its memory limit)" : "");
    step_give_up(inst, &failure);
}

/* Seen beside the step: it needn't be waited for. */
void sparing_note_end(struct instance *inst)
{
    if (inst->step != STEP_PROVE || inst->call || inst->container.state == CONTAINER_RUNNING)
        return;
    timers_cancel(&inst->reconcile->loop->timers, &inst->timer);
    step_end(inst);
    disprove(inst);
}

static void end_proof(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    struct docker_container seen;
    struct failure failure;
    if (!step_answered(inst, reply))
        return;
    bool known = reply->err.code == ERR_NONE &&
                 docker_json_inspected(reply->json, inst->reconcile->panel_id, &seen) == 0;
    if (known)
        step_see(inst, &seen);
    else if (reply->err.code == ERR_NOT_FOUND)
        step_see(inst, NULL);
    if (inst->work != inst->step_work) {
        reconcile_decide(inst);
    } else if (known && seen.state == CONTAINER_RUNNING && seen.restarts == 0) {
        steps_drop(inst);
    } else if (known || reply->err.code == ERR_NOT_FOUND) {
        disprove(inst);
    } else {
        failure_of_other(&failure, "start_failed", "inspect the container", &reply->err);
        step_give_up(inst, &failure);
    }
}

static void look_whether_it_runs(struct timer *timer)
{
    struct instance *inst = (struct instance *)((char *)timer - offsetof(struct instance, timer));
    struct err err;
    step_begun(inst,
               docker_inspect(inst->reconcile->docker, inst->container.id, end_proof, inst, &err),
               &err);
}

void steps_prove(struct instance *inst)
{
    (void)FAILPOINT("agent.container.proving");
    step_begin(inst, STEP_PROVE);
    reconcile_report(inst, WIRE__OBSERVED__OBSERVED_STARTING);
    inst->timer.fire = look_whether_it_runs;
    timers_set(&inst->reconcile->loop->timers, &inst->timer, clock_mono_ms() + PROOF_MS);
}

/* ---- Its end ---- */

static void end_drop(void *arg, const struct docker_reply *reply)
{
    (void)FAILPOINT("agent.container.dropped");
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code == ERR_NONE || reply->err.code == ERR_NOT_FOUND) {
        see_spare(inst, NULL);
        reconcile_decide(inst);
    } else if (reply->err.code == ERR_CONFLICT) {
        reconcile_wait(inst, "remove_failed");
    } else {
        struct failure failure;
        failure_of_other(&failure, "remove_failed", "remove the older container", &reply->err);
        step_give_up(inst, &failure);
    }
}

void steps_drop(struct instance *inst)
{
    (void)FAILPOINT("agent.container.dropping");
    struct err err;
    step_begin(inst, STEP_DROP);
    step_begun(inst, docker_delete(inst->reconcile->docker, inst->spare.id, end_drop, inst, &err),
               &err);
}

/* Somebody has started it by hand. */
static void end_halt(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code == ERR_NONE || reply->err.code == ERR_CONFLICT) {
        struct docker_container spare = inst->spare;
        spare.state = CONTAINER_EXITED;
        see_spare(inst, &spare);
        reconcile_decide(inst);
    } else if (reply->err.code == ERR_NOT_FOUND) {
        see_spare(inst, NULL);
        reconcile_decide(inst);
    } else {
        struct failure failure;
        failure_of_other(&failure, "stop_failed", "stop the older container", &reply->err);
        step_give_up(inst, &failure);
    }
}

bool sparing_halt(struct instance *inst)
{
    struct err err;
    if (!reconcile_is_alive(&inst->spare))
        return false;
    step_begin(inst, STEP_HALT);
    step_begun(inst, docker_stop(inst->reconcile->docker, inst->spare.id, 0, end_halt, inst, &err),
               &err);
    return true;
}

/* ---- Deciding ---- */

bool sparing_decide(struct instance *inst)
{
    const struct docker_container *container = &inst->container;
    const struct docker_container *spare = &inst->spare;
    if (spare->state == CONTAINER_NONE)
        return false;
    if (sparing_halt(inst))
        return true;
    bool kept = inst->kept.why.code && strcmp(inst->kept.container_id, spare->id) == 0;
    bool wanted = !reconcile_is_wanted(inst, container) && reconcile_is_wanted(inst, spare);
    if (kept || wanted) {
        if (container->state == CONTAINER_REMOVING)
            reconcile_wait(inst, "create_failed");
        else if (container->state != CONTAINER_NONE)
            steps_delete(inst);
        else
            restore(inst);
        return true;
    }
    if (reconcile_is_wanted(inst, container) && reconcile_is_alive(container) &&
        container->state != CONTAINER_PAUSED) {
        steps_prove(inst);
        return true;
    }
    return false;
}
