/* Opening and closing the store. See store.h, reader.c and writer.c. */
#include "panel/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/fs.h"
#include "panel/store/backup.h"
#include "panel/store/internal.h"
#include "panel/store/schema.h"

static int read_meta(struct db *db, const char *key, char *out, size_t size, struct err *err)
{
    struct stmt *stmt = db_stmt(db, "SELECT value FROM meta WHERE key = ?1", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, key);
    int rc = db_step(stmt, err);
    if (rc > 0)
        snprintf(out, size, "%s", db_text(stmt, 0));
    db_end(stmt);
    return rc;
}

static int write_meta(struct db *db, const char *key, const char *value, struct err *err)
{
    struct stmt *stmt = db_stmt(db,
                                "INSERT INTO meta(key, value) VALUES(?1, ?2)"
                                " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, key);
    db_bind_text(stmt, 2, value);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

/* The epoch follows the clock, so that a panel put back to an old copy of its database still
 * outranks what it said after the copy was made. */
static int take_identity(struct store *store, struct err *err)
{
    struct store_identity *id = &store->identity;
    struct db *db = store->writer_db;
    char text[32] = "";
    int have = read_meta(db, "panel_id", id->panel_id, sizeof(id->panel_id), err);
    if (have < 0 || read_meta(db, "epoch", text, sizeof(text), err) < 0)
        return -1;
    if (!have) {
        crypto_uuid(id->panel_id);
        if (write_meta(db, "panel_id", id->panel_id, err) < 0)
            return -1;
    }
    uint64_t now = (uint64_t)clock_wall_ms();
    uint64_t next = strtoull(text, NULL, 10) + 1;
    id->epoch = next > now ? next : now;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)id->epoch);
    return write_meta(db, "epoch", text, err);
}

static void store_free(struct store *store)
{
    readers_fini(store);
    pthread_mutex_destroy(&store->listeners_lock);
    db_close(store->writer_db);
    free(store->path);
    free(store);
}

int store_open(const char *dir, void (*on_fatal)(const struct err *err), struct store **ret_store,
               struct err *err)
{
    if (fs_make_dir(dir, 0700, err) < 0)
        return -1;
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return err_nomem(err);
    store->on_fatal = on_fatal;
    if (readers_init(store, err) < 0) {
        free(store);
        return -1;
    }
    pthread_mutex_init(&store->listeners_lock, NULL);
    for (size_t i = 0; i < STORE_TABLES; i++)
        atomic_init(&store->versions[i], 1);
    store->path = fs_join(dir, "panel.db");
    if (!store->path) {
        err_nomem(err);
        goto fail;
    }
    if (db_open(store->path, DB_WRITER, &store->writer_db, err) < 0 ||
        schema_migrate(store->writer_db, store->path, err) < 0 ||
        backup_unpack(store->writer_db, dir, err) < 0 ||
        db_exec(store->writer_db, "PRAGMA journal_mode=WAL", err) < 0 ||
        take_identity(store, err) < 0)
        goto fail;
    health_committed(store);
    if (writer_start(store, err) < 0)
        goto fail;
    *ret_store = store;
    return 0;
fail:
    store_free(store);
    return -1;
}

void store_drain(struct store *store)
{
    if (!store->drained)
        writer_stop(store);
    store->drained = true;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_drain(store);
    store_free(store);
}

const struct store_identity *store_identity(const struct store *store)
{
    return &store->identity;
}

uint64_t store_version(const struct store *store, enum store_table table)
{
    return atomic_load_explicit(&store->versions[table], memory_order_acquire);
}

int store_no_such(const char *what, const char *field, const char *id, struct err *err)
{
    char reason[40];
    snprintf(reason, sizeof(reason), "%s_not_found", what);
    return err_field(err, ERR_NOT_FOUND, reason, field, "there is no %s \"%.64s\"", what, id);
}

int store_exists(struct db *db, const char *sql_literal, const char *value, struct err *err)
{
    struct stmt *stmt = db_stmt(db, sql_literal, err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, value);
    int rc = db_step(stmt, err);
    db_end(stmt);
    return rc;
}

int store_must_exist(struct db *db, const char *sql_literal, const char *what, const char *field,
                     const char *id, struct err *err)
{
    int rc = store_exists(db, sql_literal, id, err);
    return rc == 0 ? store_no_such(what, field, id, err) : rc;
}

int store_run_on(struct db *db, const char *sql_literal, const char *value, struct err *err)
{
    struct stmt *stmt = db_stmt(db, sql_literal, err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, value);
    return db_run(stmt, err) < 0 ? -1 : 0;
}
