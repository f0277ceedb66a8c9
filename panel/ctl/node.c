/* panelctl node … See handlers.h. */
#include <string.h>

#include "common/auto.h"
#include "panel/ctl/api.h"
#include "panel/ctl/body.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/hindrance.h"
#include "panel/ctl/progress.h"
#include "panel/ctl/watch.h"

#define DRAIN_LOOK_MS 500

/* A node that is Online can't run anything while its Docker is down, and the table says so where
 * the eye is. */
static void mark_docker(const struct ctl *ctl, json_t *nodes)
{
    size_t i;
    json_t *node;
    if (view_is_data(ctl))
        return;
    json_array_foreach(nodes, i, node)
    {
        if (strcmp(view_text(node, "status"), "Online") == 0 && hindrance_no_docker(node))
            json_object_set_new(node, "status", json_string("Online, no Docker"));
    }
}

static int fetch_all(struct ctl *ctl, const void *arg, json_t **ret, struct err *err)
{
    (void)arg;
    if (resolve_list(ctl, THING_NODE, ret, err) < 0)
        return -1;
    mark_docker(ctl, *ret);
    return 0;
}

int run_node_list(struct ctl *ctl, struct err *err)
{
    return watch_show(ctl, &view_nodes, true, fetch_all, NULL, err);
}

int run_node_get(struct ctl *ctl, struct err *err)
{
    return step_get(ctl, &view_nodes, THING_NODE, err);
}

/* --- joining --------------------------------------------------------------------------------- */

/* The command alone on stdout, so that it can be piped to the node. */
static int print_join(struct ctl *ctl, const json_t *node, const char *name, struct err *err)
{
    if (view_is_data(ctl) || ctl->format == FORMAT_NAME)
        return view_print_done(ctl, &view_nodes, node, err, "%s", "");
    step_note("Run this on %s, as root. It works once, within an hour:", name);
    return view_print_done(ctl, &view_nodes, node, err, "%s", view_text(node, "joinCommand"));
}

/* What the panel asks for and nobody needs to say: it measures that itself. */
static int set_defaults(json_t *body, struct err *err)
{
    static const char *const members[][2] = {{"port", "7400"},
                                             {"tags", "default"},
                                             {"ram", "auto"},
                                             {"disk", "auto"},
                                             {"processor", "auto"}};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (!json_object_get(body, members[i][0]) &&
            body_set(body, members[i][0], members[i][1], err) < 0)
            return -1;
    }
    return 0;
}

int run_node_create(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = NULL;
    auto_json json_t *node = NULL;
    if (!args_has(&ctl->args, "address"))
        return err_set(err, ERR_INVALID, "usage",
                       "--address HOST is missing: where the panel reaches the node's agent");
    if (body_from_options(&ctl->args, &body, err) < 0 ||
        body_set(body, "name", ctl->args.words[0], err) < 0 || set_defaults(body, err) < 0 ||
        api_change(ctl, "POST", "/api/nodes/create", body, &node, err) < 0)
        return -1;
    return print_join(ctl, node, ctl->args.words[0], err);
}

int run_node_token(struct ctl *ctl, struct err *err)
{
    auto_json json_t *node = NULL;
    auto_json json_t *token = NULL;
    if (resolve_target(ctl, THING_NODE, ctl->args.words[0], &node, err) < 0)
        return -1;
    auto_free char *path = api_path("/api/nodes/", thing_id(THING_NODE, node), "/token");
    if (!path)
        return err_nomem(err);
    if (api_change(ctl, "POST", path, NULL, &token, err) < 0)
        return -1;
    return print_join(ctl, token, thing_name(THING_NODE, node), err);
}

/* --- changes --------------------------------------------------------------------------------- */

static int patch(struct ctl *ctl, const char *word, const json_t *body, json_t **ret,
                 struct err *err)
{
    auto_free char *id = NULL;
    if (resolve_id(ctl, THING_NODE, word, &id, err) < 0)
        return -1;
    auto_free char *path = api_path("/api/nodes/", id, "");
    return path ? api_change(ctl, "PATCH", path, body, ret, err) : err_nomem(err);
}

int run_node_update(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = NULL;
    auto_json json_t *node = NULL;
    if (body_from_options(&ctl->args, &body, err) < 0 || step_check_change(ctl, body, err) < 0 ||
        patch(ctl, ctl->args.words[0], body, &node, err) < 0)
        return -1;
    return view_print_done(ctl, &view_nodes, node, err, "node %s is changed; it is %s",
                           thing_name(THING_NODE, node), view_text(node, "status"));
}

static int count_of(const json_t *node, const char *path)
{
    return (int)json_integer_value(view_member(node, path));
}

/* Until nothing runs there, or the node isn't there to say so. */
static int await_empty(struct ctl *ctl, json_t **node, struct err *err)
{
    struct progress progress;
    int64_t lost_since = 0;
    auto_free char *name = strdup(thing_name(THING_NODE, *node)); /* *node is replaced meanwhile */
    auto_free char *path = api_path("/api/nodes/", thing_id(THING_NODE, *node), "");
    int rc = path && name ? 0 : err_nomem(err);
    progress_begin(&progress, &ctl->term, name);
    while (rc == 0) {
        int running = count_of(*node, "drain.running") + count_of(*node, "drain.stopping");
        int stopped = count_of(*node, "drain.stopped");
        bool gone = strcmp(view_text(*node, "status"), "Offline") == 0;
        if (!running || gone || json_is_null(view_member(*node, "drain")))
            break;
        progress_show(&progress, "draining", stopped * 100 / (running + stopped));
        step_sleep_ms(DRAIN_LOOK_MS);
        rc = progress_look(ctl, path, node, &lost_since, err);
    }
    progress_end(&progress);
    return rc;
}

static int drain(struct ctl *ctl, bool on, json_t **ret, struct err *err)
{
    auto_json json_t *body = json_pack("{sb}", "drain", on);
    return body ? patch(ctl, ctl->args.words[0], body, ret, err) : err_nomem(err);
}

int run_node_drain(struct ctl *ctl, struct err *err)
{
    auto_json json_t *node = NULL;
    if (drain(ctl, true, &node, err) < 0 ||
        (!args_has(&ctl->args, "no-wait") && await_empty(ctl, &node, err) < 0))
        return -1;
    int running = count_of(node, "drain.running") + count_of(node, "drain.stopping");
    const char *name = thing_name(THING_NODE, node);
    if (!running)
        return view_print_done(ctl, &view_nodes, node, err,
                               "node %s is empty; \"panelctl node undrain %s\" ends that", name,
                               name);
    return view_print_done(ctl, &view_nodes, node, err,
                           "node %s (%s) is being drained: %d still to be stopped", name,
                           view_text(node, "status"), running);
}

int run_node_undrain(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = json_pack("{sb}", "maintenance", 0);
    auto_json json_t *node = NULL;
    bool stay = args_has(&ctl->args, "keep-maintenance");
    if (!body)
        return err_nomem(err);
    if ((stay ? drain(ctl, false, &node, err) : patch(ctl, ctl->args.words[0], body, &node, err)) <
        0)
        return -1;
    return view_print_done(ctl, &view_nodes, node, err,
                           stay ? "node %s: what was to run runs again; it takes nothing new yet"
                                : "node %s: what was to run runs again, and it takes new instances",
                           thing_name(THING_NODE, node));
}

/* --- removal --------------------------------------------------------------------------------- */

int run_node_delete(struct ctl *ctl, struct err *err)
{
    auto_json json_t *node = NULL;
    auto_json json_t *answer = NULL;
    bool force = args_has(&ctl->args, "force");
    if (resolve(ctl, THING_NODE, ctl->args.words[0], &node, err) < 0)
        return -1;
    const char *id = thing_id(THING_NODE, node);
    const char *name = thing_name(THING_NODE, node);
    int count = count_of(node, "allocated.instances");
    int go = force ? step_confirm(ctl, err,
                                  "Delete node %s (%s) with its %d instances and their volumes?",
                                  name, id, count)
                   : step_confirm(ctl, err, "Delete node %s (%s)?", name, id);
    if (go <= 0)
        return go < 0 ? -1 : EXIT_FAILED;
    auto_json json_t *body = json_pack("{ssss*}", "nodeId", id, "force", force ? "true" : NULL);
    if (!body)
        return err_nomem(err);
    if (api_change(ctl, "DELETE", "/api/nodes/delete", body, &answer, err) < 0)
        return -1;
    return view_print_done(ctl, NULL, answer, err, "node %s is deleted", name);
}

/* --- orphans --------------------------------------------------------------------------------- */

int run_node_orphans(struct ctl *ctl, struct err *err)
{
    auto_free char *id = NULL;
    if (resolve_id(ctl, THING_NODE, ctl->args.words[0], &id, err) < 0)
        return -1;
    auto_free char *path = api_path("/api/nodes/", id, "/orphans");
    return path ? step_list(ctl, &view_orphans, path, err) : err_nomem(err);
}

int run_node_remove_orphan(struct ctl *ctl, struct err *err)
{
    auto_json json_t *answer = NULL;
    auto_free char *id = NULL;
    const char *instance = ctl->args.words[1];
    if (resolve_id(ctl, THING_NODE, ctl->args.words[0], &id, err) < 0)
        return -1;
    int go = step_confirm(ctl, err, "Remove the container of %s on node %s, with its volume?",
                          instance, ctl->args.words[0]);
    if (go <= 0)
        return go < 0 ? -1 : EXIT_FAILED;
    auto_free char *path = api_path("/api/nodes/", id, "/orphans");
    auto_json json_t *body = json_pack("{ss}", "instanceId", instance);
    if (!path || !body)
        return err_nomem(err);
    if (api_change(ctl, "DELETE", path, body, &answer, err) < 0)
        return -1;
    bool gone = strcmp(view_text(answer, "state"), "DELETED") == 0;
    return view_print_done(
        ctl, NULL, answer, err,
        gone ? "%s is removed from its node" : "%s is removed when its node is back", instance);
}
