/* SQLite, as little of it as the store needs. Only db.c includes sqlite3.h.
 *
 * A struct db is one connection with its prepared statements; it belongs to one thread.
 * Statements are found by the address of their SQL literal, prepared once, and handed out
 * reset. Binding failures show at the next step. Texts bound must live until the step that
 * ends the statement; texts read live until the next step or db_end(). */
#ifndef PANEL_STORE_DB_H
#define PANEL_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct db;
struct stmt;

enum db_mode { DB_WRITER, DB_READER };

int db_open(const char *path, enum db_mode mode, struct db **ret_db, struct err *err);
void db_close(struct db *db);

/* Statements without results; several may stand in sql. */
int db_exec(struct db *db, const char *sql, struct err *err);
/* The same for one statement, a literal, that is run again and again: prepared once. */
int db_do(struct db *db, const char *sql_literal, struct err *err);
/* Is a transaction open? SQLite ends one by itself on some errors. */
bool db_in_transaction(const struct db *db);

/* sql must be a literal. NULL with err set when it can't be prepared. */
struct stmt *db_stmt(struct db *db, const char *sql, struct err *err);
/* Places are 1-based. */
void db_bind_text(struct stmt *stmt, int place, const char *text); /* NULL binds NULL */
void db_bind_int(struct stmt *stmt, int place, int64_t n);
void db_bind_blob(struct stmt *stmt, int place, const void *bytes, size_t len);
/* 1: a row; 0: done (and reset); -1: failed (and reset). */
int db_step(struct stmt *stmt, struct err *err);
/* Steps a statement that gives no rows. Rows changed, or -1. */
int db_run(struct stmt *stmt, struct err *err);
/* Columns are 0-based. */
const char *db_text(struct stmt *stmt, int column); /* NULL only for SQL NULL */
int64_t db_int(struct stmt *stmt, int column);
bool db_is_null(struct stmt *stmt, int column);
/* Copies a blob of exactly len bytes; false when it has another length. */
bool db_blob(struct stmt *stmt, int column, void *out, size_t len);
/* Done with the rows before the last one. Any number of times. */
void db_end(struct stmt *stmt);

#endif
