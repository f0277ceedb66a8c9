/* /api/instances/:id/stats and /api/stats: what instances use of their nodes.
 *
 * Whoever asks is answered with what was measured in the last second; nothing is measured while
 * nobody asks. See fleet/stats.h. */
#include "panel/fleet/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json_writer.h"
#include "panel/api/event_stream.h"
#include "panel/api/handlers.h"
#include "panel/api/list_cache.h"
#include "panel/api/lister.h"

#define NS_PER_MS 1000000

static void put_usage(struct strbuf *out, const struct stats_row *row)
{
    jw_milli(out, "uptimeSeconds", (int64_t)row->uptime_ms);
    jw_object_begin(out, "cpu");
    jw_milli(out, "percent", (int64_t)row->cpu_milli * 100);
    jw_milli(out, "seconds", (int64_t)(row->cpu_ns / NS_PER_MS));
    jw_object_end(out);
    jw_object_begin(out, "memory");
    jw_int(out, "bytes", (int64_t)row->memory_bytes);
    if (row->memory_limit_bytes)
        jw_int(out, "limitBytes", (int64_t)row->memory_limit_bytes);
    else
        jw_null(out, "limitBytes");
    jw_object_end(out);
    jw_object_begin(out, "network");
    jw_int(out, "receivedBytes", (int64_t)row->received_bytes);
    jw_int(out, "sentBytes", (int64_t)row->sent_bytes);
    jw_object_end(out);
    jw_object_begin(out, "blockIo");
    jw_int(out, "readBytes", (int64_t)row->read_bytes);
    jw_int(out, "writtenBytes", (int64_t)row->written_bytes);
    jw_object_end(out);
    jw_int(out, "pids", row->pids);
}

static void put_row(struct strbuf *out, const struct stats_row *row)
{
    jw_object_begin(out, NULL);
    jw_string(out, "Id", row->instance_id);
    jw_time(out, "at", row->at);
    jw_bool(out, "running", row->running);
    if (row->running) {
        put_usage(out, row);
    } else {
        jw_null(out, "uptimeSeconds");
        jw_null(out, "cpu");
        jw_null(out, "memory");
        jw_null(out, "network");
        jw_null(out, "blockIo");
        jw_null(out, "pids");
    }
    if (row->volume_known)
        jw_int(out, "volumeBytes", (int64_t)row->volume_bytes);
    else
        jw_null(out, "volumeBytes");
    jw_object_end(out);
}

/* --- one ------------------------------------------------------------------------------------- */

static void answer_one(void *arg, const struct stats_row *row, const struct err *err)
{
    struct call *call = arg;
    struct strbuf body = {0};
    if (err) {
        call_answer_err(call, err);
        return;
    }
    put_row(&body, row);
    call_answer(call, 200, &body);
}

static void read_one(struct call *call)
{
    struct err err = {0};
    call_defer(call);
    if (fleet_read_stats(call->api->rooms.fleet, call->param, answer_one, call, &err) < 0)
        call_answer_err(call, &err);
}

static struct shared *render_event(const struct stats_row *row)
{
    struct strbuf out = {0};
    struct strbuf json = {0};
    put_row(&json, row);
    event_stream_put(&out, 0, "stats", &json);
    size_t len = out.len;
    char *text = strbuf_steal(&out);
    return text ? shared_create(text, len) : NULL;
}

static enum feed_taken take(void *follower, struct shared **ret_piece, uint64_t *ret_lost)
{
    return stats_follower_take(follower, ret_piece, ret_lost);
}

static void leave(void *follower)
{
    stats_follower_leave(follower);
}

/* Of rows that were missed the newest says all. */
static const struct event_source stats_source = {take, leave, NULL};

static void follow(struct call *call)
{
    struct event_stream *events = event_stream_create(call, &stats_source);
    if (!events)
        return;
    struct live_listener listener = event_stream_listener(events);
    struct stats_follower *follower =
        stats_follower_create(call->api->rooms.fleet, call->param, render_event, &listener);
    if (event_stream_start(events, call, follower))
        stats_follower_begin(follower);
}

void stats_get(struct call *call)
{
    struct err err = {0};
    int following = event_stream_is_wanted(call, &err);
    if (following < 0 || call_check_instance(call, &err) < 0)
        call_answer_err(call, &err);
    else if (following)
        follow(call);
    else
        read_one(call);
}

/* --- all ------------------------------------------------------------------------------------- */

/* The ids of what a user may use, in order. */
struct ids {
    char (*ids)[ROUTE_PARAM_SIZE];
    size_t count, room;
};

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int add_id(const struct instance *instance, void *arg, struct err *err)
{
    struct ids *ids = arg;
    if (ids->count == ids->room) {
        size_t room = ids->room ? ids->room * 2 : 16;
        void *more = realloc(ids->ids, room * sizeof(ids->ids[0]));
        if (!more)
            return err_nomem(err);
        ids->ids = more;
        ids->room = room;
    }
    snprintf(ids->ids[ids->count++], sizeof(ids->ids[0]), "%s", instance->id);
    return 0;
}

/* Keeps the rows that the call may see. */
static int filter_rows(const struct call *call, struct stats_row *rows, size_t *count,
                       struct err *err)
{
    const char *viewer = call_viewer(call);
    struct ids ids = {0};
    struct store_page page = {0};
    size_t kept = 0;
    if (!viewer)
        return 0;
    int rc = store_instance_list_usable(call->api->rooms.store, viewer, &page, add_id, &ids, err);
    if (rc == 0 && ids.count)
        qsort(ids.ids, ids.count, sizeof(ids.ids[0]), compare_ids);
    for (size_t i = 0; rc == 0 && ids.count && i < *count; i++) {
        if (bsearch(rows[i].instance_id, ids.ids, ids.count, sizeof(ids.ids[0]), compare_ids))
            rows[kept++] = rows[i];
    }
    free(ids.ids);
    *count = kept;
    return rc;
}

/* However many dashboards look, the text is made once in so many ms at most; each row tells when it
 * was measured, which is once a second. A short one is made anew each time (list_cache.c). */
#define SHARED_MS 100

struct moment {
    char name[32];
};

static struct moment now(void)
{
    struct moment moment;
    snprintf(moment.name, sizeof(moment.name), "%" PRId64, clock_mono_ms() / SHARED_MS);
    return moment;
}

/* A user's is made for him alone, and not kept. NULL on failure. */
static struct shared *make_all(struct call *call, struct err *err)
{
    struct strbuf body = {0};
    struct stats_row *rows;
    size_t count;
    struct moment moment = now();
    if (fleet_copy_stats(call->api->rooms.fleet, &rows, &count, err) < 0)
        return NULL;
    if (filter_rows(call, rows, &count, err) < 0) {
        free(rows);
        return NULL;
    }
    jw_array_begin(&body, NULL);
    for (size_t i = 0; i < count; i++)
        put_row(&body, &rows[i]);
    jw_array_end(&body);
    free(rows);
    size_t len = body.len;
    char *text = strbuf_steal(&body);
    struct shared *shared = text ? shared_create(text, len) : NULL;
    if (!shared)
        err_nomem(err);
    else if (!call_viewer(call))
        list_cache_put(call->api->lists, call->route, moment.name, shared);
    return shared;
}

static bool answer_made(struct call *call)
{
    if (call_viewer(call)) /* what is kept has everybody's rows */
        return false;
    struct moment moment = now();
    struct shared *body = list_cache_get(call->api->lists, call->route, moment.name);
    if (body)
        call_answer_shared(call, body);
    return body != NULL;
}

/* On the fleet's thread where the first rows were waited for. */
static void answer_all(void *arg)
{
    struct call *call = arg;
    struct err err = {0};
    if (answer_made(call))
        return;
    struct shared *body = make_all(call, &err);
    if (body)
        call_answer_shared(call, body);
    else
        call_answer_err(call, &err);
}

static void make_apart(struct call *call)
{
    if (list_cache_was_long(call->api->lists, call->route))
        lister_take(call->api->lister, call);
    else
        answer_all(call);
}

/* Comes again on the lister's thread, when it will be long. */
void stats_list(struct call *call)
{
    struct err err = {0};
    bool on_lister = call->deferred;
    call_defer(call);
    int looked_at = fleet_look_at_all_stats(call->api->rooms.fleet, answer_all, call, &err);
    if (looked_at < 0)
        call_answer_err(call, &err);
    else if (looked_at > 0 && on_lister)
        answer_all(call);
    else if (looked_at > 0 && !answer_made(call))
        make_apart(call);
}
