/* panelctl key … : API keys, by /api/keys. See handlers.h. A key's secret is shown once, alone on
 * stdout or into a file. */
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/iso_time.h"
#include "panel/ctl/api.h"
#include "panel/ctl/body.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/names.h"
#include "panel/ctl/secret_file.h"
#include "panel/ctl/watch.h"

static bool is_over_by_now(const json_t *key)
{
    uint64_t ns;
    return iso_time_parse(view_text(key, "expiresAt"), &ns) &&
           (int64_t)(ns / 1000000u) <= clock_wall_ms();
}

/* "admin" of a key that is bound to a user is no admin's: it may what that one may. */
static void show_scopes(json_t *key, bool bound)
{
    const json_t *scopes = json_object_get(key, "scopes");
    const char *first = json_string_value(json_array_get(scopes, 0));
    if (bound && json_array_size(scopes) == 1 && first && strcmp(first, "admin") == 0)
        json_object_set_new(key, "scopes", json_string("all of the user's"));
}

/* For a table alone: what the members mean together. */
static void show_meaning(const struct ctl *ctl, json_t *key)
{
    if (view_is_data(ctl) || ctl->format == FORMAT_NAME)
        return;
    show_scopes(key, *view_text(key, "userId") != '\0');
    json_object_set_new(key, "state",
                        json_string(thing_is_over(THING_KEY, key) ? "revoked"
                                    : is_over_by_now(key)         ? "expired"
                                                                  : "valid"));
}

static int fetch_all(struct ctl *ctl, const void *arg, json_t **ret, struct err *err)
{
    size_t i;
    json_t *key;
    (void)arg;
    if (resolve_list(ctl, THING_KEY, ret, err) < 0)
        return -1;
    json_array_foreach(*ret, i, key) show_meaning(ctl, key);
    names_show_users(ctl, *ret, "userId");
    return 0;
}

int run_key_list(struct ctl *ctl, struct err *err)
{
    return watch_show(ctl, &view_keys, true, fetch_all, NULL, err);
}

static int fetch_one(struct ctl *ctl, const void *arg, json_t **ret, struct err *err)
{
    (void)arg;
    if (resolve(ctl, THING_KEY, ctl->args.words[0], ret, err) < 0)
        return -1;
    show_meaning(ctl, *ret);
    names_show_users(ctl, *ret, "userId");
    return 0;
}

int run_key_get(struct ctl *ctl, struct err *err)
{
    return watch_show(ctl, &view_keys, false, fetch_one, NULL, err);
}

static int fetch_identity(struct ctl *ctl, const void *arg, json_t **ret, struct err *err)
{
    (void)arg;
    if (api_get(ctl, "/api/auth/me", ret, err) < 0)
        return -1;
    if (!view_is_data(ctl))
        show_scopes(json_object_get(*ret, "key"), json_is_object(json_object_get(*ret, "user")));
    return 0;
}

int run_key_whoami(struct ctl *ctl, struct err *err)
{
    return watch_show(ctl, &view_identity, false, fetch_identity, NULL, err);
}

/* --- bodies ---------------------------------------------------------------------------------- */

/* A span goes out as one, so that the panel's clock counts it and not this machine's. */
static int add_expiry(struct ctl *ctl, json_t *body, struct err *err)
{
    const char *text = args_value(&ctl->args, "expires");
    uint64_t ns;
    if (!text)
        return 0;
    int64_t span = step_span(text);
    if (span >= 0)
        return json_object_set_new(body, "expiresIn", json_integer(span)) < 0 ? err_nomem(err) : 0;
    if (strcmp(text, "never") == 0)
        return json_object_set_new(body, "expiresAt", json_null()) < 0 ? err_nomem(err) : 0;
    if (iso_time_parse(text, &ns))
        return body_set(body, "expiresAt", text, err);
    return err_set(err, ERR_INVALID, "usage",
                   "--expires wants a span such as 12h or 30d, a time such as "
                   "2026-12-31T00:00:00Z, or never, not \"%.40s\"",
                   text);
}

static int make_body(struct ctl *ctl, json_t **ret, struct err *err)
{
    auto_json json_t *body = NULL;
    if (body_from_options(&ctl->args, &body, err) < 0 || add_expiry(ctl, body, err) < 0)
        return -1;
    *ret = steal_ptr(body);
    return 0;
}

/* --- secrets --------------------------------------------------------------------------------- */

static int show_secret(struct ctl *ctl, struct secret_file *file, const json_t *key,
                       struct err *err)
{
    auto_strbuf struct strbuf what = {0};
    strbuf_fmt(&what, "Key %s (%s)", view_text(key, "name"), view_text(key, "id"));
    return what.failed ? err_nomem(err)
                       : secret_file_show(file, ctl, &view_keys, key, "key", what.data, err);
}

int run_key_create(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = NULL;
    auto_json json_t *key = NULL;
    const char *user = args_value(&ctl->args, "user");
    auto_secret_file struct secret_file file = {.fd = -1};
    if (secret_file_open(&file, &ctl->args, err) < 0 || secret_file_check(&file, ctl, err) < 0 ||
        make_body(ctl, &body, err) < 0 || body_set(body, "name", ctl->args.words[0], err) < 0 ||
        (user && step_set_id(ctl, body, "userId", THING_USER, user, err) < 0) ||
        api_change(ctl, "POST", "/api/keys", body, &key, err) < 0)
        return -1;
    return show_secret(ctl, &file, key, err);
}

/* --- one key --------------------------------------------------------------------------------- */

/* *ret: what the panel answered to this, about the key that is meant. */
static int change(struct ctl *ctl, const char *method, const json_t *key, const char *below,
                  const json_t *body, json_t **ret, struct err *err)
{
    auto_free char *path = api_path("/api/keys/", thing_id(THING_KEY, key), below);
    if (!path)
        return err_nomem(err);
    return api_change(ctl, method, path, body, ret, err);
}

int run_key_update(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = NULL;
    auto_json json_t *key = NULL;
    auto_json json_t *answer = NULL;
    if (make_body(ctl, &body, err) < 0 || step_check_change(ctl, body, err) < 0 ||
        resolve_target(ctl, THING_KEY, ctl->args.words[0], &key, err) < 0 ||
        change(ctl, "PATCH", key, "", body, &answer, err) < 0)
        return -1;
    return view_print_done(ctl, &view_keys, answer, err, "key %s is changed",
                           view_text(answer, "name"));
}

int run_key_revoke(struct ctl *ctl, struct err *err)
{
    auto_json json_t *key = NULL;
    auto_json json_t *answer = NULL;
    if (resolve_target(ctl, THING_KEY, ctl->args.words[0], &key, err) < 0)
        return -1;
    const char *name = thing_name(THING_KEY, key);
    int go = step_confirm(ctl, err, "Revoke key %s (%s), at once and for good?", name,
                          thing_id(THING_KEY, key));
    if (go <= 0)
        return go < 0 ? -1 : EXIT_FAILED;
    if (change(ctl, "DELETE", key, "", NULL, &answer, err) < 0)
        return -1;
    return view_print_done(ctl, NULL, answer, err, "key %s is revoked", name);
}

/* Without --grace nothing is sent, which is none. */
static int make_rotation(const char *grace, json_t **ret, struct err *err)
{
    auto_json json_t *body = json_object();
    int64_t span = grace ? step_span(grace) : 0;
    if (span < 0)
        return err_set(err, ERR_INVALID, "usage",
                       "--grace wants a span such as 10m or 24h, not \"%.40s\"", grace);
    if (!body || (grace && json_object_set_new(body, "graceSeconds", json_integer(span)) < 0))
        return err_nomem(err);
    *ret = steal_ptr(body);
    return 0;
}

int run_key_rotate(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = NULL;
    auto_json json_t *key = NULL;
    auto_json json_t *answer = NULL;
    const char *grace = args_value(&ctl->args, "grace");
    auto_secret_file struct secret_file file = {.fd = -1};
    if (secret_file_open(&file, &ctl->args, err) < 0 || secret_file_check(&file, ctl, err) < 0 ||
        make_rotation(grace, &body, err) < 0 ||
        resolve_target(ctl, THING_KEY, ctl->args.words[0], &key, err) < 0)
        return -1;
    int go =
        step_confirm(ctl, err, "Give key %s (%s) another secret? The old one %s%s.",
                     thing_name(THING_KEY, key), thing_id(THING_KEY, key),
                     grace ? "is good for another " : "opens nothing then", grace ? grace : "");
    if (go <= 0)
        return go < 0 ? -1 : EXIT_FAILED;
    if (change(ctl, "POST", key, "/rotate", body, &answer, err) < 0)
        return -1;
    return show_secret(ctl, &file, answer, err);
}
