/* panelctl user … See handlers.h. Passwords are typed or read from stdin, never arguments. */
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "panel/ctl/api.h"
#include "panel/ctl/body.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/secret_file.h"

int run_user_list(struct ctl *ctl, struct err *err)
{
    return step_list(ctl, &view_users, "/api/users", err);
}

int run_user_get(struct ctl *ctl, struct err *err)
{
    return step_get(ctl, &view_users, THING_USER, err);
}

static int read_password(struct ctl *ctl, json_t *body, const char *member, const char *what,
                         bool twice, struct err *err)
{
    char *password = NULL;
    if (term_read_secret(&ctl->term, what, twice, &password, err) < 0)
        return -1;
    int rc = body_set(body, member, password, err);
    crypto_wipe(password, strlen(password));
    free(password);
    return rc < 0 ? err_set(err, ERR_INVALID, "usage", "the password is not UTF-8") : 0;
}

/* A new one is typed twice. */
static int add_password(struct ctl *ctl, json_t *body, bool new, struct err *err)
{
    return new ? read_password(ctl, body, "password", "password", true, err)
               : read_password(ctl, body, "currentPassword", "current password", false, err);
}

/* --- sessions -------------------------------------------------------------------------------- */

int run_user_login(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = json_object();
    auto_json json_t *session = NULL;
    auto_strbuf struct strbuf what = {0};
    auto_secret_file struct secret_file file = {.fd = -1};
    if (!body)
        return err_nomem(err);
    if (secret_file_open(&file, &ctl->args, err) < 0 || secret_file_check(&file, ctl, err) < 0 ||
        body_set(body, "username", ctl->args.words[0], err) < 0 ||
        read_password(ctl, body, "password", "password", false, err) < 0 ||
        api_login(ctl, body, &session, err) < 0)
        return -1;
    strbuf_fmt(&what, "The session of %s until %s", view_text(session, "user.username"),
               view_text(session, "expiresAt"));
    return what.failed
               ? err_nomem(err)
               : secret_file_show(&file, ctl, &view_sessions, session, "token", what.data, err);
}

int run_user_logout(struct ctl *ctl, struct err *err)
{
    auto_json json_t *answer = NULL;
    auto_strbuf struct strbuf origin = {0};
    if (api_change(ctl, "POST", "/api/auth/logout", NULL, &answer, err) < 0)
        return -1;
    settings_add_key_origin(&ctl->settings, &origin);
    return view_print_done(ctl, NULL, answer, err, "the session from %s has ended",
                           origin.data ? origin.data : "");
}

/* --- users ----------------------------------------------------------------------------------- */

int run_user_create(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = NULL;
    auto_json json_t *user = NULL;
    if (!args_has(&ctl->args, "email"))
        return err_set(err, ERR_INVALID, "usage", "--email ADDRESS is missing");
    if (body_from_options(&ctl->args, &body, err) < 0 ||
        body_set(body, "username", ctl->args.words[0], err) < 0 ||
        add_password(ctl, body, true, err) < 0 ||
        api_change(ctl, "POST", "/api/auth/create-user", body, &user, err) < 0)
        return -1;
    return view_print_done(ctl, &view_users, user, err, "user %s is made; its id is %s",
                           view_text(user, "username"), view_text(user, "userId"));
}

int run_user_update(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = NULL;
    auto_json json_t *user = NULL;
    auto_free char *id = NULL;
    bool password = args_has(&ctl->args, "password");
    bool current = args_has(&ctl->args, "current-password");
    if (body_from_options(&ctl->args, &body, err) < 0 ||
        (!password && step_check_change(ctl, body, err) < 0) ||
        resolve_id(ctl, THING_USER, ctl->args.words[0], &id, err) < 0 ||
        (current && add_password(ctl, body, false, err) < 0) ||
        (password && add_password(ctl, body, true, err) < 0))
        return -1;
    auto_free char *path = api_path("/api/users/", id, "");
    if (!path)
        return err_nomem(err);
    if (api_change(ctl, "PATCH", path, body, &user, err) < 0)
        return -1;
    return view_print_done(ctl, &view_users, user, err, "user %s is changed",
                           view_text(user, "username"));
}

int run_user_delete(struct ctl *ctl, struct err *err)
{
    auto_json json_t *user = NULL;
    auto_json json_t *answer = NULL;
    bool force = args_has(&ctl->args, "force");
    if (resolve_target(ctl, THING_USER, ctl->args.words[0], &user, err) < 0)
        return -1;
    const char *name = thing_name(THING_USER, user);
    int go = step_confirm(ctl, err, "Delete user %s (%s)%s?", name, view_text(user, "userId"),
                          force ? " with all instances that it owns, and their volumes" : "");
    if (go <= 0)
        return go < 0 ? -1 : EXIT_FAILED;
    auto_free char *path = api_path("/api/users/", view_text(user, "userId"), "");
    auto_json json_t *body = json_pack("{sb}", "force", force);
    if (!path || !body)
        return err_nomem(err);
    if (api_change(ctl, "DELETE", path, body, &answer, err) < 0)
        return -1;
    return view_print_done(ctl, NULL, answer, err, "user %s is deleted", name);
}
