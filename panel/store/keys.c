/* API keys in the store: only digests, never their text. */
#include "panel/store/internal.h"

#include <stdio.h>

#include "common/clock.h"

#define COLUMNS "SELECT id, name, created_at, expires_at, revoked_at FROM api_keys "

static void take_row(struct stmt *stmt, struct api_key *ret_key)
{
    *ret_key = (struct api_key){.created_at = db_int(stmt, 2),
                                .expires_at = db_int(stmt, 3),
                                .revoked_at = db_int(stmt, 4)};
    snprintf(ret_key->id, sizeof(ret_key->id), "%s", db_text(stmt, 0));
    snprintf(ret_key->name, sizeof(ret_key->name), "%s", db_text(stmt, 1));
}

int store_key_find(struct store *store, const uint8_t hash[CRYPTO_HASH_BYTES],
                   struct api_key *ret_key, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = db ? db_stmt(db, COLUMNS "WHERE hash = ?1", err) : NULL;
    if (!stmt)
        return -1;
    db_bind_blob(stmt, 1, hash, CRYPTO_HASH_BYTES);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        take_row(stmt, ret_key);
        if (ret_key->revoked_at || (ret_key->expires_at && ret_key->expires_at <= clock_wall_ms()))
            rc = 0;
    }
    db_end(stmt);
    return rc;
}

int store_key_list(struct store *store, store_key_fn fn, void *arg, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = db ? db_stmt(db, COLUMNS "ORDER BY created_at, id", err) : NULL;
    if (!stmt)
        return -1;
    int rc;
    while ((rc = db_step(stmt, err)) > 0) {
        struct api_key key;
        take_row(stmt, &key);
        if (fn(&key, arg, err) < 0) {
            rc = -1;
            break;
        }
    }
    db_end(stmt);
    return rc;
}

/* The one live key that has this id, or else this name. */
static int find_live(struct store_tx *tx, const char *id_or_name, char ret_id[API_KEY_ID_SIZE],
                     struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT id, id = ?1 FROM api_keys WHERE revoked_at = 0"
                                " AND (id = ?1 OR name = ?1) ORDER BY 2 DESC LIMIT 2",
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
                       "several keys are named \"%.64s\": give the id of one", id_or_name);
    return found < 0 || more < 0 ? -1 : 0;
}

int store_key_revoke(struct store_tx *tx, const char *id_or_name, char ret_id[API_KEY_ID_SIZE],
                     struct err *err)
{
    if (find_live(tx, id_or_name, ret_id, err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(tx->db, "UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, ret_id);
    db_bind_int(stmt, 2, tx->now);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_key_create(struct store_tx *tx, const char *name, const uint8_t hash[CRYPTO_HASH_BYTES],
                     char ret_id[API_KEY_ID_SIZE], struct err *err)
{
    crypto_random_base36(ret_id, API_KEY_ID_SIZE - 1);
    struct stmt *stmt = db_stmt(
        tx->db, "INSERT INTO api_keys(id, name, hash, created_at) VALUES(?1, ?2, ?3, ?4)", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, ret_id);
    db_bind_text(stmt, 2, name);
    db_bind_blob(stmt, 3, hash, CRYPTO_HASH_BYTES);
    db_bind_int(stmt, 4, tx->now);
    return db_run(stmt, err) < 0 ? -1 : 0;
}
