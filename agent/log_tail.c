/* Level-triggered like all else here: whatever happened, log_tail_consider() looks whether there
 * is a log to be read that isn't being read, and begins behind the last line it has. See
 * log_tail.h. */
#include "agent/log_tail.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/reconcile_parts.h"
#include "common/clock.h"
#include "common/crypto.h"

#define KEPT_BYTES (256u * 1024u)
#define REST_MS    250

static void take_text(void *arg, const struct log_text *text)
{
    struct log_tail *tail = arg;
    log_lines_add(&tail->lines, text);
}

static void take_piece(void *arg, const char *data, size_t len)
{
    struct log_tail *tail = arg;
    log_stream_add(&tail->stream, data, len);
}

static void rest_is_over(struct timer *timer)
{
    log_tail_consider((struct log_tail *)((char *)timer - offsetof(struct log_tail, rest)));
}

/* The log ended: with the container, or with the Engine. What was open is read again from the last
 * line on, should there be more of it. */
static void end_log(void *arg, const struct docker_reply *reply)
{
    struct log_tail *tail = arg;
    const struct instance *inst = instance_find(reconcile_table(tail->reconcile), tail->id);
    tail->call = NULL;
    log_stream_end(&tail->stream);
    tail->drained = reply->err.code == ERR_NONE && inst &&
                    strcmp(inst->container.id, tail->container) == 0 &&
                    !reconcile_is_alive(&inst->container);
    tail->rest.fire = rest_is_over;
    timers_set(tail->timers, &tail->rest, clock_mono_ms() + REST_MS);
}

static void open_log(struct log_tail *tail, const struct docker_container *container)
{
    struct err err;
    struct log_position from = tail->lines.last;
    if (log_position_compare(from, tail->lines.after) < 0)
        from = tail->lines.after;
    tail->lines.after = from;
    tail->lines.last = (struct log_position){0}; /* counted anew from the first of that moment */
    tail->stream =
        (struct log_stream){.terminal = container->terminal, .take = take_text, .arg = tail};
    snprintf(tail->container, sizeof(tail->container), "%s", container->id);
    struct docker_log_range range = {.since_ns = from.time_ns, .follow = true};
    tail->call = docker_logs(tail->reconcile->docker, container->id, &range, take_piece, end_log,
                             tail, &err);
    if (!tail->call) {
        tail->rest.fire = rest_is_over;
        timers_set(tail->timers, &tail->rest, clock_mono_ms() + REST_MS);
    }
}

void log_tail_consider(struct log_tail *tail)
{
    const struct instance *inst = instance_find(reconcile_table(tail->reconcile), tail->id);
    const struct docker_container *container = inst ? &inst->container : NULL;
    if (!container || !container->id[0] || !docker_watch_is_up(tail->reconcile->watch))
        return;
    bool same = strcmp(container->id, tail->container) == 0;
    if (tail->drained && same && !reconcile_is_alive(container))
        return;
    if (tail->call || timer_is_set(&tail->rest)) /* of one that is gone it ends by itself */
        return;
    tail->drained = false;
    open_log(tail, container);
}

struct log_tail *log_tail_create(struct reconcile *reconcile, struct timers *timers,
                                 const char *instance_id, struct log_position after)
{
    struct log_tail *tail = calloc(1, sizeof(*tail));
    if (!tail)
        return NULL;
    tail->reconcile = reconcile;
    tail->timers = timers;
    tail->lines.bytes_max = KEPT_BYTES;
    crypto_random(&tail->life, sizeof(tail->life));
    tail->lines.after = tail->from = after;
    snprintf(tail->id, sizeof(tail->id), "%s", instance_id);
    return tail;
}

void log_tail_destroy(struct log_tail *tail)
{
    docker_call_cancel(tail->call);
    timers_cancel(tail->timers, &tail->rest);
    log_stream_fini(&tail->stream);
    log_lines_clear(&tail->lines);
    free(tail);
}
