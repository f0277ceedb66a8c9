/* panelctl image … : templates. See handlers.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/fs.h"
#include "panel/ctl/api.h"
#include "panel/ctl/body.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/watch.h"

#define FILE_MAX (4u * 1024u * 1024u) /* as the panel takes it */

int run_image_list(struct ctl *ctl, struct err *err)
{
    return step_list(ctl, &view_images, "/api/images", err);
}

/* --- what the panel has to say --------------------------------------------------------------- */

static void tell_warnings(const struct ctl *ctl, const json_t *image)
{
    size_t i;
    json_t *row;
    if (view_is_data(ctl))
        return; /* they are in it */
    json_array_foreach(json_object_get(image, "warnings"), i, row)
        step_note("warning: %s: %s", view_text(row, "member"), view_text(row, "message"));
}

/* The list, by which a name is found, has no warnings. */
static int fetch_one(struct ctl *ctl, const void *arg, json_t **ret, struct err *err)
{
    auto_json json_t *found = NULL;
    (void)arg;
    if (resolve(ctl, THING_IMAGE, ctl->args.words[0], &found, err) < 0)
        return -1;
    if (!json_object_get(found, "warnings"))
        return resolve_by_id(ctl, THING_IMAGE, thing_id(THING_IMAGE, found), ret, err);
    *ret = steal_ptr(found);
    return 0;
}

int run_image_get(struct ctl *ctl, struct err *err)
{
    auto_json json_t *image = NULL;
    int rc = watch_show(ctl, &view_images, false, fetch_one, NULL, err);
    if (rc != 0 || view_is_data(ctl) || ctl->format == FORMAT_NAME ||
        fetch_one(ctl, NULL, &image, err) < 0)
        return rc;
    tell_warnings(ctl, image);
    return rc;
}

/* --- files ----------------------------------------------------------------------------------- */

static int read_stdin(struct strbuf *out, struct err *err)
{
    char piece[8192];
    size_t n;
    while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0 && out->len <= FILE_MAX)
        strbuf_add(out, piece, n);
    if (out->len > FILE_MAX)
        return err_set(err, ERR_INVALID, "usage", "stdin holds more than 4 MiB");
    return out->failed ? err_nomem(err) : 0;
}

/* One object of JSON from a file, or from stdin where it is "-". */
static int read_template(const char *name, json_t **ret, struct err *err)
{
    auto_strbuf struct strbuf text = {0};
    json_error_t why;
    if (strcmp(name, "-") == 0) {
        if (read_stdin(&text, err) < 0)
            return -1;
    } else {
        char *data = NULL;
        size_t len;
        if (fs_read(name, FILE_MAX, &data, &len, err) < 0)
            return -1;
        strbuf_add(&text, data, len);
        free(data);
    }
    json_t *value = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &why);
    if (!value)
        return err_set(err, ERR_INVALID, "bad_file", "%.200s, line %d: %.80s", name, why.line,
                       why.text);
    if (!json_is_object(value)) {
        json_decref(value);
        return err_set(err, ERR_INVALID, "bad_file", "%.200s holds no JSON object", name);
    }
    *ret = value;
    return 0;
}

int run_image_import(struct ctl *ctl, struct err *err)
{
    auto_json json_t *template = NULL;
    auto_json json_t *options = NULL;
    auto_json json_t *image = NULL;
    if (read_template(ctl->args.words[0], &template, err) < 0 ||
        body_from_options(&ctl->args, &options, err) < 0)
        return -1;
    if (json_object_update(template, options) < 0)
        return err_nomem(err);
    if (api_change(ctl, "POST", "/api/images/create", template, &image, err) < 0)
        return -1;
    tell_warnings(ctl, image);
    return view_print_done(ctl, &view_images, image, err, "image %s is imported; its id is %s",
                           view_text(image, "Name"), view_text(image, "Id"));
}

int run_image_update(struct ctl *ctl, struct err *err)
{
    auto_json json_t *body = json_object();
    auto_json json_t *options = NULL;
    auto_json json_t *image = NULL;
    auto_free char *id = NULL;
    const char *file = args_value(&ctl->args, "file");
    if (file) {
        json_decref(body);
        body = NULL;
        if (read_template(file, &body, err) < 0)
            return -1;
    }
    if (body_from_options(&ctl->args, &options, err) < 0)
        return -1;
    if (json_object_update(body, options) < 0)
        return err_nomem(err);
    if (step_check_change(ctl, body, err) < 0 ||
        resolve_id(ctl, THING_IMAGE, ctl->args.words[0], &id, err) < 0)
        return -1;
    auto_free char *path = api_path("/api/images/", id, "");
    if (!path)
        return err_nomem(err);
    if (api_change(ctl, "PATCH", path, body, &image, err) < 0)
        return -1;
    tell_warnings(ctl, image);
    return view_print_done(ctl, &view_images, image, err,
                           "image %s is changed; instances keep what they were made from",
                           view_text(image, "Name"));
}

int run_image_delete(struct ctl *ctl, struct err *err)
{
    auto_json json_t *image = NULL;
    auto_json json_t *answer = NULL;
    if (resolve_target(ctl, THING_IMAGE, ctl->args.words[0], &image, err) < 0)
        return -1;
    const char *name = thing_name(THING_IMAGE, image);
    int go = step_confirm(ctl, err, "Delete image %s (%s)?", name, thing_id(THING_IMAGE, image));
    if (go <= 0)
        return go < 0 ? -1 : EXIT_FAILED;
    auto_free char *path = api_path("/api/images/", thing_id(THING_IMAGE, image), "");
    auto_json json_t *body = json_pack("{sb}", "force", args_has(&ctl->args, "force"));
    if (!path || !body)
        return err_nomem(err);
    if (api_change(ctl, "DELETE", path, body, &answer, err) < 0)
        return -1;
    return view_print_done(ctl, NULL, answer, err, "image %s is deleted", name);
}
