/* Reading a database of the library keyv. See keyv.h.
 * It isn't ours: nothing is written, and what is wrong with it is said of the file. */
#include "panel/store/keyv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "panel/store/db.h"

static int fail(const char *file, struct err *err)
{
    if (err->code == ERR_NO_MEMORY)
        return -1;
    return err_set(err, ERR_INVALID, "no_keyv",
                   "%s is no SQLite database with a table keyv, or is damaged; copy it again while "
                   "the other panel is stopped",
                   file);
}

static int walk(struct db *db, const char *file, keyv_fn fn, void *arg, struct err *err)
{
    struct stmt *check = db_stmt(db, "PRAGMA integrity_check(1)", err);
    int rc = check ? db_step(check, err) : -1;
    if (rc > 0 && strcmp(db_text(check, 0), "ok") != 0)
        rc = err_set(err, ERR_INVALID, "no_keyv", "%s", db_text(check, 0));
    struct stmt *rows =
        rc < 0 ? NULL : db_stmt(db, "SELECT key, value FROM keyv ORDER BY key", err);
    if (check)
        db_end(check);
    if (!rows)
        return fail(file, err);
    while ((rc = db_step(rows, err)) > 0) {
        const char *key = db_text(rows, 0);
        if (fn(key ? key : "", db_text(rows, 1), arg, err) < 0) {
            db_end(rows);
            return -1;
        }
    }
    return rc < 0 ? fail(file, err) : 0;
}

int keyv_read(const char *file, keyv_fn fn, void *arg, struct err *err)
{
    struct db *db;
    if (access(file, R_OK) < 0)
        return err_set(err, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, "no_file",
                       "can't read %s: %s", file, strerror(errno));
    if (db_open(file, DB_READER, &db, err) < 0)
        return fail(file, err);
    int rc = walk(db, file, fn, arg, err);
    db_close(db);
    return rc;
}
