/* Who else may use an instance: sub-users, beside its owner. A user's deletion takes his access
 * with it, an instance's all that was given to it (instances_bury()). */
#include "panel/store/internal.h"

static int check_both(struct store_tx *tx, const char *instance_id, const char *user_id,
                      struct err *err)
{
    if (store_must_exist(tx->db, "SELECT 1 FROM instances WHERE id = ?1 AND phase <> 3", "instance",
                         "id", instance_id, err) < 0 ||
        store_must_exist(tx->db, "SELECT 1 FROM users WHERE id = ?1 AND deleted = 0", "user",
                         "userId", user_id, err) < 0)
        return -1;
    return 0;
}
_Static_assert(PHASE_DELETING == 3, "check_both() says so");

/* The statement with both ids in it. Rows changed, or -1. */
static int run_on_both(struct store_tx *tx, const char *sql_literal, const char *instance_id,
                       const char *user_id, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db, sql_literal, err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, instance_id);
    db_bind_text(stmt, 2, user_id);
    return db_run(stmt, err);
}

int store_access_give(struct store_tx *tx, const char *instance_id, const char *user_id,
                      struct err *err)
{
    if (check_both(tx, instance_id, user_id, err) < 0)
        return -1;
    struct stmt *stmt =
        db_stmt(tx->db, "SELECT 1 FROM instances WHERE id = ?1 AND user_id = ?2", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, instance_id);
    db_bind_text(stmt, 2, user_id);
    int owns = db_step(stmt, err);
    db_end(stmt);
    if (owns > 0)
        return err_field(err, ERR_CONFLICT, "is_owner", "userId",
                         "the instance is this user's own, so there is nothing to give");
    tx_touch(tx, STORE_USERS);
    return owns < 0 || run_on_both(tx,
                                   "INSERT INTO access(instance_id, user_id) VALUES(?1, ?2)"
                                   " ON CONFLICT DO NOTHING",
                                   instance_id, user_id, err) < 0
               ? -1
               : 0;
}

int store_access_take(struct store_tx *tx, const char *instance_id, const char *user_id,
                      struct err *err)
{
    if (check_both(tx, instance_id, user_id, err) < 0)
        return -1;
    int taken = run_on_both(tx, "DELETE FROM access WHERE instance_id = ?1 AND user_id = ?2",
                            instance_id, user_id, err);
    if (taken == 0)
        return err_field(err, ERR_NOT_FOUND, "access_not_found", "userId",
                         "the user \"%.64s\" has no access to this instance that could be taken",
                         user_id);
    tx_touch(tx, STORE_USERS);
    return taken < 0 ? -1 : 0;
}

static int read_right(struct db *db, const char *instance_id, const char *user_id, struct err *err)
{
    struct stmt *stmt = db_stmt(db,
                                "SELECT user_id = ?2, EXISTS(SELECT 1 FROM access"
                                " WHERE user_id = ?2 AND instance_id = ?1)"
                                " FROM instances WHERE id = ?1 AND phase <> 3",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, instance_id);
    db_bind_text(stmt, 2, user_id);
    int rc = db_step(stmt, err);
    if (rc > 0)
        rc = db_int(stmt, 0) ? RIGHT_OWN : db_int(stmt, 1) ? RIGHT_USE : RIGHT_NONE;
    db_end(stmt);
    return rc; /* no row is RIGHT_NONE */
}
_Static_assert(RIGHT_NONE == 0, "read_right() says so");

int store_access_right(struct store *store, const char *instance_id, const char *user_id,
                       struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    return db ? read_right(db, instance_id, user_id, err) : -1;
}

int store_access_right_tx(struct store_tx *tx, const char *instance_id, const char *user_id,
                          struct err *err)
{
    return read_right(tx->db, instance_id, user_id, err);
}

int store_access_list(struct store *store, const char *instance_id, struct store_page *page,
                      store_user_fn fn, void *arg, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    int known = db ? store_must_exist(db, "SELECT 1 FROM instances WHERE id = ?1 AND phase <> 3",
                                      "instance", "id", instance_id, err)
                   : -1;
    if (known < 0)
        return -1;
    struct stmt *stmt = db_stmt(db,
                                "SELECT u.seq, u.id, u.username, u.email FROM access a"
                                " JOIN users u ON u.id = a.user_id"
                                " WHERE a.instance_id = ?1 AND u.seq > ?2 ORDER BY u.seq",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, instance_id);
    db_bind_int(stmt, 2, page->after);
    page->next = 0;
    struct page_walk walk = {.page = page, .seq = 0};
    int rc;
    while ((rc = page_step(&walk, stmt, err)) > 0) {
        struct user user = {
            .id = db_text(stmt, 1), .username = db_text(stmt, 2), .email = db_text(stmt, 3)};
        if (fn(&user, arg, err) < 0) {
            rc = -1;
            break;
        }
    }
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}
