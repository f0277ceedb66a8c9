/* What the fleet saw, on its way into the store: one change an instance or node at a time, the
 * latest state only. Answers come back to the loop as tasks. A store that is too busy, or a disk
 * that is full, is asked again a second later; what is in memory is not lost meanwhile. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "panel/fleet/state.h"

#define WRITE_AGAIN_MS   1000
#define OUTRANK_EVERY_MS 1000

enum write_kind { WRITE_FACTS, WRITE_OUTRANK, WRITE_CHOOSE, WRITE_UNDO, WRITE_RISE, WRITE_FORGET };

struct instance_write {
    struct store_change change; /* first */
    struct task task;
    struct fleet *fleet;
    char id[ID_SIZE];
    char node[ID_SIZE];
    uint64_t generation;
    enum instance_phase phase;
    enum instance_observed observed;
    char container_id[65];
    char error_code[40];
    char error_message[ERROR_MESSAGE_SIZE];
    uint32_t progress;
    int64_t exit_at;
    int32_t exit_code;
    bool exit_oom_killed;
    bool proven;
    uint64_t seen_generation; /* to outrank */
    enum write_kind kind;
    bool orphan;
    bool failed;
};

static struct instance_write *write_of(struct task *task)
{
    return (struct instance_write *)((char *)task - offsetof(struct instance_write, task));
}

static int write_apply(struct store_change *change, struct store_tx *tx, struct err *err)
{
    struct instance_write *write = (struct instance_write *)change;
    switch (write->kind) {
    case WRITE_FORGET:
        return write->orphan ? store_removal_end(tx, write->id, err)
                             : store_instance_forget(tx, write->id, err);
    case WRITE_OUTRANK:
        return store_instance_outrank(tx, write->id, write->seen_generation, err);
    case WRITE_CHOOSE:
        return store_instance_choose_ports(tx, write->id, write->generation,
                                           &write->fleet->settings.auto_ports, err);
    case WRITE_UNDO:
        return store_instance_undo(tx, write->id, write->generation, write->error_code,
                                   write->error_message, err);
    case WRITE_RISE:
        return store_instance_power_on(tx, write->id, write->generation, err);
    case WRITE_FACTS:
        break;
    }
    struct instance_facts facts = {
        .id = write->id,
        .generation = write->generation,
        .phase = write->phase,
        .observed = write->observed,
        .container_id = write->container_id,
        .error_code = write->error_code,
        .error_message = write->error_message,
        .progress_percent = write->progress,
        .exit_at = write->exit_at,
        .exit_code = write->exit_code,
        .exit_oom_killed = write->exit_oom_killed,
        .proven = write->proven,
    };
    return store_instance_observe(tx, &facts, err);
}

/* It runs as its last change wants it: what was before can be forgotten. */
static bool is_proven(const struct fleet_instance *inst)
{
    return inst->changing && !inst->down && inst->phase == PHASE_READY &&
           inst->observed == OBSERVED_RUNNING && inst->want_spec &&
           inst->want_spec == inst->has_spec;
}

/* No write of it is under way any more: what is the next? */
static void write_next(struct fleet_instance *inst)
{
    if (inst->forgetting)
        instance_forget(inst);
    else if (inst->seen_generation > inst->generation)
        instance_outrank(inst);
    else if (inst->choosing)
        instance_drive(inst); /* its deadline may have passed meanwhile */
    else if (inst->dirty)
        instance_persist(inst);
}

static void try_again(struct timer *timer)
{
    write_next(
        (struct fleet_instance *)((char *)timer - offsetof(struct fleet_instance, write_timer)));
}

static void later(struct fleet_instance *inst)
{
    inst->dirty = true;
    inst->write_timer.fire = try_again;
    timers_set(&inst->fleet->timers, &inst->write_timer, clock_mono_ms() + WRITE_AGAIN_MS);
}

static void forgotten(struct fleet_instance *inst)
{
    (void)FAILPOINT("panel.forget.committed");
    struct fleet_node *node = inst->node;
    log_info("instance removed", "instance=%s node=%s", inst->id, node->id);
    instance_free(inst);
    node_remove_if_empty(node);
}

static void write_home(struct task *task)
{
    (void)FAILPOINT("panel.result.committed");
    struct instance_write *write = write_of(task);
    struct fleet_instance *inst;
    HASH_FIND_STR(write->fleet->instances, write->id, inst);
    write->fleet->writes--;
    if (inst) {
        inst->writing = false;
        if (write->failed) {
            later(inst);
        } else if (write->kind == WRITE_FORGET) {
            forgotten(inst);
        } else if (write->kind != WRITE_FACTS) { /* the wish is another now */
            if (instance_reload(inst->fleet, inst->id) == inst)
                instance_drive(inst);
        } else {
            if (write->generation == inst->generation) {
                inst->committed_phase = write->phase;
                inst->committed_observed = write->observed;
                if (write->proven) {
                    inst->changing = false;
                    instance_mark_written(inst);
                }
                waits_check(inst);
            }
            write_next(inst);
        }
    }
    free(write);
}

static void write_done(struct store_change *change, const struct err *err)
{
    struct instance_write *write = (struct instance_write *)change;
    write->failed = err != NULL;
    if (err)
        log_warn("instance not written", "instance=%s node=%s reason=\"%s\"", write->id,
                 write->node, err->msg);
    task_post(&write->fleet->inbox, &write->task, write_home);
}

static int submit(struct fleet_instance *inst, enum write_kind kind, struct err *err)
{
    struct instance_write *write = calloc(1, sizeof(*write));
    if (!write)
        return err_nomem(err);
    write->change.apply = write_apply;
    write->change.done = write_done;
    write->fleet = inst->fleet;
    write->generation = inst->generation;
    write->phase = inst->phase;
    write->observed = inst->observed;
    write->progress = inst->progress;
    write->exit_at = inst->exit_at;
    write->exit_code = inst->exit_code;
    write->exit_oom_killed = inst->exit_oom_killed;
    write->proven = is_proven(inst);
    write->kind = kind;
    write->seen_generation = inst->seen_generation;
    write->orphan = inst->orphan;
    snprintf(write->id, sizeof(write->id), "%s", inst->id);
    snprintf(write->node, sizeof(write->node), "%s", inst->node->id);
    memcpy(write->container_id, inst->container_id, sizeof(write->container_id));
    snprintf(write->error_code, sizeof(write->error_code), "%s", instance_error_code(inst));
    snprintf(write->error_message, sizeof(write->error_message), "%s",
             instance_error_message(inst));
    if (store_submit(inst->fleet->store, &write->change, err) < 0) {
        free(write);
        return -1;
    }
    inst->fleet->writes++;
    inst->writing = true;
    inst->dirty = false;
    return 0;
}

/* One number for all that is written, so that equal facts are not written twice. */
static uint64_t facts_digest(const struct fleet_instance *inst)
{
    uint64_t h = 1469598103934665603u;
    const char *texts[] = {inst->container_id, instance_error_code(inst),
                           instance_error_message(inst)};
    for (size_t i = 0; i < 3; i++) {
        for (const char *p = texts[i]; *p; p++)
            h = (h ^ (unsigned char)*p) * 1099511628211u;
        h = (h ^ 0x100) * 1099511628211u;
    }
    uint64_t numbers[] = {inst->generation,        inst->phase,    inst->observed, inst->progress,
                          (uint64_t)inst->exit_at, is_proven(inst)};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        h = (h ^ numbers[i]) * 1099511628211u;
    return h;
}

void instance_mark_written(struct fleet_instance *inst)
{
    inst->written_digest = facts_digest(inst);
}

void instance_persist(struct fleet_instance *inst)
{
    struct err err = {0};
    uint64_t digest = facts_digest(inst);
    if (inst->orphan || (digest == inst->written_digest && !inst->dirty)) {
        waits_check(inst);
        return;
    }
    if (inst->writing) {
        inst->dirty = true;
        return;
    }
    if (submit(inst, WRITE_FACTS, &err) < 0) {
        log_warn("instance not written", "instance=%s node=%s reason=\"%s\"", inst->id,
                 inst->node->id, err.msg);
        later(inst);
        return;
    }
    inst->written_digest = digest;
}

void instance_forget(struct fleet_instance *inst)
{
    struct err err = {0};
    inst->forgetting = true;
    if (inst->writing)
        return; /* it goes on when that write has come home */
    if (submit(inst, WRITE_FORGET, &err) < 0) {
        log_warn("instance not forgotten", "instance=%s node=%s reason=\"%s\"", inst->id,
                 inst->node->id, err.msg);
        later(inst);
    }
}

/* A node that refuses every generation gets no more than one of them a second. */
static bool is_outranked_too_often(struct fleet_instance *inst)
{
    int64_t now = clock_mono_ms();
    if (inst->outranked && now < inst->outranked + OUTRANK_EVERY_MS) {
        apply_come_back(inst, OUTRANK_EVERY_MS);
        return true;
    }
    inst->outranked = now;
    return false;
}

/* A wish that the fleet itself changes. */
static void change_wish(struct fleet_instance *inst, enum write_kind kind)
{
    struct err err = {0};
    timers_cancel(&inst->fleet->timers, &inst->timer);
    inst->retry_set = false;
    if (inst->writing)
        return; /* it goes on when that write has come home */
    if (submit(inst, kind, &err) < 0) {
        log_warn("instance not written", "instance=%s node=%s reason=\"%s\"", inst->id,
                 inst->node->id, err.msg);
        later(inst);
    }
}

void instance_outrank(struct fleet_instance *inst)
{
    if (is_outranked_too_often(inst))
        return;
    if (inst->orphan) { /* nothing but the number in memory counts */
        inst->generation = inst->seen_generation + 1;
        instance_drive(inst);
        return;
    }
    if (!inst->writing)
        log_warn("the node knows a later state of it than the database",
                 "instance=%s node=%s generation=%" PRIu64 " known=%" PRIu64, inst->id,
                 inst->node->id, inst->generation, inst->seen_generation);
    change_wish(inst, WRITE_OUTRANK);
}

void instance_choose_ports(struct fleet_instance *inst)
{
    if (!inst->writing)
        log_info("other host ports are chosen", "instance=%s node=%s reason=\"%s\"", inst->id,
                 inst->node->id, instance_error_message(inst));
    change_wish(inst, WRITE_CHOOSE);
}

void instance_undo(struct fleet_instance *inst)
{
    if (!inst->writing)
        log_warn("change undone", "instance=%s node=%s code=%s reason=\"%s\"", inst->id,
                 inst->node->id, instance_error_code(inst), instance_error_message(inst));
    change_wish(inst, WRITE_UNDO);
}

void instance_rise(struct fleet_instance *inst)
{
    change_wish(inst, WRITE_RISE);
}

/* --- nodes ----------------------------------------------------------------------------------- */

struct node_write {
    struct store_change change; /* first */
    struct task task;
    struct fleet *fleet;
    char id[ID_SIZE];
    struct node_facts facts;
    char agent_version[32];
    char docker_version[32];
    bool forget;
    bool failed;
};

static int node_apply(struct store_change *change, struct store_tx *tx, struct err *err)
{
    struct node_write *write = (struct node_write *)change;
    return write->forget ? store_node_forget(tx, write->id, err)
                         : store_node_observe(tx, &write->facts, err);
}

static void node_forgotten(struct fleet_node *node, bool failed)
{
    if (failed)
        fleet_rescan_later(node->fleet);
    else if (!node->instances) /* the row of one that was loaded meanwhile has kept the node's */
        node_remove(node);
}

static void facts_home(struct fleet_node *node, bool failed)
{
    node->facts_writing = false;
    if (failed) {
        node->facts_dirty = true; /* the next answer of the node brings it again */
        return;
    }
    if (!node->facts_written) {
        node->facts_written = true;
        node_facts_committed(node);
    }
    if (node->facts_dirty)
        node_persist(node);
}

static void node_home(struct task *task)
{
    struct node_write *write =
        (struct node_write *)((char *)task - offsetof(struct node_write, task));
    struct fleet_node *node;
    write->fleet->writes--;
    HASH_FIND_STR(write->fleet->nodes, write->id, node);
    if (node && write->forget)
        node_forgotten(node, write->failed);
    else if (node)
        facts_home(node, write->failed);
    free(write);
}

static void node_done(struct store_change *change, const struct err *err)
{
    struct node_write *write = (struct node_write *)change;
    write->failed = err != NULL;
    task_post(&write->fleet->inbox, &write->task, node_home);
}

static int node_submit(struct fleet_node *node, bool forget)
{
    struct err err = {0};
    struct node_write *write = calloc(1, sizeof(*write));
    if (!write)
        return -1;
    write->change.apply = node_apply;
    write->change.done = node_done;
    write->fleet = node->fleet;
    write->forget = forget;
    memcpy(write->id, node->id, sizeof(write->id));
    memcpy(write->agent_version, node->live.agent_version, sizeof(write->agent_version));
    memcpy(write->docker_version, node->live.docker_version, sizeof(write->docker_version));
    write->facts = (struct node_facts){
        .id = write->id,
        .last_seen = node->live.last_seen,
        .agent_version = write->agent_version,
        .docker_version = write->docker_version,
        .capacity_memory_mib = node->memory_mib,
        .capacity_cpus = node->cpus,
        .capacity_disk_mib = node->disk_mib,
        .status = node_status_name(node->live.status),
    };
    if (store_submit(node->fleet->store, &write->change, &err) < 0) {
        log_warn("node not written", "node=%s reason=\"%s\"", node->id, err.msg);
        free(write);
        return -1;
    }
    node->fleet->writes++;
    return 0;
}

void node_persist(struct fleet_node *node)
{
    node->facts_dirty = true;
    if (node->facts_writing || !node->memory_mib || node_submit(node, false) < 0)
        return;
    node->facts_writing = true;
    node->facts_dirty = false;
}

void node_forget(struct fleet_node *node)
{
    if (node_submit(node, true) < 0)
        fleet_rescan_later(node->fleet);
}
