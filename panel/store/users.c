/* Users in the store. Usernames and e-mail addresses are compared without case (NOCASE). A deleted
 * user's row stays, under a name that nobody can ask for, until the last of its instances is gone.
 */
#include "panel/store/internal.h"

#include <stdio.h>

#define COLUMNS                                                                                    \
    "SELECT id, username, email, admin, created_at, seq,"                                          \
    " (SELECT json_group_array(instance_id) FROM access WHERE user_id = users.id) FROM users "

/* The array is made, so it may be that there was no memory for it. */
static int read_row(struct stmt *stmt, struct user *user, struct err *err)
{
    *user = (struct user){.id = db_text(stmt, 0),
                          .username = db_text(stmt, 1),
                          .email = db_text(stmt, 2),
                          .admin = db_int(stmt, 3) != 0,
                          .created_at = db_int(stmt, 4),
                          .access_to = db_text(stmt, 6)};
    return user->access_to ? 0 : err_nomem(err);
}

static int get_row(struct stmt *stmt, const char *value, store_user_fn fn, void *arg,
                   struct err *err)
{
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, value);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        struct user user;
        if (read_row(stmt, &user, err) < 0 || fn(&user, arg, err) < 0)
            rc = -1;
    }
    db_end(stmt);
    return rc;
}

static const char *const queries[] = {
    [USER_BY_ID] = COLUMNS "WHERE id = ?1 AND deleted = 0",
    [USER_BY_USERNAME] = COLUMNS "WHERE username = ?1",
    [USER_BY_EMAIL] = COLUMNS "WHERE email = ?1",
};

int store_user_get(struct store *store, enum user_key by, const char *value, store_user_fn fn,
                   void *arg, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    return get_row(db ? db_stmt(db, queries[by], err) : NULL, value, fn, arg, err);
}

int store_user_see(struct store_tx *tx, const char *id, store_user_fn fn, void *arg,
                   struct err *err)
{
    return get_row(db_stmt(tx->db, queries[USER_BY_ID], err), id, fn, arg, err);
}

#define LOGIN "SELECT id, username, password_hash FROM users WHERE deleted = 0 AND "

int store_user_login(struct store *store, enum login_by by, const char *name,
                     struct user_login *ret_login, struct err *err)
{
    static const char *const by_name =
        LOGIN "(username = ?1 OR email = ?1) ORDER BY username = ?1 DESC LIMIT 1";
    static const char *const by_id = LOGIN "id = ?1";
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = db ? db_stmt(db, by == LOGIN_BY_ID ? by_id : by_name, err) : NULL;
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, name);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        snprintf(ret_login->id, sizeof(ret_login->id), "%s", db_text(stmt, 0));
        snprintf(ret_login->username, sizeof(ret_login->username), "%s", db_text(stmt, 1));
        snprintf(ret_login->hash, sizeof(ret_login->hash), "%s", db_text(stmt, 2));
    }
    db_end(stmt);
    return rc;
}

int store_user_check_hash(struct store_tx *tx, const char *id, const char *hash, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT 1 FROM users WHERE id = ?1 AND password_hash = ?2"
                                " AND deleted = 0",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_text(stmt, 2, hash);
    int rc = db_step(stmt, err);
    db_end(stmt);
    if (rc == 0)
        return err_set(err, ERR_UNAUTHORIZED, "unauthorized", "the password has been changed");
    return rc < 0 ? -1 : 0;
}

int store_user_list(struct store *store, struct store_page *page, store_user_fn fn, void *arg,
                    struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt =
        db ? db_stmt(db, COLUMNS "WHERE seq > ?1 AND deleted = 0 ORDER BY seq", err) : NULL;
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, page->after);
    page->next = 0;
    struct page_walk walk = {.page = page, .seq = 5};
    int rc;
    while ((rc = page_step(&walk, stmt, err)) > 0) {
        struct user user;
        if (read_row(stmt, &user, err) < 0 || fn(&user, arg, err) < 0) {
            rc = -1;
            break;
        }
    }
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}

/* One logs in by either, so nobody's name is another's address: it would stand before that. */
#define NAME_OF_OTHERS "SELECT 1 FROM users WHERE (username = ?1 OR email = ?1) AND id <> ?2"
#define ID_OF_OTHERS   "SELECT 1 FROM users WHERE id = ?1 AND id <> ?2"

/* Is the value free, or that user's own (id "": nobody's)? */
static int check_free(struct store_tx *tx, const char *sql, const char *field, const char *id,
                      const char *value, struct err *err)
{
    struct stmt *stmt = value ? db_stmt(tx->db, sql, err) : NULL;
    if (!stmt)
        return value ? -1 : 0;
    db_bind_text(stmt, 1, value);
    db_bind_text(stmt, 2, id);
    int rc = db_step(stmt, err);
    db_end(stmt);
    if (rc > 0)
        return err_field(err, ERR_CONFLICT, "user_exists", field, "%s \"%.64s\" is taken", field,
                         value);
    return rc;
}

int store_user_create(struct store_tx *tx, const struct user *user, const char *password_hash,
                      struct err *err)
{
    if (check_free(tx, NAME_OF_OTHERS, "username", "", user->username, err) < 0 ||
        check_free(tx, NAME_OF_OTHERS, "email", "", user->email, err) < 0 ||
        check_free(tx, ID_OF_OTHERS, "userId", "", user->id, err) < 0)
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

static int check_known(struct store_tx *tx, const char *id, struct err *err)
{
    return store_must_exist(tx->db, "SELECT 1 FROM users WHERE id = ?1 AND deleted = 0", "user",
                            "id", id, err);
}

int store_user_change(struct store_tx *tx, const struct user_change *change, struct err *err)
{
    if (check_known(tx, change->id, err) < 0 ||
        check_free(tx, NAME_OF_OTHERS, "username", change->id, change->username, err) < 0 ||
        check_free(tx, NAME_OF_OTHERS, "email", change->id, change->email, err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(tx->db,
                                "UPDATE users SET username = coalesce(?2, username),"
                                " email = coalesce(?3, email),"
                                " password_hash = coalesce(?4, password_hash),"
                                " admin = iif(?5 < 0, admin, ?5) WHERE id = ?1",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, change->id);
    db_bind_text(stmt, 2, change->username);
    db_bind_text(stmt, 3, change->email);
    db_bind_text(stmt, 4, change->password_hash);
    db_bind_int(stmt, 5, change->admin);
    tx_touch(tx, STORE_USERS);
    tx_touch(tx, STORE_KEYS); /* a trigger ends his sessions with the password */
    return db_run(stmt, err) < 0 ? -1 : 0;
}

static int count_instances(struct store_tx *tx, const char *id, int64_t *ret, int64_t *ret_living,
                           struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT count(*), coalesce(sum(phase <> ?2), 0) FROM instances"
                                " WHERE user_id = ?1",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, PHASE_DELETING);
    int rc = db_step(stmt, err);
    *ret = db_int(stmt, 0);
    *ret_living = db_int(stmt, 1);
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}

static int list_instances(struct store_tx *tx, const char *id, struct strbuf *out, struct err *err)
{
    struct stmt *stmt =
        db_stmt(tx->db, "SELECT id FROM instances WHERE user_id = ?1 AND phase <> ?2", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, PHASE_DELETING);
    int rc;
    strbuf_reset(out);
    while ((rc = db_step(stmt, err)) > 0)
        strbuf_fmt(out, "%s\n", db_text(stmt, 0));
    db_end(stmt);
    if (rc == 0 && out->failed)
        return err_nomem(err);
    return rc;
}

int store_user_delete(struct store_tx *tx, const char *id, bool force, struct strbuf *ret_ids,
                      struct err *err)
{
    int64_t instances = 0;
    int64_t living = 0;
    if (check_known(tx, id, err) < 0 || count_instances(tx, id, &instances, &living, err) < 0)
        return -1;
    if (living && !force)
        return err_field(
            err, ERR_CONFLICT, "user_has_instances", "id",
            "the user still has %lld instance%s; delete them first, or send \"force\": "
            "true to delete the user with them",
            (long long)living, living == 1 ? "" : "s");
    tx_touch(tx, STORE_USERS);
    tx_touch(tx, STORE_KEYS); /* triggers end his keys and sessions */
    if (store_run_on(tx->db, "DELETE FROM access WHERE user_id = ?1", id, err) < 0)
        return -1;
    if (!instances)
        return store_run_on(tx->db, "DELETE FROM users WHERE id = ?1", id, err);
    if (list_instances(tx, id, ret_ids, err) < 0)
        return -1;
    if (instances_bury(tx, INSTANCES_OF_USER, id, err) < 0)
        return -1;
    /* a name with a control character can't be asked for */
    return store_run_on(tx->db,
                        "UPDATE users SET deleted = 1, password_hash = '',"
                        " username = char(1) || seq, email = char(1) || seq WHERE id = ?1",
                        id, err);
}
