/* Keys of requests. See identity.h.
 *
 * Invariants: what a key may do is as of the last commit, for each request and for each piece of a
 * stream; refusals take the same way whatever is wrong with a key; no refusal says anything of what
 * isn't the asker's. Each thread remembers the last key it met until anything about keys or users
 * is changed, so that the common request costs no look into the store. */
#include "panel/api/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/auto.h"
#include "common/clock.h"
#include "panel/api/internal.h"
#include "panel/auth/api_key.h"
#include "panel/metrics/metrics.h"

#define MINUTE_MS     60000u
#define KEYS_AT_ONCE  8192
#define CHANGES_MAX   300  /* a minute of one user */
#define STRANGERS_MAX 3000 /* refusals a minute from one network, before they are 429 */
#define LOGIN_WINDOW  (15u * MINUTE_MS)

int limiters_create(struct limiters *limiters, struct err *err)
{
    if (limiter_create(KEYS_AT_ONCE, MINUTE_MS, &limiters->keys, err) < 0 ||
        limiter_create(4096, MINUTE_MS, &limiters->changes, err) < 0 ||
        limiter_create(4096, MINUTE_MS, &limiters->strangers, err) < 0 ||
        limiter_create(8192, LOGIN_WINDOW, &limiters->logins, err) < 0)
        return -1;
    return 0;
}

void limiters_destroy(struct limiters *limiters)
{
    limiter_destroy(limiters->keys);
    limiter_destroy(limiters->changes);
    limiter_destroy(limiters->strangers);
    limiter_destroy(limiters->logins);
}

/* --- the text of a key ----------------------------------------------------------------------- */

/* The value of our cookie in "a=b; c=d"; NULL: it isn't there. */
static const char *find_cookie(const char *cookies, size_t *ret_len)
{
    static const char name[] = SESSION_COOKIE "=";
    while (cookies && *cookies) {
        cookies += strspn(cookies, " ;");
        size_t len = strcspn(cookies, ";");
        if (strncmp(cookies, name, sizeof(name) - 1) == 0) {
            *ret_len = len - (sizeof(name) - 1);
            return cookies + sizeof(name) - 1;
        }
        cookies += len;
    }
    return NULL;
}

static const char *find_text(const struct http_req *req, size_t *ret_len, bool *ret_cookie)
{
    const char *text = http_req_header(req, "x-api-key");
    *ret_cookie = false;
    if (!text) {
        text = http_req_header(req, "Authorization");
        text =
            text && strncasecmp(text, "Bearer ", 7) == 0 ? text + 7 + strspn(text + 7, " ") : NULL;
    }
    if (!text) {
        text = find_cookie(http_req_header(req, "Cookie"), ret_len);
        *ret_cookie = text != NULL;
        return text ? text : "";
    }
    *ret_len = strlen(text);
    return text;
}

const char *identity_text(const struct http_req *req, size_t *ret_len)
{
    bool cookie;
    *ret_len = 0;
    return find_text(req, ret_len, &cookie);
}

/* --- finding it ------------------------------------------------------------------------------ */

/* Of all that decides what a key may. Whose an instance is and who else may use it counts as the
 * users'. */
static uint64_t versions_of(const struct store *store)
{
    return store_version(store, STORE_KEYS) + store_version(store, STORE_USERS);
}

static _Thread_local struct {
    uint64_t epoch; /* of the store; 0: nothing is remembered */
    uint64_t keys, users;
    uint8_t hash[CRYPTO_HASH_BYTES];
    struct api_key key;
} last_met;

static bool is_last_met(const struct store *store, const uint8_t hash[CRYPTO_HASH_BYTES])
{
    return last_met.epoch == store_identity(store)->epoch &&
           last_met.keys == store_version(store, STORE_KEYS) &&
           last_met.users == store_version(store, STORE_USERS) &&
           crypto_equal(last_met.hash, hash, CRYPTO_HASH_BYTES) &&
           (!last_met.key.good_until || clock_wall_ms() < last_met.key.good_until);
}

/* Versions are read before the row, so what changes meanwhile makes the memory an old one. */
static int find_key(struct store *store, const uint8_t hash[CRYPTO_HASH_BYTES],
                    struct api_key *ret_key, struct err *err)
{
    if (is_last_met(store, hash)) {
        *ret_key = last_met.key;
        return 1;
    }
    uint64_t keys = store_version(store, STORE_KEYS);
    uint64_t users = store_version(store, STORE_USERS);
    int found = store_key_find(store, hash, ret_key, err);
    if (found > 0) {
        last_met.epoch = store_identity(store)->epoch;
        last_met.keys = keys;
        last_met.users = users;
        memcpy(last_met.hash, hash, CRYPTO_HASH_BYTES);
        last_met.key = *ret_key;
    }
    return found;
}

/* --- rates ----------------------------------------------------------------------------------- */

int identity_refuse_rate(struct http_req *req, uint32_t left_ms, const char *what, struct err *err)
{
    char seconds[16];
    unsigned left = (left_ms + 999) / 1000;
    snprintf(seconds, sizeof(seconds), "%u", left);
    http_req_add_header(req, "Retry-After", seconds);
    return err_set(err, ERR_BUSY, "rate_limited", "%s; try again in %u second%s.", what, left,
                   left == 1 ? "" : "s");
}

/* RateLimit-Policy and RateLimit: draft-ietf-httpapi-ratelimit-headers. */
static void tell_rate(struct http_req *req, uint32_t limit, const struct limiter_count *now)
{
    char text[64];
    snprintf(text, sizeof(text), "\"minute\";q=%u;w=60", limit);
    http_req_add_header(req, "RateLimit-Policy", text);
    snprintf(text, sizeof(text), "\"minute\";r=%u;t=%u",
             now->count < limit ? limit - now->count : 0, (now->left_ms + 999) / 1000);
    http_req_add_header(req, "RateLimit", text);
}

struct use {
    struct store_change change;
    int64_t seq;
};

static int apply_use(struct store_change *change, struct store_tx *tx, struct err *err)
{
    return store_key_used(tx, ((struct use *)change)->seq, err);
}

static void use_done(struct store_change *change, const struct err *err)
{
    (void)err; /* it will be used again */
    free(change);
}

/* Nobody waits for it, and it shares its commit with whatever else is written then. */
static void note_use(const struct call *call)
{
    if (clock_wall_ms() - call->key.last_used_at < MINUTE_MS)
        return;
    struct use *use = calloc(1, sizeof(*use));
    if (!use)
        return;
    use->change.apply = apply_use;
    use->change.done = use_done;
    use->seq = call->key.seq;
    if (store_submit(call->api->rooms.store, &use->change, NULL) < 0)
        free(use);
}

static int count_request(const struct call *call, struct err *err)
{
    const struct api *api = call->api;
    int64_t limit = call->key.rate_limit < 0 ? atomic_load(&api->rate_limit) : call->key.rate_limit;
    struct limiter_count now =
        limiter_add(api->limiters.keys, (uint64_t)call->key.seq, clock_mono_ms());
    if (now.count == 1)
        note_use(call);
    if (!limit)
        return 0;
    tell_rate(call->req, (uint32_t)limit, &now);
    if (now.count > limit)
        return identity_refuse_rate(call->req, now.left_ms,
                                    "This key has made all requests that it may in a minute", err);
    return 0;
}

int identity_count_change(const struct call *call, struct err *err)
{
    struct limiter *changes = call->api->limiters.changes;
    const char *user = call->key.user_id;
    if (!call->key.bound || !call->route->mutates)
        return 0;
    struct limiter_count now =
        limiter_add(changes, limiter_thing(changes, user, strlen(user)), clock_mono_ms());
    if (now.count <= CHANGES_MAX)
        return 0;
    return identity_refuse_rate(call->req, now.left_ms,
                                "This user has made all changes that he may in a minute", err);
}

/* By what the client itself can see of what it sent: of keys that there are or were it tells
 * nothing, so unknown, revoked, rotated and expired ones are all the same. */
static const char *what_is_wrong(const struct http_req *req, const char *text, size_t len,
                                 bool cookie)
{
    if (cookie)
        return "The session in the cookie is over, or is none; log in again.";
    if (!len && http_req_header(req, "x-api-key"))
        return "The header x-api-key has to hold a valid API key, and is empty.";
    if (!len && http_req_header(req, "Authorization"))
        return "The header Authorization has to hold \"Bearer\" and a valid API key; x-api-key "
               "takes"
               " one alone.";
    if (!len)
        return "The header x-api-key has to hold a valid API key, and is missing.";
    if (!api_key_is_well_formed(text, len))
        return "What was sent as API key is none, but cut or mistyped: one is \"panel_\", or a"
               " session's \"psess_\", and 36 letters and digits.";
    return "The API key that was sent is not valid here: it has been revoked, rotated or has"
           " expired, or is of another panel.";
}

/* Those who come with a good key are never refused for what others do at their address. */
static int refuse_stranger(const struct call *call, const char *wrong, struct err *err)
{
    uint8_t peer[HTTP_PEER_MAX];
    struct limiter *strangers = call->api->limiters.strangers;
    size_t len = http_req_peer(call->req, peer);
    struct limiter_count now =
        limiter_add(strangers, limiter_thing(strangers, peer, len), clock_mono_ms());
    if (now.count > STRANGERS_MAX)
        return identity_refuse_rate(
            call->req, now.left_ms,
            "Too many requests without a valid API key have come from there", err);
    return err_set(err, ERR_UNAUTHORIZED, "unauthorized", "%s", wrong);
}

int identity_take(struct call *call, struct err *err)
{
    size_t len = 0;
    bool cookie;
    const char *text = find_text(call->req, &len, &cookie);
    crypto_digest(text, len, call->key_hash);
    call->key_seen = versions_of(call->api->rooms.store);
    int found = find_key(call->api->rooms.store, call->key_hash, &call->key, err);
    if (found < 0)
        return -1;
    if (!found || !len || (cookie && !call->key.session)) {
        metric_add(len ? METRIC_KEYS_REFUSED : METRIC_KEYS_MISSING, 1);
        call->key = (struct api_key){.id = ""};
        return refuse_stranger(call, what_is_wrong(call->req, text, len, cookie), err);
    }
    /* A page of another site can't add a header without being let to, and nobody lets it. */
    if (cookie && http_req_method(call->req) != HTTP_GET &&
        !http_req_header(call->req, "X-Requested-With"))
        return err_set(err, ERR_UNAUTHORIZED, "forbidden",
                       "With a cookie, a request that isn't a GET needs the header"
                       " X-Requested-With.");
    return count_request(call, err);
}

/* --- what it may ----------------------------------------------------------------------------- */

int identity_check(const struct call *call, struct err *err)
{
    const struct api_key *key = &call->key;
    int permission = call->route->permission;
    if (permission == PERMISSION_PUBLIC)
        return 0;
    if (permission == PERMISSION_DENIED || !key->id[0])
        return err_set(err, ERR_UNAUTHORIZED, "forbidden", "This API key may not do this.");
    if (permission != PERMISSION_ANY_KEY && !(key->scopes & SCOPE_BIT(permission)))
        return err_set(err, ERR_UNAUTHORIZED, "forbidden",
                       "This needs the scope \"%s\", which the key \"%s\" does not have.",
                       scope_name((enum scope)permission), key->name);
    if (key->bound && call->route->bound == BOUND_NOT)
        return err_set(err, ERR_UNAUTHORIZED, "forbidden",
                       "The key \"%s\" is bound to a user who is no admin, and this is for admins.",
                       key->name);
    return 0;
}

static int refuse_ended(struct err *err)
{
    return err_set(err, ERR_UNAUTHORIZED, "unauthorized",
                   "This API key has ended while the request was under way.");
}

int identity_renew(struct call *call, struct err *err)
{
    struct api_key key;
    int64_t until = call->key.good_until;
    if (!call->key.id[0] || (call->key_seen == versions_of(call->api->rooms.store) &&
                             (!until || clock_wall_ms() < until)))
        return 0;
    int found = find_key(call->api->rooms.store, call->key_hash, &key, err);
    if (found <= 0)
        return found < 0 ? -1 : refuse_ended(err);
    call->key = key;
    return identity_check(call, err);
}

/* What the handler has decided it decided for the key as it was. */
int identity_check_key_tx(const struct call *call, struct store_tx *tx, struct err *err)
{
    const struct api_key *was = &call->key;
    struct api_key key;
    if (!was->id[0])
        return 0;
    int found = store_key_find_tx(tx, call->key_hash, &key, err);
    if (found <= 0)
        return found < 0 ? -1 : refuse_ended(err);
    if (key.scopes == was->scopes && key.bound == was->bound)
        return 0;
    return err_set(err, ERR_UNAUTHORIZED, "forbidden",
                   "What this API key may do was changed while the request was under way; send it"
                   " again.");
}

/* The same words as for one that isn't there. */
static int no_such_instance(struct err *err)
{
    return err_field(err, ERR_NOT_FOUND, "instance_not_found", "id",
                     "There is no instance with this id.");
}

static bool is_about_instance(const struct route *route)
{
    return route->bound == BOUND_USER || route->bound == BOUND_OWNER ||
           route->bound == BOUND_EDITOR;
}

static int check_right(const struct call *call, int right, struct err *err)
{
    if (right < 0)
        return -1;
    if (right == RIGHT_NONE)
        return no_such_instance(err);
    if (right != RIGHT_OWN && call->route->bound != BOUND_USER)
        return err_set(
            err, ERR_UNAUTHORIZED, "forbidden",
            "Only the instance's owner may do this, not who has been given access to it.");
    return 0;
}

/* What others pay for, or could be disturbed by, is not for him: what it may use of its node, its
 * ports, which image it runs, and whose it is. */
static bool is_owners_to_change(const char *member)
{
    static const char *const members[] = {"id", "name", "variables", "env"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (strcmp(members[i], member) == 0)
            return true;
    }
    return false;
}

static int check_members(const struct call *call, struct err *err)
{
    const char *member;
    json_t *value;
    json_object_foreach(call->body, member, value)
    {
        if (!is_owners_to_change(member))
            return err_field(err, ERR_UNAUTHORIZED, "forbidden", member,
                             "Of an instance, a user who is no admin may change name, variables"
                             " and env, and nothing else.");
    }
    return 0;
}

int identity_check_bound(const struct call *call, struct err *err)
{
    const char *viewer = call_viewer(call);
    if (!viewer || !is_about_instance(call->route))
        return 0;
    int right = store_access_right(call->api->rooms.store, call->param, viewer, err);
    if (check_right(call, right, err) < 0)
        return -1;
    return call->route->bound == BOUND_EDITOR ? check_members(call, err) : 0;
}

int identity_check_bound_tx(const struct call *call, struct store_tx *tx, struct err *err)
{
    const char *viewer = call_viewer(call);
    if (!viewer || !is_about_instance(call->route))
        return 0;
    return check_right(call, store_access_right_tx(tx, call->param, viewer, err), err);
}

int identity_check_sight(const struct call *call, const char *instance_id, struct err *err)
{
    const char *viewer = call_viewer(call);
    if (!viewer)
        return 0;
    int right = store_access_right(call->api->rooms.store, instance_id, viewer, err);
    return right > RIGHT_NONE ? 0 : right < 0 ? -1 : no_such_instance(err);
}

/* --- while a stream lasts -------------------------------------------------------------------- */

void watch_begin(struct watch *watch, const struct call *call)
{
    *watch = (struct watch){.store = call->api->rooms.store,
                            .permission = call->route->permission,
                            .bound = call->key.bound,
                            .seen = UINT64_MAX}; /* the first time it is looked at in any case */
    memcpy(watch->hash, call->key_hash, sizeof(watch->hash));
    if (is_about_instance(call->route))
        memcpy(watch->instance_id, call->param, sizeof(watch->instance_id));
}

static bool look(struct watch *watch)
{
    struct api_key key;
    struct err err = {0};
    if (store_key_find(watch->store, watch->hash, &key, &err) <= 0 || key.bound != watch->bound ||
        !(key.scopes & SCOPE_BIT(watch->permission)))
        return false;
    atomic_store(&watch->good_until, key.good_until);
    return !watch->bound || !watch->instance_id[0] ||
           store_access_right(watch->store, watch->instance_id, key.user_id, &err) > RIGHT_NONE;
}

bool watch_is_stale(const struct watch *watch)
{
    int64_t until = atomic_load(&watch->good_until);
    return versions_of(watch->store) != atomic_load(&watch->seen) ||
           (until && clock_wall_ms() >= until);
}

bool watch_holds(struct watch *watch)
{
    if (!watch_is_stale(watch))
        return true;
    atomic_store(&watch->seen, versions_of(watch->store)); /* before it is looked at */
    return look(watch);
}
