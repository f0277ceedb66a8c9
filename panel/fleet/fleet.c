/* The fleet's loop and its doors. See fleet.h.
 *
 * One thread: it takes tasks from the inbox (notices, calls come home, pipes, writes committed)
 * and fires timers; nothing in it waits. At its end callers that wait are told so, links are
 * cut, and it runs on until the last call and the last write have come home. */
#include "panel/fleet/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "panel/fleet/state.h"
#include "panel/metrics/pulse.h"

#define LINKS_END_MS 2000 /* nng may lose the end of a connection */
#define RESCAN_MS    5000

struct notice {
    struct task task;
    void (*act)(const struct notice *notice);
    struct fleet *fleet;
    char id[ID_SIZE];
};

/* --- loading --------------------------------------------------------------------------------- */

/* One that can't be loaded now keeps none of the others from being so. */
static int load_failed(struct fleet *fleet, const char *id, const struct err *err)
{
    log_error("not loaded", "id=%s reason=\"%s\"", id, err->msg);
    fleet_rescan_later(fleet);
    return 0;
}

static int load_node(const struct node *row, void *arg, struct err *err)
{
    struct fleet *fleet = arg;
    struct fleet_node *node;
    HASH_FIND_STR(fleet->nodes, row->id, node);
    if (node)
        node_update(node, row);
    else if (!node_add(fleet, row, err))
        return load_failed(fleet, row->id, err);
    return 0;
}

static int load_instance(const struct instance *row, void *arg, struct err *err)
{
    struct fleet *fleet = arg;
    struct fleet_instance *inst;
    HASH_FIND_STR(fleet->instances, row->id, inst);
    if (inst)
        instance_update(inst, row);
    else if (!instance_add(fleet, row, err))
        return load_failed(fleet, row->id, err);
    return 0;
}

static int load_removal(const struct removal *removal, void *arg, struct err *err)
{
    struct fleet *fleet = arg;
    struct fleet_instance *inst;
    HASH_FIND_STR(fleet->instances, removal->instance_id, inst);
    if (!inst && !instance_add_removal(fleet, removal, err))
        return load_failed(fleet, removal->instance_id, err);
    return 0;
}

static void drive_all(struct fleet *fleet)
{
    struct fleet_instance *inst;
    struct fleet_instance *next;
    struct fleet_node *node;
    struct fleet_node *next_node;
    HASH_ITER(hh, fleet->instances, inst, next)
    instance_drive(inst);
    HASH_ITER(hh, fleet->nodes, node, next_node)
    node_remove_if_empty(node);
}

static void load_all(struct fleet *fleet)
{
    struct err err = {0};
    if (store_node_scan(fleet->store, NULL, load_node, fleet, &err) < 0 ||
        store_instance_scan(fleet->store, NULL, NULL, load_instance, fleet, &err) < 0 ||
        store_removal_scan(fleet->store, NULL, load_removal, fleet, &err) < 0) {
        log_error("fleet not loaded", "reason=\"%s\"", err.msg);
        fleet_rescan_later(fleet);
    } else {
        atomic_store(&fleet->loaded, true);
    }
    drive_all(fleet);
}

static void rescan_due(struct timer *timer)
{
    struct fleet *fleet = (struct fleet *)((char *)timer - offsetof(struct fleet, rescan_timer));
    if (!atomic_load(&fleet->stopping))
        load_all(fleet);
}

void fleet_rescan_later(struct fleet *fleet)
{
    if (timer_is_set(&fleet->rescan_timer))
        return;
    fleet->rescan_timer.fire = rescan_due;
    timers_set(&fleet->timers, &fleet->rescan_timer, clock_mono_ms() + RESCAN_MS);
}

/* --- notices --------------------------------------------------------------------------------- */

static void rescan(struct task *task)
{
    struct fleet *fleet = (struct fleet *)((char *)task - offsetof(struct fleet, rescan_task));
    atomic_store(&fleet->rescan_posted, false);
    if (!atomic_load(&fleet->stopping)) /* what was loaded now nobody would unload */
        load_all(fleet);
}

static void take_notice(struct task *task)
{
    struct notice *notice = (struct notice *)task;
    if (!atomic_load(&notice->fleet->stopping))
        notice->act(notice);
    free(notice);
}

static void post_notice(struct fleet *fleet, const char *id, void (*act)(const struct notice *))
{
    struct notice *notice = calloc(1, sizeof(*notice));
    if (notice) {
        notice->act = act;
        notice->fleet = fleet;
        snprintf(notice->id, sizeof(notice->id), "%s", id);
        task_post(&fleet->inbox, &notice->task, take_notice);
    } else if (!atomic_exchange(&fleet->rescan_posted, true)) {
        task_post(&fleet->inbox, &fleet->rescan_task, rescan);
    }
}

static void instance_noticed(const struct notice *notice)
{
    struct fleet_instance *inst = instance_reload(notice->fleet, notice->id);
    if (inst)
        instance_drive(inst);
}

/* What is wanted of all that is on it has changed with it. */
static void reload_of_node(struct fleet *fleet, struct fleet_node *node)
{
    struct fleet_instance *inst;
    struct fleet_instance *next;
    struct err err = {0};
    if (store_instance_scan(fleet->store, node->id, NULL, load_instance, fleet, &err) < 0) {
        log_warn("instances not loaded", "node=%s reason=\"%s\"", node->id, err.msg);
        fleet_rescan_later(fleet);
    }
    for (inst = node->instances; inst; inst = next) {
        next = inst->next;
        instance_drive(inst);
    }
}

static void node_noticed(const struct notice *notice)
{
    struct fleet *fleet = notice->fleet;
    struct fleet_node *node;
    struct err err = {0};
    HASH_FIND_STR(fleet->nodes, notice->id, node);
    bool was_drained = node && node->drained;
    int rows = store_node_scan(fleet->store, notice->id, load_node, fleet, &err);
    HASH_FIND_STR(fleet->nodes, notice->id, node);
    if (rows < 0) {
        log_warn("node not loaded", "node=%s reason=\"%s\"", notice->id, err.msg);
        fleet_rescan_later(fleet);
    } else if (rows == 0 && node) {
        node_remove(node);
    } else if (node && (node->deleted || node->drained != was_drained)) {
        reload_of_node(fleet, node);
        node_remove_if_empty(node);
    }
}

void fleet_notice_instance(struct fleet *fleet, const char *instance_id)
{
    post_notice(fleet, instance_id, instance_noticed);
}

void fleet_notice_node(struct fleet *fleet, const char *node_id)
{
    post_notice(fleet, node_id, node_noticed);
}

int fleet_wait_instance(struct fleet *fleet, const char *instance_id, enum fleet_goal goal,
                        uint32_t timeout_ms, void (*fn)(void *arg, enum fleet_outcome outcome),
                        void *arg, struct err *err)
{
    struct wait *wait = calloc(1, sizeof(*wait));
    if (!wait)
        return err_nomem(err);
    wait->fleet = fleet;
    wait->goal = goal;
    wait->timeout_ms = timeout_ms;
    wait->fn = fn;
    wait->arg = arg;
    snprintf(wait->id, sizeof(wait->id), "%s", instance_id);
    task_post(&fleet->inbox, &wait->task, wait_add);
    return 0;
}

bool fleet_is_loaded(struct fleet *fleet)
{
    return atomic_load(&fleet->loaded);
}

struct board *fleet_board(struct fleet *fleet)
{
    return fleet->board;
}

/* --- the loop -------------------------------------------------------------------------------- */

static void run_tasks(struct fleet *fleet, int64_t until)
{
    pulse_rest(PULSE_FLEET);
    struct mail *mail = mailbox_take(&fleet->inbox, until);
    pulse_work(PULSE_FLEET);
    while (mail) {
        struct task *task = (struct task *)mail;
        mail = mail->next; /* run() may free the task */
        task->run(task);
    }
    timers_run(&fleet->timers, clock_mono_ms());
}

static void end_waits(struct fleet *fleet)
{
    struct fleet_instance *inst;
    struct fleet_instance *next;
    fleet->closed = true;
    HASH_ITER(hh, fleet->instances, inst, next)
    waits_end(inst, FLEET_CLOSED);
    stats_end_waits(fleet);
}

static void run_end_waits(struct task *task)
{
    end_waits((struct fleet *)((char *)task - offsetof(struct fleet, end_waits_task)));
}

void fleet_end_waits(struct fleet *fleet)
{
    task_post(&fleet->inbox, &fleet->end_waits_task, run_end_waits);
}

struct retiming {
    struct task task;
    struct fleet *fleet;
    struct fleet_settings settings;
};

static void retime(struct task *task)
{
    struct retiming *retiming = (struct retiming *)task;
    struct fleet_settings *settings = &retiming->fleet->settings;
    settings->beat_ms = retiming->settings.beat_ms;
    settings->install_timeout_ms = retiming->settings.install_timeout_ms;
    settings->stop_timeout_ms = retiming->settings.stop_timeout_ms;
    free(retiming);
}

int fleet_retime(struct fleet *fleet, const struct fleet_settings *settings, struct err *err)
{
    struct retiming *retiming = calloc(1, sizeof(*retiming));
    if (!retiming)
        return err_nomem(err);
    retiming->fleet = fleet;
    retiming->settings = *settings;
    task_post(&fleet->inbox, &retiming->task, retime);
    return 0;
}

static void stop(struct task *task)
{
    struct fleet *fleet = (struct fleet *)((char *)task - offsetof(struct fleet, stop_task));
    atomic_store(&fleet->stopping, true);
}

static void *fleet_main(void *arg)
{
    struct fleet *fleet = arg;
    pulse_work(PULSE_FLEET);
    load_all(fleet);
    while (!atomic_load(&fleet->stopping))
        run_tasks(fleet, timers_next(&fleet->timers));
    end_waits(fleet);
    struct fleet_node *node;
    struct fleet_node *next;
    HASH_ITER(hh, fleet->nodes, node, next)
    node_remove(node);
    int64_t patience = clock_mono_ms() + LINKS_END_MS;
    while (fleet->writes || (link_lingering() && clock_mono_ms() < patience))
        run_tasks(fleet, clock_mono_ms() + 100);
    link_silence();
    run_tasks(fleet, 0); /* pipe events posted just before */
    pulse_rest(PULSE_FLEET);
    return NULL;
}

static void answer_heart(struct task *task)
{
    heart_beat(&((struct fleet *)((char *)task - offsetof(struct fleet, heart_task)))->heart);
}

static void ask_loop(struct heart *heart)
{
    struct fleet *fleet = (struct fleet *)((char *)heart - offsetof(struct fleet, heart));
    task_post(&fleet->inbox, &fleet->heart_task, answer_heart);
}

struct heart *fleet_heart(struct fleet *fleet)
{
    return &fleet->heart;
}

int fleet_create(struct store *store, struct ca *ca, const struct fleet_settings *settings,
                 struct fleet **ret_fleet, struct err *err)
{
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    if (!fleet)
        return err_nomem(err);
    fleet->store = store;
    fleet->ca = ca;
    fleet->settings = *settings;
    fleet->dial_tail = &fleet->dial_queue;
    fleet->heart = (struct heart){.name = "fleet loop", .ask = ask_loop};
    /* Attempts go on rising over restarts: the epoch does, and is ahead of any count. */
    fleet->attempts = store_identity(store)->epoch << 10;
    if (board_create(&fleet->board, err) < 0) {
        free(fleet);
        return -1;
    }
    mailbox_init(&fleet->inbox, NULL, NULL);
    stats_init(fleet);
    int rc = pthread_create(&fleet->thread, NULL, fleet_main, fleet);
    if (rc != 0) {
        mailbox_fini(&fleet->inbox);
        board_destroy(fleet->board);
        free(fleet);
        return err_io(err, rc, "can't start the fleet's loop");
    }
    *ret_fleet = fleet;
    return 0;
}

void fleet_destroy(struct fleet *fleet)
{
    if (!fleet)
        return;
    task_post(&fleet->inbox, &fleet->stop_task, stop);
    pthread_join(fleet->thread, NULL);
    /* Notices that came after the end. */
    for (struct mail *mail = mailbox_take(&fleet->inbox, 0); mail;) {
        struct mail *next = mail->next;
        if (mail != &fleet->rescan_task.mail && mail != &fleet->end_waits_task.mail)
            free(mail);
        mail = next;
    }
    mailbox_fini(&fleet->inbox);
    dial_fini(fleet);
    stats_fini(fleet);
    board_destroy(fleet->board);
    free(fleet);
}
