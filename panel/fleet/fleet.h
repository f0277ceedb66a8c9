/* The fleet: one loop that drives every node until what is observed is what is desired.
 *
 * Level-triggered: it is told only which row changed and reads the rest from the store, at start
 * as well, so no notice is needed for correctness, only for speed. docs/architecture.md has the
 * state diagrams. All functions: any thread, none blocks. */
#ifndef PANEL_FLEET_FLEET_H
#define PANEL_FLEET_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/watchdog.h"
#include "panel/fleet/board.h"
#include "panel/pki/ca.h"
#include "panel/store/store.h"

struct fleet;

struct fleet_settings {
    uint32_t beat_ms;            /* how long a Sync is held; a later answer is a missed beat */
    uint32_t install_timeout_ms; /* INSTALLING ends by then */
    uint32_t stop_timeout_ms;    /* stopping likewise */
    struct port_range auto_ports;
};

/* The store and ca must outlive the fleet. */
int fleet_create(struct store *store, struct ca *ca, const struct fleet_settings *settings,
                 struct fleet **ret_fleet, struct err *err);
/* Other times from now on: all of settings but auto_ports. What is under way keeps the deadline
 * that it has. */
int fleet_retime(struct fleet *fleet, const struct fleet_settings *settings, struct err *err);
/* Every waiting call ends with FLEET_CLOSED, now and from now on: before HTTP is stopped. */
void fleet_end_waits(struct fleet *fleet);
/* Ends the loop; waiting calls are ended with FLEET_CLOSED. */
void fleet_destroy(struct fleet *fleet);

struct board *fleet_board(struct fleet *fleet);
/* Has it read all that there is to be driven? Once it has, it stays so. */
bool fleet_is_loaded(struct fleet *fleet);

/* Of the loop. It may be asked as long as fleet_destroy() hasn't been called. */
struct heart *fleet_heart(struct fleet *fleet);

/* A row was committed: look at it. Cannot fail (without memory it looks at everything). */
void fleet_notice_instance(struct fleet *fleet, const char *instance_id);
void fleet_notice_node(struct fleet *fleet, const char *node_id);

enum fleet_goal {
    FLEET_GOAL_READY,   /* INSTALLING has ended: READY or FAILED */
    FLEET_GOAL_GONE,    /* deleted and forgotten */
    FLEET_GOAL_SETTLED, /* running as it is to, or stopped when it is to be, or failed */
};

enum fleet_outcome {
    FLEET_REACHED,
    FLEET_TIMED_OUT,
    FLEET_NODE_OFFLINE, /* GONE and SETTLED don't wait for a node that isn't Online */
    FLEET_CLOSED,       /* the panel is stopping */
};

/* Notice the instance, then call fn once, on the fleet's thread, when the goal has been reached
 * and committed or can't be waited for. fn must not block. On -1 fn is not called. */
int fleet_wait_instance(struct fleet *fleet, const char *instance_id, enum fleet_goal goal,
                        uint32_t timeout_ms, void (*fn)(void *arg, enum fleet_outcome outcome),
                        void *arg, struct err *err);

/* Write text (copied) to the instance's standard input, once at most. Then fn is called, once, on
 * the fleet's thread: err NULL: it is written. ERR_TIMEOUT: nobody knows. Else it is not:
 * ERR_NOT_FOUND, ERR_OFFLINE "node_unreachable", ERR_CONFLICT "not_running", ERR_BUSY. On -1 fn is
 * not called. */
int fleet_send_command(struct fleet *fleet, const char *instance_id, const char *text, size_t len,
                       void (*fn)(void *arg, const struct err *err), void *arg, struct err *err);

#endif
