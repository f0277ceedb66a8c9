/* What the files of this room share. Not for others. */
#ifndef PANEL_STORE_INTERNAL_H
#define PANEL_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/strbuf.h"
#include "common/watchdog.h"
#include "panel/domain/recipe.h"
#include "panel/store/db.h"
#include "panel/store/store.h"

/* So often, after the first, may the panel choose other host ports for what a person wants to have
 * installed. */
#define PORT_CHOICES 5

struct store_tx {
    struct db *db;
    unsigned touched; /* 1 << enum store_table, for the versions after the commit */
    int64_t now;      /* wall ms, one for the whole transaction */
};

struct reader; /* reader.c */

/* page.c: the rows of a statement in order of their sequence numbers, which are in column seq, as
 * many as the page may have; page NULL: all. page->next is to be 0 at the start. */
struct page_walk {
    struct store_page *page;
    int seq;
    uint32_t count; /* rows so far */
    int64_t last;   /* the last one's number */
};
/* The next row is there: 1. 0 at the end of page or statement, -1 with err. */
int page_step(struct page_walk *walk, struct stmt *stmt, struct err *err);

struct store {
    char *path;
    struct store_identity identity;
    _Atomic uint64_t versions[STORE_TABLES];
    _Atomic uint64_t commits; /* risen before a change's done() */

    /* readers: one a thread, closed with its thread or with the store */
    pthread_key_t reader_key;
    pthread_mutex_t readers_lock;
    struct reader *readers;

    pthread_mutex_t listeners_lock;
    struct store_listener *listeners;

    _Atomic uint32_t audit_days;

    /* writer */
    struct db *writer_db;
    pthread_t writer;
    struct mailbox queue;
    atomic_int queued;
    atomic_bool closing;
    bool drained; /* the writer has ended */
    struct heart heart;
    struct store_change question; /* of the heart's: a change of nothing */
    void (*on_fatal)(const struct err *err);
    struct err lost; /* the writer's: a commit's outcome is unknown, so nothing more is written */
    _Atomic int64_t committed_at; /* mono ms */
    const char *_Atomic failure;  /* of the last commit; one of health.c's words, or NULL */
};

/* health.c, for the writer: how a commit ended. */
void health_committed(struct store *store);
void health_failed(struct store *store, const struct err *err);

#define QUEUE_MAX 8192 /* changes */

int readers_init(struct store *store, struct err *err);
void readers_fini(struct store *store);
/* End the snapshots of readers that no thread is in. Only the writer, before it writes. */
void readers_let_go(struct store *store);

/* This thread's read-only connection, which sees every commit whose done() has been called; NULL
 * with err set. What a read points to is good until reader_end(). May be nested. */
struct reader *reader_begin(struct store *store, struct err *err);
void reader_end(struct reader *reader);
struct db *reader_db(struct reader *reader);

static inline void auto_reader_cleanup(struct reader **reader)
{
    if (*reader)
        reader_end(*reader);
}
#define auto_reader __attribute__((cleanup(auto_reader_cleanup)))

static inline void tx_touch(struct store_tx *tx, enum store_table table)
{
    tx->touched |= 1u << table;
}

/* listeners.c */
void listeners_wake(struct store *store);

/* events.c: drop those that are too many. */
void events_sweep(struct db *db);
/* audit.c: those that are too old. */
void audit_sweep(struct store *store);

int writer_start(struct store *store, struct err *err);
void writer_stop(struct store *store);

/* ports.c */
/* Inside apply(): pick where the host port is 0, and see that no other instance on the node has any
 * of them. panels: what to pick from where the node has no range of its own. ERR_CONFLICT
 * "port_taken", "no_free_port". */
int ports_take(struct store_tx *tx, const char *node_id, const char *instance_id,
               const struct port_range *panels, struct port_mapping *ports, size_t count,
               struct err *err);
/* Reserve them for the row's instance. asked: what they were before ports_take(). */
int ports_write(struct store_tx *tx, const struct instance *row, const struct port_mapping *asked,
                const struct port_mapping *ports, size_t count, struct err *err);
/* All that it has is what it had, and still its own until dropped, but for what is written anew. */
int ports_make_former(struct store_tx *tx, const char *instance_id, struct err *err);
int ports_drop_former(struct store_tx *tx, const char *instance_id, struct err *err);
bool ports_have(const struct port_mapping *ports, size_t count, unsigned host_port);
/* The canonical text: "8080:18080,9000:19000/udp". */
void ports_to_text(const struct port_mapping *ports, size_t count, struct strbuf *text);

/* change.c: SQL for the JSON text of what a row is like now, or was before a change that isn't
 * proven yet. */
#define PREVIOUS                                                                                   \
    "coalesce(previous, json_object('image', image, 'alt_images', alt_images, 'memory_mib',"       \
    " memory_mib, 'cpu_milli', cpu_milli, 'ports', ports, 'primary_port', primary_port, 'env',"    \
    " env, 'cmd', cmd, 'variables', variables, 'own_env', own_env, 'install', install,"            \
    " 'pull_round', pull_round, 'resizes', resizes, 'phase', phase, 'chosen', (SELECT "            \
    "json_group_array(host_port)"                                                                  \
    " FROM ports WHERE instance_id = instances.id AND chosen = 1)))"

/* instance_create.c: what is to be made of it, by its template, variables, name, memory and primary
 * port. The caller ends it with recipe_fini(). */
int recipe_of_row(const struct instance *row, struct recipe *ret, struct err *err);

/* Can it be somebody's? ERR_NOT_FOUND "user_not_found", field user. */
int instance_check_user(struct store_tx *tx, const char *user_id, struct err *err);

/* What an instance is to have of its node, and what of that it has already. */
struct room {
    uint64_t memory_mib, memory_had;
    int64_t cpu_milli, cpu_had;
    double memory_overcommit;
};
/* Is it there? Less than before always is. ERR_CONFLICT as store_instance_create(). */
int instance_check_room(const struct node *node, const struct room *room, struct err *err);

/* ERR_NOT_FOUND with one sentence everywhere. */
int store_no_such(const char *what, const char *field, const char *id, struct err *err);

/* Run it with a single bound text. 0 or -1. */
int store_run_on(struct db *db, const char *sql_literal, const char *value, struct err *err);
/* 1, or -1 with store_no_such(). */
int store_must_exist(struct db *db, const char *sql_literal, const char *what, const char *field,
                     const char *id, struct err *err);
/* instances.c: those of one id, node or user become DELETING. How many, or -1. */
enum instances_of { INSTANCES_OF_ID, INSTANCES_OF_NODE, INSTANCES_OF_USER };
int instances_bury(struct store_tx *tx, enum instances_of of, const char *id, struct err *err);
/* drain.c: what was to run on the node is to be down from now on, or to run again. */
int instances_drain(struct store_tx *tx, const char *node_id, bool down, struct err *err);
/* Is there a row for this single bound text? 1, 0 or -1. */
int store_exists(struct db *db, const char *sql_literal, const char *value, struct err *err);

#endif
