/* See logs.h.
 *
 * For every instance that anybody follows there is one hub: the place in its log up to which the
 * hub's feed has been given (watch.c goes on from there), and its followers. A follower joins the
 * feed at that place, and has what lies before it read by a History that ends there; so nothing is
 * told twice or left out between the two. The first follower's History finds the place.
 *
 * All on the fleet's thread, but for log_follower_take() and the two that post. */
#include "panel/fleet/logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "panel/fleet/state.h"

#define FEED_BYTES    (256u * 1024u)
#define HISTORY_MS    35000 /* an agent gives Docker 30 s */
#define RETRY_MS      1000
#define SIGN_MS       15000 /* between two signs of life */
#define HISTORIES_MAX 6u    /* under way at a node; an agent takes 8 */

enum follower_state {
    FOLLOWER_NEW,   /* what lies before the hub's place is still to be read */
    FOLLOWER_ASKED, /* is being read */
    FOLLOWER_LIVE,
};

struct log_follower {
    struct task task;
    struct task leaving;
    struct fleet *fleet;
    char id[ID_SIZE];
    struct log_query query;
    struct live_listener listener;
    struct log_hub *hub;
    struct log_follower *prev, *next; /* among the hub's */
    enum follower_state state;
    bool left;
    struct feed_reader reader;
    /* between the fleet's thread and log_follower_take() */
    pthread_mutex_t lock;
    struct shared *history;
    uint64_t left_out; /* before the history */
    bool live;         /* the reader may be read */
    bool ended;
};

struct log_hub {
    char id[ID_SIZE];
    UT_hash_handle hh;
    struct fleet_node *node;
    struct feed *feed;
    bool placed;
    struct log_point place;
    bool asking;   /* for the place */
    uint64_t life; /* of the node's count of lines */
    uint64_t next; /* the number that comes next in it */
    struct log_follower *followers;
    struct timer retry;
    struct timer sign;
};

/* --- History --------------------------------------------------------------------------------- */

struct reading {
    struct task task;
    struct fleet *fleet;
    struct fleet_node *node;
    char id[ID_SIZE];
    struct log_query query;
    void (*fn)(void *arg, const Wire__HistoryReply *history, const struct err *err);
    void *arg;
};

static void put_point(Wire__LogPosition *out, struct log_point point)
{
    wire__log_position__init(out);
    out->time_ns = point.time_ns;
    out->index = point.index;
}

static struct log_point get_point(const Wire__LogPosition *position)
{
    return position ? (struct log_point){position->time_ns, position->index}
                    : (struct log_point){0};
}

/* What is wrong with it; ERR_NONE: nothing. */
static void check_reply(const Wire__Envelope *reply, struct err *ret_err)
{
    *ret_err = (struct err){0};
    if (reply->body_case == WIRE__ENVELOPE__BODY_HISTORY_REPLY)
        return;
    const Wire__Failure *failure =
        reply->body_case == WIRE__ENVELOPE__BODY_FAILURE ? reply->failure : NULL;
    if (!failure)
        err_set(ret_err, ERR_PROTOCOL, "unexpected", "the node gave an unexpected answer");
    else
        node_failure(failure, ret_err);
}

static void history_done(void *arg, Wire__Envelope **reply, const struct err *failed)
{
    struct reading *reading = arg;
    struct err err = {0};
    reading->node->histories--;
    if (failed)
        err_set(&err, ERR_OFFLINE, "node_unreachable",
                "the node of this instance does not answer now");
    else
        check_reply(*reply, &err);
    if (err.code)
        reading->fn(reading->arg, NULL, &err);
    else
        reading->fn(reading->arg, (*reply)->history_reply, NULL);
    free(reading);
}

/* Takes the reading. until NULL: to the end. */
static void read_log(struct reading *reading, struct fleet_node *node,
                     const struct log_point *until)
{
    Wire__Envelope envelope;
    Wire__History history = WIRE__HISTORY__INIT;
    Wire__LogPosition after;
    Wire__LogPosition end;
    struct err err = {0};
    node_envelope(node, &envelope);
    put_point(&after, reading->query.after);
    history.instance_id = reading->id;
    history.after = &after;
    history.lines_max = reading->query.lines_max;
    history.install = reading->query.install;
    if (until) {
        put_point(&end, *until);
        history.until = &end;
    }
    envelope.body_case = WIRE__ENVELOPE__BODY_HISTORY;
    envelope.history = &history;
    reading->node = node;
    node->histories++;
    if (link_call(node->link, &envelope, HISTORY_MS, history_done, reading, &err) < 0) {
        node->histories--;
        reading->fn(reading->arg, NULL, &err);
        free(reading);
    }
}

static void run_reading(struct task *task)
{
    struct reading *reading = (struct reading *)task;
    struct fleet_instance *inst;
    struct err err;
    HASH_FIND_STR(reading->fleet->instances, reading->id, inst);
    if (!inst)
        err_set(&err, ERR_NOT_FOUND, "no_container", "there is no such instance");
    else if (!node_answers(inst->node))
        err_set(&err, ERR_OFFLINE, "node_unreachable",
                "the node of this instance does not answer now");
    else if (inst->node->histories >= HISTORIES_MAX)
        err_set(&err, ERR_BUSY, "busy", "the node is reading enough logs already; try again");
    else {
        read_log(reading, inst->node, NULL);
        return;
    }
    reading->fn(reading->arg, NULL, &err);
    free(reading);
}

static struct reading *
reading_create(struct fleet *fleet, const char *id, const struct log_query *query,
               void (*fn)(void *arg, const Wire__HistoryReply *history, const struct err *err),
               void *arg)
{
    struct reading *reading = calloc(1, sizeof(*reading));
    if (!reading)
        return NULL;
    reading->fleet = fleet;
    reading->query = *query;
    reading->fn = fn;
    reading->arg = arg;
    snprintf(reading->id, sizeof(reading->id), "%s", id);
    return reading;
}

int fleet_read_log(struct fleet *fleet, const char *instance_id, const struct log_query *query,
                   void (*fn)(void *arg, const Wire__HistoryReply *history, const struct err *err),
                   void *arg, struct err *err)
{
    struct reading *reading = reading_create(fleet, instance_id, query, fn, arg);
    if (!reading)
        return err_nomem(err);
    task_post(&fleet->inbox, &reading->task, run_reading);
    return 0;
}

/* --- lines as events ------------------------------------------------------------------------- */

static void add_line(struct strbuf *out, const Wire__LogLine *line)
{
    struct log_event event = {.at = get_point(line->position),
                              .is_error = line->is_error,
                              .is_cut = line->is_cut,
                              .text = line->text.data,
                              .len = line->text.len};
    log_event_add(out, &event);
}

/* From the first one behind after on; NULL when there is none, or no memory. */
static struct shared *lines_as_events(Wire__LogLine *const *lines, size_t count,
                                      struct log_point after, uint32_t *ret_count)
{
    struct strbuf out = {0};
    *ret_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (log_point_compare(get_point(lines[i]->position), after) <= 0)
            continue;
        add_line(&out, lines[i]);
        ++*ret_count;
    }
    size_t len = out.len;
    char *text = *ret_count ? strbuf_steal(&out) : NULL;
    return text ? shared_create(text, len) : NULL;
}

/* --- followers ------------------------------------------------------------------------------- */

static void follower_free(struct log_follower *follower)
{
    feed_leave(&follower->reader);
    follower->listener.release(follower->listener.arg);
    shared_unref(follower->history);
    pthread_mutex_destroy(&follower->lock);
    free(follower);
}

static void follower_end(struct log_follower *follower)
{
    pthread_mutex_lock(&follower->lock);
    follower->ended = true;
    pthread_mutex_unlock(&follower->lock);
    follower->listener.wake(follower->listener.arg);
}

enum feed_taken log_follower_take(struct log_follower *follower, struct shared **ret_piece,
                                  uint64_t *ret_lost)
{
    enum feed_taken taken = FEED_NOTHING;
    pthread_mutex_lock(&follower->lock);
    bool live = follower->live;
    if (live && follower->left_out) {
        *ret_lost = follower->left_out;
        follower->left_out = 0;
        taken = FEED_LOST;
    } else if (live && follower->history) {
        *ret_piece = steal_ptr(follower->history);
        taken = FEED_PIECE;
    } else if (!live && follower->ended) {
        taken = FEED_END;
    }
    pthread_mutex_unlock(&follower->lock);
    if (taken != FEED_NOTHING || !live)
        return taken;
    return feed_take(&follower->reader, ret_piece, ret_lost);
}

/* --- hubs ------------------------------------------------------------------------------------ */

static void hub_consider(struct log_hub *hub);

static void retry_is_due(struct timer *timer)
{
    hub_consider((struct log_hub *)((char *)timer - offsetof(struct log_hub, retry)));
}

/* A client that has gone is found out by writing to it. */
static void sign_is_due(struct timer *timer)
{
    struct log_hub *hub = (struct log_hub *)((char *)timer - offsetof(struct log_hub, sign));
    struct log_follower *follower;
    DL_FOREACH(hub->followers, follower)
    follower->listener.wake(follower->listener.arg);
    timers_set(&hub->node->fleet->timers, timer, clock_mono_ms() + SIGN_MS);
}

static struct log_hub *hub_open(struct fleet *fleet, const char *id)
{
    struct log_hub *hub;
    struct fleet_instance *inst;
    HASH_FIND_STR(fleet->hubs, id, hub);
    if (hub)
        return hub;
    HASH_FIND_STR(fleet->instances, id, inst);
    if (!inst) /* perhaps newer than the last notice */
        inst = instance_reload(fleet, id);
    if (inst && inst->node->log_hubs >= NODE_LOGS_MAX) {
        log_warn("too many logs of a node are followed", "node=%s instance=%s", inst->node->id, id);
        return NULL;
    }
    hub = inst && !inst->orphan ? calloc(1, sizeof(*hub)) : NULL;
    if (!hub)
        return NULL;
    hub->feed = feed_create(FEED_BYTES);
    hub->node = inst->node;
    hub->retry.fire = retry_is_due;
    hub->sign.fire = sign_is_due;
    snprintf(hub->id, sizeof(hub->id), "%s", id);
    if (hub->feed)
        HASH_ADD_STR(fleet->hubs, id, hub);
    if (!hub->hh.tbl) {
        feed_unref(hub->feed);
        free(hub);
        return NULL;
    }
    hub->node->log_hubs++;
    timers_set(&fleet->timers, &hub->sign, clock_mono_ms() + SIGN_MS);
    return hub;
}

static void hub_close(struct log_hub *hub)
{
    struct fleet *fleet = hub->node->fleet;
    HASH_DEL(fleet->hubs, hub);
    hub->node->log_hubs--;
    timers_cancel(&fleet->timers, &hub->retry);
    timers_cancel(&fleet->timers, &hub->sign);
    feed_end(hub->feed);
    feed_unref(hub->feed);
    free(hub);
}

static void hub_place(struct log_hub *hub, struct log_point place)
{
    hub->placed = true;
    hub->place = place;
}

/* There is no container yet, so all that one will print is new. The place is everybody's: one who
 * asked for what is still to come doesn't keep what is printed until then from the others. */
static struct log_point place_without_container(const struct log_query *query)
{
    uint64_t now = (uint64_t)clock_wall_ms() * 1000000u;
    return query->after.time_ns > now ? (struct log_point){now, 0} : query->after;
}

static void go_live(struct log_follower *follower)
{
    if (!follower->reader.feed)
        feed_join(follower->hub->feed, &follower->reader);
    follower->state = FOLLOWER_LIVE;
    pthread_mutex_lock(&follower->lock);
    follower->live = true;
    pthread_mutex_unlock(&follower->lock);
    follower->listener.wake(follower->listener.arg);
}

/* The follower's past is known; *end is where it ends. */
static void take_history(struct log_follower *follower, const Wire__HistoryReply *history)
{
    uint32_t count;
    struct log_hub *hub = follower->hub;
    if (!hub->placed)
        hub_place(hub,
                  history ? get_point(history->end) : place_without_container(&follower->query));
    if (history && !follower->query.only_new) {
        follower->history =
            lines_as_events(history->lines, history->n_lines, follower->query.after, &count);
        follower->left_out = history->left_out + (follower->history ? 0 : count);
    }
    go_live(follower);
}

/* False: its hub is closed, since it was the last. */
static bool follower_remove(struct log_follower *follower)
{
    struct log_hub *hub = follower->hub;
    if (hub)
        DL_DELETE(hub->followers, follower);
    follower_free(follower);
    if (hub && !hub->followers)
        hub_close(hub);
    else
        return hub != NULL;
    return false;
}

static void history_read(void *arg, const Wire__HistoryReply *history, const struct err *err)
{
    struct log_follower *follower = arg;
    struct log_hub *hub = follower->hub;
    follower->state = FOLLOWER_NEW;
    if (hub && !hub->placed)
        hub->asking = false;
    if (follower->left) {
        if (follower_remove(follower)) /* another one may have waited for what this one asked */
            hub_consider(hub);
        return;
    }
    if (!hub)
        return; /* it has been told that this is the end */
    if (err && strcmp(err->reason, "no_container") != 0) {
        feed_leave(&follower->reader); /* it joins anew, where the hub is then */
        timers_set(&hub->node->fleet->timers, &hub->retry, clock_mono_ms() + RETRY_MS);
        return;
    }
    take_history(follower, history);
    hub_consider(hub);
}

static void ask(struct log_hub *hub, struct log_follower *follower)
{
    struct fleet *fleet = hub->node->fleet;
    if (hub->placed && log_point_compare(hub->place, follower->query.after) <= 0) {
        go_live(follower); /* nothing lies between */
        return;
    }
    struct reading *reading =
        reading_create(fleet, hub->id, &follower->query, history_read, follower);
    if (!reading) {
        timers_set(&fleet->timers, &hub->retry, clock_mono_ms() + RETRY_MS);
        return;
    }
    follower->state = FOLLOWER_ASKED;
    if (hub->placed)
        feed_join(hub->feed, &follower->reader);
    else
        hub->asking = true;
    read_log(reading, hub->node, hub->placed ? &hub->place : NULL);
}

/* Whoever waits for something gets it, as far as the node can be asked. */
static void hub_consider(struct log_hub *hub)
{
    struct log_follower *follower;
    struct log_follower *next;
    if (!node_is_ready(hub->node))
        return; /* logs_node_ready() comes here again */
    DL_FOREACH_SAFE(hub->followers, follower, next)
    {
        if (follower->state != FOLLOWER_NEW || hub->asking)
            continue;
        if (hub->node->histories >= HISTORIES_MAX) {
            timers_set(&hub->node->fleet->timers, &hub->retry, clock_mono_ms() + RETRY_MS);
            break;
        }
        ask(hub, follower);
    }
    watch_again(hub->node);
}

/* --- coming and going ------------------------------------------------------------------------ */

static void run_begin(struct task *task)
{
    struct log_follower *follower = (struct log_follower *)task;
    follower->hub = hub_open(follower->fleet, follower->id);
    if (!follower->hub) {
        follower_end(follower);
        return;
    }
    DL_APPEND(follower->hub->followers, follower);
    hub_consider(follower->hub);
}

static void run_leave(struct task *task)
{
    struct log_follower *follower =
        (struct log_follower *)((char *)task - offsetof(struct log_follower, leaving));
    follower->left = true;
    if (follower->state != FOLLOWER_ASKED) /* else history_read() will */
        (void)follower_remove(follower);
}

void logs_node_ready(struct fleet_node *node)
{
    struct log_hub *hub;
    struct log_hub *next;
    HASH_ITER(hh, node->fleet->hubs, hub, next)
    {
        if (hub->node == node)
            hub_consider(hub);
    }
}

void logs_instance_gone(struct fleet_instance *inst)
{
    struct log_hub *hub;
    HASH_FIND_STR(inst->fleet->hubs, inst->id, hub);
    if (!hub)
        return;
    while (hub->followers) {
        struct log_follower *follower = hub->followers;
        DL_DELETE(hub->followers, follower);
        follower->hub = NULL;
        follower_end(follower);
    }
    hub_close(hub);
}

/* --- what a Watch brings --------------------------------------------------------------------- */

size_t logs_watched(struct fleet_node *node, struct watched_log *rows, size_t rows_max)
{
    struct log_hub *hub;
    struct log_hub *next;
    size_t count = 0;
    HASH_ITER(hh, node->fleet->hubs, hub, next)
    {
        if (hub->node != node || !hub->placed || count == rows_max)
            continue;
        wire__watched_log__init(&rows[count].log);
        put_point(&rows[count].after, hub->place);
        rows[count].log.instance_id = hub->id;
        rows[count].log.after = &rows[count].after;
        rows[count].log.life = hub->life;
        count++;
    }
    return count;
}

void logs_take(struct fleet_node *node, const Wire__LogNews *news)
{
    struct log_hub *hub;
    uint32_t count;
    HASH_FIND_STR(node->fleet->hubs, news->instance_id, hub);
    if (!hub || hub->node != node || !hub->placed || !news->n_lines)
        return;
    struct log_point last = get_point(news->lines[news->n_lines - 1]->position);
    struct shared *piece = lines_as_events(news->lines, news->n_lines, hub->place, &count);
    if (!count)
        return;                             /* told already */
    uint64_t known = news->n_lines - count; /* of these lines */
    uint64_t first = news->number + known;
    if (news->life == hub->life)
        feed_put_gap(hub->feed, first > hub->next ? first - hub->next : 0);
    else if (!known)
        feed_put_gap(hub->feed, news->number); /* counted from our place on */
    hub->place = last;
    hub->life = news->life;
    hub->next = first + count;
    feed_put(hub->feed, piece, count);
}

struct log_follower *log_follower_create(struct fleet *fleet, const char *instance_id,
                                         const struct log_query *query,
                                         const struct live_listener *listener)
{
    struct log_follower *follower = calloc(1, sizeof(*follower));
    if (!follower)
        return NULL;
    follower->fleet = fleet;
    follower->query = *query;
    follower->listener = *listener;
    follower->reader.wake = listener->wake;
    follower->reader.arg = listener->arg;
    pthread_mutex_init(&follower->lock, NULL);
    snprintf(follower->id, sizeof(follower->id), "%s", instance_id);
    return follower;
}

void log_follower_begin(struct log_follower *follower)
{
    task_post(&follower->fleet->inbox, &follower->task, run_begin);
}

void log_follower_leave(struct log_follower *follower)
{
    task_post(&follower->fleet->inbox, &follower->leaving, run_leave);
}
