/* What is wanted, what comes next, how it ends. See reconcile.h and reconcile_parts.h.
 *
 * Per instance:
 *
 *   running:  (resize, where only limits are others) →
 *             image → pull → (stop what is outdated → keep it aside: sparing.c, or delete it) →
 *             install → create → start → check
 *   stopped:  stop (stopping.c) → check
 *   removed:  lookup → delete → erase the volume
 *
 * with every arrow a new decision from what is wanted and seen, so each may also lead elsewhere.
 * Invariants: at most one step an instance; pending is true until the goal is reached or given
 * up; while the Engine is away nothing is begun and nothing is given up. */
#include "agent/reconcile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/address.h"
#include "agent/container_spec.h"
#include "agent/reconcile_parts.h"
#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
#include "common/utf8.h"

#define TRIES_MAX        20
#define STOP_COMMAND_MAX 1024
#define STOP_GRACE_MAX   3600
#define KEEP_GONE_MS     (10 * 60 * 1000)

static const char *const goal_names[] = {"none", "running", "stopped", "removed"};

bool reconcile_is_alive(const struct docker_container *container)
{
    return container->state == CONTAINER_RUNNING || container->state == CONTAINER_PAUSED ||
           container->state == CONTAINER_RESTARTING;
}

/* A change of limits may have been done though its answer never came: what they are counts, where
 * that is known. */
static bool has_limits(const struct instance *inst, const struct docker_container *container)
{
    const Wire__InstanceSpec *spec = inst->spec;
    return !spec || ((!container->memory_bytes || container->memory_bytes == spec->memory_bytes) &&
                     (!container->nano_cpus || container->nano_cpus == spec->nano_cpus));
}

static bool is_exact(const struct instance *inst, const struct docker_container *container)
{
    return container->state != CONTAINER_NONE &&
           strcmp(container->spec_hash, inst->spec_hash) == 0 && has_limits(inst, container);
}

static bool is_current(const struct instance *inst)
{
    return is_exact(inst, &inst->container);
}

/* There, and other in no more than what base_hash leaves out. */
static bool is_alike(const struct instance *inst, const struct docker_container *container)
{
    bool there = container->state == CONTAINER_CREATED || container->state == CONTAINER_EXITED ||
                 reconcile_is_alive(container);
    return there && strcmp(container->base_hash, inst->base_hash) == 0;
}

/* Only its limits are others, and Docker can give it those. */
static bool is_resizable(const struct instance *inst, const struct docker_container *container)
{
    return is_alike(inst, container) && !is_exact(inst, container) && !inst->resize_refused &&
           container->pulled == inst->spec->pull_round;
}

bool reconcile_is_wanted(const struct instance *inst, const struct docker_container *container)
{
    return is_exact(inst, container) || is_resizable(inst, container);
}

void reconcile_keep(struct instance *inst, const char *container_id, const struct failure *why)
{
    inst->kept.why = *why;
    memmove(inst->kept.container_id, container_id, sizeof(inst->kept.container_id));
    inst->tries = 0;
}

/* The node has moved since its ports were bound: where they are, they can't be bound again, or are
 * not looked for. While it runs that is left alone. */
static bool is_bound_elsewhere(const struct instance *inst)
{
    const char *bound = inst->container.address;
    if (!bound[0] || strcmp(bound, inst->node_address) == 0)
        return false;
    return address_is_local(inst->node_address) || !address_is_local(bound);
}

static bool is_satisfied(const struct instance *inst)
{
    switch (inst->goal) {
    case GOAL_RUNNING:
        return inst->container.state == CONTAINER_RUNNING && is_current(inst) &&
               !instance_has_spare(inst);
    case GOAL_STOPPED:
        return !reconcile_is_alive(&inst->container) &&
               inst->container.state != CONTAINER_REMOVING && !reconcile_is_alive(&inst->spare);
    case GOAL_REMOVED:
        return inst->container.state == CONTAINER_NONE && inst->spare.state == CONTAINER_NONE &&
               inst->observed == WIRE__OBSERVED__OBSERVED_REMOVED;
    case GOAL_NONE:
        break;
    }
    return true;
}

/* ---- Telling ---- */

static Wire__Observed seen_state(const struct instance *inst)
{
    switch (inst->container.state) {
    case CONTAINER_NONE:
        if (inst->spare.state != CONTAINER_NONE)
            break;
        return inst->goal == GOAL_REMOVED ? WIRE__OBSERVED__OBSERVED_REMOVED
                                          : WIRE__OBSERVED__OBSERVED_ABSENT;
    case CONTAINER_RUNNING:
        return WIRE__OBSERVED__OBSERVED_RUNNING;
    case CONTAINER_REMOVING:
        return WIRE__OBSERVED__OBSERVED_REMOVING;
    case CONTAINER_CREATED:
    case CONTAINER_PAUSED:     /* and nobody is about to change that */
    case CONTAINER_RESTARTING: /* between two crashes it doesn't run */
    case CONTAINER_EXITED:
    case CONTAINER_DEAD:
        break;
    }
    return WIRE__OBSERVED__OBSERVED_STOPPED;
}

static void set_error(struct instance *inst, const char *code, const char *message)
{
    utf8_copy(inst->error_code, sizeof(inst->error_code), code);
    utf8_copy(inst->error_message, sizeof(inst->error_message), message);
}

void reconcile_report(struct instance *inst, Wire__Observed observed)
{
    if (inst->observed == observed && !inst->error_code[0])
        return;
    set_error(inst, "", "");
    inst->observed = observed;
    inst->progress = 0;
    instance_touch(&inst->reconcile->table, inst);
}

void reconcile_settle(struct instance *inst, bool changed)
{
    if (!inst->pending && inst->step == STEP_IDLE) {
        /* A failure stands until what was wanted is there after all. */
        if (inst->error_code[0] && inst->goal != GOAL_REMOVED && is_satisfied(inst)) {
            set_error(inst, "", "");
            changed = true;
        }
        Wire__Observed observed =
            inst->error_code[0] ? WIRE__OBSERVED__OBSERVED_FAILED : seen_state(inst);
        if (observed != inst->observed) {
            inst->observed = observed;
            inst->settled_ms = clock_mono_ms();
            changed = true;
        }
        inst->progress = 0;
    }
    if (changed)
        instance_touch(&inst->reconcile->table, inst);
}

void reconcile_fail(struct instance *inst, const struct failure *failure)
{
    inst->pending = false;
    set_error(inst, failure->code, failure->message);
    log_warn("instance failed",
             "instance=%s goal=%s generation=%" PRIu64 " attempt=%" PRIu64 " code=%s reason=\"%s\"",
             inst->id, goal_names[inst->goal], inst->generation, inst->attempt, inst->error_code,
             inst->error_message);
    reconcile_settle(inst, true);
    if (inst->container.id[0])
        observe_look(inst, inst->container.id);
}

void reconcile_reach(struct instance *inst)
{
    if (inst->kept.why.code) {
        reconcile_fail(inst, &inst->kept.why);
        return;
    }
    inst->pending = false;
    set_error(inst, "", "");
    log_info("instance settled", "instance=%s goal=%s generation=%" PRIu64 " ms=%" PRId64, inst->id,
             goal_names[inst->goal], inst->generation, clock_mono_ms() - inst->since_ms);
    reconcile_settle(inst, true);
    if (inst->goal == GOAL_REMOVED && inst->doubled)
        docker_watch_relist(inst->reconcile->watch);
}

/* The Engine is away: the panel is told, the goal stays. */
static void report_away(struct instance *inst)
{
    struct failure failure;
    failure_set(&failure, "docker_unavailable", "%s; this goes on as soon as it is back.",
                docker_watch_error(inst->reconcile->watch));
    if (strcmp(inst->error_code, failure.code) == 0 &&
        strcmp(inst->error_message, failure.message) == 0)
        return;
    set_error(inst, failure.code, failure.message);
    inst->observed = WIRE__OBSERVED__OBSERVED_FAILED;
    inst->progress = 0;
    instance_touch(&inst->reconcile->table, inst);
}

void reconcile_lose_engine(struct instance *inst)
{
    struct reconcile *reconcile = inst->reconcile;
    reconcile->ready = false;
    docker_watch_suspect(reconcile->watch);
    if (++inst->tries < TRIES_MAX) {
        reconcile_decide(inst); /* only to tell */
        return;
    }
    struct failure failure;
    failure_set(&failure, "docker_unavailable",
                "Docker broke the connection %d times in the middle of this.", TRIES_MAX);
    reconcile_fail(inst, &failure);
}

/* ---- Deciding ---- */

void reconcile_wait(struct instance *inst, const char *code)
{
    if (++inst->tries < TRIES_MAX) {
        steps_pause(inst);
        return;
    }
    struct failure failure;
    failure_set(&failure, code, "Docker has been busy with this container for too long.");
    if (sparing_fall_back(inst, &failure))
        steps_pause(inst);
    else
        reconcile_fail(inst, &failure);
}

static void decide_running(struct instance *inst)
{
    if (sparing_decide(inst))
        return;
    enum container_state state = inst->container.state;
    bool kept = inst->kept.why.code;
    if (kept && strcmp(inst->kept.container_id, inst->container.id) != 0) { /* gone meanwhile */
        reconcile_fail(inst, &inst->kept.why);
        return;
    }
    bool good = kept || (is_current(inst) &&
                         (reconcile_is_alive(&inst->container) || !is_bound_elsewhere(inst)));
    if (!kept && is_resizable(inst, &inst->container)) {
        steps_resize(inst);
        return;
    }
    if (!good && !inst->image_ready) {
        /* Fetched first, so that what runs now stops as late as possible. */
        steps_image(inst);
        return;
    }
    if (state != CONTAINER_NONE && state != CONTAINER_REMOVING && !good) {
        if (reconcile_is_alive(&inst->container))
            steps_stop(inst);
        else if (!is_bound_elsewhere(inst) && sparing_is_due(inst))
            steps_spare(inst);
        else
            steps_delete(inst);
        return;
    }
    switch (state) {
    case CONTAINER_NONE:
        if (!install_is_due(inst->reconcile->installs, inst->spec))
            steps_create(inst);
        else if (inst->spare.state != CONTAINER_NONE) /* the volume is to be another's */
            steps_drop(inst);
        else
            steps_install(inst);
        break;
    case CONTAINER_RUNNING:
    case CONTAINER_RESTARTING:
        reconcile_reach(inst);
        break;
    case CONTAINER_PAUSED:
        steps_unpause(inst);
        break;
    case CONTAINER_CREATED:
    case CONTAINER_EXITED:
        steps_start(inst);
        break;
    case CONTAINER_DEAD:
        steps_delete(inst);
        break;
    case CONTAINER_REMOVING:
        reconcile_wait(inst, "create_failed");
        break;
    }
}

static void decide_stopped(struct instance *inst)
{
    if (sparing_halt(inst))
        return;
    if (is_satisfied(inst))
        reconcile_reach(inst);
    else if (inst->container.state == CONTAINER_REMOVING)
        reconcile_wait(inst, "stop_failed");
    else
        steps_stop(inst);
}

static void decide_removed(struct instance *inst)
{
    if (inst->container.state == CONTAINER_REMOVING)
        reconcile_wait(inst, "remove_failed");
    else if (inst->container.state != CONTAINER_NONE)
        steps_delete(inst);
    else if (inst->spare.state != CONTAINER_NONE)
        steps_drop(inst);
    else if (!inst->looked_up)
        steps_lookup(inst);
    else
        steps_erase(inst);
}

void reconcile_decide(struct instance *inst)
{
    struct reconcile *reconcile = inst->reconcile;
    if (!inst->pending || inst->step != STEP_IDLE)
        return;
    if (!reconcile->ready) {
        if (docker_watch_is_down(reconcile->watch))
            report_away(inst);
        return;
    }
    switch (inst->goal) {
    case GOAL_RUNNING:
        decide_running(inst);
        break;
    case GOAL_STOPPED:
        decide_stopped(inst);
        break;
    case GOAL_REMOVED:
        decide_removed(inst);
        break;
    case GOAL_NONE:
        break;
    }
}

void reconcile_decide_all(struct reconcile *reconcile)
{
    struct instance *inst;
    struct instance *tmp;
    HASH_ITER(hh, reconcile->table.by_id, inst, tmp)
    reconcile_decide(inst);
}

/* ---- Requests ---- */

/* How the last goal ended must not be read as this one's outcome while the first step waits. */
static void report_begun(struct instance *inst)
{
    switch (inst->goal) {
    case GOAL_RUNNING:
        if (inst->observed == WIRE__OBSERVED__OBSERVED_RUNNING &&
            is_resizable(inst, &inst->container))
            break; /* it runs on */
        reconcile_report(inst, inst->container.state == CONTAINER_NONE
                                   ? WIRE__OBSERVED__OBSERVED_CREATING
                                   : WIRE__OBSERVED__OBSERVED_STARTING);
        break;
    case GOAL_STOPPED:
        reconcile_report(inst, WIRE__OBSERVED__OBSERVED_STOPPING);
        break;
    case GOAL_REMOVED:
        reconcile_report(inst, WIRE__OBSERVED__OBSERVED_REMOVING);
        break;
    case GOAL_NONE:
        break;
    }
}

void reconcile_again(struct instance *inst)
{
    inst->pending = true;
    inst->looked_up = false;
    inst->tries = 0;
    inst->since_ms = clock_mono_ms();
}

static void begin_goal(struct instance *inst, enum instance_goal goal, uint64_t generation,
                       bool same_image)
{
    inst->goal = goal;
    inst->generation = generation;
    inst->work++;
    inst->image_ready = false;
    inst->resize_refused = false;
    inst->kept.why.code = NULL;
    reconcile_again(inst);
    set_error(inst, "", "");
    steps_interrupt(inst, same_image);
    if (inst->step == STEP_IDLE)
        report_begun(inst);
}

static int check_apply(const Wire__Apply *apply, struct err *err)
{
    char hash[HASH_SIZE];
    if (envelope_check_id(apply->instance_id) < 0)
        return err_set(err, ERR_INVALID, "bad_spec", "the instance id is not a usable one");
    if (apply->desired != WIRE__DESIRED__DESIRED_RUNNING &&
        apply->desired != WIRE__DESIRED__DESIRED_STOPPED)
        return err_set(err, ERR_INVALID, "bad_spec", "desired is neither running nor stopped");
    if (strlen(apply->stop_command) > STOP_COMMAND_MAX ||
        apply->stop_grace_seconds > STOP_GRACE_MAX)
        return err_set(err, ERR_INVALID, "bad_spec", "the way to stop is too long");
    if (!apply->spec)
        return err_set(err, ERR_INVALID, "bad_spec", "there is no spec");
    if (container_spec_check(apply->spec, err) < 0 ||
        envelope_spec_hash(apply->spec, hash, err) < 0)
        return -1;
    if (strcmp(hash, apply->spec_hash) != 0)
        return err_set(err, ERR_INVALID, "bad_spec", "the spec's hash is not the one given");
    return 0;
}

static int check_generation(const struct instance *inst, uint64_t generation, bool removing,
                            struct err *err)
{
    if (generation < inst->generation ||
        (generation == inst->generation && inst->goal == GOAL_REMOVED && !removing))
        return err_set(err, ERR_CONFLICT, "stale_generation",
                       "generation %" PRIu64 " is older than %" PRIu64 ", which the agent knows",
                       generation, inst->generation);
    return 0;
}

static struct instance *find_or_add(struct reconcile *reconcile, const char *id, struct err *err)
{
    struct instance *inst = instance_find(&reconcile->table, id);
    if (inst)
        return inst;
    inst = instance_insert(&reconcile->table, id);
    if (!inst) {
        err_set(err, ERR_NO_MEMORY, "out_of_memory", "the node's agent has no memory left");
        return NULL;
    }
    inst->reconcile = reconcile;
    return inst;
}

int reconcile_apply(struct reconcile *reconcile, Wire__Apply *apply, struct err *err)
{
    if (check_apply(apply, err) < 0)
        return -1;
    struct instance *inst = find_or_add(reconcile, apply->instance_id, err);
    if (!inst || check_generation(inst, apply->generation, false, err) < 0)
        return -1;
    enum instance_goal goal =
        apply->desired == WIRE__DESIRED__DESIRED_RUNNING ? GOAL_RUNNING : GOAL_STOPPED;
    bool repeated = inst->goal == goal && apply->generation == inst->generation &&
                    apply->attempt <= inst->attempt &&
                    strcmp(inst->spec_hash, apply->spec_hash) == 0;
    if (repeated && inst->pending)
        return 0;
    if (repeated && (inst->error_code[0] || is_satisfied(inst))) {
        instance_touch(&reconcile->table, inst);
        return 0;
    }
    char base_hash[HASH_SIZE];
    if (container_spec_base_hash(apply->spec, base_hash, err) < 0)
        return -1;
    char *stop_command = NULL;
    if (apply->stop_command[0] && !(stop_command = strdup(apply->stop_command)))
        return err_nomem(err);
    bool same_image = inst->spec && strcmp(inst->spec->image, apply->spec->image) == 0 &&
                      inst->spec->pull_round == apply->spec->pull_round;
    if (inst->spec)
        wire__instance_spec__free_unpacked(inst->spec, NULL);
    inst->spec = apply->spec;
    apply->spec = NULL;
    if (apply->generation > inst->generation || apply->attempt > inst->attempt)
        inst->attempt = apply->attempt;
    memcpy(inst->spec_hash, apply->spec_hash, sizeof(inst->spec_hash));
    memcpy(inst->base_hash, base_hash, sizeof(inst->base_hash));
    free(inst->stop.command);
    inst->stop.command = stop_command;
    inst->stop.grace_s = apply->stop_grace_seconds;
    inst->stop.kill = apply->kill;
    snprintf(inst->node_address, sizeof(inst->node_address), "%s", apply->node_address);
    begin_goal(inst, goal, apply->generation, same_image);
    instance_touch(&reconcile->table, inst);
    if (inst->step == STEP_IDLE && is_satisfied(inst) && reconcile->ready)
        reconcile_reach(inst);
    reconcile_decide(inst);
    return 0;
}

int reconcile_remove(struct reconcile *reconcile, const Wire__Remove *remove, struct err *err)
{
    if (envelope_check_id(remove->instance_id) < 0 ||
        (remove->volume_id[0] && envelope_check_id(remove->volume_id) < 0))
        return err_set(err, ERR_INVALID, "bad_spec", "an id is not a usable one");
    struct instance *inst = find_or_add(reconcile, remove->instance_id, err);
    if (!inst || check_generation(inst, remove->generation, true, err) < 0)
        return -1;
    bool repeated = inst->goal == GOAL_REMOVED && remove->generation == inst->generation &&
                    strcmp(inst->volume_id, remove->volume_id) == 0;
    bool is_new_attempt = remove->generation > inst->generation || remove->attempt > inst->attempt;
    if (is_new_attempt)
        inst->attempt = remove->attempt;
    if (repeated && inst->pending)
        return 0;
    if (repeated && (is_satisfied(inst) || (inst->error_code[0] && !is_new_attempt))) {
        instance_touch(&reconcile->table, inst);
        return 0;
    }
    snprintf(inst->volume_id, sizeof(inst->volume_id), "%s", remove->volume_id);
    begin_goal(inst, GOAL_REMOVED, remove->generation, false);
    reconcile_report(inst, WIRE__OBSERVED__OBSERVED_REMOVING);
    reconcile_decide(inst);
    return 0;
}

/* ---- Life ---- */

int reconcile_create(struct loop *loop, const char *state_dir, const char *panel_id,
                     const struct install_limits *limits, void (*changed)(void *arg),
                     void *changed_arg, struct reconcile **ret, struct err *err)
{
    struct reconcile *reconcile = calloc(1, sizeof(*reconcile));
    if (!reconcile)
        return err_nomem(err);
    reconcile->loop = loop;
    reconcile->panel_id = panel_id;
    instance_table_init(&reconcile->table, changed, changed_arg);
    struct docker_watch_events events = observe_events;
    events.arg = reconcile;
    reconcile->volumes = volumes_create(state_dir, loop, err);
    if (!reconcile->volumes)
        goto fail;
    reconcile->installs = installs_create(state_dir, loop, limits, err);
    if (!reconcile->installs)
        goto fail;
    reconcile->docker = docker_create(loop->http);
    if (!reconcile->docker) {
        err_nomem(err);
        goto fail;
    }
    reconcile->watch =
        docker_watch_create(reconcile->docker, &loop->timers, panel_id, &events, err);
    if (!reconcile->watch)
        goto fail;
    *ret = reconcile;
    return 0;
fail:
    reconcile_destroy(reconcile);
    return -1;
}

void reconcile_destroy(struct reconcile *reconcile)
{
    if (!reconcile)
        return;
    docker_watch_destroy(reconcile->watch);
    installs_destroy(reconcile->installs);
    volumes_destroy(reconcile->volumes);
    struct instance *inst;
    struct instance *tmp;
    HASH_ITER(hh, reconcile->table.by_id, inst, tmp)
    {
        steps_abandon(inst);
        docker_call_cancel(inst->look);
        instance_drop(&reconcile->table, inst);
    }
    docker_destroy(reconcile->docker);
    free(reconcile);
}

const struct instance_table *reconcile_table(const struct reconcile *reconcile)
{
    return &reconcile->table;
}

void reconcile_set_install_limits(struct reconcile *reconcile, const struct install_limits *limits)
{
    installs_set_limits(reconcile->installs, limits);
}

bool reconcile_is_inventory_ready(const struct reconcile *reconcile)
{
    return reconcile->inventory_ready;
}

void reconcile_fill_docker(const struct reconcile *reconcile, Wire__DockerStatus *ret_status)
{
    wire__docker_status__init(ret_status);
    ret_status->up = docker_watch_is_up(reconcile->watch);
    ret_status->version = (char *)docker_version(reconcile->docker);
    ret_status->api_version = (char *)docker_api_version(reconcile->docker);
    ret_status->error = (char *)docker_watch_error(reconcile->watch);
}

void reconcile_forget_old(struct reconcile *reconcile, uint64_t cursor)
{
    int64_t before = clock_mono_ms() - KEEP_GONE_MS;
    struct instance *inst;
    struct instance *tmp;
    HASH_ITER(hh, reconcile->table.by_id, inst, tmp)
    {
        bool gone = inst->container.state == CONTAINER_NONE &&
                    inst->spare.state == CONTAINER_NONE && !inst->pending &&
                    (inst->goal == GOAL_REMOVED || inst->goal == GOAL_NONE);
        if (gone && !inst->error_code[0] && inst->step == STEP_IDLE && !inst->look &&
            inst->settled_ms < before && inst->change_seq <= cursor)
            instance_drop(&reconcile->table, inst);
    }
}
