/* The database's shape and its migrations, one row of a table each. */
#ifndef PANEL_STORE_SCHEMA_H
#define PANEL_STORE_SCHEMA_H

#include "common/err.h"
#include "panel/store/db.h"

/* Bring the database to this program's version, in one transaction; an older one is copied to
 * <path>.before-<version> first. ERR_INVALID "newer_database" or "not_our_database". */
int schema_migrate(struct db *db, const char *path, struct err *err);

/* Is it a panel's database, and none newer than this program? The same errors. */
int schema_check(struct db *db, const char *path, struct err *err);

#endif
