/* Changes, done once. See internal.h.
 *
 * Invariant: with an Idempotency-Key the change and its first answer are committed together, so
 * whoever sends the request again, also after a crash, gets that answer and no second change. A
 * refusal that the transaction decided is kept likewise, without what the change had done.
 *
 * The mutation belongs to mutation_submit() from the call on; apply() and done() run on the store's
 * writer. Refusals before the transaction (validation) aren't kept: they come out the same again.
 */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/failpoint.h"
#include "panel/api/audit.h"

static void mutation_reset(struct mutation *mutation)
{
    strbuf_fini(&mutation->body);
    free(mutation->replay.body);
    mutation->replay = (struct answer){0};
    mutation->waits_for[0] = '\0';
    mutation->replayed = mutation->refused = false;
    mutation->audit_seq = 0;
}

static void mutation_end(struct mutation *mutation)
{
    mutation_reset(mutation);
    mutation->destroy(mutation);
}

static int save_answer(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct call *call = mutation->call;
    if (mutation->body.failed || !mutation->body.data)
        return err_nomem(err);
    if (!call->has_idempotency)
        return 0;
    struct answer answer = {.status = mutation->status, .body = mutation->body.data};
    memcpy(answer.waits_for, mutation->waits_for, sizeof(answer.waits_for));
    return store_answer_save(tx, call->key.id, call->idempotency_key, call->digest, &answer, err);
}

static int save_audit(struct mutation *mutation, struct store_tx *tx, const char *code,
                      struct err *err)
{
    const struct call *call = mutation->call;
    bool later = !mutation->refused &&
                 (mutation->proceed || (mutation->waits_for[0] && call->route->resume));
    const char *made = mutation->made ? mutation->made : mutation->waits_for;
    mutation->audit_status = later ? 0 : mutation->status;
    if (!call->route->mutates || !call->key.id[0])
        return 0;
    return audit_change(call, tx, made, mutation->audit_status, code, &mutation->audit_seq, err);
}

/* A refusal is an answer like any other, if it is one that time alone doesn't change. */
static int save_refusal(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    int status = error_status(err);
    if (!mutation->call->has_idempotency || status < 400 || status > 499)
        return -1;
    struct err undo = {0};
    if (store_tx_undo(tx, &undo) < 0)
        return -1;
    strbuf_fini(&mutation->body);
    mutation->waits_for[0] = '\0';
    mutation->status = status;
    mutation->refused = true;
    call_render_err(mutation->call, err, &mutation->body);
    const struct err refusal = *err;
    *err = (struct err){0}; /* to the store it is a change like any other */
    return save_audit(mutation, tx, refusal.reason, err) < 0 ? -1 : save_answer(mutation, tx, err);
}

static int apply_change(struct store_change *change, struct store_tx *tx, struct err *err)
{
    struct mutation *mutation = (struct mutation *)change;
    const struct call *call = mutation->call;
    mutation_reset(mutation);
    if (identity_check_key_tx(call, tx, err) < 0)
        return -1; /* and what was answered before isn't told either */
    if (call->has_idempotency) {
        int found = store_answer_find_tx(tx, call->key.id, call->idempotency_key, call->digest,
                                         &mutation->replay, err);
        if (found < 0)
            return -1;
        if (found > 0) {
            mutation->replayed = true;
            return 0;
        }
    }
    if (identity_check_bound_tx(call, tx, err) < 0 || mutation->apply(mutation, tx, err) < 0)
        return save_refusal(mutation, tx, err);
    return save_audit(mutation, tx, "", err) < 0 ? -1 : save_answer(mutation, tx, err);
}

static void resume(struct mutation *mutation)
{
    struct call *call = mutation->call;
    free(call->first);
    call->first = strbuf_steal(&mutation->body);
    call->route->resume(call, mutation->waits_for);
}

static void change_done(struct store_change *change, const struct err *err)
{
    struct mutation *mutation = (struct mutation *)change;
    struct call *call = mutation->call;
    if (err) {
        call_answer_err(call, err);
    } else if (mutation->replayed) {
        call_replay(call, &mutation->replay);
    } else {
        (void)FAILPOINT("panel.change.committed");
        call->audit.seq = mutation->audit_seq;
        call->audit.status = mutation->audit_status;
        if (!mutation->refused)
            snprintf(call->made, sizeof(call->made), "%s",
                     mutation->made ? mutation->made : mutation->waits_for);
        if (mutation->committed && !mutation->refused)
            mutation->committed(mutation);
        if (mutation->proceed && !mutation->refused)
            mutation->proceed(mutation);
        else if (mutation->waits_for[0] && call->route->resume)
            resume(mutation);
        else
            call_answer(call, mutation->status, &mutation->body);
    }
    mutation_end(mutation);
}

void mutation_submit(struct mutation *mutation)
{
    struct err err = {0};
    struct call *call = mutation->call;
    call_defer(call);
    mutation->change.apply = apply_change;
    mutation->change.done = change_done;
    if (store_submit(call->api->rooms.store, &mutation->change, &err) < 0) {
        call_answer_err(call, &err);
        mutation_end(mutation);
    }
}

/* --- the key --------------------------------------------------------------------------------- */

static bool is_usable_key(const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < len; i++) {
        if (key[i] < 0x20 || key[i] > 0x7e)
            return false;
    }
    return len >= 1 && len <= IDEMPOTENCY_KEY_MAX;
}

/* How long to wait for the answer doesn't change what is asked for. */
static void add_query(struct strbuf *all, const char *query)
{
    for (size_t len; *query; query += len + (query[len] == '&')) {
        len = strcspn(query, "&");
        if (strncmp(query, "wait=", 5) == 0)
            continue;
        strbuf_add(all, query, len);
        strbuf_char(all, '&');
    }
}

/* Over all that makes the request what it is; under the API key, of which the store has no more
 * than a digest, since bodies may hold passwords that one could guess at. */
static int make_digest(struct call *call, struct err *err)
{
    auto_strbuf struct strbuf all = {0};
    size_t len;
    const char *body = http_req_body(call->req, &len);
    strbuf_fmt(&all, "%d\n%s\n", (int)http_req_method(call->req), http_req_path(call->req));
    add_query(&all, http_req_query_text(call->req));
    strbuf_char(&all, '\n');
    strbuf_add(&all, body, len);
    if (all.failed)
        return err_nomem(err);
    auto_strbuf struct strbuf secret = {0};
    uint8_t key[CRYPTO_HASH_BYTES];
    const char *text = identity_text(call->req, &len);
    strbuf_str(&secret, "idempotency\n");
    strbuf_add(&secret, text, len);
    if (secret.failed)
        return err_nomem(err);
    crypto_digest(secret.data, secret.len, key);
    crypto_mac_hex(key, all.data, all.len, call->digest);
    crypto_mac(key, "seal", 4, call->seal);
    crypto_wipe(key, sizeof(key));
    crypto_wipe(secret.data, secret.len);
    return 0;
}

bool idempotency_begin(struct call *call)
{
    struct err err = {0};
    const char *key = http_req_header(call->req, "Idempotency-Key");
    if (!key)
        return true;
    if (!is_usable_key(key)) {
        err_field(&err, ERR_INVALID, "invalid_field", "Idempotency-Key",
                  "The header Idempotency-Key has to be 1 to %d printable ASCII characters.",
                  IDEMPOTENCY_KEY_MAX);
        call_answer_err(call, &err);
        return false;
    }
    memcpy(call->idempotency_key, key, strlen(key) + 1);
    struct answer answer = {0};
    int found = make_digest(call, &err);
    if (found == 0)
        found = store_answer_find(call->api->rooms.store, call->key.id, key, call->digest, &answer,
                                  &err);
    if (found < 0) {
        call_answer_err(call, &err);
        return false;
    }
    call->has_idempotency = true;
    if (found > 0)
        call_replay(call, &answer);
    return found == 0;
}
