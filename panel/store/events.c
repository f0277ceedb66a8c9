/* What happened: rows that triggers (schema.c) write with the changes themselves, so no way of
 * changing something can forget them. The newest are kept. */
#include "panel/store/internal.h"

#include "common/log.h"

static int64_t read_bound(struct db *db, const char *sql, struct err *err)
{
    struct stmt *stmt = db_stmt(db, sql, err);
    if (!stmt || db_step(stmt, err) < 0)
        return -1;
    int64_t seq = db_int(stmt, 0);
    db_end(stmt);
    return seq;
}

int store_event_bounds(struct store *store, int64_t *ret_first, int64_t *ret_last, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    if (!db)
        return -1;
    *ret_first = read_bound(db, "SELECT ifnull(min(seq), 0) FROM events", err);
    *ret_last = *ret_first < 0 ? -1 : read_bound(db, "SELECT ifnull(max(seq), 0) FROM events", err);
    return *ret_last < 0 ? -1 : 0;
}

int store_event_exists(struct store *store, int64_t seq, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = db ? db_stmt(db, "SELECT 1 FROM events WHERE seq = ?1", err) : NULL;
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, seq);
    int rc = db_step(stmt, err);
    db_end(stmt);
    return rc;
}

/* What of an event a user may know. An instance's events say whose it was then; those of a time
 * when it was another's are not the new owner's. */
#define MAY_KNOW                                                                                   \
    " AND (?6 = '' OR user_id = ?6 OR kind GLOB 'image.*'"                                         \
    " OR (kind GLOB 'instance.*' AND EXISTS(SELECT 1 FROM access a"                                \
    "  WHERE a.user_id = ?6 AND a.instance_id = events.instance_id))"                              \
    " OR (kind GLOB 'access.*' AND EXISTS(SELECT 1 FROM instances i"                               \
    "  WHERE i.id = events.instance_id AND i.user_id = ?6)))"

int store_event_list(struct store *store, const struct event_filter *filter, uint32_t limit,
                     store_event_fn fn, void *arg, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt =
        db ? db_stmt(db,
                     "SELECT seq, at, kind, instance_id, node_id, user_id, name, phase, suspended,"
                     " power, observed, error_code, error_message, image_id, key_id"
                     " FROM events WHERE seq > ?1"
                     " AND (?2 = '' OR instance_id = ?2) AND (?3 = '' OR node_id = ?3)"
                     " AND (?4 = '' OR user_id = ?4)" MAY_KNOW " ORDER BY seq LIMIT ?5",
                     err)
           : NULL;
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, filter->after);
    db_bind_text(stmt, 2, filter->instance_id);
    db_bind_text(stmt, 3, filter->node_id);
    db_bind_text(stmt, 4, filter->user_id);
    db_bind_int(stmt, 5, limit);
    db_bind_text(stmt, 6, filter->viewer_id);
    int rc;
    while ((rc = db_step(stmt, err)) > 0) {
        struct event event = {.seq = db_int(stmt, 0),
                              .at = db_int(stmt, 1),
                              .kind = db_text(stmt, 2),
                              .instance_id = db_text(stmt, 3),
                              .node_id = db_text(stmt, 4),
                              .user_id = db_text(stmt, 5),
                              .name = db_text(stmt, 6),
                              .has_state = !db_is_null(stmt, 7),
                              .phase = (enum instance_phase)db_int(stmt, 7),
                              .suspended = db_int(stmt, 8) != 0,
                              .power = (enum instance_power)db_int(stmt, 9),
                              .observed = (enum instance_observed)db_int(stmt, 10),
                              .error_code = db_text(stmt, 11),
                              .error_message = db_text(stmt, 12),
                              .image_id = db_text(stmt, 13),
                              .key_id = db_text(stmt, 14)};
        if (fn(&event, arg, err) < 0) {
            rc = -1;
            break;
        }
    }
    db_end(stmt);
    return rc;
}

void events_sweep(struct db *db)
{
    struct err err;
    struct stmt *stmt = db_stmt(db,
                                "DELETE FROM events WHERE seq <= (SELECT seq FROM events"
                                " ORDER BY seq DESC LIMIT 1 OFFSET ?1)",
                                &err);
    if (!stmt)
        return;
    db_bind_int(stmt, 1, EVENTS_KEPT);
    if (db_run(stmt, &err) < 0)
        log_warn("old events stay", "reason=\"%s\"", err.msg);
}
