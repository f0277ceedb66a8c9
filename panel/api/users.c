/* /api/users, /api/getUser, /api/auth/create-user. Changes and deletes: user_change.c.
 *
 * Creating one goes from the pool thread (checks) to a password worker (hash) to the store's writer
 * (insert and answer). A name that is taken is refused before the costly hash, and again, for
 * certain, by the store. */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/wire.h"
#include "panel/domain/text.h"

#define TEXT_MAX 4096

static int put_user(const struct user *user, void *arg, struct err *err)
{
    (void)err;
    wire_user(arg, user);
    return 0;
}

struct view {
    const struct call *call;
    struct strbuf *out;
    bool seen;
};

/* Of others, who asks knows nothing. */
static int view_user(const struct user *user, void *arg, struct err *err)
{
    struct view *view = arg;
    const char *viewer = call_viewer(view->call);
    view->seen = !viewer || strcmp(viewer, user->id) == 0;
    return view->seen ? put_user(user, view->out, err) : 0;
}

/* 1 found, 0 not, or not to be seen. */
static int read_user(const struct call *call, enum user_key by, const char *value,
                     struct strbuf *out, struct err *err)
{
    struct view view = {call, out, false};
    int rc = store_user_get(call->api->rooms.store, by, value, view_user, &view, err);
    return rc > 0 ? view.seen : rc;
}

void users_list(struct call *call)
{
    struct store *store = call->api->rooms.store;
    struct err err = {0};
    struct list list;
    uint64_t version = store_version(store, STORE_USERS);
    if (!list_begin(call, &version, 1, &list))
        return;
    const char *viewer = call_viewer(call);
    int rc = viewer ? read_user(call, USER_BY_ID, viewer, &list.out, &err)
                    : store_user_list(store, &list.page, put_user, &list.out, &err);
    list_end(call, &list, rc, &err);
}

static int read_user_key(const char *type, enum user_key *ret_by, struct err *err)
{
    if (strcmp(type, "email") == 0)
        *ret_by = USER_BY_EMAIL;
    else if (strcmp(type, "username") == 0)
        *ret_by = USER_BY_USERNAME;
    else if (strcmp(type, "id") == 0)
        *ret_by = USER_BY_ID;
    else
        return err_field(err, ERR_INVALID, "invalid_field", "type",
                         "The field \"type\" has to be email, username or id.");
    return 0;
}

void users_get(struct call *call)
{
    struct body body;
    body_open(&body, call->body, NULL);
    const char *type = body_text(&body, "type", BODY_REQUIRED, TEXT_MAX);
    const char *value = body_text(&body, "value", BODY_REQUIRED, TEXT_MAX);
    enum user_key by = USER_BY_ID;
    struct strbuf out = {0};
    if (body.failed || read_user_key(type, &by, &body.err) < 0) {
        call_answer_err(call, &body.err);
        return;
    }
    int rc = read_user(call, by, value, &out, &body.err);
    if (rc > 0) {
        call_answer(call, 201, &out);
        return;
    }
    strbuf_fini(&out);
    if (rc == 0)
        err_set(&body.err, ERR_NOT_FOUND, "user_not_found", "There is no user with this %s.", type);
    call_answer_err(call, &body.err);
}

void users_get_one(struct call *call)
{
    struct err err = {0};
    struct strbuf out = {0};
    int rc = read_user(call, USER_BY_ID, call->param, &out, &err);
    if (rc > 0) {
        call_answer(call, 200, &out);
        return;
    }
    strbuf_fini(&out);
    if (rc == 0)
        err_field(&err, ERR_NOT_FOUND, "user_not_found", "id", "There is no user with this id.");
    call_answer_err(call, &err);
}

/* --- create ---------------------------------------------------------------------------------- */

struct user_create {
    struct mutation mutation;
    struct user user; /* texts live in the call's body */
    char made_id[CRYPTO_UUID_SIZE];
    char hash[PASSWORD_HASH_SIZE];
};

static int apply_create(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct user_create *create = (struct user_create *)mutation;
    if (store_user_create(tx, &create->user, create->hash, err) < 0)
        return -1;
    struct strbuf *out = &mutation->body;
    jw_object_begin(out, NULL);
    jw_string(out, "userId", create->user.id);
    jw_string(out, "username", create->user.username);
    jw_string(out, "email", create->user.email);
    jw_bool(out, "admin", create->user.admin);
    jw_object_end(out);
    mutation->status = 201;
    return 0;
}

static void destroy_create(struct mutation *mutation)
{
    struct user_create *create = (struct user_create *)mutation;
    crypto_wipe(create->hash, sizeof(create->hash));
    free(create);
}

static void on_hashed(void *arg, const char *hash, const struct err *err)
{
    struct user_create *create = arg;
    if (err) {
        call_answer_err(create->mutation.call, err);
        destroy_create(&create->mutation);
        return;
    }
    snprintf(create->hash, sizeof(create->hash), "%s", hash);
    mutation_submit(&create->mutation);
}

static int see_user(const struct user *user, void *arg, struct err *err)
{
    (void)user;
    (void)arg;
    (void)err;
    return 0;
}

/* A reader's look; the store has the last word. */
static int check_free(struct store *store, enum user_key by, const char *value, const char *field,
                      struct err *err)
{
    int rc = store_user_get(store, by, value, see_user, NULL, err);
    if (rc > 0)
        return err_field(err, ERR_CONFLICT, "user_exists", field,
                         "There is already a user with this %s.", field);
    return rc;
}

void users_create(struct call *call)
{
    struct store *store = call->api->rooms.store;
    struct body body;
    body_open(&body, call->body, NULL);
    const char *username = body_text(&body, "username", BODY_REQUIRED, TEXT_MAX);
    const char *email = body_text(&body, "email", BODY_REQUIRED, TEXT_MAX);
    const char *password = body_text(&body, "password", BODY_REQUIRED, TEXT_MAX);
    const char *id = body_text(&body, "userId", BODY_OPTIONAL, TEXT_MAX);
    bool admin = body_flag(&body, "admin", false);

    auto_free struct user_create *create = calloc(1, sizeof(*create));
    if (!create && !body.failed)
        body.failed = err_nomem(&body.err) < 0;
    if (body.failed) {
        call_answer_err(call, &body.err);
        return;
    }
    if (!id) {
        crypto_uuid(create->made_id);
        id = create->made_id;
    }
    create->user = (struct user){.id = id,
                                 .username = username,
                                 .email = email,
                                 .admin = admin,
                                 .created_at = clock_wall_ms()};
    create->mutation =
        (struct mutation){.call = call, .apply = apply_create, .destroy = destroy_create};
    create->mutation.made = create->user.id;
    const struct user_change fields = {.id = id, .username = username, .email = email};
    if (user_check(&fields, password, &body.err) < 0 ||
        (admin && user_check_giver(call, &body.err) < 0) ||
        check_free(store, USER_BY_USERNAME, username, "username", &body.err) < 0 ||
        check_free(store, USER_BY_EMAIL, email, "email", &body.err) < 0 ||
        check_free(store, USER_BY_ID, id, "userId", &body.err) < 0) {
        call_answer_err(call, &body.err);
        return;
    }
    call_defer(call);
    if (password_pool_hash(call->api->rooms.passwords, password, strlen(password), on_hashed,
                           create, &body.err) < 0) {
        call_answer_err(call, &body.err);
        return;
    }
    (void)steal_ptr(create); /* on_hashed() has it, and may be through with it */
}
