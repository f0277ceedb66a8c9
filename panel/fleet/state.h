/* What the fleet's loop holds in memory, shared by this room's files only.
 * Everything here belongs to the loop's thread, but for fleet.inbox and fleet.board. */
#ifndef PANEL_FLEET_STATE_H
#define PANEL_FLEET_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/timers.h"
#include "panel/fleet/fleet.h"
#include "panel/fleet/link.h"
#include "panel/fleet/task.h"

#define ID_SIZE            65
#define ERROR_MESSAGE_SIZE 401  /* an agent's own are as long at most */
#define NODE_LOGS_MAX      256u /* an agent follows no more at once */

struct fleet_node;

/* A caller of fleet_wait_instance(). */
struct wait {
    struct task task;
    struct timer deadline;
    struct fleet *fleet;
    struct wait *next;
    char id[ID_SIZE];
    enum fleet_goal goal;
    uint32_t timeout_ms;
    void (*fn)(void *arg, enum fleet_outcome outcome);
    void *arg;
};

/* What went wrong with an instance. Few have one. */
struct fleet_error {
    char code[40];
    char message[];
};

/* There may be hundreds of thousands: large fields first, so that none is padded. */
struct fleet_instance {
    UT_hash_handle hh;
    struct fleet *fleet;
    struct fleet_node *node;
    struct fleet_instance *prev, *next; /* among the node's */
    /* wanted, as the row says */
    uint64_t generation;
    int64_t deadline;   /* mono ms, of installing or, when it is to be down, of stopping */
    uint64_t want_spec; /* spec_number(); 0 until somebody asks */
    /* seen */
    uint64_t has_spec;         /* likewise, of the container that is there */
    struct fleet_error *error; /* NULL: none */
    uint64_t seen_generation;  /* the highest that the node knows */
    int64_t outranked;         /* mono ms when it was raised above that */
    /* being driven */
    uint64_t attempt;
    int64_t running_since; /* mono ms; 0: isn't */
    struct fleet_instance *queue_next;
    struct timer timer;
    /* being written */
    struct timer write_timer;
    uint64_t written_digest; /* of the facts last handed to the store */
    struct wait *waits;
    int64_t exit_at; /* wall ms of the node, when it last ended */
    int32_t exit_code;
    uint32_t port_choices;
    uint32_t stop_timeout_ms;
    uint32_t progress;
    unsigned failures;
    enum instance_power power;
    enum instance_phase phase, committed_phase;
    enum instance_observed observed, committed_observed;
    bool orphan; /* it has no row, only a removal */
    bool down;   /* it is not to run */
    bool failed_now;
    bool exit_oom_killed;
    bool told;      /* the last status was for the present generation */
    bool listed;    /* seen in the inventory under way */
    bool calling;   /* an Apply or Remove is under way */
    bool queued;    /* waits for a free call of its node */
    bool retry_set; /* timer is a retry's delay */
    bool writing;
    bool choosing; /* another wish of the fleet's own making is to be written first */
    bool changing; /* its last change isn't proven yet, and can be undone */
    bool dirty;
    bool forgetting;
    bool suspended;
    bool counted; /* in its node's counts, as … */
    bool counted_looping;
    uint8_t counted_state, counted_phase;
    char container_id[65];
    char id[];
};

enum link_state { LINK_IDLE, LINK_QUEUED, LINK_DIALING, LINK_UP };

struct orphan {
    struct board_orphan seen; /* its id is the key */
    UT_hash_handle hh;
};

struct fleet_node {
    char id[ID_SIZE];
    UT_hash_handle hh;
    struct fleet *fleet;
    char *address;
    char *port;
    bool joined;       /* before that there is nobody to be dialled */
    bool deleted;      /* leaves when its last instance has */
    bool drained;      /* nothing on it is to run, as its instances' rows say, too */
    struct link *link; /* once it has joined */
    enum link_state link_state;
    bool in_window;         /* it is one of fleet.dialing */
    unsigned dial_failures; /* since it was last understood */
    struct fleet_node *dial_next;
    struct timer dial_timer;
    /* beats */
    bool syncing;
    bool sync_is_stale;  /* the one under way belongs to an earlier connection */
    bool answered;       /* on the present connection */
    bool inventory_done; /* likewise, and everything it has was compared */
    char boot_id[ID_SIZE];
    uint64_t cursor;
    int64_t last_answer; /* mono ms */
    unsigned missed;
    struct timer sync_timer;
    uint32_t sync_beat_ms; /* that the Sync under way was asked with */
    int64_t heard_until;   /* mono ms; ahead of now: it has used more than its share of the loop */
    struct timer status_timer;
    struct node_live live;
    /* facts in the store */
    bool facts_written;
    bool facts_writing;
    bool facts_dirty; /* they changed since they were handed to the store */
    uint64_t memory_mib, disk_mib;
    uint32_t cpus;
    /* work */
    struct fleet_instance *instances;
    struct board_counts counts; /* of them */
    struct fleet_instance *queue, **queue_tail;
    unsigned calls;
    uint32_t ca_changes; /* the fleet's, when it was dialled */
    bool renewing;
    bool moving;          /* because of another CA */
    int64_t swaps_until;  /* mono ms; before that its link may end for another certificate */
    int64_t next_renewal; /* mono ms */
    uint32_t renewal_ca;  /* the CA's changes that this was said under */
    struct orphan *orphans;
    bool orphans_changed; /* since the board was told */
    /* what somebody looks at */
    unsigned log_hubs;
    unsigned histories; /* under way */
    unsigned commands;  /* likewise */
    struct {
        unsigned calls;  /* likewise */
        bool changed;    /* what is looked at, since the last one */
        bool named;      /* the last one named something */
        int64_t sent_at; /* mono ms */
        struct timer timer;
    } watch;
};

struct fleet {
    struct store *store;
    struct ca *ca;
    struct fleet_settings settings;
    struct board *board;
    struct mailbox inbox;
    pthread_t thread;
    atomic_bool stopping;
    struct task stop_task;
    struct task rescan_task;
    struct task end_waits_task;
    struct task heart_task;
    struct heart heart;
    atomic_bool rescan_posted;
    struct timer rescan_timer;
    bool closed; /* waits are refused */
    atomic_bool loaded;
    struct timers timers;
    struct fleet_node *nodes;
    struct fleet_instance *instances;
    struct log_hub *hubs; /* of the logs that are followed */
    struct {
        pthread_mutex_t lock; /* of rows: others read them */
        struct kept_row *rows;
        struct stats_hub *hubs;
        struct stats_wait *waits;
        _Atomic int64_t all_until; /* mono ms: all instances are looked at */
        _Atomic int64_t all_from;  /* mono ms: since then nodes have had time for the first rows */
        struct timer timer;
    } stats;
    unsigned writes; /* store changes under way */
    uint64_t attempts;
    /* dialling */
    struct fleet_node *dial_queue, **dial_tail;
    unsigned dialing;        /* in a handshake that is not slow */
    int64_t refusals_looked; /* mono ms, when last */
    char *panel_key, *panel_cert;
    char *trusted;           /* whom nodes' certificates may be from */
    uint32_t ca_changes;     /* that all three belong to */
    unsigned moving;         /* nodes that are being given another CA */
    int64_t panel_cert_made; /* mono ms */
};

/* fleet.c */
/* Something couldn't be read or written: look at everything again in a while. */
void fleet_rescan_later(struct fleet *fleet);

/* node.c */
struct fleet_node *node_add(struct fleet *fleet, const struct node *row, struct err *err);
void node_update(struct fleet_node *node, const struct node *row);
void node_remove(struct fleet_node *node);
/* May the node be asked to do things? */
bool node_is_ready(const struct fleet_node *node);
/* And is somebody's question to it likely to be answered? A connection may be dead for a while
 * before that shows; beats tell sooner. */
bool node_answers(const struct fleet_node *node);
void node_facts_committed(struct fleet_node *node);
/* Who answers there has no certificate that is good now. Told once, until it connects. */
void node_refused(struct fleet_node *node);
/* A deleted node goes when nothing of it is left. */
void node_remove_if_empty(struct fleet_node *node);
/* It is to be removed, or was an instance after all. */
void node_drop_orphan(struct fleet_node *node, const char *instance_id);
void node_envelope(struct fleet_node *node, Wire__Envelope *envelope);
uint32_t node_beat_ms(const struct fleet *fleet);

/* What the Failure means to whoever asked. */
void node_failure(const Wire__Failure *failure, struct err *ret_err);

/* logs.c */
struct watched_log {
    Wire__WatchedLog log;
    Wire__LogPosition after;
};
/* Fill rows with what is followed at the node, its texts borrowed; how many. */
size_t logs_watched(struct fleet_node *node, struct watched_log *rows, size_t rows_max);
void logs_take(struct fleet_node *node, const Wire__LogNews *news);
void logs_node_ready(struct fleet_node *node);
void logs_instance_gone(struct fleet_instance *inst);

/* stats.c */
void stats_init(struct fleet *fleet);
void stats_end_waits(struct fleet *fleet);
void stats_fini(struct fleet *fleet);
/* Fill ids with what is looked at of the node's, borrowed; how many. *ret_all: all it has. */
size_t stats_watched(struct fleet_node *node, char **ids, size_t ids_max, bool *ret_all);
void stats_take(struct fleet_node *node, const Wire__Stats *told);
void stats_node_ready(struct fleet_node *node);
void stats_instance_gone(struct fleet_instance *inst);

/* count.c */
/* It may have another state than it is counted as. */
void count_instance(struct fleet_instance *inst);
void count_instance_gone(struct fleet_instance *inst);

/* watch.c */
/* What is looked at has changed, or the node can be asked again. */
void watch_again(struct fleet_node *node);

/* dial.c */
void dial_queue(struct fleet_node *node);
void dial_after_rest(struct fleet_node *node);
void dial_abandon(struct fleet_node *node); /* whatever state it is in */
/* The connection is there. False: it is of no use, and comes anew. */
bool dial_succeeded(struct fleet_node *node);
void dial_fini(struct fleet *fleet);

/* renewal.c */
void renewal_consider(struct fleet_node *node, const Wire__SyncReply *answer);
/* Does the link rest on a CA that has been ended since it was dialled? */
bool renewal_is_too_late(const struct fleet_node *node, const Wire__SyncReply *answer);

/* instance.c */
struct fleet_instance *instance_add(struct fleet *fleet, const struct instance *row,
                                    struct err *err);
void instance_update(struct fleet_instance *inst, const struct instance *row);
void instance_free(struct fleet_instance *inst);
void instance_take_status(struct fleet_instance *inst, const Wire__InstanceStatus *status);
/* The inventory is complete and it wasn't in it. */
void instance_missing(struct fleet_instance *inst);
/* When what is under way has to have ended, mono ms; INT64_MAX: nothing has. */
int64_t instance_deadline(const struct fleet_instance *inst);
/* Is the container that was seen last made from the wanted spec? */
bool instance_is_as_wanted(struct fleet_instance *inst);
/* Look at it and do what is to be done. */
void instance_drive(struct fleet_instance *inst);
/* One without row, that is only to be removed. */
struct fleet_instance *instance_add_removal(struct fleet *fleet, const struct removal *removal,
                                            struct err *err);
/* Reload from the store; NULL when it has neither such a row nor such a removal. */
struct fleet_instance *instance_reload(struct fleet *fleet, const char *id);

/* "" when there is no error. */
const char *instance_error_code(const struct fleet_instance *inst);
const char *instance_error_message(const struct fleet_instance *inst);

/* A spec's hash as a number: its first 16 digits. 0: it is no hash. */
uint64_t spec_number(const char *spec_hash);

/* persist.c */
/* What it holds is what the store has. */
void instance_mark_written(struct fleet_instance *inst);
void instance_persist(struct fleet_instance *inst);
void instance_forget(struct fleet_instance *inst);
/* Other host ports, where the panel chose them: the ones it has are in use by something else. */
void instance_choose_ports(struct fleet_instance *inst);
/* What was before its last change is wanted again. */
void instance_undo(struct fleet_instance *inst);
/* The first half of its restart is done. */
void instance_rise(struct fleet_instance *inst);
/* Its node knows a later generation than the row: raise the row's above it. */
void instance_outrank(struct fleet_instance *inst);
void node_persist(struct fleet_node *node);
void node_forget(struct fleet_node *node);

/* apply.c */
void instance_send(struct fleet_instance *inst);
/* Send what waits for a free call. */
void apply_pump(struct fleet_node *node);
/* Look at the instance again after delay_ms, or at its deadline, unless something makes it be
 * looked at before. */
void apply_come_back(struct fleet_instance *inst, uint32_t delay_ms);

/* waits.c */
void wait_add(struct task *task);
void waits_check(struct fleet_instance *inst);
void waits_node_silent(struct fleet_node *node);
void waits_end(struct fleet_instance *inst, enum fleet_outcome outcome);

#endif
