/* What instances use, from their nodes: the newest measurement of each, while somebody looks.
 *
 * To ask is to look: for LOOK_MS after it the node measures once a second, so whoever asks every
 * second is answered at once, from memory. When nobody has asked for that long nothing is measured
 * and nothing is kept. All functions: any thread, none blocks. */
#ifndef PANEL_FLEET_STATS_H
#define PANEL_FLEET_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "panel/fleet/fleet.h"
#include "panel/live/feed.h"
#include "panel/live/listener.h"

struct stats_row {
    char instance_id[65];
    bool running;      /* else of the rest only the volume's size is known */
    bool volume_known; /* it takes a while to be measured */
    int64_t at;        /* wall ms, when the panel heard of it */
    uint64_t uptime_ms;
    uint64_t cpu_milli; /* thousandths of one core */
    uint64_t cpu_ns;    /* since it began */
    uint64_t memory_bytes;
    uint64_t memory_limit_bytes; /* 0: none */
    uint64_t received_bytes;
    uint64_t sent_bytes;
    uint64_t read_bytes;
    uint64_t written_bytes;
    uint64_t volume_bytes;
    uint32_t pids;
};

/* fn is called once, on the fleet's thread, and must not block: with the row, which it may only
 * copy, or with err: ERR_NOT_FOUND "instance_not_found", ERR_OFFLINE "node_unreachable",
 * ERR_TIMEOUT "no_stats". On -1 it isn't called. */
typedef void (*stats_fn)(void *arg, const struct stats_row *row, const struct err *err);

int fleet_read_stats(struct fleet *fleet, const char *instance_id, stats_fn fn, void *arg,
                     struct err *err);

/* 1: all are looked at already. 0: ready() is called, once, on the fleet's thread, when nodes have
 * had the time to tell. -1: err. */
int fleet_look_at_all_stats(struct fleet *fleet, void (*ready)(void *arg), void *arg,
                            struct err *err);
/* The rows that are known, for the caller to free, in no order: instances whose nodes answer. */
int fleet_copy_stats(struct fleet *fleet, struct stats_row **ret_rows, size_t *ret_count,
                     struct err *err);

/* --- to follow one --------------------------------------------------------------------------- */

struct stats_follower;

/* render makes what the followers get of a row, on the fleet's thread; the same for all of one
 * instance. NULL without memory; then release() isn't called. */
struct stats_follower *stats_follower_create(struct fleet *fleet, const char *instance_id,
                                             struct shared *(*render)(const struct stats_row *row),
                                             const struct live_listener *listener);
/* From here on wake() is called. */
void stats_follower_begin(struct stats_follower *follower);
/* One thread at a time; see feed_take(). */
enum feed_taken stats_follower_take(struct stats_follower *follower, struct shared **ret_piece,
                                    uint64_t *ret_lost);
void stats_follower_leave(struct stats_follower *follower);

#endif
