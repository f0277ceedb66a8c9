/* The writer: the one thread, and the one connection, that changes the database.
 *
 * It takes what has gathered in the queue and runs it as one transaction, a savepoint a change,
 * so that one fsync serves all and one refusal undoes nothing else; only after the commit does
 * anybody hear of success. SQLite may throw a whole transaction away over one statement (disk
 * full, out of memory): then the change that did it is told so, and the rest is run again.
 * When COMMIT itself fails by I/O its outcome is unknown: everybody is told just that, and the
 * program must end, since a second try could write twice (the database is checked at start). */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "panel/metrics/metrics.h"
#include "panel/metrics/pulse.h"
#include "panel/store/internal.h"

#define BATCH_MAX   256
#define ANSWERS_TTL (24LL * 3600 * 1000)
#define SWEEP_MS    (60LL * 1000)
#define SIGN_MS     (10LL * 1000) /* between two wakes of those who listen, with nothing new */

static struct store_change *change_of(struct mail *mail)
{
    return (struct store_change *)mail;
}

int store_submit(struct store *store, struct store_change *change, struct err *err)
{
    /* Counted before closing is looked at: the writer ends only when it sees neither. */
    int before = atomic_fetch_add(&store->queued, 1);
    if (atomic_load(&store->closing)) {
        atomic_fetch_sub(&store->queued, 1);
        return err_set(err, ERR_BUSY, "shutting_down", "the panel is shutting down");
    }
    if (before >= QUEUE_MAX) {
        atomic_fetch_sub(&store->queued, 1);
        metric_add(METRIC_CHANGES_TURNED_AWAY, 1);
        return err_set(err, ERR_BUSY, "busy",
                       "too many changes are waiting; try again in a second");
    }
    change->error = (struct err){0};
    mailbox_post(&store->queue, &change->mail);
    return 0;
}

int store_tx_undo(struct store_tx *tx, struct err *err)
{
    return db_exec(tx->db, "ROLLBACK TO change", err);
}

int store_tx_try(struct store_tx *tx, int (*fn)(void *arg, struct store_tx *tx, struct err *err),
                 void *arg, struct err *err)
{
    if (db_do(tx->db, "SAVEPOINT part", err) < 0)
        return -1;
    int rc = fn(arg, tx, err);
    if (rc == 0)
        return db_do(tx->db, "RELEASE part", err);
    /* Lost with the whole transaction, as on a full disk: run_change() sees that. */
    if (db_in_transaction(tx->db))
        (void)db_exec(tx->db, "ROLLBACK TO part; RELEASE part", NULL);
    return rc;
}

/* 0, or -1 when the transaction is lost and the batch must be run again. */
static int run_change(struct store_tx *tx, struct store_change *change)
{
    struct err *err = &change->error;
    if (err->code)
        return 0; /* failed in an earlier run of this batch */
    if (db_do(tx->db, "SAVEPOINT change", err) == 0) {
        int rc = change->apply(change, tx, err);
        if (rc == 0)
            rc = db_do(tx->db, "RELEASE change", err);
        if (rc == 0)
            return 0;
    }
    if (!err->code)
        err_set(err, ERR_INTERNAL, "store_failed", "a change failed without a reason");
    if (!db_in_transaction(tx->db))
        return -1;
    return db_exec(tx->db, "ROLLBACK TO change; RELEASE change", NULL);
}

static int run_all(struct store_tx *tx, struct mail *batch, struct err *err)
{
    if (db_do(tx->db, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    for (struct mail *m = batch; m; m = m->next) {
        if (run_change(tx, change_of(m)) < 0) {
            if (db_in_transaction(tx->db))
                (void)db_exec(tx->db, "ROLLBACK", NULL);
            *err = change_of(m)->error;
            return 1; /* again, without that one */
        }
    }
    return db_do(tx->db, "COMMIT", err);
}

static void fail_batch(struct mail *batch, const struct err *err)
{
    for (struct mail *m = batch; m; m = m->next) {
        if (!change_of(m)->error.code)
            change_of(m)->error = *err;
    }
}

static void count_commit(const struct mail *batch, uint64_t us)
{
    unsigned done = 0;
    unsigned refused = 0;
    for (const struct mail *m = batch; m; m = m->next) {
        if (((const struct store_change *)m)->error.code)
            refused++;
        else
            done++;
    }
    metric_add(METRIC_COMMITS, 1);
    metric_add(METRIC_CHANGES, done);
    metric_add(METRIC_CHANGES_REFUSED, refused);
    histogram_add(HISTOGRAM_COMMIT_US, us);
    histogram_add(HISTOGRAM_COMMIT_CHANGES, done + refused);
}

static void commit_batch(struct store *store, struct mail *batch)
{
    struct store_tx tx;
    struct err err = {0};
    int rc;
    if (store->lost.code) {
        fail_batch(batch, &store->lost);
        return;
    }
    int64_t began_us = clock_mono_us();
    readers_let_go(store);
    do {
        tx = (struct store_tx){.db = store->writer_db, .now = clock_wall_ms()};
        rc = run_all(&tx, batch, &err);
    } while (rc > 0);
    if (rc < 0) {
        if (strcmp(err.reason, "store_io") == 0)
            store->lost = err;
        if (db_in_transaction(tx.db))
            (void)db_exec(tx.db, "ROLLBACK", NULL);
        log_error("commit failed", "code=%s reason=\"%s\"", err.reason, err.msg);
        health_failed(store, &err);
        if (store->lost.code && store->on_fatal)
            store->on_fatal(&err);
        fail_batch(batch, &err);
        return;
    }
    count_commit(batch, (uint64_t)(clock_mono_us() - began_us));
    health_committed(store);
    atomic_fetch_add_explicit(&store->commits, 1, memory_order_release);
    for (unsigned i = 0; i < STORE_TABLES; i++) {
        if (tx.touched & 1u << i)
            atomic_fetch_add_explicit(&store->versions[i], 1, memory_order_release);
    }
}

static void finish_batch(struct store *store, struct mail *batch)
{
    while (batch) {
        struct store_change *change = change_of(batch);
        batch = batch->next; /* done() may free the change */
        struct err err = change->error;
        atomic_fetch_sub(&store->queued, 1);
        change->done(change, err.code ? &err : NULL);
    }
}

static void sweep_answers(struct store *store)
{
    struct err err;
    struct stmt *stmt =
        db_stmt(store->writer_db, "DELETE FROM answers WHERE created_at < ?1", &err);
    if (!stmt)
        return;
    db_bind_int(stmt, 1, clock_wall_ms() - ANSWERS_TTL);
    if (db_run(stmt, &err) < 0)
        log_warn("old answers stay", "reason=\"%s\"", err.msg);
}

static void sweep(struct store *store)
{
    sweep_answers(store);
    events_sweep(store->writer_db);
    audit_sweep(store);
}

static int64_t earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/* Cuts at most BATCH_MAX off the front of *rest. */
static struct mail *cut_batch(struct mail **rest)
{
    struct mail *batch = *rest;
    struct mail *last = batch;
    for (int n = 1; n < BATCH_MAX && last->next; n++)
        last = last->next;
    *rest = last->next;
    last->next = NULL;
    return batch;
}

static void *writer_main(void *arg)
{
    struct store *store = arg;
    int64_t next_sweep = clock_mono_ms();
    int64_t next_sign = next_sweep + SIGN_MS;
    for (;;) {
        bool closing = atomic_load(&store->closing);
        pulse_rest(PULSE_STORE);
        if (closing && atomic_load(&store->queued) == 0)
            return NULL;
        struct mail *rest = mailbox_take(&store->queue, closing ? clock_mono_ms() + 10
                                                                : earlier(next_sweep, next_sign));
        pulse_work(PULSE_STORE);
        while (rest) {
            struct mail *batch = cut_batch(&rest);
            commit_batch(store, batch);
            finish_batch(store, batch);
            listeners_wake(store);
        }
        if (clock_mono_ms() >= next_sweep) {
            next_sweep = clock_mono_ms() + SWEEP_MS;
            if (!store->lost.code && !closing)
                sweep(store);
        }
        if (clock_mono_ms() >= next_sign) {
            next_sign = clock_mono_ms() + SIGN_MS;
            listeners_wake(store);
        }
    }
}

static int change_nothing(struct store_change *change, struct store_tx *tx, struct err *err)
{
    (void)change;
    (void)tx;
    (void)err;
    return 0;
}

static void stop_done(struct store_change *change, const struct err *err)
{
    (void)change;
    (void)err;
}

/* --- is it alive ----------------------------------------------------------------------------- */

static void answer_heart(struct store_change *change, const struct err *err)
{
    struct store *store = (struct store *)((char *)change - offsetof(struct store, question));
    (void)err; /* a store that refuses is no writer that hangs */
    heart_beat(&store->heart);
}

/* Past the queue's limit: what is full is not dead. */
static void ask_writer(struct heart *heart)
{
    struct store *store = (struct store *)((char *)heart - offsetof(struct store, heart));
    store->question = (struct store_change){.apply = change_nothing, .done = answer_heart};
    atomic_fetch_add(&store->queued, 1);
    mailbox_post(&store->queue, &store->question.mail);
}

struct heart *store_heart(struct store *store)
{
    return &store->heart;
}

/* --- life ------------------------------------------------------------------------------------ */

int writer_start(struct store *store, struct err *err)
{
    store->heart = (struct heart){.name = "store writer", .ask = ask_writer};
    mailbox_init(&store->queue, NULL, NULL);
    int rc = pthread_create(&store->writer, NULL, writer_main, store);
    if (rc != 0) {
        mailbox_fini(&store->queue);
        return err_io(err, rc, "can't start the store's writer");
    }
    return 0;
}

void writer_stop(struct store *store)
{
    /* An empty change wakes the writer, which ends when the queue is dry. */
    struct store_change last = {.apply = change_nothing, .done = stop_done};
    atomic_fetch_add(&store->queued, 1);
    atomic_store(&store->closing, true);
    mailbox_post(&store->queue, &last.mail);
    pthread_join(store->writer, NULL);
    mailbox_fini(&store->queue);
}
