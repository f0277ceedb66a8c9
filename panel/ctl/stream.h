/* An event stream that goes on: over lost connections and restarts of the panel, by the last
 * event's id. One thread. */
#ifndef PANEL_CTL_STREAM_H
#define PANEL_CTL_STREAM_H

#include "panel/ctl/ctl.h"
#include "panel/ctl/sse.h"

struct stream;

struct stream_events {
    sse_take take; /* during stream_poll() */
    /* It broke, and couldn't be had again at once; why is a sentence. Called once until it is back.
     */
    void (*gap)(void *arg, const char *why);
    void *arg;
    bool ends; /* by itself: then it is over, and not tried again */
};

/* path with its query is the caller's, as long as the stream lives. */
struct stream *stream_open(struct ctl *ctl, const char *path, const struct stream_events *events,
                           struct err *err);

/* Sleeps until there is something, fd (or -1) can be read, or ms are over. 1: it goes on; 0: it has
 * ended, or what is followed is there no more; -1: it can't be followed. */
int stream_poll(struct stream *stream, int fd, int ms, bool *ret_readable, struct err *err);
void stream_close(struct stream *stream);

/* By which it would be gone on with, or "". */
const char *stream_last_id(const struct stream *stream);

/* Has the panel begun to answer, this time? */
bool stream_is_open(const struct stream *stream);

#endif
