/* /api/keys: who may do what. A key gives no more than it has, neither to a new one nor by changing
 * or rotating another; and one that is bound to a user knows that user's keys alone.
 *
 * A secret is shown once, in the answer that makes it. With an Idempotency-Key that answer may be
 * asked for again, and it is kept without the secret, which is made of a seed that is kept and of
 * the asking key's own text, which is not: so it can be told again, and not by the database. */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/iso_time.h"
#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/wire.h"
#include "panel/auth/api_key.h"
#include "panel/domain/text.h"

#define TEXT_MAX    1024
#define NAME_MAX    (API_KEY_NAME_SIZE - 1)
#define RATE_MAX    1000000000
#define GRACE_MAX_S (7 * 24 * 3600)
#define SEED_LEN    32

/* --- reading --------------------------------------------------------------------------------- */

static int no_such_key(struct err *err)
{
    return err_field(err, ERR_NOT_FOUND, "key_not_found", "id", "There is no key with this id.");
}

static bool is_seen(const struct call *call, const struct api_key *key)
{
    const char *viewer = call_viewer(call);
    return !viewer || strcmp(viewer, key->user_id) == 0;
}

static int put_key(const struct api_key *key, void *arg, struct err *err)
{
    (void)err;
    wire_key(arg, key, NULL);
    return 0;
}

/* No ETag: it would have to change with each use of a key. */
void keys_list(struct call *call)
{
    struct err err = {0};
    struct list list;
    if (!list_begin(call, NULL, 0, &list))
        return;
    int rc = store_key_list(call->api->rooms.store, call_viewer(call), &list.page, put_key,
                            &list.out, &err);
    list_end(call, &list, rc, &err);
}

void keys_get(struct call *call)
{
    struct err err = {0};
    struct api_key key;
    int rc = store_key_get(call->api->rooms.store, call->param, &key, &err);
    if (rc == 0 || (rc > 0 && !is_seen(call, &key)))
        rc = no_such_key(&err);
    if (rc < 0) {
        call_answer_err(call, &err);
        return;
    }
    struct strbuf out = {0};
    wire_key(&out, &key, NULL);
    call_answer(call, 200, &out);
}

/* --- what is asked for ----------------------------------------------------------------------- */

struct key_change {
    struct mutation mutation;
    struct api_key key; /* to be made */
    struct api_key_change change;
    scope_set scopes; /* that it is to have; 0: those it has */
    int64_t grace_ms;
    char scopes_text[SCOPES_TEXT_SIZE];
    char secret[API_KEY_LEN + 1];
    char seed[SEED_LEN + 1];
};

static void destroy_change(struct mutation *mutation)
{
    struct key_change *change = (struct key_change *)mutation;
    crypto_wipe(change->secret, sizeof(change->secret));
    free(change);
}

/* NULL: there is no memory, and the call has been answered. */
static struct key_change *
new_change(struct call *call, int (*apply)(struct mutation *, struct store_tx *, struct err *))
{
    struct err err = {0};
    struct key_change *change = calloc(1, sizeof(*change));
    if (!change) {
        err_nomem(&err);
        call_answer_err(call, &err);
        return NULL;
    }
    change->change = (struct api_key_change){.id = call->param, .expires_at = -1, .rate_limit = -2};
    change->mutation = (struct mutation){.call = call, .apply = apply, .destroy = destroy_change};
    return change;
}

static void refuse_change(struct key_change *change, const struct err *err)
{
    call_answer_err(change->mutation.call, err);
    destroy_change(&change->mutation);
}

/* A text, or an array of texts. 1 when it was sent. */
static int read_scopes(struct body *body, struct key_change *change)
{
    const json_t *given = json_object_get(body->root, "scopes");
    auto_strbuf struct strbuf words = {0};
    size_t i;
    const json_t *word;
    if (body->failed || !given || json_is_null(given))
        return 0;
    strbuf_str(&words, json_is_string(given) ? json_string_value(given) : "");
    json_array_foreach(given, i, word)
    {
        const char *text = json_string_value(word);
        if (!text || text[strcspn(text, " ,\t")])
            text = "?"; /* no scope is called so */
        strbuf_fmt(&words, "%s ", text);
    }
    if (words.failed)
        body->failed = err_nomem(&body->err) < 0;
    else if (!json_is_string(given) && !json_is_array(given))
        body->failed = err_field(&body->err, ERR_INVALID, "invalid_field", "scopes",
                                 "The field \"scopes\" has to be an array of scopes.") < 0;
    else
        body->failed = scopes_parse("scopes", words.data, &change->scopes, change->scopes_text,
                                    &body->err) < 0;
    return !body->failed;
}

/* Wall ms; 0: never; -1: it wasn't sent. */
static int64_t read_expiry(struct body *body)
{
    uint64_t ns;
    uint64_t seconds;
    int64_t now = clock_wall_ms();
    int64_t end = 0;
    bool never = body_is_null(body, "expiresAt") || body_is_null(body, "expiresIn");
    const char *at = body_text(body, "expiresAt", BODY_OPTIONAL, TEXT_MAX);
    const char *in = body_text(body, "expiresIn", BODY_OPTIONAL, TEXT_MAX);
    if (body->failed || (!at && !in))
        return never && !body->failed ? 0 : -1;
    if (never || (at && in)) {
        body->failed = err_field(&body->err, ERR_INVALID, "invalid_field", "expiresIn",
                                 "Only one of \"expiresAt\" and \"expiresIn\" may be sent.") < 0;
        return -1;
    }
    if (at && iso_time_parse(at, &ns))
        end = (int64_t)(ns / 1000000);
    else if (in && text_parse_uint(in, KEY_LIFE_MAX_MS / 1000, &seconds))
        end = now + (int64_t)seconds * 1000;
    if (end > now && end - now <= KEY_LIFE_MAX_MS)
        return end;
    body->failed =
        err_field(&body->err, ERR_INVALID, "invalid_field", at ? "expiresAt" : "expiresIn",
                  at ? "The field \"expiresAt\" has to be a time to come, in RFC 3339 like"
                       " 2030-01-31T12:00:00Z, not more than 100 years off, or null for never."
                     : "The field \"expiresIn\" has to be a number of seconds, not more than 100"
                       " years, or null for never.") < 0;
    return -1;
}

/* -1: as all; -2: it wasn't sent. */
static int64_t read_rate(struct body *body)
{
    uint64_t rate;
    if (body_is_null(body, "rateLimit"))
        return -1;
    const char *text = body_text(body, "rateLimit", BODY_OPTIONAL, TEXT_MAX);
    if (body->failed || !text)
        return -2;
    if (text_parse_uint(text, RATE_MAX, &rate))
        return (int64_t)rate;
    body->failed = err_field(&body->err, ERR_INVALID, "invalid_field", "rateLimit",
                             "The field \"rateLimit\" has to be a number of requests a minute from"
                             " 0 (no limit) to %d, or null for the panel's.",
                             RATE_MAX) < 0;
    return -2;
}

static int check_name(const char *name, struct err *err)
{
    if (text_check_name("name", name, NAME_MAX, err) < 0)
        return -1;
    return strlen(name) <= NAME_MAX
               ? 0
               : err_field(err, ERR_INVALID, "invalid_field", "name",
                           "The field \"name\" has to be at most %d bytes long.", NAME_MAX);
}

/* --- what may be given ----------------------------------------------------------------------- */

/* Until when the asking secret is good, wall ms; 0: for ever. A session's user may log in anew. */
static int64_t end_of(const struct call *call)
{
    return call->key.session ? 0 : call->key.good_until;
}

/* 0 is never. */
static bool is_later(int64_t one, int64_t other)
{
    return other && (!one || one > other);
}

/* Nobody gives what he hasn't got: scopes, time, or another rate than the panel's. */
static int check_gift(const struct call *call, scope_set scopes, int64_t expires_at, bool rate,
                      struct err *err)
{
    enum scope missing = scopes_missing(scopes, call->key.scopes);
    if (missing)
        return err_field(err, ERR_UNAUTHORIZED, "forbidden", "scopes",
                         "A key gives no more than it has: this needs the scope \"%s\", which the"
                         " key \"%s\" does not have.",
                         scope_name(missing), call->key.name);
    if (is_later(expires_at, end_of(call)))
        return err_field(err, ERR_UNAUTHORIZED, "forbidden", "expiresAt",
                         "A key gives no more than it has: \"%s\" expires sooner than that.",
                         call->key.name);
    if (rate && !call_is_admin(call))
        return err_field(err, ERR_UNAUTHORIZED, "forbidden", "rateLimit",
                         "Only an admin's key may give another rate limit than the panel's.");
    return 0;
}

/* Inside apply(): the key of the path, if the call may do this to it. */
static int see_target(const struct mutation *mutation, struct store_tx *tx, struct api_key *ret_key,
                      struct err *err)
{
    const struct call *call = mutation->call;
    int rc = store_key_see(tx, call->param, ret_key, err);
    if (rc == 0 || (rc > 0 && (ret_key->revoked_at || !is_seen(call, ret_key))))
        return no_such_key(err);
    enum scope missing = rc > 0 ? scopes_missing(ret_key->scopes, call->key.scopes) : SCOPE_NONE;
    if (missing)
        return err_set(err, ERR_UNAUTHORIZED, "forbidden",
                       "This key can do more than the key \"%s\": that lacks the scope \"%s\".",
                       call->key.name, scope_name(missing));
    return rc < 0 ? -1 : 0;
}

/* Whoever gets another key's secret has all that it has, its time too. A secret that has been
 * replaced already, and is in its grace, doesn't outlive that so. */
static int check_life(const struct call *call, const struct api_key *key, struct err *err)
{
    if (!is_later(key->expires_at, end_of(call)))
        return 0;
    return err_set(err, ERR_UNAUTHORIZED, "forbidden",
                   "A key gives no more than it has: the secret of \"%s\" that asks for this ends"
                   " sooner than the key would.",
                   call->key.name);
}

/* --- secrets --------------------------------------------------------------------------------- */

static void derive(const struct call *call, const char *seed, char out[API_KEY_LEN + 1])
{
    char text[SEED_LEN + CRYPTO_HEX_LEN + 1];
    uint8_t mac[CRYPTO_HASH_BYTES];
    int len = snprintf(text, sizeof(text), "%.*s%s", SEED_LEN, seed, call->digest);
    crypto_mac(call->seal, text, (size_t)len, mac);
    api_key_derive(mac, out);
    crypto_wipe(mac, sizeof(mac));
}

static void make_secret(struct key_change *change, uint8_t hash[CRYPTO_HASH_BYTES])
{
    const struct call *call = change->mutation.call;
    if (call->has_idempotency) {
        crypto_random_base62(change->seed, SEED_LEN);
        derive(call, change->seed, change->secret);
    } else {
        api_key_generate(change->secret);
    }
    api_key_digest(change->secret, hash);
}

/* What is kept has no secret; the answer gets it in finish(), as each repeat does. */
static void put_secret(struct key_change *change, const struct api_key *key, int status)
{
    struct mutation *mutation = &change->mutation;
    bool kept = mutation->call->has_idempotency;
    wire_key(&mutation->body, key, kept ? NULL : change->secret);
    mutation->status = status;
    if (kept)
        snprintf(mutation->waits_for, sizeof(mutation->waits_for), "%s", change->seed);
}

static void finish(struct call *call, const char *seed, int status)
{
    struct strbuf out = {0};
    char secret[API_KEY_LEN + 1];
    const char *first = call->first ? call->first : "";
    size_t len = strlen(first);
    if (len < 2) {
        struct err err;
        err_nomem(&err);
        call_answer_err(call, &err);
        return;
    }
    derive(call, seed, secret);
    strbuf_add(&out, first, len - 1); /* all but its brace */
    jw_string(&out, "key", secret);
    jw_object_end(&out);
    crypto_wipe(secret, sizeof(secret));
    call_answer(call, status, &out);
}

/* --- create ---------------------------------------------------------------------------------- */

static int apply_create(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct key_change *change = (struct key_change *)mutation;
    struct api_key made;
    uint8_t hash[CRYPTO_HASH_BYTES];
    make_secret(change, hash);
    if (store_key_create(tx, &change->key, hash, err) < 0 ||
        store_key_see(tx, change->key.id, &made, err) < 0)
        return -1;
    put_secret(change, &made, 201);
    return 0;
}

/* Whose is it to be? A bound key makes keys of its own user. */
static int read_user(struct body *body, struct key_change *change)
{
    const struct call *call = change->mutation.call;
    const char *viewer = call_viewer(call);
    const char *user_id = body_text(body, "userId", BODY_OPTIONAL, TEXT_MAX);
    if (body->failed || (user_id && text_check_id("userId", user_id, &body->err) < 0))
        return -1;
    if (viewer && user_id && strcmp(user_id, viewer) != 0)
        return err_field(&body->err, ERR_UNAUTHORIZED, "forbidden", "userId",
                         "A key that is bound to a user makes keys for that user alone.");
    user_id = viewer ? viewer : user_id ? user_id : "";
    snprintf(change->key.user_id, sizeof(change->key.user_id), "%s", user_id);
    return 0;
}

static int read_create(struct body *body, struct key_change *change)
{
    const struct call *call = change->mutation.call;
    struct api_key *key = &change->key;
    const char *name = body_text(body, "name", BODY_REQUIRED, TEXT_MAX);
    int64_t expires_at = read_expiry(body);
    int64_t rate = read_rate(body);
    if (read_scopes(body, change) == 0) {
        change->scopes = SCOPES_ADMIN;
        snprintf(change->scopes_text, sizeof(change->scopes_text), "admin");
    }
    if (body->failed || check_name(name, &body->err) < 0 || read_user(body, change) < 0)
        return -1;
    if (expires_at < 0)
        expires_at = end_of(call);
    snprintf(key->name, sizeof(key->name), "%s", name);
    memcpy(key->scopes_text, change->scopes_text, sizeof(key->scopes_text));
    key->expires_at = expires_at;
    key->rate_limit = rate < -1 ? -1 : rate;
    crypto_random_base36(key->id, sizeof(key->id) - 1);
    change->mutation.made = key->id;
    return check_gift(call, change->scopes, expires_at, rate >= 0, &body->err);
}

void keys_create(struct call *call)
{
    struct body body;
    struct key_change *change = new_change(call, apply_create);
    if (!change)
        return;
    body_open(&body, call->body, NULL);
    if (read_create(&body, change) < 0)
        refuse_change(change, &body.err);
    else
        mutation_submit(&change->mutation);
}

void keys_create_resume(struct call *call, const char *seed)
{
    finish(call, seed, 201);
}

/* --- change ---------------------------------------------------------------------------------- */

static int apply_patch(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct key_change *change = (struct key_change *)mutation;
    struct api_key key;
    if (see_target(mutation, tx, &key, err) < 0 || store_key_change(tx, &change->change, err) < 0 ||
        store_key_see(tx, change->change.id, &key, err) < 0)
        return -1;
    wire_key(&mutation->body, &key, NULL);
    mutation->status = 200;
    return 0;
}

static int read_patch(struct body *body, struct key_change *change)
{
    const struct call *call = change->mutation.call;
    struct api_key_change *to = &change->change;
    to->name = body_text(body, "name", BODY_OPTIONAL, TEXT_MAX);
    to->expires_at = read_expiry(body);
    to->rate_limit = read_rate(body);
    if (read_scopes(body, change))
        to->scopes_text = change->scopes_text;
    if (!body->failed && json_object_get(body->root, "userId"))
        err_field(&body->err, ERR_INVALID, "not_changeable", "userId",
                  "The field \"userId\" of a key can't be changed; make another key.");
    else if (!body->failed && (!to->name || check_name(to->name, &body->err) == 0))
        return check_gift(call, change->scopes, to->expires_at < 0 ? end_of(call) : to->expires_at,
                          to->rate_limit > -2, &body->err);
    return -1;
}

void keys_patch(struct call *call)
{
    struct body body;
    struct key_change *change = new_change(call, apply_patch);
    if (!change)
        return;
    body_open(&body, call->body, NULL);
    if (read_patch(&body, change) < 0)
        refuse_change(change, &body.err);
    else
        mutation_submit(&change->mutation);
}

/* --- revoke ---------------------------------------------------------------------------------- */

static int apply_delete(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct api_key key;
    if (see_target(mutation, tx, &key, err) < 0 ||
        store_key_end(tx, mutation->call->param, err) < 0)
        return -1;
    jw_object_begin(&mutation->body, NULL);
    jw_string(&mutation->body, "message", "Key revoked");
    jw_object_end(&mutation->body);
    mutation->status = 200;
    return 0;
}

void keys_delete(struct call *call)
{
    struct key_change *change = new_change(call, apply_delete);
    if (change)
        mutation_submit(&change->mutation);
}

/* --- rotate ---------------------------------------------------------------------------------- */

static int apply_rotate(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct key_change *change = (struct key_change *)mutation;
    struct api_key key;
    uint8_t hash[CRYPTO_HASH_BYTES];
    int64_t old_until = change->grace_ms ? clock_wall_ms() + change->grace_ms : 0;
    make_secret(change, hash);
    if (see_target(mutation, tx, &key, err) < 0 || check_life(mutation->call, &key, err) < 0 ||
        store_key_rotate(tx, mutation->call->param, hash, old_until, err) < 0 ||
        store_key_see(tx, mutation->call->param, &key, err) < 0)
        return -1;
    put_secret(change, &key, 200);
    return 0;
}

void keys_rotate(struct call *call)
{
    struct body body;
    uint64_t seconds = 0;
    struct key_change *change = new_change(call, apply_rotate);
    if (!change)
        return;
    body_open(&body, call->body, NULL);
    const char *grace = body_text(&body, "graceSeconds", BODY_OPTIONAL, TEXT_MAX);
    if (grace && !text_parse_uint(grace, GRACE_MAX_S, &seconds))
        body.failed = err_field(&body.err, ERR_INVALID, "invalid_field", "graceSeconds",
                                "The field \"graceSeconds\" has to be a number of seconds from 0"
                                " (the old secret ends now) to %d.",
                                GRACE_MAX_S) < 0;
    change->grace_ms = (int64_t)seconds * 1000;
    change->mutation.made = call->param;
    if (body.failed)
        refuse_change(change, &body.err);
    else
        mutation_submit(&change->mutation);
}

void keys_rotate_resume(struct call *call, const char *seed)
{
    finish(call, seed, 200);
}
