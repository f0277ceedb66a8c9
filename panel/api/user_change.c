/* PATCH and DELETE /api/users/{id}. A new password goes over a password worker, as at the create.
 *
 * A user's own key or session changes that user alone, and only along with the password that is in
 * force: who finds a token can't take the account over. Whoever has less than all rights changes
 * no admin, for a password is a way to become who it belongs to. */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/login.h"
#include "panel/api/wire.h"
#include "panel/domain/limits.h"
#include "panel/domain/text.h"

#define TEXT_MAX     4096
#define PASSWORD_MIN 8
#define PASSWORD_MAX 1024

int user_check(const struct user_change *fields, const char *password, struct err *err)
{
    if ((fields->username &&
         text_check_name("username", fields->username, USERNAME_MAX, err) < 0) ||
        (fields->email && text_check_email("email", fields->email, err) < 0) ||
        text_check_id("userId", fields->id, err) < 0)
        return -1;
    size_t len = password ? strlen(password) : PASSWORD_MIN;
    if (len < PASSWORD_MIN || len > PASSWORD_MAX)
        return err_field(err, ERR_INVALID, "invalid_field", "password",
                         "The field \"password\" has to be %d to %d bytes long.", PASSWORD_MIN,
                         PASSWORD_MAX);
    return 0;
}

int user_check_giver(const struct call *call, struct err *err)
{
    if (call_is_admin(call))
        return 0;
    return err_field(err, ERR_UNAUTHORIZED, "forbidden", "admin",
                     "Only a key with the scope \"admin\" may make admins, change or delete them.");
}

static int see_admin(const struct user *user, void *arg, struct err *err)
{
    (void)err;
    *(bool *)arg = user->admin;
    return 0;
}

/* Inside apply(). One that isn't there is the store's to refuse. */
static int check_target(const struct call *call, struct store_tx *tx, struct err *err)
{
    bool admin = false;
    if (store_user_see(tx, call->param, see_admin, &admin, err) < 0)
        return -1;
    return admin ? user_check_giver(call, err) : 0;
}

/* --- change ---------------------------------------------------------------------------------- */

struct patch {
    struct mutation mutation;
    struct user_change change;         /* texts live in the call's body */
    const char *password;              /* likewise; NULL: stays */
    struct attempt attempt;            /* at the one in force, where that is asked for */
    char in_force[PASSWORD_HASH_SIZE]; /* what it was compared with; "": it wasn't asked for */
    char hash[PASSWORD_HASH_SIZE];
    char username[sizeof(((struct user_login *)0)->username)]; /* whose it is; for the log */
};

static int put_user(const struct user *user, void *arg, struct err *err)
{
    (void)err;
    struct mutation *mutation = arg;
    wire_user(&mutation->body, user);
    return 0;
}

static int refuse_password(struct err *err)
{
    return err_field(err, ERR_UNAUTHORIZED, "forbidden", "currentPassword",
                     "The field \"currentPassword\" is not the password in force.");
}

/* Who has got another password since knows why. */
static int check_in_force(const struct patch *patch, struct store_tx *tx, struct err *err)
{
    if (!patch->in_force[0] ||
        store_user_check_hash(tx, patch->change.id, patch->in_force, err) == 0)
        return 0;
    return err->code == ERR_UNAUTHORIZED ? refuse_password(err) : -1;
}

static int apply_patch(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct patch *patch = (struct patch *)mutation;
    if (check_target(mutation->call, tx, err) < 0 || check_in_force(patch, tx, err) < 0 ||
        store_user_change(tx, &patch->change, err) < 0)
        return -1;
    mutation->status = 200;
    return store_user_see(tx, patch->change.id, put_user, mutation, err) < 0 ? -1 : 0;
}

static void destroy_patch(struct mutation *mutation)
{
    struct patch *patch = (struct patch *)mutation;
    crypto_wipe(patch->hash, sizeof(patch->hash));
    crypto_wipe(patch->in_force, sizeof(patch->in_force));
    free(patch);
}

static void on_hashed(void *arg, const char *hash, const struct err *err)
{
    struct patch *patch = arg;
    if (err) {
        call_answer_err(patch->mutation.call, err);
        destroy_patch(&patch->mutation);
        return;
    }
    snprintf(patch->hash, sizeof(patch->hash), "%s", hash);
    patch->change.password_hash = patch->hash;
    mutation_submit(&patch->mutation);
}

/* Takes the patch. */
static void submit_patch(struct patch *patch)
{
    struct call *call = patch->mutation.call;
    struct err err = {0};
    if (!patch->password) {
        mutation_submit(&patch->mutation);
        return;
    }
    call_defer(call);
    if (password_pool_hash(call->api->rooms.passwords, patch->password, strlen(patch->password),
                           on_hashed, patch, &err) < 0) {
        call_answer_err(call, &err);
        destroy_patch(&patch->mutation);
    }
}

/* --- by the user himself --------------------------------------------------------------------- */

static void on_verified(void *arg, bool right, const struct err *err)
{
    struct patch *patch = arg;
    struct call *call = patch->mutation.call;
    struct err refusal = {0};
    if (!err) {
        attempt_end(&patch->attempt, call, patch->username, right);
        if (right) {
            submit_patch(patch);
            return;
        }
        refuse_password(&refusal);
        err = &refusal;
    }
    call_answer_err(call, err);
    destroy_patch(&patch->mutation);
}

static int ask_password(struct patch *patch, const char *current, struct err *err)
{
    struct call *call = patch->mutation.call;
    struct user_login login = {.id = ""};
    attempt_begin(&patch->attempt, call, call->param);
    if (attempt_check(&patch->attempt, call, err) < 0)
        return -1;
    int found = store_user_login(call->api->rooms.store, LOGIN_BY_ID, call->param, &login, err);
    if (found < 0)
        return -1;
    memcpy(patch->in_force, login.hash, sizeof(patch->in_force));
    memcpy(patch->username, login.username, sizeof(patch->username));
    crypto_wipe(login.hash, sizeof(login.hash));
    call_defer(call);
    return password_pool_verify(call->api->rooms.passwords, current, strlen(current),
                                found ? patch->in_force : NULL, on_verified, patch, err);
}

static int check_self(const struct patch *patch, const char *current, struct err *err)
{
    const struct call *call = patch->mutation.call;
    if (strcmp(call->param, call_viewer(call)) != 0)
        return err_field(err, ERR_NOT_FOUND, "user_not_found", "id",
                         "There is no user with this id.");
    if (patch->change.admin >= 0)
        return user_check_giver(call, err);
    if (!current)
        return err_field(err, ERR_INVALID, "missing_field", "currentPassword",
                         "The field \"currentPassword\" is required to change oneself.");
    return 0;
}

static void refuse_patch(struct patch *patch, const struct err *err)
{
    call_answer_err(patch->mutation.call, err);
    destroy_patch(&patch->mutation);
}

/* Takes the patch. */
static void change_self(struct patch *patch, const char *current)
{
    struct err err = {0};
    if (check_self(patch, current, &err) < 0 || ask_password(patch, current, &err) < 0)
        refuse_patch(patch, &err);
}

void users_patch(struct call *call)
{
    struct body body;
    body_open(&body, call->body, NULL);
    struct user_change change = {
        .id = call->param,
        .username = body_text(&body, "username", BODY_OPTIONAL, TEXT_MAX),
        .email = body_text(&body, "email", BODY_OPTIONAL, TEXT_MAX),
        .admin = body_flag_if_sent(&body, "admin"),
    };
    const char *password = body_text(&body, "password", BODY_OPTIONAL, TEXT_MAX);
    const char *current = body_text(&body, "currentPassword", BODY_OPTIONAL, TEXT_MAX);
    bool sound = !body.failed && user_check(&change, password, &body.err) == 0;
    struct patch *patch = sound ? calloc(1, sizeof(*patch)) : NULL;
    if (!patch) {
        if (sound)
            err_nomem(&body.err);
        call_answer_err(call, &body.err);
        return;
    }
    patch->change = change;
    patch->password = password;
    patch->mutation =
        (struct mutation){.call = call, .apply = apply_patch, .destroy = destroy_patch};
    if (call_viewer(call))
        change_self(patch, current);
    else if (change.admin > 0 && user_check_giver(call, &body.err) < 0)
        refuse_patch(patch, &body.err);
    else
        submit_patch(patch);
}

/* --- delete ---------------------------------------------------------------------------------- */

struct user_delete {
    struct mutation mutation;
    struct strbuf instances; /* their ids, a line each */
    bool force;
};

static int apply_delete(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct user_delete *deletion = (struct user_delete *)mutation;
    if (check_target(mutation->call, tx, err) < 0 ||
        store_user_delete(tx, mutation->call->param, deletion->force, &deletion->instances, err) <
            0)
        return -1;
    jw_object_begin(&mutation->body, NULL);
    jw_string(&mutation->body, "message", "User deleted");
    jw_object_end(&mutation->body);
    mutation->status = 200;
    return 0;
}

static void notice_delete(struct mutation *mutation)
{
    struct user_delete *deletion = (struct user_delete *)mutation;
    char *rest = deletion->instances.data;
    for (char *id = rest ? strsep(&rest, "\n") : NULL; id && *id; id = strsep(&rest, "\n"))
        fleet_notice_instance(mutation->call->api->rooms.fleet, id);
}

static void destroy_delete(struct mutation *mutation)
{
    strbuf_fini(&((struct user_delete *)mutation)->instances);
    free(mutation);
}

void users_delete(struct call *call)
{
    struct body body;
    body_open(&body, call->body, call->req);
    bool force = body_flag(&body, "force", false);
    struct user_delete *deletion = body.failed ? NULL : calloc(1, sizeof(*deletion));
    if (!deletion) {
        if (!body.failed)
            err_nomem(&body.err);
        call_answer_err(call, &body.err);
        return;
    }
    deletion->force = force;
    deletion->mutation = (struct mutation){
        .call = call, .apply = apply_delete, .committed = notice_delete, .destroy = destroy_delete};
    mutation_submit(&deletion->mutation);
}
