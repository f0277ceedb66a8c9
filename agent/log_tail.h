/* Follows the log of one instance's container, through its ends, starts and replacements, and keeps
 * the newest lines until they are told. One thread. */
#ifndef AGENT_LOG_TAIL_H
#define AGENT_LOG_TAIL_H

#include "agent/docker.h"
#include "agent/instance.h"
#include "agent/log_lines.h"
#include "agent/reconcile.h"
#include "common/timers.h"

struct log_tail {
    char id[INSTANCE_ID_SIZE];
    UT_hash_handle hh;
    bool wanted;              /* the owner's mark */
    bool told;                /* likewise: something of it was */
    struct log_position from; /* what lies behind it is here; the owner may raise it */
    uint64_t life;            /* by chance */
    struct log_lines lines;
    /* private */
    struct reconcile *reconcile;
    struct timers *timers;
    struct log_stream stream;
    struct docker_call *call;
    struct timer rest;                 /* before the log is opened again */
    char container[CONTAINER_ID_SIZE]; /* whose log is open, or was last */
    bool drained; /* that log was read to its end, and the container has not run since */
};

/* Lines behind after. NULL without memory. */
struct log_tail *log_tail_create(struct reconcile *reconcile, struct timers *timers,
                                 const char *instance_id, struct log_position after);
void log_tail_destroy(struct log_tail *tail);
/* The container may have changed: open its log, if there is one to follow. */
void log_tail_consider(struct log_tail *tail);

#endif
