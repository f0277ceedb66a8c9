/* Logs of instances, from their nodes: read once, or followed by any number of clients.
 *
 * Docker's log on the node is the memory. However many follow one instance, its node is asked for
 * each new line once; what was printed before a follower came is read for it alone. A line's
 * position (domain/log_event.h) outlives node, agent and panel, so whoever comes back with the last
 * one he has misses nothing that the node still keeps. */
#ifndef PANEL_FLEET_LOGS_H
#define PANEL_FLEET_LOGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "panel.pb-c.h"
#include "panel/domain/log_event.h"
#include "panel/fleet/fleet.h"
#include "panel/live/feed.h"
#include "panel/live/listener.h"

struct log_query {
    struct log_point after; /* lines behind it; time 0: from the first on */
    uint32_t lines_max;     /* the last so many of them; 0: all that the node will tell at once */
    bool only_new;          /* to follow: nothing that was printed before */
    bool install; /* not to follow: the log of its last install, in the container's place */
};

/* fn is called once, on the fleet's thread, and must not block: with the lines, or with err:
 * ERR_OFFLINE "node_unreachable", ERR_NOT_FOUND "no_container", ERR_BUSY, … On -1 it isn't called.
 * Any thread. */
int fleet_read_log(struct fleet *fleet, const char *instance_id, const struct log_query *query,
                   void (*fn)(void *arg, const Wire__HistoryReply *history, const struct err *err),
                   void *arg, struct err *err);

struct log_follower;

/* NULL without memory; then release() isn't called. Any thread, as with the next three. */
struct log_follower *log_follower_create(struct fleet *fleet, const char *instance_id,
                                         const struct log_query *query,
                                         const struct live_listener *listener);
/* From here on wake() is called. */
void log_follower_begin(struct log_follower *follower);
/* One thread at a time. Pieces are events as clients see them; see feed_take(). */
enum feed_taken log_follower_take(struct log_follower *follower, struct shared **ret_piece,
                                  uint64_t *ret_lost);
void log_follower_leave(struct log_follower *follower);

#endif
