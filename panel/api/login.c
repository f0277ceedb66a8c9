/* /api/auth/login, logout, me: users by their password, for a while.
 *
 * A login goes from the pool thread (what is asked, and how often) to a password worker, which
 * compares with the user's hash or, when there is no such user, with nobody's, and to the store's
 * writer (the session and its audit row). Wrong names and wrong passwords take the same way, time
 * and words. Attempts are counted by account and address together, so that who guesses locks
 * himself out before anybody else; by account; and by address, where many may share one. */
#include "panel/api/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "common/utf8.h"
#include "panel/api/audit.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/login.h"
#include "panel/api/wire.h"
#include "panel/auth/api_key.h"
#include "panel/metrics/metrics.h"

#define TEXT_MAX 1024
#define HOUR_MS  3600000LL

/* Attempts in a quarter of an hour. */
#define TRIES_HERE    10  /* of one account from one address */
#define TRIES_ACCOUNT 100 /* that failed, from anywhere */
#define TRIES_ADDRESS 300 /* that failed, at any accounts */

/* --- how often ------------------------------------------------------------------------------- */

void attempt_begin(struct attempt *attempt, struct call *call, const char *account)
{
    struct limiter *logins = call->api->limiters.logins;
    uint8_t peer[HTTP_PEER_MAX] = {0};
    size_t peer_len = http_req_peer(call->req, peer);
    char text[TEXT_MAX + HTTP_PEER_MAX + 1];
    size_t len = 0;
    text[len++] = 'a';
    for (; account[len - 1] && len < TEXT_MAX; len++)
        text[len] = (char)tolower((unsigned char)account[len - 1]);
    attempt->account = limiter_thing(logins, text, len);
    http_req_client(call->req, attempt->client);
    text[0] = 'h';
    memcpy(text + len, peer, peer_len);
    attempt->here = limiter_thing(logins, text, len + peer_len);
    attempt->address = limiter_thing(logins, peer, peer_len);
}

int attempt_check(const struct attempt *attempt, struct call *call, struct err *err)
{
    struct limiter *logins = call->api->limiters.logins;
    int64_t now = clock_mono_ms();
    struct limiter_count account = limiter_look(logins, attempt->account, now);
    struct limiter_count address = limiter_look(logins, attempt->address, now);
    uint32_t left = account.count >= TRIES_ACCOUNT   ? account.left_ms
                    : address.count >= TRIES_ADDRESS ? address.left_ms
                                                     : 0;
    /* What is refused for those takes no room: else names made up could push them out. */
    if (!left) {
        struct limiter_count here = limiter_add(logins, attempt->here, now);
        left = here.count > TRIES_HERE ? here.left_ms : 0;
    }
    if (!left)
        return 0;
    metric_add(METRIC_PASSWORDS_UNTRIED, 1);
    return identity_refuse_rate(call->req, left, "There were too many attempts to log in", err);
}

/* Without the request's id, so that the log leaves some out when they are many. */
void attempt_end(const struct attempt *attempt, const struct call *call, const char *user,
                 bool right)
{
    struct limiter *logins = call->api->limiters.logins;
    int64_t now = clock_mono_ms();
    if (right) {
        limiter_forget(logins, attempt->here);
        return;
    }
    limiter_add(logins, attempt->account, now);
    limiter_add(logins, attempt->address, now);
    metric_add(METRIC_PASSWORDS_WRONG, 1);
    log_warn("password refused", "client=%s user=\"%.64s\"",
             attempt->client[0] ? attempt->client : "unknown", user[0] ? user : "unknown");
}

/* --- login ----------------------------------------------------------------------------------- */

struct login {
    struct store_change change;
    struct call *call;
    struct attempt attempt;
    struct user_login user; /* id "": there is none of that name */
    struct api_key session;
    uint32_t hours; /* that it lasts */
    char token[API_KEY_LEN + 1];
    struct strbuf body;
    int64_t audit_seq;
};

static void login_free(struct login *login)
{
    crypto_wipe(login->token, sizeof(login->token));
    crypto_wipe(login->user.hash, sizeof(login->user.hash));
    strbuf_fini(&login->body);
    free(login);
}

static int put_user(const struct user *user, void *arg, struct err *err)
{
    auto_strbuf struct strbuf text = {0};
    wire_user(&text, user);
    if (text.failed)
        return err_nomem(err);
    jw_raw(arg, "user", text.data);
    return 0;
}

/* The session is the key that did this; the audit trail says so. */
static int apply_login(struct store_change *change, struct store_tx *tx, struct err *err)
{
    struct login *login = (struct login *)change;
    uint8_t hash[CRYPTO_HASH_BYTES];
    strbuf_reset(&login->body);
    api_key_digest(login->token, hash);
    if (store_user_check_hash(tx, login->user.id, login->user.hash, err) < 0 ||
        store_session_create(tx, &login->session, hash, err) < 0)
        return -1;
    jw_object_begin(&login->body, NULL);
    jw_string(&login->body, "token", login->token);
    jw_time(&login->body, "expiresAt", login->session.expires_at);
    if (store_user_see(tx, login->user.id, put_user, &login->body, err) < 0)
        return -1;
    jw_object_end(&login->body);
    login->call->key = login->session;
    return audit_change(login->call, tx, login->user.id, 201, "", &login->audit_seq, err);
}

static void set_cookie(struct call *call, const char *token, int64_t seconds)
{
    char cookie[256];
    const char *url = call->api->public_url;
    bool secure = http_req_is_tls(call->req) || (url && strncmp(url, "https:", 6) == 0);
    snprintf(cookie, sizeof(cookie),
             SESSION_COOKIE "=%s; Path=/api; Max-Age=%lld; HttpOnly; SameSite=Strict%s", token,
             (long long)seconds, secure ? "; Secure" : "");
    http_req_add_header(call->req, "Set-Cookie", cookie);
}

static int refuse_login(struct err *err)
{
    return err_set(err, ERR_UNAUTHORIZED, "login_failed",
                   "There is no user of this name or address with this password.");
}

static void login_done(struct store_change *change, const struct err *err)
{
    struct login *login = (struct login *)change;
    struct call *call = login->call;
    struct err refusal = {0};
    if (err) {
        call->key = (struct api_key){.id = ""};
        if (err->code == ERR_UNAUTHORIZED) { /* another password since it was compared */
            refuse_login(&refusal);
            err = &refusal;
        }
        call_answer_err(call, err);
    } else {
        set_cookie(call, login->token, login->hours * HOUR_MS / 1000);
        log_info("login", "req=%s user=%s session=%s", http_req_id(call->req), login->user.id,
                 login->session.id);
        call_answer(call, 201, &login->body);
    }
    login_free(login);
}

static void begin_session(struct login *login)
{
    struct api_key *session = &login->session;
    struct err err = {0};
    char name[sizeof(login->user.username) + sizeof("session:")];
    snprintf(name, sizeof(name), "session:%s", login->user.username);
    utf8_copy(session->name, sizeof(session->name), name);
    snprintf(session->scopes_text, sizeof(session->scopes_text), "admin");
    memcpy(session->user_id, login->user.id, sizeof(session->user_id));
    session->rate_limit = -1;
    login->hours = atomic_load(&login->call->api->session_hours);
    session->expires_at = clock_wall_ms() + login->hours * HOUR_MS;
    api_key_generate_session(login->token);
    login->change.apply = apply_login;
    login->change.done = login_done;
    if (store_submit(login->call->api->rooms.store, &login->change, &err) < 0) {
        call_answer_err(login->call, &err);
        login_free(login);
    }
}

static void on_verified(void *arg, bool right, const struct err *err)
{
    struct login *login = arg;
    struct err refusal = {0};
    if (!err) {
        attempt_end(&login->attempt, login->call, login->user.username, right);
        if (right) {
            begin_session(login);
            return;
        }
        refuse_login(&refusal);
        err = &refusal;
    }
    call_answer_err(login->call, err);
    login_free(login);
}

static int read_login(struct login *login, const char **ret_password, struct err *err)
{
    struct call *call = login->call;
    struct body body;
    body_open(&body, call->body, NULL);
    const char *name = body_text(&body, "username", BODY_OPTIONAL, TEXT_MAX);
    const char *email = body_text(&body, "email", BODY_OPTIONAL, TEXT_MAX);
    *ret_password = body_text(&body, "password", BODY_REQUIRED, TEXT_MAX);
    if (!body.failed && !name == !email)
        body.failed =
            err_field(&body.err, ERR_INVALID, "missing_field", "username",
                      "The field \"username\" is required, or \"email\" in its place.") < 0;
    if (body.failed) {
        *err = body.err;
        return -1;
    }
    name = name ? name : email;
    attempt_begin(&login->attempt, call, name);
    if (attempt_check(&login->attempt, call, err) < 0)
        return -1;
    return store_user_login(call->api->rooms.store, LOGIN_BY_NAME, name, &login->user, err) < 0 ? -1
                                                                                                : 0;
}

void auth_login(struct call *call)
{
    struct err err = {0};
    const char *password = NULL;
    struct login *login = calloc(1, sizeof(*login));
    if (!login)
        err_nomem(&err);
    else
        login->call = call;
    if (!login || read_login(login, &password, &err) < 0) {
        call_answer_err(call, &err);
        if (login)
            login_free(login);
        return;
    }
    call_defer(call);
    if (password_pool_verify(call->api->rooms.passwords, password, strlen(password),
                             login->user.id[0] ? login->user.hash : NULL, on_verified, login,
                             &err) < 0) {
        call_answer_err(call, &err);
        login_free(login);
    }
}

/* --- logout ---------------------------------------------------------------------------------- */

static int apply_logout(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    if (store_session_end(tx, mutation->call->key.id, err) < 0)
        return -1;
    jw_object_begin(&mutation->body, NULL);
    jw_string(&mutation->body, "message", "Logged out");
    jw_object_end(&mutation->body);
    mutation->status = 200;
    return 0;
}

static void destroy_logout(struct mutation *mutation)
{
    free(mutation);
}

void auth_logout(struct call *call)
{
    struct err err = {0};
    struct mutation *logout = NULL;
    if (!call->key.session)
        err_set(&err, ERR_INVALID, "not_a_session",
                "This is an API key and no session; DELETE /api/keys/{id} ends one.");
    else if (!(logout = calloc(1, sizeof(*logout))))
        err_nomem(&err);
    if (!logout) {
        call_answer_err(call, &err);
        return;
    }
    set_cookie(call, "", 0);
    *logout = (struct mutation){.call = call, .apply = apply_logout, .destroy = destroy_logout};
    mutation_submit(logout);
}

/* --- me -------------------------------------------------------------------------------------- */

void auth_me(struct call *call)
{
    struct err err = {0};
    struct strbuf out = {0};
    auto_strbuf struct strbuf key = {0};
    wire_key(&key, &call->key, NULL);
    jw_object_begin(&out, NULL);
    jw_raw(&out, "key", key.data);
    jw_bool(&out, "session", call->key.session);
    jw_bool(&out, "admin", call_is_admin(call));
    int rc = call->key.user_id[0] ? store_user_get(call->api->rooms.store, USER_BY_ID,
                                                   call->key.user_id, put_user, &out, &err)
                                  : 0;
    if (rc < 0) {
        strbuf_fini(&out);
        call_answer_err(call, &err);
        return;
    }
    if (rc == 0)
        jw_null(&out, "user");
    jw_object_end(&out);
    out.failed |= key.failed;
    call_answer(call, 200, &out);
}
