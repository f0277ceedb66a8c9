/* A line of a container's log as clients of an event stream see it. Pure; any thread.
 *
 *   id: TIME_NS-INDEX
 *   data: {"time":"…","stream":"stdout","line":"…"}
 *
 * (HTML Living Standard, 9.2, "Server-sent events".) The line is exactly what was printed, without
 * its newline: what is no UTF-8, or holds a NUL, stands as "base64" in the place of "line". */
#ifndef PANEL_DOMAIN_LOG_EVENT_H
#define PANEL_DOMAIN_LOG_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

/* Where a line stands; proto/panel.proto, LogPosition. */
struct log_point {
    uint64_t time_ns;
    uint32_t index;
};

struct log_event {
    struct log_point at;
    bool is_error;
    bool is_cut; /* the line goes on in the next event of its stream */
    const void *text;
    size_t len;
};

void log_event_add(struct strbuf *out, const struct log_event *event);
/* So many lines before the next one are missing. */
void log_event_add_lost(struct strbuf *out, uint64_t lines);

/* An id from a Last-Event-ID header. */
bool log_point_parse(const char *id, struct log_point *ret_point);
int log_point_compare(struct log_point a, struct log_point b);

#endif
