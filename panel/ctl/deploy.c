/* panelctl instance deploy. See handlers.h.
 *
 * The panel is told what was typed, and what can be left out is filled in here: the node and the
 * primary port are "auto", a template brings its image. */
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/strbuf.h"
#include "panel/ctl/api.h"
#include "panel/ctl/body.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/progress.h"

static int set_defaults(json_t *body, struct err *err)
{
    static const char *const members[][2] = {
        {"memory", "512"}, {"cpu", "1"}, {"primary", "auto"}, {"nodeId", "auto"}};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (!json_object_get(body, members[i][0]) &&
            body_set(body, members[i][0], members[i][1], err) < 0)
            return -1;
    }
    return 0;
}

static int set_template(struct ctl *ctl, json_t *body, const char *word, struct err *err)
{
    auto_json json_t *image = NULL;
    if (resolve(ctl, THING_IMAGE, word, &image, err) < 0 ||
        body_set(body, "imagename", thing_name(THING_IMAGE, image), err) < 0)
        return -1;
    return json_object_get(body, "image") ? 0
                                          : body_set(body, "image", view_text(image, "Image"), err);
}

/* All that is missing, at once. */
static int check_given(const struct args *args, struct err *err)
{
    static const struct {
        const char *options[2];
        const char *shown;
    } needed[] = {
        {{"image", "template"}, "--image REFERENCE or --template IMAGE (what is to be run)"},
        {{"user", "user"}, "--user USER (whose it is)"},
        {{"ports", "ports"}, "--ports CONTAINER:HOST (such as 25565:auto, with commas between)"},
    };
    auto_strbuf struct strbuf list = {0};
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if (!args_has(args, needed[i].options[0]) && !args_has(args, needed[i].options[1]))
            strbuf_fmt(&list, "%s%s", list.len ? "; " : "", needed[i].shown);
    }
    if (!list.len)
        return 0;
    return err_set(err, ERR_INVALID, "usage", "missing: %s", list.data ? list.data : "");
}

static int make_body(struct ctl *ctl, json_t **ret, struct err *err)
{
    auto_json json_t *body = NULL;
    const char *template = args_value(&ctl->args, "template");
    const char *user = args_value(&ctl->args, "user");
    const char *node = args_value(&ctl->args, "node");
    if (check_given(&ctl->args, err) < 0 || body_from_options(&ctl->args, &body, err) < 0 ||
        body_set(body, "name", ctl->args.words[0], err) < 0 ||
        step_set_id(ctl, body, "user", THING_USER, user, err) < 0 ||
        (node && strcmp(node, "auto") != 0 &&
         step_set_id(ctl, body, "nodeId", THING_NODE, node, err) < 0) ||
        (template && set_template(ctl, body, template, err) < 0) || set_defaults(body, err) < 0)
        return -1;
    *ret = steal_ptr(body);
    return 0;
}

int run_instance_deploy(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = NULL;
    auto_json json_t *answer = NULL;
    auto_json json_t *instance = NULL;
    if (make_body(ctl, &body, err) < 0 ||
        api_change(ctl, "POST", "/api/instances/deploy", body, &answer, err) < 0)
        return -1;
    auto_free char *path = api_path("/api/instances/", view_text(answer, "Id"), "");
    if (!path)
        return err_nomem(err);
    if (api_get(ctl, path, &instance, err) < 0 ||
        (!args_has(&ctl->args, "no-wait") && progress_install(ctl, &instance, err) < 0))
        return -1;
    return progress_tell(ctl, instance, err);
}
