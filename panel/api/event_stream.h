/* An answer that is an event stream (HTML Living Standard, 9.2), made of what somebody follows.
 *
 * Belongs to its HTTP stream until that is closed, then to what is followed until that lets go of
 * it, which frees it. It ends before its next piece once its reader has lost the right to it: his
 * key is dead, his access taken. A comment is said in long silence: it shows whether anybody is
 * there. */
#ifndef PANEL_API_EVENT_STREAM_H
#define PANEL_API_EVENT_STREAM_H

#include "panel/api/internal.h"
#include "panel/live/feed.h"
#include "panel/live/listener.h"

/* What is followed. All take the follower. */
struct event_source {
    enum feed_taken (*take)(void *follower, struct shared **ret_piece, uint64_t *ret_lost);
    void (*leave)(void *follower);
    /* Tell the client that so many are missing; NULL: it needn't know. */
    void (*add_lost)(struct strbuf *out, uint64_t lost);
};

struct event_stream;

/* NULL: no memory, and the call has been answered so. */
struct event_stream *event_stream_create(struct call *call, const struct event_source *source);
/* Before it starts: tell the client where it begins, so that one that is cut off before the first
 * event comes back to there. */
void event_stream_set_place(struct event_stream *stream, int64_t id);
/* What to follow with. */
struct live_listener event_stream_listener(struct event_stream *stream);
/* Answer with what the follower has: true, and it may begin. False: the call has been answered
 * otherwise; a follower that is NULL is one that there was no memory for. Frees the stream. */
bool event_stream_start(struct event_stream *stream, struct call *call, void *follower);

/* Add one event to the text of a piece. id 0: it has none; type NULL: "message"; takes the JSON. */
void event_stream_put(struct strbuf *out, int64_t id, const char *type, struct strbuf *take_json);

/* "follow" in the query: 1 or 0. -1: it is something else. */
int event_stream_is_wanted(const struct call *call, struct err *err);

#endif
