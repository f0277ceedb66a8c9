/* How the store does: for those who watch. See store.h.
 *
 * The writer notes how each commit ended, with two stores and no lock; a reader asks SQLite for
 * its pages and the system for the disk. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/auto.h"
#include "common/clock.h"
#include "panel/metrics/metrics.h"
#include "panel/store/internal.h"

void health_committed(struct store *store)
{
    atomic_store_explicit(&store->failure, NULL, memory_order_relaxed);
    atomic_store_explicit(&store->committed_at, clock_mono_ms(), memory_order_relaxed);
}

void health_failed(struct store *store, const struct err *err)
{
    static const char *const words[] = {"disk_full", "store_io", "no_memory"};
    const char *word = "store_failed";
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(err->reason, words[i]) == 0)
            word = words[i];
    }
    metric_add(METRIC_COMMITS_FAILED, 1);
    atomic_store_explicit(&store->failure, word, memory_order_relaxed);
}

void store_health(struct store *store, struct store_health *ret_health)
{
    int queued = atomic_load_explicit(&store->queued, memory_order_relaxed);
    const char *failure = atomic_load_explicit(&store->failure, memory_order_relaxed);
    *ret_health = (struct store_health){
        .queued = queued > 0 ? (uint32_t)queued : 0,
        .queue_max = QUEUE_MAX,
        .committed_at = atomic_load_explicit(&store->committed_at, memory_order_relaxed),
    };
    snprintf(ret_health->failure, sizeof(ret_health->failure), "%s", failure ? failure : "");
}

int store_touch(struct store_tx *tx, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "INSERT INTO meta(key, value) VALUES('touched', CAST(?1 AS TEXT))"
                                " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                                err);
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, tx->now);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

static int read_pragma(struct db *db, const char *sql_literal, uint64_t *ret, struct err *err)
{
    struct stmt *stmt = db_stmt(db, sql_literal, err);
    if (!stmt)
        return -1;
    int rc = db_step(stmt, err);
    if (rc > 0)
        *ret = (uint64_t)db_int(stmt, 0);
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}

static int read_pages(struct store *store, struct store_space *space, struct err *err)
{
    uint64_t size = 0;
    uint64_t count = 0;
    uint64_t unused = 0;
    auto_reader struct reader *reader = reader_begin(store, err);
    if (!reader || read_pragma(reader_db(reader), "PRAGMA page_size", &size, err) < 0 ||
        read_pragma(reader_db(reader), "PRAGMA page_count", &count, err) < 0 ||
        read_pragma(reader_db(reader), "PRAGMA freelist_count", &unused, err) < 0)
        return -1;
    space->database = size * count;
    space->free_pages = size * unused;
    return 0;
}

int store_space(struct store *store, struct store_space *ret_space, struct err *err)
{
    struct store_space space = {0};
    struct statvfs disk;
    struct stat wal;
    auto_strbuf struct strbuf wal_path = {0};
    strbuf_fmt(&wal_path, "%s-wal", store->path);
    if (wal_path.failed)
        return err_nomem(err);
    if (read_pages(store, &space, err) < 0)
        return -1;
    if (statvfs(store->path, &disk) < 0)
        return err_io(err, errno, "can't look at the disk of %s", store->path);
    space.wal = stat(wal_path.data, &wal) == 0 ? (uint64_t)wal.st_size : 0;
    space.disk = (uint64_t)disk.f_blocks * disk.f_frsize;
    space.disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
    *ret_space = space;
    return 0;
}
