/* Event streams. See stream.h.
 *
 * States: connected (http is there), or waiting for the next try (http is NULL, until again_ms).
 * The first connection has to come about; a later one is tried for as long as it takes, 0.3 to 10 s
 * apart, but for an answer that says that it never will. */
#include "panel/ctl/stream.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "panel/ctl/api.h"
#include "panel/ctl/http.h"

#define FIRST_WAIT_MS 300
#define LAST_WAIT_MS  10000

struct stream {
    struct ctl *ctl;
    const char *path;
    struct stream_events events;
    struct http_stream *http;
    struct sse sse;
    bool broken; /* the bytes are no events */
    bool ever_open;
    bool gap_told;
    int64_t again_ms;
    int wait_ms;
};

static void take_bytes(void *arg, const char *bytes, size_t len)
{
    struct stream *stream = arg;
    if (!stream->broken)
        stream->broken =
            sse_feed(&stream->sse, bytes, len, stream->events.take, stream->events.arg) < 0;
}

static int connect_again(struct stream *stream, struct err *err)
{
    const char *id = stream->sse.id.len ? stream->sse.id.data : NULL;
    struct http_request request = {.method = "GET", .path = stream->path, .last_event_id = id};
    if (settings_check_key(&stream->ctl->settings, err) < 0)
        return -1;
    sse_restart(&stream->sse);
    stream->broken = false;
    stream->http = http_stream_open(stream->ctl->http, &request, take_bytes, stream, err);
    return stream->http ? 0 : -1;
}

struct stream *stream_open(struct ctl *ctl, const char *path, const struct stream_events *events,
                           struct err *err)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        err_nomem(err);
        return NULL;
    }
    *stream =
        (struct stream){.ctl = ctl, .path = path, .events = *events, .wait_ms = FIRST_WAIT_MS};
    if (connect_again(stream, err) < 0) {
        stream_close(stream);
        return NULL;
    }
    return stream;
}

void stream_close(struct stream *stream)
{
    if (!stream)
        return;
    http_stream_close(stream->http);
    sse_fini(&stream->sse);
    free(stream);
}

const char *stream_last_id(const struct stream *stream)
{
    return stream->sse.id.len ? stream->sse.id.data : "";
}

bool stream_is_open(const struct stream *stream)
{
    return stream->http && http_stream_answer(stream->http)->status == 200;
}

/* Try again later: after as long as the panel said, or longer each time. That one that was open has
 * ended is no news yet: mostly it is back at once. */
static int pause_stream(struct stream *stream, const char *why, int after_s)
{
    bool was_open = stream_is_open(stream);
    int ms = after_s > 0 ? after_s * 1000 : stream->wait_ms;
    http_stream_close(stream->http);
    stream->http = NULL;
    stream->again_ms = clock_mono_ms() + (ms > 60000 ? 60000 : ms);
    stream->wait_ms = stream->wait_ms * 2 > LAST_WAIT_MS ? LAST_WAIT_MS : stream->wait_ms * 2;
    if (!was_open && !stream->gap_told && stream->events.gap) {
        stream->events.gap(stream->events.arg, why);
        stream->gap_told = true;
    }
    return 1;
}

/* The answer has come to its end. */
static int after_end(struct stream *stream, struct err *err)
{
    const struct http_answer *answer = http_stream_answer(stream->http);
    if (stream->broken)
        return err_set(err, ERR_PROTOCOL, "not_a_panel", "what came is no event stream");
    if (answer->status == 200 && stream->events.ends)
        return 0;
    if (answer->status == 200)
        return pause_stream(stream, "the panel ended the stream", 0);
    if (answer->status == 429 || answer->status == 503)
        return pause_stream(stream, "the panel is busy", answer->retry_after_s);
    api_fail(stream->ctl, answer, err);
    return err->code == ERR_NOT_FOUND && stream->ever_open ? 0 : -1;
}

static int wait_for_next(struct stream *stream, int fd, int ms, bool *ret_readable, struct err *err)
{
    int64_t left = stream->again_ms - clock_mono_ms();
    struct pollfd input = {.fd = fd, .events = POLLIN};
    if (left <= 0)
        return connect_again(stream, err) < 0 ? -1 : 1;
    *ret_readable = poll(&input, 1, left < ms ? (int)left : ms) > 0;
    return 1;
}

int stream_poll(struct stream *stream, int fd, int ms, bool *ret_readable, struct err *err)
{
    *ret_readable = false;
    if (!stream->http)
        return wait_for_next(stream, fd, ms, ret_readable, err);
    struct err why = {0};
    int rc = http_stream_poll(stream->http, fd, ms, ret_readable, &why);
    if (stream_is_open(stream)) {
        stream->ever_open = true;
        stream->gap_told = false;
        stream->wait_ms = FIRST_WAIT_MS;
    }
    if (rc > 0 && !stream->broken)
        return 1;
    if (rc >= 0)
        return after_end(stream, err);
    if (!stream->ever_open || why.code == ERR_NO_MEMORY) {
        *err = why;
        return -1;
    }
    return pause_stream(stream, why.msg, 0);
}
