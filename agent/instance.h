/* The instances of this node: what is wanted, what was seen, what the panel is told.
 *
 * Docker is the memory; this table is only the present picture. Every change that the panel
 * should hear of goes through instance_touch(), which puts the entry at the journal's end with
 * the next change_seq. Who may change which part: reconcile.c everything; others only read.
 * One thread. */
#ifndef AGENT_INSTANCE_H
#define AGENT_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "agent/docker.h"
#include "agent/docker_json.h"
#include "agent/failure.h"
#include "common/timers.h"
#include "panel.pb-c.h"

enum instance_goal {
    GOAL_NONE, /* nobody asked for anything: seen by its label only */
    GOAL_RUNNING,
    GOAL_STOPPED,
    GOAL_REMOVED,
};

/* What is being done for it at this moment: at most one thing. */
enum instance_step {
    STEP_IDLE,
    STEP_IMAGE,     /* is the image on the node? */
    STEP_PULL_WAIT, /* for one of the few places to pull */
    STEP_PULL,
    STEP_INSTALL_WAIT, /* for one of the few places to install */
    STEP_WIPE,         /* empty its volume first */
    STEP_INSTALL,
    STEP_CREATE,
    STEP_LOOKUP, /* who has our name? */
    STEP_START,
    STEP_UNPAUSE,
    STEP_RESIZE, /* other limits for the container that is there */
    STEP_REARM,  /* its restart policy, before it is started */
    STEP_STOP,
    STEP_DISARM,   /* the same policy, before a line that stops it */
    STEP_SAY,      /* that line */
    STEP_WAIT_END, /* what it does then */
    STEP_CHECK,    /* what became of it? */
    STEP_SPARE,    /* it gets the name of one that is kept while another takes its place */
    STEP_RESTORE,  /* and its own name back, since that other doesn't run */
    STEP_PROVE,    /* or does it? */
    STEP_DROP,     /* then the spare one is deleted */
    STEP_HALT,     /* one that runs beside the other is killed */
    STEP_DELETE,
    STEP_ERASE, /* its volume */
    STEP_PAUSE, /* a moment, until the Engine has finished something */
};

struct instance {
    char id[INSTANCE_ID_SIZE];
    UT_hash_handle hh;
    struct instance *prev; /* the journal, oldest change first */
    struct instance *next;
    uint64_t change_seq;
    struct reconcile *reconcile;

    /* wanted */
    enum instance_goal goal;
    bool pending; /* the goal is neither reached nor given up */
    uint64_t generation;
    uint64_t attempt;
    Wire__InstanceSpec *spec; /* owned; NULL until an Apply came */
    char spec_hash[HASH_SIZE];
    char base_hash[HASH_SIZE];
    char node_address[64];
    struct {
        char *command;    /* NULL: "" */
        uint32_t grace_s; /* 0: the spec's */
        bool kill;        /* at once */
    } stop;
    char volume_id[INSTANCE_ID_SIZE]; /* of a Remove */

    /* seen */
    struct docker_container container;
    struct {
        char container_id[CONTAINER_ID_SIZE];
        char spec_hash[HASH_SIZE];
    } resized;                     /* the spec whose limits it has got, whatever its label says */
    uint64_t seen_seq;             /* when it was asked for; older answers are ignored */
    struct docker_container spare; /* what it takes the place of, until it has proved itself */
    uint64_t spare_seq;
    uint64_t spare_listed_seq;

    /* told */
    Wire__Observed observed;
    char error_code[40];
    char error_message[400];
    uint32_t progress;

    /* at work */
    uint64_t work;      /* counts accepted requests */
    uint64_t step_work; /* the request that the step was begun for */
    enum instance_step step;
    struct docker_call *call; /* of the step */
    struct install *install;  /* of STEP_INSTALL */
    struct timer timer;       /* of STEP_PAUSE, STEP_WAIT_END, STEP_INSTALL and STEP_PROVE */
    bool image_ready;
    uint64_t pulled; /* the last pull_round that is known to be done */
    struct {
        struct failure why; /* no code: it isn't */
        char container_id[CONTAINER_ID_SIZE];
    } kept;           /* a container that stays as it is, though another is wanted */
    char bind_ip[64]; /* of the container that is being created */
    bool resize_refused;
    bool looked_up;
    uint32_t tries; /* of steps that may go round in circles */
    struct docker_progress pull;
    int64_t pull_told_ms;
    int64_t since_ms;         /* when the goal came */
    struct docker_call *look; /* an inspection beside the step */
    char look_id[CONTAINER_ID_SIZE];
    uint64_t look_seq;
    bool look_again;
    uint64_t listed_seq; /* of the last list that it was in */
    bool doubled;        /* which had another container with its label */
    int64_t settled_ms;  /* when there was nothing more to do */
};

struct instance_table {
    struct instance *by_id;
    struct instance *journal;
    uint64_t seq; /* the last change's */
    void (*changed)(void *arg);
    void *changed_arg;
};

void instance_table_init(struct instance_table *table, void (*changed)(void *arg), void *arg);

struct instance *instance_find(const struct instance_table *table, const char *id);
/* A new entry that has nothing yet; NULL when memory is out. id must be a checked one. */
struct instance *instance_insert(struct instance_table *table, const char *id);
/* Nothing may be in flight for it. */
void instance_drop(struct instance_table *table, struct instance *inst);

/* The panel should hear of it. */
void instance_touch(struct instance_table *table, struct instance *inst);

/* The first entry changed after cursor, in order of change; then follow ->next. */
struct instance *instance_changed_since(const struct instance_table *table, uint64_t cursor);

/* Borrows the instance's texts. */
void instance_fill_status(struct instance *inst, Wire__InstanceStatus *ret_status);

const char *instance_step_name(enum instance_step step);

#endif
