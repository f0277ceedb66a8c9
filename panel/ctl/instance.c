/* panelctl instance …: what is there, and what is done to it. See handlers.h. deploy.c, logs.c,
 * console.c and stats.c have the rest. */
#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "panel/ctl/api.h"
#include "panel/ctl/body.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/names.h"
#include "panel/ctl/progress.h"
#include "panel/ctl/watch.h"

/* --- lists ----------------------------------------------------------------------------------- */

struct filter {
    char *user;
    char *node;
    const char *state;
    bool shared;
};

static bool fits(const struct filter *filter, const json_t *row)
{
    return (!filter->node || strcmp(view_text(row, "Node.id"), filter->node) == 0) &&
           (!filter->state || strcmp(view_text(row, "State"), filter->state) == 0 ||
            strcmp(view_text(row, "InternalState"), filter->state) == 0);
}

/* Of one user the panel itself knows them. */
static int get_rows(struct ctl *ctl, const struct filter *filter, json_t **ret, struct err *err)
{
    if (!filter->user)
        return api_list(ctl, "/api/instances", 0, ret, err);
    auto_json json_t *body = json_pack("{sssb}", "userId", filter->user, "shared", filter->shared);
    if (!body)
        return err_nomem(err);
    return api_change(ctl, "POST", "/api/getUserInstance", body, ret, err);
}

static int fetch(struct ctl *ctl, const void *arg, json_t **ret, struct err *err)
{
    const struct filter *filter = arg;
    auto_json json_t *all = NULL;
    auto_json json_t *some = json_array();
    size_t i;
    json_t *row;
    if (get_rows(ctl, filter, &all, err) < 0)
        return -1;
    json_array_foreach(all, i, row)
    {
        if (fits(filter, row) && json_array_append(some, row) < 0)
            return err_nomem(err);
    }
    if (ctl->format == FORMAT_WIDE)
        names_show_users(ctl, some, "User");
    *ret = steal_ptr(some);
    return 0;
}

int run_instance_list(struct ctl *ctl, struct err *err)
{
    const char *user = args_value(&ctl->args, "user");
    const char *node = args_value(&ctl->args, "node");
    auto_free char *user_id = NULL;
    auto_free char *node_id = NULL;
    if ((user && resolve_id(ctl, THING_USER, user, &user_id, err) < 0) ||
        (node && resolve_id(ctl, THING_NODE, node, &node_id, err) < 0))
        return -1;
    struct filter filter = {.user = user_id,
                            .node = node_id,
                            .state = args_value(&ctl->args, "state"),
                            .shared = args_has(&ctl->args, "shared")};
    if (filter.shared && !user)
        return err_set(err, ERR_INVALID, "usage", "--shared belongs to --user");
    return watch_show(ctl, &view_instances, true, fetch, &filter, err);
}

static int fetch_one(struct ctl *ctl, const void *arg, json_t **ret, struct err *err)
{
    (void)arg;
    if (resolve(ctl, THING_INSTANCE, ctl->args.words[0], ret, err) < 0)
        return -1;
    names_show_users(ctl, *ret, "User");
    return 0;
}

int run_instance_get(struct ctl *ctl, struct err *err)
{
    return watch_show(ctl, &view_instances, false, fetch_one, NULL, err);
}

/* --- changes --------------------------------------------------------------------------------- */

static int post(struct ctl *ctl, const char *id, const char *before, const char *after,
                const json_t *body, json_t **ret, struct err *err)
{
    auto_free char *path = api_path(before, id, after);
    return path ? api_change(ctl, "POST", path, body, ret, err) : err_nomem(err);
}

/* What is wanted is kept: when a node that can't be told now does it. */
static const char *outlook(const char *node_status)
{
    if (strcmp(node_status, "Offline") == 0)
        return "; its node is offline, and does it when it is back";
    if (strcmp(node_status, "Unconfigured") == 0)
        return "; nobody has joined its node yet, which does it when it is there";
    return "";
}

static int tell_state(struct ctl *ctl, const json_t *instance, struct err *err)
{
    if (strcmp(view_text(instance, "InternalState"), "FAILED") == 0)
        return progress_tell(ctl, instance, err);
    return view_print_done(ctl, &view_instances, instance, err, "%s (%s) is %s%s",
                           thing_name(THING_INSTANCE, instance), thing_id(THING_INSTANCE, instance),
                           view_text(instance, "State"),
                           outlook(view_text(instance, "Node.status")));
}

static int power(struct ctl *ctl, const char *word, struct err *err)
{
    auto_free char *id = NULL;
    auto_json json_t *instance = NULL;
    char action[16];
    snprintf(action, sizeof(action), "%.*s", form_first(ctl->args.command->verb),
             ctl->args.command->verb);
    auto_json json_t *body = json_pack("{ss}", "action", action);
    if (!body)
        return err_nomem(err);
    if (resolve_id(ctl, THING_INSTANCE, word, &id, err) < 0 ||
        post(ctl, id, "/api/instances/", "/power", body, &instance, err) < 0)
        return -1;
    return tell_state(ctl, instance, err);
}

int run_instance_power(struct ctl *ctl, struct err *err)
{
    return step_each(ctl, power, err);
}

static int suspend(struct ctl *ctl, const char *word, struct err *err)
{
    auto_free char *id = NULL;
    auto_json json_t *instance = NULL;
    bool end = strcmp(ctl->args.command->verb, "unsuspend") == 0;
    if (resolve_id(ctl, THING_INSTANCE, word, &id, err) < 0 ||
        post(ctl, id, end ? "/api/instances/unsuspend/" : "/api/instances/suspend/", "", NULL,
             &instance, err) < 0)
        return -1;
    return tell_state(ctl, instance, err);
}

int run_instance_suspend(struct ctl *ctl, struct err *err)
{
    return step_each(ctl, suspend, err);
}

static int delete (struct ctl *ctl, const char *word, struct err *err)
{
    auto_json json_t *instance = NULL;
    auto_json json_t *answer = NULL;
    if (resolve_target(ctl, THING_INSTANCE, word, &instance, err) < 0)
        return -1;
    const char *name = thing_name(THING_INSTANCE, instance);
    const char *id = thing_id(THING_INSTANCE, instance);
    int go = step_confirm(ctl, err, "Delete instance %s (%s) with its volume?", name, id);
    if (go <= 0)
        return go < 0 ? -1 : EXIT_FAILED;
    auto_free char *path = api_path("/api/instances/", id, "");
    if (!path)
        return err_nomem(err);
    if (api_change(ctl, "DELETE", path, NULL, &answer, err) < 0)
        return -1;
    bool gone = strcmp(view_text(answer, "state"), "DELETED") == 0;
    return view_print_done(ctl, &view_instances, answer, err,
                           gone ? "%s (%s) is deleted"
                                : "%s (%s) is deleted here, and removed when its node is back",
                           name, id);
}

int run_instance_delete(struct ctl *ctl, struct err *err)
{
    return step_each(ctl, delete, err);
}

int run_instance_update(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = NULL;
    auto_json json_t *instance = NULL;
    auto_free char *id = NULL;
    const char *user = args_value(&ctl->args, "user");
    if (body_from_options(&ctl->args, &body, err) < 0 ||
        (user && step_set_id(ctl, body, "user", THING_USER, user, err) < 0) ||
        step_check_change(ctl, body, err) < 0 ||
        resolve_id(ctl, THING_INSTANCE, ctl->args.words[0], &id, err) < 0)
        return -1;
    auto_free char *path = api_path("/api/instances/", id, "");
    if (!path)
        return err_nomem(err);
    if (api_change(ctl, "PATCH", path, body, &instance, err) < 0 ||
        (!args_has(&ctl->args, "no-wait") && progress_install(ctl, &instance, err) < 0))
        return -1;
    return tell_state(ctl, instance, err);
}

int run_instance_command(struct ctl *ctl, struct err *err)
{
    auto_free char *id = NULL;
    auto_json json_t *answer = NULL;
    auto_strbuf struct strbuf line = {0};
    for (int i = 1; i < ctl->args.count; i++) {
        strbuf_str(&line, i > 1 ? " " : "");
        strbuf_str(&line, ctl->args.words[i]);
    }
    if (line.failed || resolve_id(ctl, THING_INSTANCE, ctl->args.words[0], &id, err) < 0)
        return line.failed ? err_nomem(err) : -1;
    auto_json json_t *body = json_pack("{ss}", "line", line.data);
    if (!body)
        return err_set(err, ERR_INVALID, "usage", "the line is not UTF-8");
    if (post(ctl, id, "/api/instances/", "/command", body, &answer, err) < 0)
        return -1;
    return view_is_data(ctl) ? view_print_data(ctl, answer, err) : EXIT_DONE;
}

/* --- installed again ------------------------------------------------------------------------- */

int run_instance_install(struct ctl *ctl, struct err *err)
{
    auto_json json_t *was = NULL;
    auto_json json_t *instance = NULL;
    auto_json json_t *body = NULL;
    char after[24];
    bool wipe = args_has(&ctl->args, "wipe");
    snprintf(after, sizeof(after), "/%s", ctl->args.command->verb);
    if (body_from_options(&ctl->args, &body, err) < 0 ||
        resolve(ctl, THING_INSTANCE, ctl->args.words[0], &was, err) < 0)
        return -1;
    const char *id = thing_id(THING_INSTANCE, was);
    int go =
        !wipe ? 1
              : step_confirm(ctl, err, "Reinstall %s (%s), with everything in its volume removed?",
                             thing_name(THING_INSTANCE, was), id);
    if (go <= 0)
        return go < 0 ? -1 : EXIT_FAILED;
    if (post(ctl, id, "/api/instances/", after, body, &instance, err) < 0 ||
        (!args_has(&ctl->args, "no-wait") && progress_install(ctl, &instance, err) < 0))
        return -1;
    return progress_tell(ctl, instance, err);
}

/* --- who may use it -------------------------------------------------------------------------- */

int run_instance_users(struct ctl *ctl, struct err *err)
{
    auto_free char *id = NULL;
    if (resolve_id(ctl, THING_INSTANCE, ctl->args.words[0], &id, err) < 0)
        return -1;
    auto_free char *path = api_path("/api/instances/", id, "/users");
    return path ? step_list(ctl, &view_access, path, err) : err_nomem(err);
}

int run_instance_share(struct ctl *ctl, struct err *err)
{
    auto_json json_t *instance = NULL;
    auto_json json_t *user = NULL;
    auto_json json_t *answer = NULL;
    bool take = strcmp(ctl->args.command->verb, "unshare") == 0;
    if (resolve_target(ctl, THING_INSTANCE, ctl->args.words[0], &instance, err) < 0 ||
        resolve_target(ctl, THING_USER, ctl->args.words[1], &user, err) < 0)
        return -1;
    auto_json json_t *body = json_pack("{ss}", "userId", thing_id(THING_USER, user));
    auto_free char *path =
        api_path("/api/instances/", thing_id(THING_INSTANCE, instance), "/users");
    if (!path || !body)
        return err_nomem(err);
    if (api_change(ctl, take ? "DELETE" : "POST", path, body, &answer, err) < 0)
        return -1;
    return view_print_done(ctl, NULL, answer, err,
                           take ? "%s may no longer use %s (%s)" : "%s may use %s (%s)",
                           thing_name(THING_USER, user), thing_name(THING_INSTANCE, instance),
                           thing_id(THING_INSTANCE, instance));
}
