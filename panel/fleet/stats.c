/* See stats.h.
 *
 * Who looks is a lease: it ends by itself, so nobody has to say that he has gone. While there is
 * one, Watch (watch.c) names what is looked at, and what comes is kept as the row of its instance;
 * a row that nothing new comes for is dropped. All on the fleet's thread, but for the rows, which
 * readers of all of them copy under the lock. */
#include "panel/fleet/stats.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/auto.h"
#include "common/clock.h"
#include "panel/fleet/state.h"

#define LOOK_MS     10000 /* how long who has asked once is taken to look */
#define FRESH_MS    1500  /* such a row is what is so now */
#define STALE_MS    5000
#define SWEEP_MS    2500
#define ONE_WAIT_MS 3000
#define ALL_WAIT_MS 1000 /* a node needs a quarter of it */
#define FEED_BYTES  (16u * 1024u)

struct kept_row {
    struct stats_row row; /* its id is the key */
    UT_hash_handle hh;
    int64_t heard; /* mono ms */
};

/* A reader who waits for the first rows. */
struct stats_wait {
    struct task task;
    struct timer deadline;
    struct stats_wait *prev, *next;
    struct fleet *fleet;
    char id[ID_SIZE]; /* "": of all */
    stats_fn fn;
    void (*ready)(void *arg); /* in its place, where all are waited for */
    void *arg;
};

struct stats_follower {
    struct task task;
    struct task leaving;
    struct fleet *fleet;
    char id[ID_SIZE];
    struct shared *(*render)(const struct stats_row *row);
    struct live_listener listener;
    struct stats_hub *hub;
    struct stats_follower *prev, *next; /* among the hub's */
    struct feed_reader reader;
    pthread_mutex_t lock;
    bool live; /* under it: the reader may be read */
    bool ended;
};

/* One instance that is looked at by itself. */
struct stats_hub {
    char id[ID_SIZE];
    UT_hash_handle hh;
    struct fleet *fleet;
    int64_t until; /* mono ms */
    struct feed *feed;
    struct stats_follower *followers;
};

void stats_init(struct fleet *fleet)
{
    pthread_mutex_init(&fleet->stats.lock, NULL);
}

/* --- rows ------------------------------------------------------------------------------------ */

static struct kept_row *find_row(struct fleet *fleet, const char *id)
{
    struct kept_row *row;
    HASH_FIND_STR(fleet->stats.rows, id, row);
    return row;
}

static void drop_row(struct fleet *fleet, struct kept_row *row)
{
    pthread_mutex_lock(&fleet->stats.lock);
    HASH_DEL(fleet->stats.rows, row);
    pthread_mutex_unlock(&fleet->stats.lock);
    free(row);
}

static void read_row(const Wire__Stats *told, const char *id, struct stats_row *row)
{
    *row = (struct stats_row){.running = told->running,
                              .volume_known = told->volume_known,
                              .at = clock_wall_ms(),
                              .uptime_ms = told->uptime_ms,
                              .cpu_milli = told->cpu_milli,
                              .cpu_ns = told->cpu_ns,
                              .memory_bytes = told->memory_bytes,
                              .memory_limit_bytes = told->memory_limit_bytes,
                              .received_bytes = told->received_bytes,
                              .sent_bytes = told->sent_bytes,
                              .read_bytes = told->read_bytes,
                              .written_bytes = told->written_bytes,
                              .volume_bytes = told->volume_bytes,
                              .pids = told->pids};
    snprintf(row->instance_id, sizeof(row->instance_id), "%s", id);
}

/* NULL without memory. */
static const struct stats_row *keep_row(struct fleet *fleet, const Wire__Stats *told,
                                        const char *id)
{
    struct kept_row *kept = find_row(fleet, id);
    bool is_new = !kept;
    if (is_new)
        kept = calloc(1, sizeof(*kept));
    if (!kept)
        return NULL;
    pthread_mutex_lock(&fleet->stats.lock);
    read_row(told, id, &kept->row);
    kept->heard = clock_mono_ms();
    if (is_new)
        HASH_ADD_STR(fleet->stats.rows, row.instance_id, kept);
    bool added = kept->hh.tbl != NULL;
    pthread_mutex_unlock(&fleet->stats.lock);
    if (added)
        return &kept->row;
    free(kept);
    return NULL;
}

/* --- looking --------------------------------------------------------------------------------- */

static void sweep(struct timer *timer);

static void look_again(struct fleet *fleet)
{
    struct timer *timer = &fleet->stats.timer;
    timer->fire = sweep;
    if (!timer_is_set(timer))
        timers_set(&fleet->timers, timer, clock_mono_ms() + SWEEP_MS);
}

static bool all_are_looked_at(const struct fleet *fleet)
{
    return atomic_load(&fleet->stats.all_until) > clock_mono_ms();
}

static struct stats_hub *find_hub(struct fleet *fleet, const char *id)
{
    struct stats_hub *hub;
    HASH_FIND_STR(fleet->stats.hubs, id, hub);
    return hub;
}

static void hub_close(struct stats_hub *hub)
{
    HASH_DEL(hub->fleet->stats.hubs, hub);
    feed_end(hub->feed);
    feed_unref(hub->feed);
    free(hub);
}

/* NULL without memory. */
static struct stats_hub *hub_look(struct fleet_instance *inst)
{
    struct fleet *fleet = inst->fleet;
    struct stats_hub *hub = find_hub(fleet, inst->id);
    bool is_new = !hub;
    if (is_new) {
        hub = calloc(1, sizeof(*hub));
        if (!hub)
            return NULL;
        hub->fleet = fleet;
        hub->feed = feed_create(FEED_BYTES);
        snprintf(hub->id, sizeof(hub->id), "%s", inst->id);
        if (hub->feed)
            HASH_ADD_STR(fleet->stats.hubs, id, hub);
        if (!hub->hh.tbl) {
            feed_unref(hub->feed);
            free(hub);
            return NULL;
        }
    }
    hub->until = clock_mono_ms() + LOOK_MS;
    look_again(fleet);
    if (is_new)
        watch_again(inst->node);
    return hub;
}

static void sweep(struct timer *timer)
{
    struct fleet *fleet = (struct fleet *)((char *)timer - offsetof(struct fleet, stats.timer));
    int64_t now = clock_mono_ms();
    struct kept_row *row;
    struct kept_row *next_row;
    struct stats_hub *hub;
    struct stats_hub *next;
    HASH_ITER(hh, fleet->stats.rows, row, next_row)
    {
        if (now - row->heard > STALE_MS)
            drop_row(fleet, row);
    }
    HASH_ITER(hh, fleet->stats.hubs, hub, next)
    {
        if (hub->followers) /* one that has gone is found out by writing to it */
            feed_wake(hub->feed);
        else if (hub->until < now)
            hub_close(hub);
    }
    if (fleet->stats.hubs || fleet->stats.rows || all_are_looked_at(fleet))
        timers_set(&fleet->timers, timer, now + SWEEP_MS);
}

/* --- what a Watch asks for and brings -------------------------------------------------------- */

size_t stats_watched(struct fleet_node *node, char **ids, size_t ids_max, bool *ret_all)
{
    struct fleet *fleet = node->fleet;
    struct stats_hub *hub;
    struct stats_hub *next;
    size_t count = 0;
    *ret_all = all_are_looked_at(fleet);
    if (*ret_all)
        return 0;
    HASH_ITER(hh, fleet->stats.hubs, hub, next)
    {
        struct fleet_instance *inst;
        HASH_FIND_STR(fleet->instances, hub->id, inst);
        if (inst && inst->node == node && count < ids_max)
            ids[count++] = hub->id;
    }
    return count;
}

static void wait_end(struct stats_wait *wait, const struct stats_row *row, const struct err *err)
{
    struct fleet *fleet = wait->fleet;
    timers_cancel(&fleet->timers, &wait->deadline);
    DL_DELETE(fleet->stats.waits, wait);
    if (wait->ready)
        wait->ready(wait->arg);
    else
        wait->fn(wait->arg, row, err);
    free(wait);
}

void stats_take(struct fleet_node *node, const Wire__Stats *told)
{
    struct fleet *fleet = node->fleet;
    struct fleet_instance *inst;
    HASH_FIND_STR(fleet->instances, told->instance_id, inst);
    struct stats_hub *hub = inst ? find_hub(fleet, inst->id) : NULL;
    if (!inst || inst->orphan || inst->node != node || (!hub && !all_are_looked_at(fleet)))
        return;
    const struct stats_row *row = keep_row(fleet, told, inst->id);
    if (!row)
        return;
    look_again(fleet);
    if (hub && hub->followers)
        feed_put(hub->feed, hub->followers->render(row), 1);
    struct stats_wait *wait;
    struct stats_wait *next;
    DL_FOREACH_SAFE(fleet->stats.waits, wait, next)
    {
        if (strcmp(wait->id, inst->id) == 0)
            wait_end(wait, row, NULL);
    }
}

void stats_node_ready(struct fleet_node *node)
{
    if (all_are_looked_at(node->fleet) || node->fleet->stats.hubs)
        watch_again(node);
}

void stats_instance_gone(struct fleet_instance *inst)
{
    struct fleet *fleet = inst->fleet;
    struct stats_hub *hub = find_hub(fleet, inst->id);
    struct kept_row *row = find_row(fleet, inst->id);
    if (row)
        drop_row(fleet, row);
    while (hub && hub->followers) {
        struct stats_follower *follower = hub->followers;
        DL_DELETE(hub->followers, follower);
        follower->hub = NULL;
    }
    if (hub)
        hub_close(hub);
}

void stats_end_waits(struct fleet *fleet)
{
    struct err err;
    err_set(&err, ERR_BUSY, "shutting_down", "The panel is shutting down; try again soon.");
    while (fleet->stats.waits)
        wait_end(fleet->stats.waits, NULL, &err);
}

void stats_fini(struct fleet *fleet)
{
    struct kept_row *row;
    struct kept_row *next_row;
    struct stats_hub *hub;
    struct stats_hub *next;
    HASH_ITER(hh, fleet->stats.rows, row, next_row)
    drop_row(fleet, row);
    HASH_ITER(hh, fleet->stats.hubs, hub, next)
    hub_close(hub);
    timers_cancel(&fleet->timers, &fleet->stats.timer);
    pthread_mutex_destroy(&fleet->stats.lock);
}

/* --- reading --------------------------------------------------------------------------------- */

static void one_is_late(struct timer *timer)
{
    struct stats_wait *wait =
        (struct stats_wait *)((char *)timer - offsetof(struct stats_wait, deadline));
    struct err err;
    err_set(&err, ERR_TIMEOUT, "no_stats",
            "its node has not told within %d s what it uses; it may be too old for that, or not"
            " see the control groups of its containers",
            ONE_WAIT_MS / 1000);
    wait_end(wait, NULL, &err);
}

static struct stats_wait *wait_create(struct fleet *fleet, const char *id, void *arg,
                                      void (*fire)(struct timer *timer))
{
    struct stats_wait *wait = calloc(1, sizeof(*wait));
    if (!wait)
        return NULL;
    wait->fleet = fleet;
    wait->arg = arg;
    wait->deadline.fire = fire;
    snprintf(wait->id, sizeof(wait->id), "%s", id);
    return wait;
}

static void wait_begin(struct stats_wait *wait, int64_t ms)
{
    struct fleet *fleet = wait->fleet;
    DL_APPEND(fleet->stats.waits, wait);
    timers_set(&fleet->timers, &wait->deadline, clock_mono_ms() + (fleet->closed ? 0 : ms));
}

static void run_read_one(struct task *task)
{
    struct stats_wait *wait = (struct stats_wait *)task;
    struct fleet *fleet = wait->fleet;
    struct fleet_instance *inst;
    struct err err;
    HASH_FIND_STR(fleet->instances, wait->id, inst);
    if (!inst) /* perhaps newer than the last notice */
        inst = instance_reload(fleet, wait->id);
    const struct kept_row *row = inst ? find_row(fleet, wait->id) : NULL;
    wait_begin(wait, ONE_WAIT_MS);
    if (!inst || inst->orphan) {
        err_set(&err, ERR_NOT_FOUND, "instance_not_found", "There is no instance with this id.");
        wait_end(wait, NULL, &err);
    } else if (!node_answers(inst->node)) {
        err_set(&err, ERR_OFFLINE, "node_unreachable",
                "the node of this instance does not answer now");
        wait_end(wait, NULL, &err);
    } else if (!hub_look(inst)) {
        err_nomem(&err);
        wait_end(wait, NULL, &err);
    } else if (row && clock_mono_ms() - row->heard < FRESH_MS) {
        wait_end(wait, &row->row, NULL);
    }
}

int fleet_read_stats(struct fleet *fleet, const char *instance_id, stats_fn fn, void *arg,
                     struct err *err)
{
    struct stats_wait *wait = wait_create(fleet, instance_id, arg, one_is_late);
    if (!wait)
        return err_nomem(err);
    wait->fn = fn;
    task_post(&fleet->inbox, &wait->task, run_read_one);
    return 0;
}

static void all_have_had_time(struct timer *timer)
{
    wait_end((struct stats_wait *)((char *)timer - offsetof(struct stats_wait, deadline)), NULL,
             NULL);
}

static void run_look_at_all(struct task *task)
{
    struct stats_wait *wait = (struct stats_wait *)task;
    struct fleet *fleet = wait->fleet;
    struct fleet_node *node;
    struct fleet_node *next;
    int64_t now = clock_mono_ms();
    if (!all_are_looked_at(fleet))
        atomic_store(&fleet->stats.all_from, now + ALL_WAIT_MS);
    atomic_store(&fleet->stats.all_until, now + LOOK_MS);
    look_again(fleet);
    HASH_ITER(hh, fleet->nodes, node, next)
    {
        if (node_is_ready(node))
            watch_again(node);
    }
    int64_t left = atomic_load(&fleet->stats.all_from) - now;
    wait_begin(wait, left > 0 ? left : 0);
}

int fleet_look_at_all_stats(struct fleet *fleet, void (*ready)(void *arg), void *arg,
                            struct err *err)
{
    int64_t now = clock_mono_ms();
    if (all_are_looked_at(fleet) && atomic_load(&fleet->stats.all_from) <= now) {
        atomic_store(&fleet->stats.all_until, now + LOOK_MS);
        return 1;
    }
    struct stats_wait *wait = wait_create(fleet, "", arg, all_have_had_time);
    if (!wait)
        return err_nomem(err);
    wait->ready = ready;
    task_post(&fleet->inbox, &wait->task, run_look_at_all);
    return 0;
}

int fleet_copy_stats(struct fleet *fleet, struct stats_row **ret_rows, size_t *ret_count,
                     struct err *err)
{
    struct kept_row *row;
    struct kept_row *next;
    size_t count = 0;
    pthread_mutex_lock(&fleet->stats.lock);
    struct stats_row *rows = calloc(HASH_COUNT(fleet->stats.rows) + 1, sizeof(*rows));
    if (rows) {
        HASH_ITER(hh, fleet->stats.rows, row, next)
        rows[count++] = row->row;
    }
    pthread_mutex_unlock(&fleet->stats.lock);
    *ret_rows = rows;
    *ret_count = count;
    return rows ? 0 : err_nomem(err);
}

/* --- following ------------------------------------------------------------------------------- */

static void follower_set(struct stats_follower *follower, bool live)
{
    pthread_mutex_lock(&follower->lock);
    follower->live = live;
    follower->ended = !live;
    pthread_mutex_unlock(&follower->lock);
    follower->listener.wake(follower->listener.arg);
}

static void run_begin(struct task *task)
{
    struct stats_follower *follower = (struct stats_follower *)task;
    struct fleet *fleet = follower->fleet;
    struct fleet_instance *inst;
    HASH_FIND_STR(fleet->instances, follower->id, inst);
    if (!inst) /* perhaps newer than the last notice */
        inst = instance_reload(fleet, follower->id);
    struct stats_hub *hub = inst && !inst->orphan ? hub_look(inst) : NULL;
    if (hub) {
        follower->hub = hub;
        DL_APPEND(hub->followers, follower);
        feed_join(hub->feed, &follower->reader);
    }
    follower_set(follower, hub != NULL);
}

static void run_leave(struct task *task)
{
    struct stats_follower *follower =
        (struct stats_follower *)((char *)task - offsetof(struct stats_follower, leaving));
    if (follower->hub) /* which the sweep closes when nobody else looks */
        DL_DELETE(follower->hub->followers, follower);
    feed_leave(&follower->reader);
    follower->listener.release(follower->listener.arg);
    pthread_mutex_destroy(&follower->lock);
    free(follower);
}

struct stats_follower *stats_follower_create(struct fleet *fleet, const char *instance_id,
                                             struct shared *(*render)(const struct stats_row *row),
                                             const struct live_listener *listener)
{
    struct stats_follower *follower = calloc(1, sizeof(*follower));
    if (!follower)
        return NULL;
    follower->fleet = fleet;
    follower->render = render;
    follower->listener = *listener;
    follower->reader.wake = listener->wake;
    follower->reader.arg = listener->arg;
    pthread_mutex_init(&follower->lock, NULL);
    snprintf(follower->id, sizeof(follower->id), "%s", instance_id);
    return follower;
}

void stats_follower_begin(struct stats_follower *follower)
{
    task_post(&follower->fleet->inbox, &follower->task, run_begin);
}

enum feed_taken stats_follower_take(struct stats_follower *follower, struct shared **ret_piece,
                                    uint64_t *ret_lost)
{
    pthread_mutex_lock(&follower->lock);
    bool live = follower->live;
    bool ended = follower->ended;
    pthread_mutex_unlock(&follower->lock);
    if (live)
        return feed_take(&follower->reader, ret_piece, ret_lost);
    return ended ? FEED_END : FEED_NOTHING;
}

void stats_follower_leave(struct stats_follower *follower)
{
    task_post(&follower->fleet->inbox, &follower->leaving, run_leave);
}
