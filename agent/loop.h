/* The agent's one loop: Docker calls, timers, messages from other threads, signals.
 *
 * Everything of the agent's own runs on the thread that calls loop_run(); other threads only
 * loop_post(). A task belongs to whoever posts it until posted, then to its run function. */
#ifndef AGENT_LOOP_H
#define AGENT_LOOP_H

#include <stdbool.h>

#include "agent/http_client.h"
#include "common/err.h"
#include "common/mailbox.h"
#include "common/timers.h"

struct loop_task {
    struct mail mail; /* first, so that a mail is its task */
    void (*run)(struct loop_task *task);
};

struct loop {
    struct timers timers;
    struct mailbox box;
    struct http_client *http;
    int signal_fd;
    bool stopping;
    /* Called for each SIGHUP; set by the owner or NULL. */
    void (*reload)(void *arg);
    void *reload_arg;
    /* Called once after each round of work, before sleeping; set by the owner or NULL. */
    void (*settle)(void *arg);
    void *settle_arg;
};

/* SIGTERM, SIGINT and SIGHUP must be blocked already; the first two end loop_run(). docker_socket
 * is the path of the Engine's unix socket. */
int loop_init(struct loop *loop, const char *docker_socket, struct err *err);
/* Tasks still queued are dropped unrun: their owners are destroyed first. */
void loop_fini(struct loop *loop);

/* Any thread. Never fails, never blocks. */
void loop_post(struct loop *loop, struct loop_task *task);

/* Serve until a signal comes. */
void loop_run(struct loop *loop);
/* Serve for at most ms, or until done() says so; for winding down. */
void loop_run_for(struct loop *loop, int64_t ms, bool (*done)(void *arg), void *arg);

#endif
