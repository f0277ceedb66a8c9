/* panelctl key … : API keys, by /api/keys. See handlers.h. A key is shown once, alone on stdout. */
#include <string.h>

#include "common/auto.h"
#include "panel/ctl/api.h"
#include "panel/ctl/body.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"

int run_key_list(struct ctl *ctl, struct err *err)
{
    return step_list(ctl, &view_keys, "/api/keys", err);
}

static int print_key(struct ctl *ctl, const json_t *key, struct err *err)
{
    if (!view_is_data(ctl) && ctl->format != FORMAT_NAME)
        step_note("Key %s (%s), shown this once:", view_text(key, "name"), view_text(key, "id"));
    return view_print_done(ctl, &view_keys, key, err, "%s", view_text(key, "key"));
}

static int add_expiry(struct ctl *ctl, json_t *body, struct err *err)
{
    auto_free char *at = NULL;
    const char *text = args_value(&ctl->args, "expires");
    if (!text)
        return 0;
    if (step_time("expires", text, 1, true, &at, err) < 0)
        return -1;
    return body_set(body, "expiresAt", at, err);
}

int run_key_create(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = NULL;
    auto_json json_t *key = NULL;
    const char *user = args_value(&ctl->args, "user");
    if (body_from_options(&ctl->args, &body, err) < 0 ||
        body_set(body, "name", ctl->args.words[0], err) < 0 || add_expiry(ctl, body, err) < 0 ||
        (user && step_set_id(ctl, body, "userId", THING_USER, user, err) < 0) ||
        api_change(ctl, "POST", "/api/keys", body, &key, err) < 0)
        return -1;
    return print_key(ctl, key, err);
}

int run_key_revoke(struct ctl *ctl, struct err *err)
{
    auto_json json_t *key = NULL;
    auto_json json_t *answer = NULL;
    if (resolve(ctl, THING_KEY, ctl->args.words[0], &key, err) < 0)
        return -1;
    const char *name = thing_name(THING_KEY, key);
    int go = step_confirm(ctl, err, "Revoke key %s (%s), at once and for good?", name,
                          thing_id(THING_KEY, key));
    if (go <= 0)
        return go < 0 ? -1 : EXIT_FAILED;
    auto_free char *path = api_path("/api/keys/", thing_id(THING_KEY, key), "");
    if (!path)
        return err_nomem(err);
    if (api_change(ctl, "DELETE", path, NULL, &answer, err) < 0)
        return -1;
    return view_print_done(ctl, NULL, answer, err, "key %s is revoked", name);
}

int run_key_rotate(struct ctl *ctl, struct err *err)
{
    auto_json json_t *key = NULL;
    auto_json json_t *answer = NULL;
    if (resolve(ctl, THING_KEY, ctl->args.words[0], &key, err) < 0)
        return -1;
    int go =
        step_confirm(ctl, err, "Give key %s (%s) another secret? The old one opens nothing then.",
                     thing_name(THING_KEY, key), thing_id(THING_KEY, key));
    if (go <= 0)
        return go < 0 ? -1 : EXIT_FAILED;
    auto_free char *path = api_path("/api/keys/", thing_id(THING_KEY, key), "/rotate");
    if (!path)
        return err_nomem(err);
    if (api_change(ctl, "POST", path, NULL, &answer, err) < 0)
        return -1;
    return print_key(ctl, answer, err);
}
