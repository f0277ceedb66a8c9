/* /api/events: what happened to instances, nodes, users and images, as an event stream.
 *
 * A stream is a place in the table of events, and reads on from there whenever something was
 * committed: so nothing is lost however slowly a client reads, and its last event's id is all that
 * is needed to go on after any restart. The place where it begins is told before any event. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_writer.h"
#include "panel/api/event_memo.h"
#include "panel/api/event_stream.h"
#include "panel/api/handlers.h"
#include "panel/domain/instance_state.h"
#include "panel/domain/text.h"

#define AT_ONCE_MAX 200u
#define ALL_LOST    UINT64_MAX /* as many as nobody knows */
#define COUNTED_MAX 1000000000 /* more are not missing but numbers that a restore left out */

struct follower {
    struct store *store;
    struct event_memo *memo; /* NULL: it doesn't follow all */
    struct store_listener commits;
    struct live_listener listener;
    bool listening;
    bool ends; /* where there is nothing more yet */
    struct event_filter filter;
    char ids[3][ROUTE_PARAM_SIZE];
    char viewer_id[USER_ID_SIZE];
    uint64_t lost; /* to be told first */
};

/* --- one event ------------------------------------------------------------------------------- */

static void put_id(struct strbuf *out, const char *name, const char *id)
{
    if (id[0])
        jw_string(out, name, id);
}

static void put_state(struct strbuf *out, const struct event *event)
{
    bool has_error = event->error_code && event->error_code[0];
    jw_string(out, "InternalState", instance_phase_name(event->phase));
    jw_string(out, "State",
              instance_state_name(event->phase, event->suspended, event->power, event->observed,
                                  has_error, NODE_ONLINE));
    if (!has_error) {
        jw_null(out, "Error");
        return;
    }
    jw_object_begin(out, "Error");
    jw_string(out, "code", event->error_code);
    jw_string(out, "message", event->error_message);
    jw_object_end(out);
}

struct walk {
    struct follower *follower;
    struct strbuf out;
};

static int put_event(const struct event *event, void *arg, struct err *err)
{
    (void)err;
    struct walk *walk = arg;
    struct strbuf json = {0};
    struct strbuf *out = &json;
    jw_object_begin(out, NULL);
    jw_time(out, "time", event->at);
    jw_string(out, "type", event->kind);
    put_id(out, "instanceId", event->instance_id);
    put_id(out, "nodeId", event->node_id);
    put_id(out, "userId", event->user_id);
    put_id(out, "imageId", event->image_id);
    put_id(out, "keyId", event->key_id);
    if (strcmp(event->kind, "node.status") == 0)
        jw_string(out, "status", event->name);
    else
        put_id(out, "name", event->name);
    if (event->has_state)
        put_state(out, event);
    jw_object_end(out);
    event_stream_put(&walk->out, event->seq, NULL, &json);
    walk->follower->filter.after = event->seq;
    return 0;
}

/* --- following ------------------------------------------------------------------------------- */

/* What another one has just read at the same place. */
static struct shared *take_known(struct follower *follower)
{
    return follower->memo
               ? event_memo_get(follower->memo, follower->filter.after, &follower->filter.after)
               : NULL;
}

static enum feed_taken take(void *arg, struct shared **ret_piece, uint64_t *ret_lost)
{
    struct follower *follower = arg;
    struct walk walk = {.follower = follower};
    struct err err = {0};
    int64_t first;
    int64_t last;
    int64_t after = follower->filter.after;
    if (follower->lost) {
        *ret_lost = follower->lost;
        follower->lost = 0;
        return FEED_LOST;
    }
    *ret_piece = take_known(follower);
    if (*ret_piece)
        return FEED_PIECE;
    if (store_event_bounds(follower->store, &first, &last, &err) < 0)
        return FEED_END; /* its client comes back */
    if (last <= follower->filter.after)
        return follower->ends ? FEED_END : FEED_NOTHING;
    if (first > follower->filter.after + 1) { /* they were dropped before it read them */
        int64_t count = first - after - 1;
        bool all = !follower->viewer_id[0]; /* how many of a user's, nobody knows */
        *ret_lost = all && count <= COUNTED_MAX ? (uint64_t)count : ALL_LOST;
        follower->filter.after = first - 1;
        return FEED_LOST;
    }
    if (store_event_list(follower->store, &follower->filter, AT_ONCE_MAX, put_event, &walk, &err) <
        0) {
        strbuf_fini(&walk.out);
        return FEED_END;
    }
    if (!walk.out.len && !walk.out.failed) { /* nothing that is wanted, up to there */
        strbuf_fini(&walk.out);
        follower->filter.after = last;
        return follower->ends ? FEED_END : FEED_NOTHING;
    }
    size_t len = walk.out.len;
    char *text = strbuf_steal(&walk.out);
    *ret_piece = text ? shared_create(text, len) : NULL;
    if (*ret_piece && follower->memo)
        event_memo_put(follower->memo, after, follower->filter.after, *ret_piece);
    return *ret_piece ? FEED_PIECE : FEED_END;
}

static void leave(void *arg)
{
    struct follower *follower = arg;
    if (follower->listening)
        store_unlisten(follower->store, &follower->commits);
    follower->listener.release(follower->listener.arg);
    free(follower);
}

static void add_lost(struct strbuf *out, uint64_t lost)
{
    struct strbuf json = {0};
    jw_object_begin(&json, NULL);
    if (lost == ALL_LOST)
        jw_null(&json, "events");
    else
        jw_int(&json, "events", (int64_t)lost);
    jw_object_end(&json);
    event_stream_put(out, 0, "lost", &json);
}

static const struct event_source events_source = {take, leave, add_lost};

/* --- what is asked for ----------------------------------------------------------------------- */

static int read_id(const struct call *call, const char *name, char id[ROUTE_PARAM_SIZE],
                   struct err *err)
{
    const char *text = http_req_query(call->req, name);
    if (text && strlen(text) >= ROUTE_PARAM_SIZE)
        return err_field(err, ERR_INVALID, "invalid_field", name,
                         "The parameter \"%s\" has to be an id.", name);
    snprintf(id, ROUTE_PARAM_SIZE, "%s", text ? text : "");
    return 0;
}

/* Where to begin: behind the last event that the client has, or else behind the newest. */
static int read_place(const struct call *call, struct follower *follower, struct err *err)
{
    const char *after = http_req_header(call->req, "Last-Event-ID");
    const char *field = after && *after ? "Last-Event-ID" : "after";
    uint64_t place;
    int64_t first;
    int64_t last;
    if (!after || !*after)
        after = http_req_query(call->req, "after");
    if (store_event_bounds(follower->store, &first, &last, err) < 0)
        return -1;
    follower->filter.after = last;
    if (!after)
        return 0;
    if (!text_parse_uint(after, INT64_MAX, &place))
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "\"%s\" has to be the id of an event of this stream.", field);
    /* Numbers are without gaps, but for the one that a restore leaves (backup.c). */
    int known = (int64_t)place > last ? 0
                : !place || (int64_t)place < first
                    ? 1
                    : store_event_exists(follower->store, (int64_t)place, err);
    if (known < 0)
        return -1;
    if (known)
        follower->filter.after = (int64_t)place;
    else /* the database was put back to an older one */
        follower->lost = ALL_LOST;
    return 0;
}

/* A stream goes on, unless "follow" says that it should not. */
static int read_end(const struct call *call, struct follower *follower, struct err *err)
{
    int wanted = http_req_query(call->req, "follow") ? event_stream_is_wanted(call, err) : 1;
    follower->ends = wanted == 0;
    return wanted < 0 ? -1 : 0;
}

static struct follower *follower_create(const struct call *call, struct err *err)
{
    struct follower *follower = calloc(1, sizeof(*follower));
    if (!follower) {
        err_nomem(err);
        return NULL;
    }
    follower->store = call->api->rooms.store;
    follower->filter.instance_id = follower->ids[0];
    follower->filter.node_id = follower->ids[1];
    follower->filter.user_id = follower->ids[2];
    follower->filter.viewer_id = follower->viewer_id;
    snprintf(follower->viewer_id, sizeof(follower->viewer_id), "%s",
             call_viewer(call) ? call_viewer(call) : "");
    if (read_id(call, "instance", follower->ids[0], err) == 0 &&
        read_id(call, "node", follower->ids[1], err) == 0 &&
        read_id(call, "user", follower->ids[2], err) == 0 && read_place(call, follower, err) == 0 &&
        read_end(call, follower, err) == 0) {
        bool all = !follower->ids[0][0] && !follower->ids[1][0] && !follower->ids[2][0] &&
                   !follower->viewer_id[0];
        follower->memo = all ? call->api->events : NULL;
        return follower;
    }
    free(follower);
    return NULL;
}

void events_follow(struct call *call)
{
    struct err err = {0};
    struct follower *follower = follower_create(call, &err);
    if (!follower) {
        call_answer_err(call, &err);
        return;
    }
    struct event_stream *events = event_stream_create(call, &events_source);
    if (!events) {
        free(follower);
        return;
    }
    if (!follower->lost)
        event_stream_set_place(events, follower->filter.after);
    follower->listener = event_stream_listener(events);
    if (!event_stream_start(events, call, follower))
        return;
    follower->commits.wake = follower->listener.wake;
    follower->commits.arg = follower->listener.arg;
    follower->listening = true;
    store_listen(follower->store, &follower->commits);
    follower->listener.wake(follower->listener.arg); /* for what came just before */
}
