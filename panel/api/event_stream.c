/* See event_stream.h. */
#include "panel/api/event_stream.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"

#define SIGN_MS 14000 /* of silence; we are woken a little less often */

struct event_stream {
    const struct event_source *source;
    void *follower;
    struct http_stream *stream;
    struct watch watch; /* of who reads it */
    struct store_listener commits;
    bool listening;
    struct strbuf own; /* what we say ourselves */
    struct shared *piece;
    const char *at; /* what is to be sent next: of own or piece */
    size_t left;
    int64_t said_ms;
};

/* False without memory: then the stream had better end, and its client comes back. */
static bool say(struct event_stream *events)
{
    events->at = events->own.data;
    events->left = events->own.failed ? 0 : events->own.len;
    return !events->own.failed;
}

/* False: there is nothing to be sent now. */
static bool next_piece(struct event_stream *events, bool *ret_end)
{
    uint64_t lost = 0;
    shared_unref(steal_ptr(events->piece));
    strbuf_reset(&events->own);
    if (!watch_holds(&events->watch)) { /* what comes isn't for him any more */
        *ret_end = true;
        return false;
    }
    enum feed_taken taken = events->source->take(events->follower, &events->piece, &lost);
    while (taken == FEED_LOST && !events->source->add_lost)
        taken = events->source->take(events->follower, &events->piece, &lost);
    switch (taken) {
    case FEED_PIECE:
        events->at = shared_data(events->piece);
        events->left = shared_len(events->piece);
        return true;
    case FEED_LOST:
        events->source->add_lost(&events->own, lost);
        *ret_end = !say(events);
        return !*ret_end;
    case FEED_END:
        *ret_end = true;
        return false;
    case FEED_NOTHING:
        break;
    }
    if (clock_mono_ms() - events->said_ms < SIGN_MS)
        return false;
    strbuf_str(&events->own, ":\n\n");
    *ret_end = !say(events);
    return !*ret_end;
}

static int read_events(void *arg, char *to, size_t max)
{
    struct event_stream *events = arg;
    bool end = false;
    while (!events->left) {
        if (!next_piece(events, &end))
            return end ? HTTP_STREAM_END : 0;
    }
    size_t len = events->left < max ? events->left : max;
    memcpy(to, events->at, len);
    events->at += len;
    events->left -= len;
    events->said_ms = clock_mono_ms();
    return (int)len;
}

static void close_events(void *arg)
{
    struct event_stream *events = arg;
    if (events->listening)
        store_unlisten(events->watch.store, &events->commits);
    events->source->leave(events->follower);
}

static void release_events(void *arg)
{
    struct event_stream *events = arg;
    shared_unref(events->piece);
    strbuf_fini(&events->own);
    http_stream_unref(events->stream);
    free(events);
}

static void wake_events(void *arg)
{
    struct event_stream *events = arg;
    http_stream_wake(events->stream);
}

/* So that it ends at once, though it has nothing to say. On the writer's thread. */
static void look_after(void *arg)
{
    struct event_stream *events = arg;
    if (watch_is_stale(&events->watch))
        http_stream_wake(events->stream);
}

static void answer_nomem(struct call *call)
{
    struct err err = {0};
    err_nomem(&err);
    call_answer_err(call, &err);
}

struct event_stream *event_stream_create(struct call *call, const struct event_source *source)
{
    struct event_stream *events = calloc(1, sizeof(*events));
    if (!events) {
        answer_nomem(call);
        return NULL;
    }
    events->source = source;
    watch_begin(&events->watch, call);
    strbuf_str(&events->own, "retry: 1000\n\n"); /* sends the head on its way, too */
    (void)say(events);
    return events;
}

void event_stream_set_place(struct event_stream *stream, int64_t id)
{
    strbuf_fmt(&stream->own, "id: %lld\n\n", (long long)id);
    (void)say(stream);
}

struct live_listener event_stream_listener(struct event_stream *stream)
{
    return (struct live_listener){wake_events, release_events, stream};
}

bool event_stream_start(struct event_stream *stream, struct call *call, void *follower)
{
    if (!follower) {
        release_events(stream);
        answer_nomem(call);
        return false;
    }
    stream->follower = follower;
    struct http_source source = {read_events, close_events, stream};
    http_req_add_header(call->req, "X-Accel-Buffering", "no"); /* for nginx before us */
    struct http_stream *sent = call_stream(call, "text/event-stream", &source);
    if (!sent)
        return false; /* closed already */
    stream->stream = sent;
    stream->commits.wake = look_after;
    stream->commits.arg = stream;
    stream->listening = true;
    store_listen(stream->watch.store, &stream->commits);
    return true;
}

void event_stream_put(struct strbuf *out, int64_t id, const char *type, struct strbuf *take_json)
{
    if (id)
        strbuf_fmt(out, "id: %lld\n", (long long)id);
    if (type)
        strbuf_fmt(out, "event: %s\n", type);
    strbuf_str(out, "data: ");
    if (take_json->data)
        strbuf_add(out, take_json->data, take_json->len);
    strbuf_str(out, "\n\n");
    out->failed |= take_json->failed;
    strbuf_fini(take_json);
}

int event_stream_is_wanted(const struct call *call, struct err *err)
{
    const char *text = http_req_query(call->req, "follow");
    if (!text || strcmp(text, "0") == 0 || strcmp(text, "false") == 0)
        return 0;
    if (!*text || strcmp(text, "1") == 0 || strcmp(text, "true") == 0)
        return 1;
    return err_field(err, ERR_INVALID, "invalid_field", "follow",
                     "The parameter \"follow\" has to be 1 or 0.");
}
