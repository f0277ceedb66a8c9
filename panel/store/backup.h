/* Backup and restore of everything the panel must not forget, as one file.
 *
 * The file is an SQLite database: a compact copy of panel.db and, in a table of its own, the keys
 * of the certificate authority, without which every node would have to join again. It holds
 * secrets, and is made readable by its owner alone. Both calls block on the disk. */
#ifndef PANEL_STORE_BACKUP_H
#define PANEL_STORE_BACKUP_H

#include <stdbool.h>

#include "common/err.h"
#include "panel/store/db.h"

/* Of the data folder dir, a daemon running on it or not. The file is whole or not there. Refused
 * with ERR_CONFLICT "file_exists" where one is already, unless replace. */
int backup_write(const char *dir, const char *file, bool replace, struct err *err);

/* Into the data folder dir, which no daemon may be using (the caller holds its lock). Refused with
 * ERR_CONFLICT "not_empty" where a database is already, unless replace: then the old one is moved
 * to dir/replaced-<time> first. Cut off anywhere, it leaves the old panel or the new one, whole. */
int backup_restore(const char *dir, const char *file, bool replace, struct err *err);

/* The end of a restore: write the keys that db still holds to their files in dir, and drop them
 * there. For a database without such, nothing. */
int backup_unpack(struct db *db, const char *dir, struct err *err);

#endif
