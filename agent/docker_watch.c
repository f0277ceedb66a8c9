/* Watching the Engine. See docker_watch.h.
 *
 * probing → up (a list came, event stream open) → probing …, and down between tries that fail.
 * A stream that ends doesn't say that the Engine is down, only that it must be asked again: `up`
 * falls when a probe or a list fails, since an Engine that can't list is of no use. At most one
 * probe, one list and one stream at a time; each has its call pointer, which is NULL when there is
 * none, so stopping is cancelling three calls.
 *
 * The list's timer is always set, and so can be moved without memory: should no other timer be had,
 * the next list is late, but comes. */
#include "agent/docker_watch.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/docker_json.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/utf8.h"

#define LIST_EVERY_MS  30000
#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 5000

struct docker_watch {
    struct docker *docker;
    struct timers *timers;
    const char *panel_id;
    struct docker_watch_events events;
    struct docker_call *probe;
    struct docker_call *list;
    struct docker_call *stream;
    struct timer probe_timer;
    struct timer list_timer;
    int64_t stream_since; /* when it was asked for */
    int64_t backoff_ms;
    bool up;
    bool told; /* the first outcome of a probe has been logged */
    char error[320];
};

#define WATCH_OF(timer_ptr, member)                                                                \
    ((struct docker_watch *)((char *)(timer_ptr)-offsetof(struct docker_watch, member)))

/* Each probe that is needed doubles the wait before the next, until a stream has lasted. */
static void schedule_probe(struct docker_watch *watch)
{
    if (watch->probe || timer_is_set(&watch->probe_timer))
        return;
    timers_set(watch->timers, &watch->probe_timer, clock_mono_ms() + watch->backoff_ms);
    watch->backoff_ms *= 2;
    if (watch->backoff_ms > BACKOFF_MAX_MS)
        watch->backoff_ms = BACKOFF_MAX_MS;
}

static void schedule_list(struct docker_watch *watch)
{
    timers_set(watch->timers, &watch->list_timer, clock_mono_ms() + LIST_EVERY_MS);
}

static void set_down(struct docker_watch *watch, const char *why)
{
    if (watch->told && !watch->up && strcmp(watch->error, why) == 0)
        return;
    log_warn("docker unreachable", "reason=\"%s\"", why);
    watch->up = false;
    watch->told = true;
    utf8_copy(watch->error, sizeof(watch->error), why);
    watch->events.status(watch->events.arg);
}

static void forgive(struct docker_watch *watch)
{
    if (clock_mono_ms() - watch->stream_since >= BACKOFF_MAX_MS)
        watch->backoff_ms = BACKOFF_MIN_MS;
}

static void set_up(struct docker_watch *watch)
{
    if (watch->up)
        return;
    watch->up = true;
    watch->told = true;
    watch->error[0] = '\0';
    log_info("docker reachable", "version=%s api=%s", docker_version(watch->docker),
             docker_api_version(watch->docker));
    watch->events.status(watch->events.arg);
}

static void end_stream(void *arg, const struct docker_reply *reply)
{
    struct docker_watch *watch = arg;
    watch->stream = NULL;
    log_debug("docker event stream ended", "reason=\"%s\"", reply->err.msg);
    forgive(watch);
    docker_watch_suspect(watch);
}

static void take_event(void *arg, json_t *item)
{
    struct docker_watch *watch = arg;
    const char *instance;
    const char *container;
    if (docker_json_event(item, &instance, &container))
        watch->events.hint(watch->events.arg, instance, container);
}

static void end_list(void *arg, const struct docker_reply *reply)
{
    struct docker_watch *watch = arg;
    watch->list = NULL;
    if (reply->err.code == ERR_NONE) {
        if (watch->stream)
            forgive(watch);
        schedule_list(watch);
        set_up(watch);
        watch->events.list_end(watch->events.arg, reply->json);
        return;
    }
    char why[320];
    snprintf(why, sizeof(why), "Docker does not tell which containers it has: %.250s",
             reply->err.msg);
    set_down(watch, why);
    docker_watch_suspect(watch);
}

static void begin_list(struct docker_watch *watch)
{
    if (watch->list)
        return;
    struct err err;
    watch->events.list_begin(watch->events.arg);
    watch->list = docker_list(watch->docker, watch->panel_id, end_list, watch, &err);
    if (!watch->list)
        docker_watch_suspect(watch);
}

static void begin_stream(struct docker_watch *watch)
{
    if (watch->stream)
        return;
    struct err err;
    watch->stream_since = clock_mono_ms();
    /* From a second back, so that nothing falls between the stream's opening and the list. */
    watch->stream = docker_events(watch->docker, watch->panel_id, clock_wall_ms() / 1000 - 1,
                                  take_event, end_stream, watch, &err);
    if (!watch->stream)
        docker_watch_suspect(watch);
}

static void end_probe(void *arg, const struct docker_reply *reply)
{
    struct docker_watch *watch = arg;
    watch->probe = NULL;
    if (reply->err.code != ERR_NONE) {
        char why[320];
        if (reply->err.code == ERR_OFFLINE || reply->err.code == ERR_TIMEOUT)
            snprintf(why, sizeof(why), "Docker is not reachable: %.250s", reply->err.msg);
        else
            snprintf(why, sizeof(why), "%s", reply->err.msg);
        set_down(watch, why);
        schedule_probe(watch);
        return;
    }
    begin_stream(watch);
    begin_list(watch);
}

static void begin_probe(struct docker_watch *watch)
{
    struct err err;
    timers_cancel(watch->timers, &watch->probe_timer);
    if (watch->probe)
        return;
    watch->probe = docker_probe(watch->docker, end_probe, watch, &err);
    if (!watch->probe)
        schedule_probe(watch);
}

static void fire_probe(struct timer *timer)
{
    begin_probe(WATCH_OF(timer, probe_timer));
}

static void fire_list(struct timer *timer)
{
    struct docker_watch *watch = WATCH_OF(timer, list_timer);
    schedule_list(watch);
    begin_list(watch);
}

struct docker_watch *docker_watch_create(struct docker *docker, struct timers *timers,
                                         const char *panel_id,
                                         const struct docker_watch_events *events, struct err *err)
{
    struct docker_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        err_nomem(err);
        return NULL;
    }
    watch->docker = docker;
    watch->timers = timers;
    watch->panel_id = panel_id;
    watch->events = *events;
    watch->backoff_ms = BACKOFF_MIN_MS;
    watch->probe_timer.fire = fire_probe;
    watch->list_timer.fire = fire_list;
    snprintf(watch->error, sizeof(watch->error), "Docker has not answered yet");
    schedule_list(watch);
    begin_probe(watch);
    return watch;
}

void docker_watch_destroy(struct docker_watch *watch)
{
    if (!watch)
        return;
    docker_call_cancel(watch->probe);
    docker_call_cancel(watch->list);
    docker_call_cancel(watch->stream);
    timers_cancel(watch->timers, &watch->probe_timer);
    timers_cancel(watch->timers, &watch->list_timer);
    free(watch);
}

bool docker_watch_is_down(const struct docker_watch *watch)
{
    return watch->told && !watch->up;
}

bool docker_watch_is_up(const struct docker_watch *watch)
{
    return watch->up;
}

const char *docker_watch_error(const struct docker_watch *watch)
{
    return watch->error;
}

void docker_watch_suspect(struct docker_watch *watch)
{
    schedule_probe(watch);
}

void docker_watch_relist(struct docker_watch *watch)
{
    if (watch->up && !watch->list)
        begin_list(watch);
}
