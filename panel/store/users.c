/* Users in the store. Usernames and e-mail addresses are compared without case (NOCASE). */
#include "panel/store/internal.h"

#define COLUMNS "SELECT id, username, email, admin, created_at, seq FROM users "

static void read_row(struct stmt *stmt, struct user *user)
{
    *user = (struct user){.id = db_text(stmt, 0),
                          .username = db_text(stmt, 1),
                          .email = db_text(stmt, 2),
                          .admin = db_int(stmt, 3) != 0,
                          .created_at = db_int(stmt, 4)};
}

int store_user_get(struct store *store, enum user_key by, const char *value, store_user_fn fn,
                   void *arg, struct err *err)
{
    static const char *const queries[] = {
        [USER_BY_ID] = COLUMNS "WHERE id = ?1",
        [USER_BY_USERNAME] = COLUMNS "WHERE username = ?1",
        [USER_BY_EMAIL] = COLUMNS "WHERE email = ?1",
    };
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = db ? db_stmt(db, queries[by], err) : NULL;
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, value);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        struct user user;
        read_row(stmt, &user);
        if (fn(&user, arg, err) < 0)
            rc = -1;
    }
    db_end(stmt);
    return rc;
}

int store_user_list(struct store *store, struct store_page *page, store_user_fn fn, void *arg,
                    struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = db ? db_stmt(db, COLUMNS "WHERE seq > ?1 ORDER BY seq", err) : NULL;
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, page->after);
    page->next = 0;
    int64_t last = 0;
    uint32_t count = 0;
    int rc;
    while ((rc = db_step(stmt, err)) > 0) {
        if (page->limit && count == page->limit) {
            page->next = last;
            break;
        }
        struct user user;
        read_row(stmt, &user);
        if (fn(&user, arg, err) < 0) {
            rc = -1;
            break;
        }
        last = db_int(stmt, 5);
        count++;
    }
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}

static int check_free(struct store_tx *tx, const char *sql, const char *field, const char *value,
                      struct err *err)
{
    int rc = store_exists(tx->db, sql, value, err);
    if (rc > 0)
        return err_field(err, ERR_CONFLICT, "user_exists", field, "%s \"%.64s\" is taken", field,
                         value);
    return rc;
}

int store_user_create(struct store_tx *tx, const struct user *user, const char *password_hash,
                      struct err *err)
{
    if (check_free(tx, "SELECT 1 FROM users WHERE username = ?1", "username", user->username, err) <
            0 ||
        check_free(tx, "SELECT 1 FROM users WHERE email = ?1", "email", user->email, err) < 0 ||
        check_free(tx, "SELECT 1 FROM users WHERE id = ?1", "userId", user->id, err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(tx->db,
                                "INSERT INTO users(id, username, email, password_hash, admin,"
                                " created_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, user->id);
    db_bind_text(stmt, 2, user->username);
    db_bind_text(stmt, 3, user->email);
    db_bind_text(stmt, 4, password_hash);
    db_bind_int(stmt, 5, user->admin);
    db_bind_int(stmt, 6, user->created_at ? user->created_at : tx->now);
    tx_touch(tx, STORE_USERS);
    return db_run(stmt, err) < 0 ? -1 : 0;
}
