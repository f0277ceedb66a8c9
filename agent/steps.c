/* The steps: one Docker call each. See reconcile_parts.h.
 *
 * Each begin_ starts a call and says so; each end_ takes in what the answer tells, and hands on to
 * reconcile_decide(). A failure counts only for the request that the step was begun for: when a
 * newer one has come meanwhile, that one decides. After an answer that changed a container,
 * observations asked for earlier are out of date: see(). */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/address.h"
#include "agent/container_spec.h"
#include "agent/reconcile_parts.h"
#include "agent/stopping.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"

#define PULLS_MAX    3
#define LOOKUPS_MAX  3
#define REMAKES_MAX  3
#define PAUSE_MS     500
#define PULL_TELL_MS 500

void step_begin(struct instance *inst, enum instance_step step)
{
    inst->step = step;
    inst->step_work = inst->work;
    log_debug("instance step", "instance=%s step=%s", inst->id, instance_step_name(step));
}

void step_end(struct instance *inst)
{
    inst->step = STEP_IDLE;
    inst->call = NULL;
}

void step_give_up(struct instance *inst, const struct failure *failure)
{
    struct failure both;
    if (inst->work != inst->step_work || sparing_fall_back(inst, failure)) {
        reconcile_decide(inst);
        return;
    }
    if (inst->kept.why.code) {
        failure_set(&both, inst->kept.why.code, "%s Nor can the older container be used: %s",
                    inst->kept.why.message, failure->message);
        failure = &both;
    }
    reconcile_fail(inst, failure);
}

void step_begun(struct instance *inst, struct docker_call *call, const struct err *err)
{
    inst->call = call;
    if (call)
        return;
    step_end(inst);
    struct failure failure;
    if (err->code == ERR_OFFLINE) {
        reconcile_lose_engine(inst);
        return;
    }
    failure_of_other(&failure, "out_of_memory", "be asked", err);
    step_give_up(inst, &failure);
}

bool step_answered(struct instance *inst, const struct docker_reply *reply)
{
    step_end(inst);
    if (reply->err.code != ERR_OFFLINE)
        return true;
    reconcile_lose_engine(inst);
    return false;
}

void step_see(struct instance *inst, const struct docker_container *container)
{
    observe_container(inst, container, ++inst->reconcile->stamp);
}

void step_see_state(struct instance *inst, enum container_state state)
{
    struct docker_container container = inst->container;
    container.state = state;
    step_see(inst, &container);
}

/* ---- Image ---- */

/* If a place to pull is free: the first who waits looks again whether the image has come
 * meanwhile. When it doesn't need the place then, the next one may look. */
void steps_admit_pull(struct reconcile *reconcile)
{
    struct instance *inst;
    struct instance *tmp;
    if (reconcile->pulls >= PULLS_MAX)
        return;
    HASH_ITER(hh, reconcile->table.by_id, inst, tmp)
    {
        if (inst->step != STEP_PULL_WAIT)
            continue;
        step_end(inst);
        reconcile_decide(inst);
        return;
    }
}

static void end_image(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code == ERR_NONE) {
        inst->image_ready = inst->work == inst->step_work;
        reconcile_decide(inst);
    } else if (reply->err.code == ERR_NOT_FOUND && inst->work == inst->step_work) {
        steps_pull(inst);
    } else {
        struct failure failure;
        failure_of_other(&failure, "create_failed", "look for the image", &reply->err);
        step_give_up(inst, &failure);
    }
    if (inst->step != STEP_PULL)
        steps_admit_pull(inst->reconcile);
}

void steps_image(struct instance *inst)
{
    struct err err;
    if (inst->spec->pull_round > inst->pulled) {
        steps_pull(inst);
        return;
    }
    step_begin(inst, STEP_IMAGE);
    if (inst->container.state == CONTAINER_NONE)
        reconcile_report(inst, WIRE__OBSERVED__OBSERVED_CREATING);
    step_begun(
        inst,
        docker_inspect_image(inst->reconcile->docker, inst->spec->image, end_image, inst, &err),
        &err);
}

static void free_pull(struct reconcile *reconcile)
{
    reconcile->pulls--;
    steps_admit_pull(reconcile);
}

static void end_pull(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    docker_progress_fini(&inst->pull);
    bool here = step_answered(inst, reply);
    if (here && reply->err.code == ERR_NONE) {
        inst->image_ready = inst->work == inst->step_work;
        if (inst->image_ready)
            inst->pulled = inst->spec->pull_round;
        reconcile_decide(inst);
    } else if (here) {
        struct failure failure;
        failure_of_pull(&failure, inst->spec->image, &reply->err);
        step_give_up(inst, &failure);
    }
    free_pull(inst->reconcile);
}

/* Called inside the stream: only tells. */
static void take_progress(void *arg, json_t *item)
{
    struct instance *inst = arg;
    docker_progress_add(&inst->pull, item);
    int64_t now = clock_mono_ms();
    if (inst->pull.percent == inst->progress || now - inst->pull_told_ms < PULL_TELL_MS)
        return;
    inst->progress = inst->pull.percent;
    inst->pull_told_ms = now;
    instance_touch(&inst->reconcile->table, inst);
}

void steps_pull(struct instance *inst)
{
    struct reconcile *reconcile = inst->reconcile;
    struct err err;
    reconcile_report(inst, WIRE__OBSERVED__OBSERVED_PULLING);
    if (reconcile->pulls >= PULLS_MAX) {
        step_begin(inst, STEP_PULL_WAIT);
        return;
    }
    step_begin(inst, STEP_PULL);
    inst->call =
        docker_pull(reconcile->docker, inst->spec->image, take_progress, end_pull, inst, &err);
    if (inst->call)
        reconcile->pulls++;
    step_begun(inst, inst->call, &err);
}

/* ---- Create ---- */

static void end_create(void *arg, const struct docker_reply *reply)
{
    (void)FAILPOINT("agent.container.created");
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    const char *id = docker_json_created(reply->json);
    if (reply->err.code != ERR_NONE && reply->err.code != ERR_CONFLICT) {
        struct failure failure;
        failure_of_create(&failure, inst->spec, &reply->err);
        step_give_up(inst, &failure);
        return;
    }
    /* Our name is taken, or the answer tells no id, or labels and all as they are is for the Engine
     * to tell since a newer request came meanwhile. */
    if (reply->err.code == ERR_CONFLICT || !id || inst->work != inst->step_work) {
        steps_lookup(inst);
        return;
    }
    struct docker_container made = {.state = CONTAINER_CREATED,
                                    .generation = inst->generation,
                                    .memory_bytes = inst->spec->memory_bytes,
                                    .nano_cpus = inst->spec->nano_cpus,
                                    .pulled = inst->spec->pull_round};
    snprintf(made.id, sizeof(made.id), "%s", id);
    memcpy(made.instance_id, inst->id, sizeof(made.instance_id));
    memcpy(made.spec_hash, inst->spec_hash, sizeof(made.spec_hash));
    memcpy(made.base_hash, inst->base_hash, sizeof(made.base_hash));
    memcpy(made.address, inst->bind_ip, sizeof(made.address));
    step_see(inst, &made);
    reconcile_decide(inst);
}

void steps_create(struct instance *inst)
{
    (void)FAILPOINT("agent.container.creating");
    struct reconcile *reconcile = inst->reconcile;
    struct err err;
    struct failure failure;
    char name[DOCKER_NAME_SIZE];
    step_begin(inst, STEP_CREATE);
    reconcile_report(inst, WIRE__OBSERVED__OBSERVED_CREATING);
    if (volume_make(reconcile->volumes, inst->spec->volume_id, &err) < 0) {
        step_end(inst);
        failure_set(&failure, "volume_failed", "The instance's volume can't be made: %s", err.msg);
        step_give_up(inst, &failure);
        return;
    }
    struct container_labels labels = {.panel_id = reconcile->panel_id,
                                      .instance_id = inst->id,
                                      .generation = inst->generation,
                                      .spec_hash = inst->spec_hash,
                                      .base_hash = inst->base_hash};
    snprintf(inst->bind_ip, sizeof(inst->bind_ip), "%s",
             address_is_local(inst->node_address) ? inst->node_address : "");
    char signal[STOP_SIGNAL_SIZE];
    stopping_signal(inst->stop.command, signal);
    auto_free char *path = volume_path(reconcile->volumes, inst->spec->volume_id);
    struct container_place place = {path, inst->bind_ip, signal,
                                    docker_log_driver(reconcile->docker)};
    auto_free char *body = path ? container_spec_body(inst->spec, &labels, &place) : NULL;
    if (!body) {
        err_nomem(&err);
        step_begun(inst, NULL, &err);
        return;
    }
    docker_json_name(inst->id, false, name);
    step_begun(inst, docker_create_container(reconcile->docker, name, body, end_create, inst, &err),
               &err);
}

static void end_lookup(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    struct docker_container seen;
    struct failure failure;
    if (!step_answered(inst, reply))
        return;
    inst->looked_up = true;
    if (reply->err.code == ERR_NOT_FOUND) {
        step_see(inst, NULL);
        /* Taken a moment ago and free now: somebody is in the middle of something. */
        if (inst->goal == GOAL_RUNNING)
            reconcile_wait(inst, "create_failed");
        else
            reconcile_decide(inst);
    } else if (reply->err.code != ERR_NONE) {
        failure_of_other(&failure, inst->goal == GOAL_REMOVED ? "remove_failed" : "create_failed",
                         "inspect the container", &reply->err);
        step_give_up(inst, &failure);
    } else if (docker_json_inspected(reply->json, inst->reconcile->panel_id, &seen) == 0 &&
               strcmp(seen.instance_id, inst->id) == 0) {
        step_see(inst, &seen);
        if (inst->goal == GOAL_REMOVED && inst->tries++ >= LOOKUPS_MAX) {
            failure_set(&failure, "remove_failed",
                        "The container is there after it was removed %d times.", LOOKUPS_MAX);
            step_give_up(inst, &failure);
            return;
        }
        reconcile_decide(inst);
    } else if (inst->goal == GOAL_RUNNING) {
        failure_set(&failure, "name_taken",
                    "The node has a container named panel-%s that is not this panel's: "
                    "remove or rename it.",
                    inst->id);
        step_give_up(inst, &failure);
    } else {
        reconcile_decide(inst); /* not ours, so not touched */
    }
}

void steps_lookup(struct instance *inst)
{
    struct err err;
    char name[DOCKER_NAME_SIZE];
    step_begin(inst, STEP_LOOKUP);
    docker_json_name(inst->id, false, name);
    step_begun(inst, docker_inspect(inst->reconcile->docker, name, end_lookup, inst, &err), &err);
}

/* ---- Start, and what became of it ---- */

/* What became of it, and so the end of the goal: a container that crashes at once has been
 * started nevertheless, and the panel is told how it ended. */
static void end_check(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    struct docker_container seen;
    struct failure failure;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code == ERR_NONE &&
        docker_json_inspected(reply->json, inst->reconcile->panel_id, &seen) == 0)
        step_see(inst, &seen);
    else if (reply->err.code == ERR_NOT_FOUND)
        step_see(inst, NULL);
    if (inst->work != inst->step_work) {
        reconcile_decide(inst);
    } else if (reply->err.code != ERR_NONE && reply->err.code != ERR_NOT_FOUND) {
        failure_of_other(&failure, inst->goal == GOAL_STOPPED ? "stop_failed" : "start_failed",
                         "inspect the container", &reply->err);
        reconcile_fail(inst, &failure);
    } else if (inst->goal == GOAL_STOPPED && reconcile_is_alive(&inst->container)) {
        failure_set(&failure, "stop_failed", "The container runs on after it was stopped.");
        reconcile_fail(inst, &failure);
    } else {
        reconcile_reach(inst);
    }
}

void step_check(struct instance *inst)
{
    struct err err;
    uint64_t work = inst->step_work;
    step_begin(inst, STEP_CHECK);
    inst->step_work = work;
    step_begun(inst,
               docker_inspect(inst->reconcile->docker, inst->container.id, end_check, inst, &err),
               &err);
}

/* An Engine that was stopped in the middle of a start may keep half of the container, and refuses
 * each later start of it: only a new one will do. Its data are in the volume. The words are those
 * of containerd's task (live-restore), its container (moby issue 40613) and its shim (50040). */
static bool is_half_started(const struct err *err)
{
    return (strstr(err->msg, "task ") && strstr(err->msg, "already exists")) ||
           strstr(err->msg, "id already in use") ||
           (strstr(err->msg, "failed to start shim") && strstr(err->msg, "file exists"));
}

static void end_start(void *arg, const struct docker_reply *reply)
{
    (void)FAILPOINT("agent.container.started");
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code == ERR_NONE && instance_has_spare(inst)) {
        step_see_state(inst, CONTAINER_RUNNING);
        reconcile_decide(inst); /* it has to prove itself */
    } else if (reply->err.code == ERR_NONE) {
        step_check(inst);
    } else if (reply->err.code == ERR_NOT_FOUND && reply->status == 404 &&
               strcasestr(reply->err.msg, "no such container")) {
        step_see(inst, NULL);
        reconcile_decide(inst);
    } else if (inst->goal == GOAL_RUNNING && is_half_started(&reply->err) &&
               inst->tries++ < REMAKES_MAX) {
        steps_delete(inst);
    } else {
        struct failure failure;
        failure_of_start(&failure, inst->spec, &reply->err);
        step_give_up(inst, &failure);
    }
}

static void start(struct instance *inst)
{
    struct err err;
    step_begin(inst, STEP_START);
    step_begun(inst,
               docker_start(inst->reconcile->docker, inst->container.id, end_start, inst, &err),
               &err);
}

static void end_rearm(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    if (step_answered(inst, reply) && inst->work == inst->step_work)
        start(inst);
    else
        reconcile_decide(inst);
}

/* To be stopped by a line it had to lose its restart policy (stopping.c). */
void steps_start(struct instance *inst)
{
    (void)FAILPOINT("agent.container.starting");
    struct err err;
    reconcile_report(inst, WIRE__OBSERVED__OBSERVED_STARTING);
    if (!stopping_is_by_line(inst->stop.command)) {
        start(inst);
        return;
    }
    step_begin(inst, STEP_REARM);
    step_begun(inst,
               docker_set_restart(inst->reconcile->docker, inst->container.id, true, end_rearm,
                                  inst, &err),
               &err);
}

void steps_unpause(struct instance *inst)
{
    struct err err;
    step_begin(inst, STEP_UNPAUSE);
    reconcile_report(inst, WIRE__OBSERVED__OBSERVED_STARTING);
    step_begun(inst,
               docker_unpause(inst->reconcile->docker, inst->container.id, end_start, inst, &err),
               &err);
}

/* ---- Other limits ---- */

/* A refusal is the Engine's own: what it says of us, of the kernel, or of a limit that the program
 * is above already. Then only a new container will do. */
static void end_resize(void *arg, const struct docker_reply *reply)
{
    (void)FAILPOINT("agent.container.resized");
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (inst->work != inst->step_work) {
        reconcile_decide(inst);
    } else if (reply->err.code == ERR_NONE) {
        struct docker_container same = inst->container;
        same.memory_bytes = inst->spec->memory_bytes;
        same.nano_cpus = inst->spec->nano_cpus;
        memcpy(inst->resized.container_id, same.id, sizeof(same.id));
        memcpy(inst->resized.spec_hash, inst->spec_hash, sizeof(inst->spec_hash));
        step_see(inst, &same);
        reconcile_decide(inst);
    } else if (reply->status == 404) {
        step_see(inst, NULL);
        reconcile_decide(inst);
    } else if (reply->status >= 400) {
        log_info("limits not changed in place", "instance=%s reason=\"%s\"", inst->id,
                 reply->err.msg);
        inst->resize_refused = true;
        reconcile_decide(inst);
    } else {
        struct failure failure;
        failure_of_other(&failure, "resize_failed", "change the limits", &reply->err);
        step_give_up(inst, &failure);
    }
}

void steps_resize(struct instance *inst)
{
    (void)FAILPOINT("agent.container.resizing");
    struct err err;
    step_begin(inst, STEP_RESIZE);
    struct docker_call *call = NULL;
    auto_free char *body = container_spec_limits(inst->spec);
    if (!body)
        err_nomem(&err);
    else
        call = docker_resize(inst->reconcile->docker, inst->container.id, body, end_resize, inst,
                             &err);
    step_begun(inst, call, &err);
}

/* ---- Remove ---- */

static void end_delete(void *arg, const struct docker_reply *reply)
{
    (void)FAILPOINT("agent.container.deleted");
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code == ERR_NONE || reply->err.code == ERR_NOT_FOUND) {
        inst->looked_up = false;
        step_see(inst, NULL);
        reconcile_decide(inst);
    } else if (reply->err.code == ERR_CONFLICT) {
        step_see_state(inst, CONTAINER_REMOVING); /* under way: decide waits, but not for ever */
        reconcile_decide(inst);
    } else {
        struct failure failure;
        failure_of_other(&failure, "remove_failed", "remove the container", &reply->err);
        step_give_up(inst, &failure);
    }
}

/* inst->container is known by its labels to be ours, and is named by its id. */
void steps_delete(struct instance *inst)
{
    (void)FAILPOINT("agent.container.deleting");
    struct err err;
    step_begin(inst, STEP_DELETE);
    reconcile_report(inst, inst->goal == GOAL_REMOVED ? WIRE__OBSERVED__OBSERVED_REMOVING
                                                      : WIRE__OBSERVED__OBSERVED_CREATING);
    step_begun(inst,
               docker_delete(inst->reconcile->docker, inst->container.id, end_delete, inst, &err),
               &err);
}

static void end_erase(void *arg, const struct err *err)
{
    (void)FAILPOINT("agent.volume.erased");
    struct instance *inst = arg;
    step_end(inst);
    if (inst->work != inst->step_work) {
        reconcile_decide(inst);
    } else if (err->code == ERR_NONE) {
        reconcile_reach(inst);
    } else {
        struct failure failure;
        failure_set(&failure, "volume_failed", "The instance's volume can't be removed: %s",
                    err->msg);
        reconcile_fail(inst, &failure);
    }
}

void steps_erase(struct instance *inst)
{
    (void)FAILPOINT("agent.volume.erasing");
    struct err err = {0};
    if (inst->volume_id[0])
        install_forget(inst->reconcile->installs, inst->volume_id);
    step_begin(inst, STEP_ERASE);
    reconcile_report(inst, WIRE__OBSERVED__OBSERVED_REMOVING);
    if (!inst->volume_id[0]) {
        end_erase(inst, &err);
        return;
    }
    if (volume_remove(inst->reconcile->volumes, inst->volume_id, end_erase, inst, &err) < 0)
        end_erase(inst, &err);
}

/* ---- Waiting and breaking off ---- */

static void end_pause(struct timer *timer)
{
    struct instance *inst = (struct instance *)((char *)timer - offsetof(struct instance, timer));
    step_end(inst);
    if (inst->container.state == CONTAINER_REMOVING)
        steps_lookup(inst);
    else
        reconcile_decide(inst);
}

void steps_pause(struct instance *inst)
{
    step_begin(inst, STEP_PAUSE);
    inst->timer.fire = end_pause;
    timers_set(&inst->reconcile->loop->timers, &inst->timer, clock_mono_ms() + PAUSE_MS);
}

void steps_abandon(struct instance *inst)
{
    docker_call_cancel(inst->call);
    timers_cancel(&inst->reconcile->loop->timers, &inst->timer);
    docker_progress_fini(&inst->pull);
    step_end(inst);
}

void steps_interrupt(struct instance *inst, bool same_image)
{
    switch (inst->step) {
    case STEP_PULL:
        if (inst->goal == GOAL_RUNNING && same_image) {
            inst->step_work = inst->work;
            break;
        }
        steps_abandon(inst);
        free_pull(inst->reconcile);
        break;
    case STEP_INSTALL:
        install_cancel(inst->install); /* done again from the start, if it is still wanted */
        break;
    case STEP_PULL_WAIT:
    case STEP_INSTALL_WAIT:
    case STEP_PAUSE:
    case STEP_PROVE:
        steps_abandon(inst);
        break;
    case STEP_STOP:
    case STEP_SAY:
    case STEP_WAIT_END:
        if (inst->goal == GOAL_REMOVED || inst->stop.kill)
            steps_abandon(inst); /* it is killed, without the grace */
        break;
    default:
        break; /* short: its answer is waited for */
    }
}
