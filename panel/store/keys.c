/* API keys and sessions in the store: only digests of their texts, never these. A key may have two
 * secrets for a while, after a rotation. */
#include "panel/store/internal.h"

#include <stdio.h>

#include "common/clock.h"

#define COLUMNS                                                                                    \
    "SELECT k.seq, k.id, k.name, k.session, k.scopes, k.user_id, k.rate_limit, k.created_at,"      \
    " k.expires_at, k.revoked_at, k.rotated_at, k.last_used_at"

static void take_row(struct stmt *stmt, struct api_key *ret_key)
{
    *ret_key = (struct api_key){.seq = db_int(stmt, 0),
                                .session = db_int(stmt, 3) != 0,
                                .rate_limit = db_int(stmt, 6),
                                .created_at = db_int(stmt, 7),
                                .expires_at = db_int(stmt, 8),
                                .revoked_at = db_int(stmt, 9),
                                .rotated_at = db_int(stmt, 10),
                                .last_used_at = db_int(stmt, 11)};
    snprintf(ret_key->id, sizeof(ret_key->id), "%s", db_text(stmt, 1));
    snprintf(ret_key->name, sizeof(ret_key->name), "%s", db_text(stmt, 2));
    snprintf(ret_key->scopes_text, sizeof(ret_key->scopes_text), "%s", db_text(stmt, 4));
    snprintf(ret_key->user_id, sizeof(ret_key->user_id), "%s", db_text(stmt, 5));
    ret_key->scopes = scopes_of(ret_key->scopes_text);
}

/* --- finding --------------------------------------------------------------------------------- */

/* Is the user of a bound key there, and no admin? 1, 0 when not there, or -1. */
static int read_user(struct db *db, struct api_key *key, struct err *err)
{
    struct stmt *stmt = db_stmt(db, "SELECT admin FROM users WHERE id = ?1 AND deleted = 0", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, key->user_id);
    int rc = db_step(stmt, err);
    if (rc > 0)
        key->bound = db_int(stmt, 0) == 0;
    db_end(stmt);
    return rc;
}

/* 0 is never. */
static int64_t earlier(int64_t one, int64_t other)
{
    return !one || (other && other < one) ? other : one;
}

static int find_by_hash(struct db *db, const uint8_t hash[CRYPTO_HASH_BYTES],
                        struct api_key *ret_key, struct err *err)
{
    struct stmt *stmt = db_stmt(db,
                                COLUMNS ", s.until FROM secrets s JOIN api_keys k ON k.seq = s.key"
                                        " WHERE s.hash = ?1",
                                err);
    if (!stmt)
        return -1;
    db_bind_blob(stmt, 1, hash, CRYPTO_HASH_BYTES);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        int64_t now = clock_wall_ms();
        int64_t until = db_int(stmt, 12);
        take_row(stmt, ret_key);
        if (ret_key->revoked_at || (ret_key->expires_at && ret_key->expires_at <= now) ||
            (until && until <= now))
            rc = 0;
        ret_key->good_until = earlier(ret_key->expires_at, until);
    }
    db_end(stmt);
    return rc > 0 && ret_key->user_id[0] ? read_user(db, ret_key, err) : rc;
}

int store_key_find(struct store *store, const uint8_t hash[CRYPTO_HASH_BYTES],
                   struct api_key *ret_key, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    return db ? find_by_hash(db, hash, ret_key, err) : -1;
}

int store_key_find_tx(struct store_tx *tx, const uint8_t hash[CRYPTO_HASH_BYTES],
                      struct api_key *ret_key, struct err *err)
{
    return find_by_hash(tx->db, hash, ret_key, err);
}

static int get_row(struct db *db, const char *id, struct api_key *ret_key, struct err *err)
{
    struct stmt *stmt =
        db_stmt(db, COLUMNS " FROM api_keys k WHERE k.id = ?1 AND k.session = 0", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    int rc = db_step(stmt, err);
    if (rc > 0)
        take_row(stmt, ret_key);
    db_end(stmt);
    return rc;
}

int store_key_get(struct store *store, const char *id, struct api_key *ret_key, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    return db ? get_row(db, id, ret_key, err) : -1;
}

int store_key_see(struct store_tx *tx, const char *id, struct api_key *ret_key, struct err *err)
{
    return get_row(tx->db, id, ret_key, err);
}

int store_key_list(struct store *store, const char *user_id, struct store_page *page,
                   store_key_fn fn, void *arg, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = db ? db_stmt(db,
                                     COLUMNS " FROM api_keys k WHERE k.seq > ?1 AND k.session = 0"
                                             " AND (?2 = '' OR k.user_id = ?2) ORDER BY k.seq",
                                     err)
                           : NULL;
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, page->after);
    db_bind_text(stmt, 2, user_id ? user_id : "");
    page->next = 0;
    struct page_walk walk = {.page = page, .seq = 0};
    int rc;
    while ((rc = page_step(&walk, stmt, err)) > 0) {
        struct api_key key;
        take_row(stmt, &key);
        if (fn(&key, arg, err) < 0) {
            rc = -1;
            break;
        }
    }
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}

/* --- changing -------------------------------------------------------------------------------- */

static int add_secret(struct store_tx *tx, const char *id, const uint8_t hash[CRYPTO_HASH_BYTES],
                      struct err *err)
{
    struct stmt *stmt = db_stmt(
        tx->db, "INSERT INTO secrets(hash, key) SELECT ?2, seq FROM api_keys WHERE id = ?1", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_blob(stmt, 2, hash, CRYPTO_HASH_BYTES);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

static int insert(struct store_tx *tx, struct api_key *key, const uint8_t hash[CRYPTO_HASH_BYTES],
                  struct err *err)
{
    if (!key->id[0])
        crypto_random_base36(key->id, sizeof(key->id) - 1);
    struct stmt *stmt =
        db_stmt(tx->db,
                "INSERT INTO api_keys(id, name, session, scopes, user_id, rate_limit, created_at,"
                " expires_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, key->id);
    db_bind_text(stmt, 2, key->name);
    db_bind_int(stmt, 3, key->session);
    db_bind_text(stmt, 4, key->scopes_text);
    db_bind_text(stmt, 5, key->user_id);
    db_bind_int(stmt, 6, key->rate_limit);
    db_bind_int(stmt, 7, tx->now);
    db_bind_int(stmt, 8, key->expires_at);
    tx_touch(tx, STORE_KEYS);
    return db_run(stmt, err) < 0 ? -1 : add_secret(tx, key->id, hash, err);
}

#define IS_DEAD "(revoked_at > 0 OR (expires_at > 0 AND expires_at <= ?2))"

/* A user makes keys for himself, so there is an end to them: of good ones, and of those that are no
 * more than remembered. */
static int make_room(struct store_tx *tx, const char *user_id, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT count(*) FROM api_keys WHERE user_id = ?1 AND user_id <> ''"
                                " AND session = 0 AND NOT " IS_DEAD,
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, user_id);
    db_bind_int(stmt, 2, tx->now);
    if (db_step(stmt, err) < 0)
        return -1;
    bool full = db_int(stmt, 0) >= KEYS_MAX;
    db_end(stmt);
    if (full)
        return err_field(err, ERR_CONFLICT, "too_many_keys", "userId",
                         "the user has %d keys, and may have no more: revoke one", KEYS_MAX);
    stmt = db_stmt(tx->db,
                   "DELETE FROM api_keys WHERE seq IN (SELECT seq FROM api_keys WHERE user_id = ?1"
                   " AND user_id <> '' AND session = 0 AND " IS_DEAD
                   " ORDER BY seq DESC LIMIT -1 OFFSET ?3)",
                   err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, user_id);
    db_bind_int(stmt, 2, tx->now);
    db_bind_int(stmt, 3, KEYS_MAX);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_key_create(struct store_tx *tx, struct api_key *key,
                     const uint8_t hash[CRYPTO_HASH_BYTES], struct err *err)
{
    key->session = false;
    if (key->user_id[0] &&
        (store_must_exist(tx->db, "SELECT 1 FROM users WHERE id = ?1 AND deleted = 0", "user",
                          "userId", key->user_id, err) < 0 ||
         make_room(tx, key->user_id, err) < 0))
        return -1;
    return insert(tx, key, hash, err);
}

#define LIVE_KEY "SELECT 1 FROM api_keys WHERE id = ?1 AND session = 0 AND revoked_at = 0"

static int check_live(struct store_tx *tx, const char *id, struct err *err)
{
    return store_must_exist(tx->db, LIVE_KEY, "key", "id", id, err) < 0 ? -1 : 0;
}

int store_key_change(struct store_tx *tx, const struct api_key_change *change, struct err *err)
{
    if (check_live(tx, change->id, err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(tx->db,
                                "UPDATE api_keys SET name = coalesce(?2, name),"
                                " scopes = coalesce(?3, scopes),"
                                " expires_at = iif(?4 < 0, expires_at, ?4),"
                                " rate_limit = iif(?5 < -1, rate_limit, ?5) WHERE id = ?1",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, change->id);
    db_bind_text(stmt, 2, change->name);
    db_bind_text(stmt, 3, change->scopes_text);
    db_bind_int(stmt, 4, change->expires_at);
    db_bind_int(stmt, 5, change->rate_limit);
    tx_touch(tx, STORE_KEYS);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

/* What the key has had so far: those that are on their way out go now, the last at old_until. */
static int end_secrets(struct store_tx *tx, const char *id, int64_t old_until, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "DELETE FROM secrets WHERE key = (SELECT seq FROM api_keys"
                                " WHERE id = ?1) AND (until > 0 OR ?2 <= ?3)",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, old_until);
    db_bind_int(stmt, 3, tx->now);
    if (db_run(stmt, err) < 0)
        return -1;
    stmt = db_stmt(tx->db,
                   "UPDATE secrets SET until = ?2 WHERE key = (SELECT seq FROM api_keys"
                   " WHERE id = ?1)",
                   err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, old_until);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_key_rotate(struct store_tx *tx, const char *id, const uint8_t hash[CRYPTO_HASH_BYTES],
                     int64_t old_until, struct err *err)
{
    if (check_live(tx, id, err) < 0 || end_secrets(tx, id, old_until, err) < 0 ||
        add_secret(tx, id, hash, err) < 0)
        return -1;
    struct stmt *stmt = /* twice in one millisecond is twice, too */
        db_stmt(tx->db, "UPDATE api_keys SET rotated_at = max(?2, rotated_at + 1) WHERE id = ?1",
                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, tx->now);
    tx_touch(tx, STORE_KEYS);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_key_end(struct store_tx *tx, const char *id, struct err *err)
{
    if (check_live(tx, id, err) < 0 ||
        store_run_on(tx->db,
                     "DELETE FROM secrets WHERE key = (SELECT seq FROM api_keys WHERE id = ?1)", id,
                     err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(tx->db, "UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, tx->now);
    tx_touch(tx, STORE_KEYS);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

/* The one live key that has this id, or else this name. */
static int find_live(struct store_tx *tx, const char *id_or_name, char ret_id[API_KEY_ID_SIZE],
                     struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT id, id = ?1 FROM api_keys WHERE revoked_at = 0"
                                " AND session = 0 AND (id = ?1 OR name = ?1)"
                                " ORDER BY 2 DESC LIMIT 2",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id_or_name);
    int found = db_step(stmt, err);
    int more = 0;
    if (found > 0) {
        bool by_name = !db_int(stmt, 1);
        snprintf(ret_id, API_KEY_ID_SIZE, "%s", db_text(stmt, 0));
        more = by_name ? db_step(stmt, err) : 0;
    }
    db_end(stmt);
    if (found == 0)
        return err_set(err, ERR_NOT_FOUND, "key_not_found",
                       "no key that is still valid has the id or name \"%.64s\"", id_or_name);
    if (more > 0)
        return err_set(err, ERR_CONFLICT, "key_ambiguous",
                       "several keys are named \"%.64s\": give the id of one, as a list of the"
                       " keys shows it",
                       id_or_name);
    return found < 0 || more < 0 ? -1 : 0;
}

int store_key_revoke(struct store_tx *tx, const char *id_or_name, char ret_id[API_KEY_ID_SIZE],
                     struct err *err)
{
    return find_live(tx, id_or_name, ret_id, err) < 0 ? -1 : store_key_end(tx, ret_id, err);
}

int store_key_used(struct store_tx *tx, int64_t seq, struct err *err)
{
    struct stmt *stmt =
        db_stmt(tx->db, "UPDATE api_keys SET last_used_at = ?2 WHERE seq = ?1", err);
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, seq);
    db_bind_int(stmt, 2, tx->now);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

/* --- sessions -------------------------------------------------------------------------------- */

static int drop_old_sessions(struct store_tx *tx, const char *user_id, struct err *err)
{
    struct stmt *stmt =
        db_stmt(tx->db,
                "DELETE FROM api_keys WHERE session = 1 AND (expires_at <= ?2 OR seq IN"
                " (SELECT seq FROM api_keys WHERE session = 1 AND user_id = ?1 AND user_id <> ''"
                "  ORDER BY seq DESC LIMIT -1 OFFSET ?3))",
                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, user_id);
    db_bind_int(stmt, 2, tx->now);
    db_bind_int(stmt, 3, SESSIONS_MAX - 1);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_session_create(struct store_tx *tx, struct api_key *session,
                         const uint8_t hash[CRYPTO_HASH_BYTES], struct err *err)
{
    session->session = true;
    session->id[0] = '\0';
    return drop_old_sessions(tx, session->user_id, err) < 0 ? -1 : insert(tx, session, hash, err);
}

int store_session_end(struct store_tx *tx, const char *id, struct err *err)
{
    tx_touch(tx, STORE_KEYS);
    return store_run_on(tx->db, "DELETE FROM api_keys WHERE id = ?1 AND session = 1", id, err);
}
