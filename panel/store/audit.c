/* Who did what: a row for each request that changes something, written with the change. */
#include "panel/store/internal.h"

#include "common/clock.h"
#include "common/log.h"

#define DAY_MS (24LL * 3600 * 1000)

int store_audit_add(struct store_tx *tx, const struct audit *audit, int64_t *ret_seq,
                    struct err *err)
{
    struct stmt *stmt = db_stmt(
        tx->db,
        "INSERT INTO audit(at, request, key_id, key_name, method, path, target, status, code,"
        " detail) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING seq",
        err);
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, tx->now);
    db_bind_text(stmt, 2, audit->request_id);
    db_bind_text(stmt, 3, audit->key_id);
    db_bind_text(stmt, 4, audit->key_name);
    db_bind_text(stmt, 5, audit->method);
    db_bind_text(stmt, 6, audit->path);
    db_bind_text(stmt, 7, audit->target);
    db_bind_int(stmt, 8, audit->status);
    db_bind_text(stmt, 9, audit->code);
    db_bind_text(stmt, 10, audit->detail);
    if (db_step(stmt, err) < 0)
        return -1;
    *ret_seq = db_int(stmt, 0);
    db_end(stmt);
    return 0;
}

int store_audit_end(struct store_tx *tx, int64_t seq, int status, const char *code, struct err *err)
{
    struct stmt *stmt =
        db_stmt(tx->db, "UPDATE audit SET status = ?2, code = ?3 WHERE seq = ?1", err);
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, seq);
    db_bind_int(stmt, 2, status);
    db_bind_text(stmt, 3, code);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

#define COLUMNS                                                                                    \
    "SELECT seq, at, request, key_id, key_name, method, path, target, status, code, detail"        \
    " FROM audit"
#define REST                                                                                       \
    " seq < ?1 AND seq >= ?5 AND at >= ?2 AND (?3 = '' OR key_id = ?3 OR key_name = ?3)"           \
    " ORDER BY seq DESC"

/* Of the first row from seq on; 1 found, 0 there is none. */
static int read_place(struct db *db, int64_t seq, int64_t *ret_seq, int64_t *ret_at,
                      struct err *err)
{
    struct stmt *stmt =
        db_stmt(db, "SELECT seq, at FROM audit WHERE seq >= ?1 ORDER BY seq LIMIT 1", err);
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, seq);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        *ret_seq = db_int(stmt, 0);
        *ret_at = db_int(stmt, 1);
    }
    db_end(stmt);
    return rc;
}

/* The number from which on rows are as young as that. They are in order of time, as far as the
 * clock is, so it is looked for by halves: through a million rows one by one takes a second. */
static int find_since(struct db *db, int64_t since, int64_t *ret_seq, struct err *err)
{
    int64_t low = 1; /* all before it are too old */
    int64_t high;    /* from it on none is, or there is none */
    int64_t seq = 0;
    int64_t at = 0;
    *ret_seq = 0;
    if (!since)
        return 0;
    struct stmt *stmt = db_stmt(db, "SELECT ifnull(max(seq), 0) + 1 FROM audit", err);
    if (!stmt || db_step(stmt, err) < 0)
        return -1;
    high = db_int(stmt, 0);
    db_end(stmt);
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int rc = read_place(db, middle, &seq, &at, err);
        if (rc < 0)
            return -1;
        if (rc > 0 && at < since)
            low = seq + 1;
        else
            high = middle;
    }
    *ret_seq = low;
    return 0;
}

static struct stmt *list_stmt(struct db *db, const struct audit_filter *filter, struct err *err)
{
    int64_t first;
    if (find_since(db, filter->since, &first, err) < 0)
        return NULL;
    struct stmt *stmt = filter->target[0] ? db_stmt(db, COLUMNS " WHERE target = ?4 AND" REST, err)
                                          : db_stmt(db, COLUMNS " WHERE" REST, err);
    if (!stmt)
        return NULL;
    db_bind_int(stmt, 1, filter->before ? filter->before : INT64_MAX);
    db_bind_int(stmt, 2, filter->since);
    db_bind_text(stmt, 3, filter->key);
    if (filter->target[0])
        db_bind_text(stmt, 4, filter->target);
    db_bind_int(stmt, 5, first);
    return stmt;
}

int store_audit_list(struct store *store, const struct audit_filter *filter, uint32_t limit,
                     int64_t *ret_next, store_audit_fn fn, void *arg, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = db ? list_stmt(db, filter, err) : NULL;
    if (!stmt)
        return -1;
    int64_t last = 0;
    int rc;
    *ret_next = 0;
    for (uint32_t count = 0; (rc = db_step(stmt, err)) > 0; count++) {
        if (count == limit) {
            *ret_next = last;
            break;
        }
        struct audit audit = {.seq = db_int(stmt, 0),
                              .at = db_int(stmt, 1),
                              .request_id = db_text(stmt, 2),
                              .key_id = db_text(stmt, 3),
                              .key_name = db_text(stmt, 4),
                              .method = db_text(stmt, 5),
                              .path = db_text(stmt, 6),
                              .target = db_text(stmt, 7),
                              .status = (int)db_int(stmt, 8),
                              .code = db_text(stmt, 9),
                              .detail = db_text(stmt, 10)};
        last = audit.seq;
        if (fn(&audit, arg, err) < 0) {
            rc = -1;
            break;
        }
    }
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}

void store_keep_audit(struct store *store, uint32_t days)
{
    atomic_store(&store->audit_days, days);
}

/* Rows are in order of time, as far as the clock is, so the first that is to stay is soon found;
 * where there is none, all go. */
void audit_sweep(struct store *store)
{
    struct err err;
    int64_t days = atomic_load(&store->audit_days);
    if (!days)
        return;
    struct stmt *stmt = db_stmt(store->writer_db,
                                "DELETE FROM audit WHERE seq < ifnull((SELECT seq FROM audit"
                                " WHERE at >= ?1 ORDER BY seq LIMIT 1), 9223372036854775807)",
                                &err);
    if (!stmt)
        return;
    db_bind_int(stmt, 1, clock_wall_ms() - days * DAY_MS);
    if (db_run(stmt, &err) < 0)
        log_warn("old audit rows stay", "reason=\"%s\"", err.msg);
}
