/* SQLite, as little of it as the store needs. See db.h.
 *
 * Failures become struct err: a full disk is ERR_IO "disk_full", all else of SQLite's I/O
 * ERR_IO "store_io". Constraint failures are ERR_INTERNAL: the store checks its rules before it
 * writes, so that a person gets a sentence; the constraints are the net below. */
#include "panel/store/db.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"

#define STMT_SLOTS 512 /* a power of two, over twice the number of statements in the store */

struct stmt {
    const char *sql;
    sqlite3_stmt *handle;
    struct db *db;
    bool bind_failed;
};

struct db {
    sqlite3 *handle;
    struct stmt stmts[STMT_SLOTS];
};

static int db_fail(struct db *db, int rc, const char *what, struct err *err)
{
    const char *why = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return err_set(err, ERR_IO, "disk_full",
                       "the panel's disk is full, so nothing was changed; try again when there is "
                       "room");
    case SQLITE_NOMEM:
        return err_nomem(err);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_READONLY:
        return err_set(err, ERR_IO, "store_io", "%s: %s", what, why);
    default:
        return err_set(err, ERR_INTERNAL, "store_failed", "%s: %s", what, why);
    }
}

/* Counting what SQLite allocates costs a lock that all threads share: a third of a point read. */
static void configure(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int db_open(const char *path, enum db_mode mode, struct db **ret_db, struct err *err)
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    pthread_once(&configured, configure);
    struct db *db = calloc(1, sizeof(*db));
    if (!db)
        return err_nomem(err);
    int flags =
        mode == DB_WRITER ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    int rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK) {
        db_fail(db, rc, "can't open the database", err);
        db_close(db);
        return -1;
    }
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, 5000);
    const char *setup = mode == DB_WRITER ? "PRAGMA synchronous=FULL;"
                                            "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;"
                                            "PRAGMA cache_size=-4096;"
                                          : "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF;"
                                            "PRAGMA cache_size=-1024;";
    if (db_exec(db, setup, err) < 0) {
        db_close(db);
        return -1;
    }
    *ret_db = db;
    return 0;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < ARRAY_LEN(db->stmts); i++)
        sqlite3_finalize(db->stmts[i].handle);
    sqlite3_close(db->handle);
    free(db);
}

int db_exec(struct db *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : db_fail(db, rc, "the database refused a statement", err);
}

bool db_in_transaction(const struct db *db)
{
    return !sqlite3_get_autocommit(db->handle);
}

struct stmt *db_stmt(struct db *db, const char *sql, struct err *err)
{
    size_t at = ((uintptr_t)sql >> 3) * 0x9e3779b97f4a7c15u >> 32;
    struct stmt *stmt;
    for (size_t tries = 0;; at++, tries++) {
        if (tries == STMT_SLOTS) {
            err_set(err, ERR_INTERNAL, "store_failed", "there are more statements than slots");
            return NULL;
        }
        stmt = &db->stmts[at % STMT_SLOTS];
        if (!stmt->sql || stmt->sql == sql)
            break;
    }
    if (!stmt->handle) {
        int rc =
            sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt->handle, NULL);
        if (rc != SQLITE_OK) {
            db_fail(db, rc, "can't prepare a statement", err);
            return NULL;
        }
        stmt->sql = sql;
        stmt->db = db;
    }
    db_end(stmt);
    stmt->bind_failed = false;
    return stmt;
}

void db_bind_text(struct stmt *stmt, int place, const char *text)
{
    int rc = text ? sqlite3_bind_text(stmt->handle, place, text, -1, SQLITE_STATIC)
                  : sqlite3_bind_null(stmt->handle, place);
    stmt->bind_failed |= rc != SQLITE_OK;
}

void db_bind_int(struct stmt *stmt, int place, int64_t n)
{
    stmt->bind_failed |= sqlite3_bind_int64(stmt->handle, place, n) != SQLITE_OK;
}

void db_bind_blob(struct stmt *stmt, int place, const void *bytes, size_t len)
{
    stmt->bind_failed |=
        sqlite3_bind_blob64(stmt->handle, place, bytes, len, SQLITE_STATIC) != SQLITE_OK;
}

int db_step(struct stmt *stmt, struct err *err)
{
    if (stmt->bind_failed) {
        db_end(stmt);
        return err_set(err, ERR_INTERNAL, "store_failed", "a value can't be bound");
    }
    int rc = sqlite3_step(stmt->handle);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc != SQLITE_DONE)
        db_fail(stmt->db, rc, "the database refused a statement", err);
    db_end(stmt);
    return rc == SQLITE_DONE ? 0 : -1;
}

int db_run(struct stmt *stmt, struct err *err)
{
    int rc = db_step(stmt, err);
    db_end(stmt);
    return rc < 0 ? -1 : sqlite3_changes(stmt->db->handle);
}

int db_do(struct db *db, const char *sql_literal, struct err *err)
{
    struct stmt *stmt = db_stmt(db, sql_literal, err);
    return stmt && db_step(stmt, err) >= 0 ? 0 : -1;
}

const char *db_text(struct stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt->handle, column);
}

int64_t db_int(struct stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->handle, column);
}

bool db_is_null(struct stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

bool db_blob(struct stmt *stmt, int column, void *out, size_t len)
{
    const void *bytes = sqlite3_column_blob(stmt->handle, column);
    if (!bytes || (size_t)sqlite3_column_bytes(stmt->handle, column) != len)
        return false;
    memcpy(out, bytes, len);
    return true;
}

void db_end(struct stmt *stmt)
{
    sqlite3_reset(stmt->handle);
    sqlite3_clear_bindings(stmt->handle);
}
