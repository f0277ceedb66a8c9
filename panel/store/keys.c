/* API keys in the store: only digests, never their text. */
#include "panel/store/internal.h"

#include <stdio.h>

#include "common/clock.h"

int store_key_find(struct store *store, const uint8_t hash[CRYPTO_HASH_BYTES],
                   struct api_key *ret_key, struct err *err)
{
    struct db *db = store_reader(store, err);
    struct stmt *stmt =
        db ? db_stmt(db, "SELECT id, expires_at, revoked_at FROM api_keys WHERE hash = ?1", err)
           : NULL;
    if (!stmt)
        return -1;
    db_bind_blob(stmt, 1, hash, CRYPTO_HASH_BYTES);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        snprintf(ret_key->id, sizeof(ret_key->id), "%s", db_text(stmt, 0));
        ret_key->expires_at = db_int(stmt, 1);
        if (db_int(stmt, 2) || (ret_key->expires_at && ret_key->expires_at <= clock_wall_ms()))
            rc = 0;
    }
    db_end(stmt);
    return rc;
}

int store_key_create(struct store_tx *tx, const char *name, const uint8_t hash[CRYPTO_HASH_BYTES],
                     struct err *err)
{
    char id[API_KEY_ID_SIZE];
    crypto_random_base36(id, sizeof(id) - 1);
    struct stmt *stmt = db_stmt(
        tx->db, "INSERT INTO api_keys(id, name, hash, created_at) VALUES(?1, ?2, ?3, ?4)", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_text(stmt, 2, name);
    db_bind_blob(stmt, 3, hash, CRYPTO_HASH_BYTES);
    db_bind_int(stmt, 4, tx->now);
    return db_run(stmt, err) < 0 ? -1 : 0;
}
