/* The board: what is known right now of each node, written by the fleet loop and read by HTTP.
 *
 * Any thread. Every change raises board_version(), which ETags of node-dependent answers carry. */
#ifndef PANEL_FLEET_BOARD_H
#define PANEL_FLEET_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "panel/domain/instance_state.h"
#include "panel/domain/words.h"

struct node_live {
    enum node_status status;
    int64_t last_seen;      /* wall ms; 0: never since the panel started */
    char agent_version[32]; /* "" unknown */
    bool docker_told;       /* since the panel started: the rest of it is known */
    bool docker_up;
    char docker_version[32];
    char docker_error[320];
    bool has_usage;
    uint64_t memory_used_mib;
    uint64_t disk_used_mib;
    uint32_t cpu_permille;
    uint32_t load1_permille;
    uint64_t uptime_seconds;
    char cert_issuer[65];    /* who signed its certificate; "": not told since the panel started, or
                              * its agent is too old to */
    char ca_digest[65];      /* of all that it trusts */
    uint32_t orphans;        /* containers with our label that the store doesn't know */
    bool refused;            /* an agent answers there, with no certificate that is good now */
    uint64_t cert_not_after; /* of its agent; seconds since 1970; 0: not told yet */
};

/* How its instances are, were it to answer. */
struct board_counts {
    uint32_t states[INSTANCE_STATES];
    uint32_t phases[INSTANCE_PHASES];
    uint32_t crash_looping; /* ended three times or more, with no stable minute between */
};

/* One of those. */
struct board_orphan {
    char id[65]; /* of the instance, as its label says */
    char container_id[65];
    uint64_t generation; /* the highest that the node knows */
    bool running;
};

struct board;

int board_create(struct board **ret_board, struct err *err);
void board_destroy(struct board *board);

/* false, and an Unconfigured live, when the node isn't on the board. */
bool board_get(struct board *board, const char *node_id, struct node_live *ret_live);
int board_put(struct board *board, const char *node_id, const struct node_live *live,
              struct err *err);
void board_remove(struct board *board, const char *node_id);
/* All of a node that is on the board; copied. */
int board_put_orphans(struct board *board, const char *node_id, const struct board_orphan *orphans,
                      size_t count, struct err *err);
/* fn is called for each under the board's lock: it may only copy. */
void board_orphans(struct board *board, const char *node_id,
                   void (*fn)(const struct board_orphan *orphan, void *arg), void *arg);

/* Of a node that is on the board; it is no change that board_version() counts. */
void board_put_counts(struct board *board, const char *node_id, const struct board_counts *counts);
/* Zeroes for one that isn't. */
void board_counts(struct board *board, const char *node_id, struct board_counts *ret_counts);

uint64_t board_version(struct board *board);
/* Rises only when a node's status does, for answers that show nothing else. */
uint64_t board_status_version(struct board *board);

/* The wire's word, e.g. "Online". */
const char *node_status_name(enum node_status status);

#endif
