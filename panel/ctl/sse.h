/* Server-sent events (HTML Living Standard, 9.2.6), read from pieces as they come. One thread. */
#ifndef PANEL_CTL_SSE_H
#define PANEL_CTL_SSE_H

#include <stddef.h>

#include "common/strbuf.h"

#define SSE_EVENT_MAX (1024u * 1024u)

struct sse_event {
    const char *type; /* "message" where the stream names none */
    const char *id;   /* of the last event that had one; "" before */
    const char *data;
};

/* Valid during the call alone. */
typedef void (*sse_take)(void *arg, const struct sse_event *event);

struct sse {
    struct strbuf line;
    struct strbuf data;
    struct strbuf type;
    struct strbuf id;
    bool after_cr;
    bool has_data;
};

/* Zero-initialised is a new one. -1: an event is longer than SSE_EVENT_MAX, or memory is out; the
 * stream is of no use any more. */
int sse_feed(struct sse *sse, const char *bytes, size_t len, sse_take take, void *arg);
/* A new connection: forget half an event, keep the last id. */
void sse_restart(struct sse *sse);
void sse_fini(struct sse *sse);

#endif
