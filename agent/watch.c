/* See watch.h. An answer that is lost on its way is no loss: the next Watch names again what the
 * panel has, and lines are kept until it names them. */
#include "agent/watch.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/answer.h"
#include "agent/log_tail.h"
#include "agent/stats.h"
#include "common/clock.h"
#include "common/envelope.h"

#define PATIENCE_MS   5000           /* without a Watch, nobody looks any more */
#define LOGS_MAX      256u           /* that are watched at once */
#define LOG_TOLD_MAX  (32u * 1024u)  /* bytes of one log in an answer … */
#define LOGS_TOLD_MAX (512u * 1024u) /* … and of all */

struct watch {
    struct loop *loop;
    const struct identity *identity;
    struct reconcile *reconcile;
    struct log_tail *tails;
    struct stats *stats;
    struct rpc_call *held;
    uint64_t held_id;
    struct timer timer;    /* the held one's time is up */
    struct timer patience; /* no new one has come for long */
    bool changed;          /* containers have, perhaps */
    bool stopping;
};

static void forget_unwanted(struct watch *watch)
{
    struct log_tail *tail;
    struct log_tail *next;
    HASH_ITER(hh, watch->tails, tail, next)
    {
        if (tail->wanted)
            continue;
        HASH_DEL(watch->tails, tail);
        log_tail_destroy(tail);
    }
}

/* --- answering ------------------------------------------------------------------------------- */

struct news {
    Wire__LogNews *rows;
    Wire__LogNews **pointers;
    size_t count;
    size_t room; /* bytes */
};

static void tell_log(struct log_tail *tail, struct news *news)
{
    Wire__LogNews *row = &news->rows[news->count];
    size_t most = news->room < LOG_TOLD_MAX ? news->room : LOG_TOLD_MAX;
    size_t count = 0;
    size_t bytes = 0;
    if (!tail->lines.first || !most)
        return;
    wire__log_news__init(row);
    row->lines = log_lines_tell(&tail->lines, most, &count, &bytes);
    if (!count)
        return;
    row->n_lines = count;
    row->instance_id = tail->id;
    row->number = tail->lines.first->number;
    row->life = tail->life;
    tail->told = true;
    news->room -= bytes < news->room ? bytes : news->room;
    news->pointers[news->count] = row;
    news->count++;
}

static void answer(struct watch *watch)
{
    struct rpc_call *call = watch->held;
    struct log_tail *tail;
    struct log_tail *next;
    size_t most = HASH_COUNT(watch->tails);
    size_t meters = stats_count(watch->stats);
    Wire__Stats *stats = calloc(meters + 1, sizeof(*stats));
    Wire__Stats **stats_pointers = calloc(meters + 1, sizeof(void *));
    struct news news = {.rows = calloc(most + 1, sizeof(*news.rows)),
                        .pointers = calloc(most + 1, sizeof(void *)),
                        .room = LOGS_TOLD_MAX};
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    Wire__WatchReply reply = WIRE__WATCH_REPLY__INIT;
    if (news.rows && news.pointers) {
        HASH_ITER(hh, watch->tails, tail, next)
        tell_log(tail, &news);
    }
    if (stats && stats_pointers)
        reply.n_stats = stats_tell(watch->stats, stats, stats_pointers);
    reply.stats = stats_pointers;
    reply.n_logs = news.count;
    reply.logs = news.pointers;
    envelope.body_case = WIRE__ENVELOPE__BODY_WATCH_REPLY;
    envelope.watch_reply = &reply;
    watch->held = NULL;
    timers_cancel(&watch->loop->timers, &watch->timer);
    answer_send(call, watch->identity, watch->held_id, &envelope);
    for (size_t i = 0; i < news.count; i++)
        free(news.rows[i].lines);
    free(news.rows);
    free(news.pointers);
    free(stats);
    free(stats_pointers);
}

static bool has_news(const struct watch *watch)
{
    struct log_tail *tail;
    struct log_tail *next;
    HASH_ITER(hh, watch->tails, tail, next)
    {
        if (tail->lines.first)
            return true;
    }
    return watch->stopping || stats_has_news(watch->stats);
}

/* --- being asked ----------------------------------------------------------------------------- */

/* What the panel has is done with. */
static void acknowledge(struct log_tail *tail, struct log_position until)
{
    log_lines_forget(&tail->lines, until);
    tail->from = until;
}

/* Can what is followed be told to whoever asks, in one count of lines with what he has? */
static bool goes_on(const struct log_tail *tail, uint64_t life, struct log_position after)
{
    int place = log_position_compare(after, tail->from);
    return life == tail->life ? place >= 0 : !life && !tail->told && place == 0;
}

static void want_log(struct watch *watch, const Wire__WatchedLog *log)
{
    struct log_tail *tail;
    struct log_position after = log_position_of(log->after);
    if (envelope_check_id(log->instance_id) < 0)
        return;
    HASH_FIND_STR(watch->tails, log->instance_id, tail);
    if (tail && !goes_on(tail, log->life, after)) {
        HASH_DEL(watch->tails, tail);
        log_tail_destroy(tail);
        tail = NULL;
    }
    if (tail) {
        acknowledge(tail, after);
        tail->wanted = true;
        return;
    }
    tail = HASH_COUNT(watch->tails) < LOGS_MAX
               ? log_tail_create(watch->reconcile, &watch->loop->timers, log->instance_id, after)
               : NULL;
    if (!tail)
        return; /* asked for again with the next Watch */
    HASH_ADD_STR(watch->tails, id, tail);
    if (!tail->hh.tbl) {
        log_tail_destroy(tail);
        return;
    }
    tail->wanted = true;
    log_tail_consider(tail);
}

static void time_is_up(struct timer *timer)
{
    struct watch *watch = (struct watch *)((char *)timer - offsetof(struct watch, timer));
    if (watch->held)
        answer(watch);
}

static void nobody_looks(struct timer *timer)
{
    struct watch *watch = (struct watch *)((char *)timer - offsetof(struct watch, patience));
    struct log_tail *tail;
    struct log_tail *next;
    HASH_ITER(hh, watch->tails, tail, next)
    tail->wanted = false;
    forget_unwanted(watch);
    stats_want(watch->stats, NULL, 0, false);
}

void watch_take(struct watch *watch, struct rpc_call *call, const Wire__Envelope *request)
{
    const Wire__Watch *body = request->watch;
    struct log_tail *tail;
    struct log_tail *next;
    int64_t now = clock_mono_ms();
    uint32_t wait = body->wait_ms < WIRE_SYNC_WAIT_MAX ? body->wait_ms : WIRE_SYNC_WAIT_MAX;
    if (watch->held)
        answer(watch);
    watch->held = call;
    watch->held_id = request->call_id;
    HASH_ITER(hh, watch->tails, tail, next)
    tail->wanted = false;
    for (size_t i = 0; i < body->n_logs; i++)
        want_log(watch, body->logs[i]);
    forget_unwanted(watch);
    stats_want(watch->stats, body->stats, body->n_stats, body->all_stats);
    timers_set(&watch->loop->timers, &watch->timer, now + wait);
    timers_set(&watch->loop->timers, &watch->patience, now + wait + PATIENCE_MS);
}

void watch_changed(struct watch *watch)
{
    watch->changed = true;
}

void watch_settle(struct watch *watch)
{
    struct log_tail *tail;
    struct log_tail *next;
    if (watch->changed) {
        watch->changed = false;
        HASH_ITER(hh, watch->tails, tail, next)
        log_tail_consider(tail);
    }
    if (watch->held && has_news(watch))
        answer(watch);
}

void watch_stop(struct watch *watch)
{
    watch->stopping = true;
    watch_settle(watch);
}

/* --- life ------------------------------------------------------------------------------------ */

struct watch *watch_create(struct loop *loop, const struct identity *identity,
                           struct reconcile *reconcile, struct err *err)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        err_nomem(err);
        return NULL;
    }
    watch->stats = stats_create(loop, reconcile);
    if (!watch->stats) {
        free(watch);
        err_nomem(err);
        return NULL;
    }
    watch->loop = loop;
    watch->identity = identity;
    watch->reconcile = reconcile;
    watch->timer.fire = time_is_up;
    watch->patience.fire = nobody_looks;
    return watch;
}

void watch_destroy(struct watch *watch)
{
    if (!watch)
        return;
    timers_cancel(&watch->loop->timers, &watch->timer);
    timers_cancel(&watch->loop->timers, &watch->patience);
    nobody_looks(&watch->patience);
    stats_destroy(watch->stats);
    free(watch);
}
