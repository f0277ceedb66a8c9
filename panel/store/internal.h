/* What the files of this room share. Not for others. */
#ifndef PANEL_STORE_INTERNAL_H
#define PANEL_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "panel/store/db.h"
#include "panel/store/store.h"

struct store_tx {
    struct db *db;
    unsigned touched; /* 1 << enum store_table, for the versions after the commit */
    int64_t now;      /* wall ms, one for the whole transaction */
};

struct reader {
    struct db *db;
    struct store *store;
    struct reader *next;
};

struct store {
    char *path;
    struct store_identity identity;
    _Atomic uint64_t versions[STORE_TABLES];

    /* readers: one a thread, closed with its thread or with the store */
    pthread_key_t reader_key;
    pthread_mutex_t readers_lock;
    struct reader *readers;

    /* writer */
    struct db *writer_db;
    pthread_t writer;
    struct mailbox queue;
    atomic_int queued;
    atomic_bool closing;
    void (*on_fatal)(const struct err *err);
    struct err lost; /* the writer's: a commit's outcome is unknown, so nothing more is written */
};

/* This thread's read-only connection; NULL with err set. */
struct db *store_reader(struct store *store, struct err *err);

static inline void tx_touch(struct store_tx *tx, enum store_table table)
{
    tx->touched |= 1u << table;
}

int writer_start(struct store *store, struct err *err);
void writer_stop(struct store *store);

/* ERR_NOT_FOUND with one sentence everywhere. */
int store_no_such(const char *what, const char *field, const char *id, struct err *err);

/* Is there a row for this single bound text? 1, 0 or -1. */
int store_exists(struct db *db, const char *sql_literal, const char *value, struct err *err);

#endif
