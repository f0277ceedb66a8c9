/* Readers: a read-only connection for each thread. See internal.h.
 *
 * A reader keeps its snapshot from one read to the next while nothing is committed, since taking
 * and leaving one costs as much as a point read itself (file locks). The writer ends the snapshots
 * of idle readers before it writes, so that none is old for long and the log can begin anew. */
#include <pthread.h>
#include <stdlib.h>

#include "panel/store/internal.h"

struct reader {
    pthread_mutex_t lock; /* held while its thread reads, or the writer ends its snapshot */
    struct db *db;
    unsigned depth;   /* its thread's */
    uint64_t commits; /* of the store when the snapshot was taken, or fewer */
    struct store *store;
    struct reader *next;
};

static void leave_snapshot(struct reader *reader)
{
    if (db_in_transaction(reader->db))
        (void)db_do(reader->db, "ROLLBACK", NULL);
}

static void reader_free(struct reader *reader)
{
    if (!reader)
        return;
    db_close(reader->db);
    pthread_mutex_destroy(&reader->lock);
    free(reader);
}

/* At the end of its thread. */
static void reader_close(void *p)
{
    struct reader *reader = p;
    struct store *store = reader->store;
    pthread_mutex_lock(&store->readers_lock);
    for (struct reader **at = &store->readers; *at; at = &(*at)->next) {
        if (*at == reader) {
            *at = reader->next;
            break;
        }
    }
    pthread_mutex_unlock(&store->readers_lock);
    reader_free(reader);
}

int readers_init(struct store *store, struct err *err)
{
    if (pthread_key_create(&store->reader_key, reader_close) != 0)
        return err_nomem(err);
    pthread_mutex_init(&store->readers_lock, NULL);
    return 0;
}

void readers_fini(struct store *store)
{
    while (store->readers)
        reader_close(store->readers);
    pthread_key_delete(store->reader_key);
    pthread_mutex_destroy(&store->readers_lock);
}

void readers_let_go(struct store *store)
{
    pthread_mutex_lock(&store->readers_lock);
    for (struct reader *reader = store->readers; reader; reader = reader->next) {
        if (pthread_mutex_trylock(&reader->lock) != 0)
            continue; /* it is reading, and will look for itself before it reads again */
        leave_snapshot(reader);
        pthread_mutex_unlock(&reader->lock);
    }
    pthread_mutex_unlock(&store->readers_lock);
}

static struct reader *add_reader(struct store *store, struct err *err)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        err_nomem(err);
        return NULL;
    }
    pthread_mutex_init(&reader->lock, NULL);
    reader->store = store;
    if (db_open(store->path, DB_READER, &reader->db, err) < 0) {
        reader_free(reader);
        return NULL;
    }
    if (pthread_setspecific(store->reader_key, reader) != 0) {
        err_nomem(err);
        reader_free(reader);
        return NULL;
    }
    pthread_mutex_lock(&store->readers_lock);
    reader->next = store->readers;
    store->readers = reader;
    pthread_mutex_unlock(&store->readers_lock);
    return reader;
}

static int take_snapshot(struct reader *reader, struct err *err)
{
    uint64_t commits = atomic_load_explicit(&reader->store->commits, memory_order_acquire);
    if (reader->commits != commits)
        leave_snapshot(reader);
    if (db_in_transaction(reader->db))
        return 0;
    reader->commits = commits;
    return db_do(reader->db, "BEGIN", err);
}

struct reader *reader_begin(struct store *store, struct err *err)
{
    struct reader *reader = pthread_getspecific(store->reader_key);
    if (!reader)
        reader = add_reader(store, err);
    if (!reader || reader->depth++)
        return reader;
    pthread_mutex_lock(&reader->lock);
    if (take_snapshot(reader, err) < 0) {
        reader_end(reader);
        return NULL;
    }
    return reader;
}

void reader_end(struct reader *reader)
{
    if (--reader->depth == 0)
        pthread_mutex_unlock(&reader->lock);
}

struct db *reader_db(struct reader *reader)
{
    return reader ? reader->db : NULL;
}
