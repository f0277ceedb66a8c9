/* Keeps the agent's picture of the Engine true: reachable or not, and every container of ours.
 *
 * Events are hints that are acted on at once; a list by label every 30 s, and after every lost
 * connection, is the truth. While the Engine is away it is asked again and again, with a
 * backoff. The callbacks run on the loop's thread. */
#ifndef AGENT_DOCKER_WATCH_H
#define AGENT_DOCKER_WATCH_H

#include <jansson.h>
#include <stdbool.h>

#include "agent/docker.h"
#include "common/timers.h"

struct docker_watch;

struct docker_watch_events {
    /* Reachable or not has changed, or why not. */
    void (*status)(void *arg);
    /* A list is being asked for: its answer will tell of nothing later than now. */
    void (*list_begin)(void *arg);
    /* The array of all containers that carry our label, borrowed. */
    void (*list_end)(void *arg, const json_t *entries);
    /* Something happened to this container. */
    void (*hint)(void *arg, const char *instance_id, const char *container_id);
    void *arg;
};

/* docker, timers and panel_id must outlive it. Starts at once. */
struct docker_watch *docker_watch_create(struct docker *docker, struct timers *timers,
                                         const char *panel_id,
                                         const struct docker_watch_events *events, struct err *err);
/* NULL is fine. */
void docker_watch_destroy(struct docker_watch *watch);

/* Up: reachable, in a version we speak, and its containers are known. */
bool docker_watch_is_up(const struct docker_watch *watch);
/* Not up, and it has been tried: what the first probe finds isn't known at once. */
bool docker_watch_is_down(const struct docker_watch *watch);
/* Why it isn't; "" when it is. */
const char *docker_watch_error(const struct docker_watch *watch);
/* Somebody's call met a broken connection: look now. */
void docker_watch_suspect(struct docker_watch *watch);
/* List soon, out of turn. */
void docker_watch_relist(struct docker_watch *watch);

#endif
