/* Backup and restore. See backup.h.
 *
 * A backup reads through a connection of its own, one snapshot from the first row to the last,
 * while the daemon goes on writing.
 *
 * A restore happens in one rename: before it the old panel is whole in its place, after it the new
 * one is, with the keys still inside its database. These are unpacked next, or at the next start
 * of the daemon when the restore was cut off there. */
#include "panel/store/backup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/failpoint.h"
#include "common/fs.h"
#include "common/pki.h"
#include "panel/store/db.h"
#include "panel/store/schema.h"

#define PEM_MAX 65536

/* Beside the database, what a panel is made of; the last two only while one CA takes another's
 * place. */
static const char *const kept_files[] = {"pki/ca.key", "pki/ca.crt", "pki/next.key",
                                         "pki/next.crt"};
#define ALWAYS_KEPT 2u

/* Which must not be there beside restored ones: it would end the old CA of what is restored. */
static const char retire_mark[] = "pki/retire";

static int check_integrity(struct db *db, const char *path, struct err *err)
{
    struct stmt *stmt = db_stmt(db, "PRAGMA integrity_check(1)", err);
    int rc = stmt ? db_step(stmt, err) : -1;
    bool sound = rc > 0 && strcmp(db_text(stmt, 0), "ok") == 0;
    if (rc >= 0)
        db_end(stmt);
    if (rc < 0)
        return -1;
    return sound ? 0 : err_set(err, ERR_IO, "damaged", "%s is damaged", path);
}

/* --- backup ---------------------------------------------------------------------------------- */

/* One snapshot of source into the new file target. */
static int copy_database(const char *source, const char *target, struct err *err)
{
    struct db *db;
    unlink(target);
    if (db_open(source, DB_READER, &db, err) < 0)
        return err_wrap(err, "can't read %s", source);
    /* VACUUM INTO writes only the copy, but query_only forbids it all the same. */
    int rc = db_exec(db, "PRAGMA query_only=OFF", err);
    struct stmt *stmt = rc < 0 ? NULL : db_stmt(db, "VACUUM INTO ?1", err);
    if (stmt) {
        db_bind_text(stmt, 1, target);
        rc = db_run(stmt, err) < 0 ? -1 : 0;
    } else {
        rc = -1;
    }
    db_close(db);
    return rc < 0 ? err_wrap(err, "can't write %s", target) : 0;
}

struct kept {
    char *texts[ARRAY_LEN(kept_files)]; /* NULL: there is none */
};

static void kept_fini(struct kept *kept)
{
    for (size_t i = 0; i < ARRAY_LEN(kept_files); i++) {
        if (kept->texts[i])
            crypto_wipe(kept->texts[i], strlen(kept->texts[i]));
        free(kept->texts[i]);
    }
}

static int read_kept(const char *dir, struct kept *kept, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(kept_files); i++) {
        auto_free char *path = fs_join(dir, kept_files[i]);
        struct err why;
        if (!path)
            return err_nomem(err);
        if (fs_read(path, PEM_MAX, &kept->texts[i], NULL, &why) < 0 &&
            (i < ALWAYS_KEPT || why.code != ERR_NOT_FOUND))
            return err_set(err, why.code, why.reason, "%s", why.msg);
    }
    return 0;
}

/* One CA may be taking another's place right now, file by file. */
static int check_kept(const struct kept *kept, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(kept_files); i += 2) {
        const char *key = kept->texts[i];
        const char *cert = kept->texts[i + 1];
        if (cert && (!key || pki_check_pair(key, cert, NULL) < 0))
            return err_set(err, ERR_CONFLICT, "ca_changing",
                           "the CA is being changed: again in a moment, or, if no paneld runs, "
                           "after it has been started once");
    }
    return 0;
}

static int add_kept(struct db *db, const char *name, const char *text, struct err *err)
{
    struct stmt *stmt = db_stmt(db, "INSERT INTO backup_files(name, content) VALUES(?1, ?2)", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, name);
    db_bind_text(stmt, 2, text);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

static int add_files(const char *dir, const char *copy, struct err *err)
{
    struct db *db;
    struct kept kept = {0};
    if (db_open(copy, DB_WRITER, &db, err) < 0)
        return -1;
    int rc = db_exec(db,
                     "CREATE TABLE backup_files(name TEXT PRIMARY KEY, content TEXT NOT NULL)"
                     " STRICT",
                     err);
    if (rc == 0)
        rc = read_kept(dir, &kept, err);
    if (rc == 0)
        rc = check_kept(&kept, err);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(kept_files); i++) {
        if (kept.texts[i])
            rc = add_kept(db, kept_files[i], kept.texts[i], err);
    }
    if (rc == 0)
        rc = check_integrity(db, copy, err);
    kept_fini(&kept);
    db_close(db);
    return rc;
}

int backup_write(const char *dir, const char *file, bool replace, struct err *err)
{
    if (!replace && access(file, F_OK) == 0)
        return err_set(err, ERR_CONFLICT, "file_exists",
                       "%s is there already; --replace overwrites it", file);
    auto_free char *source = fs_join(dir, "panel.db");
    auto_free char *copy = NULL;
    if (!source || asprintf(&copy, "%s.part", file) < 0) {
        copy = NULL;
        return err_nomem(err);
    }
    int rc = copy_database(source, copy, err);
    if (rc == 0)
        rc = add_files(dir, copy, err);
    if (rc == 0 && chmod(copy, 0600) < 0)
        rc = err_io(err, errno, "can't set the mode of %s", copy);
    if (rc == 0)
        rc = fs_commit(copy, file, err);
    if (rc < 0)
        unlink(copy);
    return rc;
}

/* --- restore --------------------------------------------------------------------------------- */

/* A second name for the file, so that it outlives the first. Absent is success. */
static int keep_file(const char *dir, const char *aside, const char *name, struct err *err)
{
    auto_free char *from = fs_join(dir, name);
    auto_free char *to = fs_join(aside, name);
    if (!from || !to)
        return err_nomem(err);
    if (link(from, to) < 0 && errno != ENOENT)
        return err_io(err, errno, "can't keep %s", from);
    return 0;
}

/* What is there, in a folder of its own; its first place is not touched. */
static int keep_old(const char *dir, struct err *err)
{
    const char *const names[] = {"panel.db",    "panel.db-wal", kept_files[0], kept_files[1],
                                 kept_files[2], kept_files[3],  retire_mark};
    char when[32];
    snprintf(when, sizeof(when), "replaced-%lld", (long long)clock_wall_ms());
    auto_free char *aside = fs_join(dir, when);
    auto_free char *pki = aside ? fs_join(aside, "pki") : NULL;
    if (!pki)
        return err_nomem(err);
    int rc = fs_make_dir(aside, 0700, err);
    if (rc == 0)
        rc = fs_make_dir(pki, 0700, err);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(names); i++)
        rc = keep_file(dir, aside, names[i], err);
    if (rc < 0)
        (void)fs_remove_tree(aside, NULL);
    return rc;
}

/* A journal of the old database must not be taken for one of the new. What it holds goes into the
 * old one; of one that is too damaged for that, the kept copy has it. */
static int fold_journal(const char *database, struct err *err)
{
    static const char *const ends[] = {"-wal", "-shm"};
    struct db *db;
    if (access(database, F_OK) == 0 && db_open(database, DB_WRITER, &db, NULL) == 0) {
        struct err why = {0};
        (void)db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", &why);
        db_close(db);
        if (strcmp(why.reason, "disk_full") == 0) {
            *err = why;
            return -1;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        auto_free char *path = NULL;
        if (asprintf(&path, "%s%s", database, ends[i]) < 0) {
            path = NULL;
            return err_nomem(err);
        }
        if (unlink(path) < 0 && errno != ENOENT)
            return err_io(err, errno, "can't remove %s", path);
    }
    return 0;
}

/* Before anything is written: with that the folder is synced, so none of these comes back. */
static int clear_rotation(const char *dir, struct err *err)
{
    const char *const names[] = {retire_mark, kept_files[2], kept_files[3]};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        auto_free char *path = fs_join(dir, names[i]);
        if (!path)
            return err_nomem(err);
        if (unlink(path) < 0 && errno != ENOENT)
            return err_io(err, errno, "can't remove %s", path);
    }
    return 0;
}

static int write_files(struct db *db, const char *dir, struct err *err)
{
    if (clear_rotation(dir, err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(db, "SELECT name, content FROM backup_files", err);
    if (!stmt)
        return -1;
    int rc;
    size_t found = 0;
    while ((rc = db_step(stmt, err)) > 0) {
        const char *name = db_text(stmt, 0);
        for (size_t i = 0; i < ARRAY_LEN(kept_files); i++) {
            if (strcmp(name, kept_files[i]) != 0)
                continue; /* never a path that we didn't choose */
            auto_free char *path = fs_join(dir, name);
            const char *text = db_text(stmt, 1);
            if (!path)
                rc = err_nomem(err);
            else
                rc = fs_write_atomic(path, text, strlen(text), 0600, err);
            found += i < ALWAYS_KEPT;
        }
        if (rc < 0)
            break;
    }
    db_end(stmt);
    if (rc == 0 && found != ALWAYS_KEPT)
        rc = err_set(err, ERR_INVALID, "not_a_backup", "the backup lacks the panel's keys");
    return rc;
}

/* Agents have seen later generations than the backup knows, and would refuse its own. The clock is
 * ahead of any count of changes. */
static int outrank_the_past(struct db *db, struct err *err)
{
    struct stmt *stmt =
        db_stmt(db, "UPDATE instances SET generation = max(generation + 1, ?1)", err);
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, clock_wall_ms());
    return db_run(stmt, err) < 0 ? -1 : 0;
}

/* Nor do new events have numbers that others had which were told, and are no more. */
static int leave_a_gap_in_events(struct db *db, struct err *err)
{
    struct stmt *stmt =
        db_stmt(db, "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'events'", err);
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, clock_wall_ms());
    return db_run(stmt, err) < 0 ? -1 : 0;
}

static int has_files(struct db *db, struct err *err)
{
    struct stmt *stmt = db_stmt(db, "SELECT 1 FROM sqlite_schema WHERE name = 'backup_files'", err);
    int rc = stmt ? db_step(stmt, err) : -1;
    if (rc >= 0)
        db_end(stmt);
    return rc;
}

int backup_unpack(struct db *db, const char *dir, struct err *err)
{
    auto_free char *pki = fs_join(dir, "pki");
    if (!pki)
        return err_nomem(err);
    int rc = has_files(db, err);
    if (rc <= 0)
        return rc;
    if (fs_make_dir(pki, 0700, err) < 0 || write_files(db, dir, err) < 0)
        return -1;
    (void)FAILPOINT("restore.unpacked");
    return db_exec(db, "DROP TABLE backup_files", err);
}

/* The epoch of a database that may be damaged; 0 when it has none to tell. */
static int64_t epoch_of(const char *path)
{
    struct db *db;
    int64_t epoch = 0;
    if (access(path, R_OK) < 0 || db_open(path, DB_READER, &db, NULL) < 0)
        return 0;
    struct stmt *stmt =
        db_stmt(db, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'epoch'", NULL);
    if (stmt && db_step(stmt, NULL) > 0)
        epoch = db_int(stmt, 0);
    if (stmt)
        db_end(stmt);
    db_close(db);
    return epoch;
}

/* Agents refuse an epoch before the one that they know, and a clock may have been ahead once. */
static int outrank_the_replaced(struct db *db, const char *replaced, struct err *err)
{
    struct stmt *stmt = db_stmt(db,
                                "UPDATE meta SET value = CAST(?1 AS TEXT)"
                                " WHERE key = 'epoch' AND CAST(value AS INTEGER) < ?1",
                                err);
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, epoch_of(replaced));
    return db_run(stmt, err) < 0 ? -1 : 0;
}

/* The copy as it is to be used. */
static int prepare(const char *copy, const char *replaced, struct err *err)
{
    struct db *db;
    if (db_open(copy, DB_WRITER, &db, err) < 0)
        return -1;
    int rc = outrank_the_past(db, err);
    if (rc == 0)
        rc = outrank_the_replaced(db, replaced, err);
    if (rc == 0)
        rc = leave_a_gap_in_events(db, err);
    db_close(db);
    return rc;
}

static int unpack(const char *database, const char *dir, struct err *err)
{
    struct db *db;
    if (db_open(database, DB_WRITER, &db, err) < 0)
        return -1;
    int rc = backup_unpack(db, dir, err);
    db_close(db);
    return rc;
}

/* What SQLite says of a file that is none of its own, or cut short, tells nobody what to do. */
static int say_damaged(const char *file, struct err *err)
{
    if (err->code == ERR_IO)
        err_set(
            err, ERR_INVALID, "not_a_backup",
            "%s is damaged, or no backup; name a file that \"paneld backup\" wrote, whole as it "
            "was",
            file);
    return -1;
}

/* Is it a backup of a panel that this version can read? Looks only. */
static int check_backup(const char *file, struct err *err)
{
    struct db *db;
    if (access(file, R_OK) < 0)
        return err_io(err, errno, "can't read %s", file);
    if (db_open(file, DB_READER, &db, err) < 0)
        return say_damaged(file, err);
    int rc = schema_check(db, file, err);
    int found = rc == 0 ? has_files(db, err) : -1;
    if (found == 0)
        rc = err_set(err, ERR_INVALID, "not_a_backup", "%s was not made by paneld backup", file);
    else if (found > 0)
        rc = check_integrity(db, file, err);
    db_close(db);
    return found < 0 || rc < 0 ? say_damaged(file, err) : 0;
}

int backup_restore(const char *dir, const char *file, bool replace, struct err *err)
{
    auto_free char *copy = fs_join(dir, "restoring.db");
    auto_free char *database = fs_join(dir, "panel.db");
    if (!copy || !database)
        return err_nomem(err);
    bool there = access(database, F_OK) == 0;
    if (there && !replace)
        return err_set(err, ERR_CONFLICT, "not_empty",
                       "%s holds a panel already; --replace moves it aside and takes its place",
                       dir);
    if (check_backup(file, err) < 0)
        return -1;
    int rc = copy_database(file, copy, err);
    if (rc == 0)
        rc = prepare(copy, database, err);
    (void)FAILPOINT("restore.copied");
    if (rc == 0 && there)
        rc = keep_old(dir, err);
    (void)FAILPOINT("restore.kept");
    if (rc == 0)
        rc = fold_journal(database, err);
    (void)FAILPOINT("restore.folded");
    if (rc == 0)
        rc = FAILPOINT("restore.renaming") ? err_io(err, EIO, "can't put %s in place", database)
                                           : fs_commit(copy, database, err);
    if (rc < 0) {
        unlink(copy);
        return -1;
    }
    (void)FAILPOINT("restore.committed");
    return unpack(database, dir, err);
}
