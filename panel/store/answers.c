/* First answers, kept for Idempotency-Key (contract, "Rules for every endpoint"). */
#include "panel/store/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find(struct db *db, const char *scope, const char *key,
                const char digest[CRYPTO_HEX_LEN + 1], struct answer *ret_answer, struct err *err)
{
    struct stmt *stmt = db_stmt(db,
                                "SELECT digest, status, body, waits_for FROM answers"
                                " WHERE scope = ?1 AND key = ?2",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, scope);
    db_bind_text(stmt, 2, key);
    int rc = db_step(stmt, err);
    if (rc > 0 && strcmp(db_text(stmt, 0), digest) != 0) {
        rc = err_field(err, ERR_CONFLICT, "idempotency_key_reused", "Idempotency-Key",
                       "this Idempotency-Key was used with another request; use a new one");
    } else if (rc > 0) {
        struct answer answer = {.status = (int)db_int(stmt, 1), .body = strdup(db_text(stmt, 2))};
        snprintf(answer.waits_for, sizeof(answer.waits_for), "%s", db_text(stmt, 3));
        if (answer.body)
            *ret_answer = answer;
        else
            rc = err_nomem(err);
    }
    db_end(stmt);
    return rc;
}

int store_answer_find(struct store *store, const char *scope, const char *key,
                      const char digest[CRYPTO_HEX_LEN + 1], struct answer *ret_answer,
                      struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    return db ? find(db, scope, key, digest, ret_answer, err) : -1;
}

int store_answer_find_tx(struct store_tx *tx, const char *scope, const char *key,
                         const char digest[CRYPTO_HEX_LEN + 1], struct answer *ret_answer,
                         struct err *err)
{
    return find(tx->db, scope, key, digest, ret_answer, err);
}

int store_answer_save(struct store_tx *tx, const char *scope, const char *key,
                      const char digest[CRYPTO_HEX_LEN + 1], const struct answer *answer,
                      struct err *err)
{
    struct stmt *stmt =
        db_stmt(tx->db,
                "INSERT INTO answers(scope, key, digest, status, body, waits_for, created_at)"
                " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(scope, key) DO UPDATE SET"
                " status = excluded.status, body = excluded.body, waits_for = excluded.waits_for",
                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, scope);
    db_bind_text(stmt, 2, key);
    db_bind_text(stmt, 3, digest);
    db_bind_int(stmt, 4, answer->status);
    db_bind_text(stmt, 5, answer->body);
    db_bind_text(stmt, 6, answer->waits_for);
    db_bind_int(stmt, 7, tx->now);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_answer_forget(struct store_tx *tx, const char *scope, const char *key, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db, "DELETE FROM answers WHERE scope = ?1 AND key = ?2", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, scope);
    db_bind_text(stmt, 2, key);
    return db_run(stmt, err) < 0 ? -1 : 0;
}
