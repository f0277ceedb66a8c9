/* /api/images, /api/images/create, /api/images/delete, /api/images/:id. A template is kept as the
 * JSON text that the wire shows; an answer about a single one says besides what of it isn't done.
 */
#include "panel/api/internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/domain/template.h"
#include "panel/domain/template_report.h"

#define TEXT_MAX 1024

static int put_image(const struct image *image, void *arg, struct err *err)
{
    (void)err;
    jw_raw(arg, NULL, image->body);
    return 0;
}

void images_list(struct call *call)
{
    struct store *store = call->api->rooms.store;
    struct err err = {0};
    struct list list;
    uint64_t version = store_version(store, STORE_IMAGES);
    if (!list_begin(call, &version, 1, &list))
        return;
    int rc = store_image_list(store, &list.page, put_image, &list.out, &err);
    list_end(call, &list, rc, &err);
}

/* text: the object of tmpl, to which its warnings are added. */
static int put_with_warnings(struct strbuf *out, const char *text, const json_t *tmpl,
                             struct err *err)
{
    auto_free char *warnings = NULL;
    if (template_warnings(tmpl, &warnings, err) < 0)
        return -1;
    strbuf_add(out, text, strlen(text) - 1);
    strbuf_fmt(out, ",\"%s\":%s}", TEMPLATE_WARNINGS, warnings);
    return out->failed ? err_nomem(err) : 0;
}

/* --- get ------------------------------------------------------------------------------------- */

static int put_one(const struct image *image, void *arg, struct err *err)
{
    json_t *tmpl = json_loads(image->body, 0, NULL);
    int rc = tmpl ? put_with_warnings(arg, image->body, tmpl, err) : err_nomem(err);
    json_decref(tmpl);
    return rc;
}

void images_get_one(struct call *call)
{
    struct err err = {0};
    struct strbuf out = {0};
    int rc = store_image_get(call->api->rooms.store, call->param, put_one, &out, &err);
    if (rc == 0)
        err_field(&err, ERR_NOT_FOUND, "image_not_found", "id", "There is no image with this id.");
    if (rc <= 0) {
        strbuf_fini(&out);
        call_answer_err(call, &err);
        return;
    }
    call_answer(call, 200, &out);
}

/* --- changes --------------------------------------------------------------------------------- */

struct image_change {
    struct mutation mutation;
    json_t *tmpl; /* create: what it makes */
    char *text;
    const char *id; /* delete: in the call's body or path */
    bool force;
};

static void destroy_change(struct mutation *mutation)
{
    struct image_change *change = (struct image_change *)mutation;
    json_decref(change->tmpl);
    free(change->text);
    free(change);
}

static struct image as_image(const json_t *tmpl, const char *text)
{
    return (struct image){
        .id = template_text(tmpl, "Id", ""), .name = template_text(tmpl, "Name", ""), .body = text};
}

static int apply_create(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct image_change *change = (struct image_change *)mutation;
    struct image image = as_image(change->tmpl, change->text);
    if (store_image_create(tx, &image, err) < 0)
        return -1;
    mutation->status = 201;
    return put_with_warnings(&mutation->body, change->text, change->tmpl, err);
}

void images_create(struct call *call)
{
    struct err err = {0};
    char id[CRYPTO_UUID_SIZE];
    crypto_uuid(id);
    struct image_change *change = calloc(1, sizeof(*change));
    if (!change) {
        err_nomem(&err);
        call_answer_err(call, &err);
        return;
    }
    change->mutation =
        (struct mutation){.call = call, .apply = apply_create, .destroy = destroy_change};
    int rc = template_normalize(call->body, id, &change->tmpl, &err);
    change->mutation.made = template_text(change->tmpl, "Id", "");
    if (rc == 0 && !(change->text = json_dumps(change->tmpl, JSON_COMPACT)))
        rc = err_nomem(&err);
    if (rc < 0) {
        call_answer_err(call, &err);
        destroy_change(&change->mutation);
        return;
    }
    mutation_submit(&change->mutation);
}

/* --- patch ----------------------------------------------------------------------------------- */

static int read_image(const struct image *image, void *arg, struct err *err)
{
    json_t **ret = arg;
    *ret = json_loads(image->body, 0, NULL);
    return *ret ? 0 : err_nomem(err);
}

/* Each member that is there takes the place of the one before; null is what an absent one is. */
static int merge(json_t *tmpl, const json_t *members, struct err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)members, key, value)
    {
        int rc = json_is_null(value) ? (json_object_del(tmpl, key), 0)
                                     : json_object_set(tmpl, key, value);
        if (rc < 0)
            return err_nomem(err);
    }
    return 0;
}

static int apply_patch(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct call *call = mutation->call;
    json_t *merged = NULL;
    json_t *tmpl = NULL;
    auto_free char *text = NULL;
    int rc = store_image_see(tx, call->param, read_image, &merged, err) < 0 ? -1 : 0;
    if (rc == 0)
        rc = merge(merged, call->body, err);
    if (rc == 0)
        rc = template_normalize(merged, call->param, &tmpl, err);
    if (rc == 0 && !(text = json_dumps(tmpl, JSON_COMPACT)))
        rc = err_nomem(err);
    if (rc == 0) {
        struct image image = as_image(tmpl, text);
        rc = store_image_change(tx, &image, err);
    }
    if (rc == 0)
        rc = put_with_warnings(&mutation->body, text, tmpl, err);
    mutation->status = 200;
    json_decref(tmpl);
    json_decref(merged);
    return rc;
}

void images_patch(struct call *call)
{
    struct err err = {0};
    const json_t *id = json_object_get(call->body, "Id");
    if (id && !json_is_null(id) &&
        (!json_is_string(id) || strcmp(json_string_value(id), call->param) != 0))
        err_field(&err, ERR_INVALID, "id_mismatch", "Id",
                  "The field \"Id\" has to be the id that the path names; an image keeps its id.");
    struct image_change *change = err.code ? NULL : calloc(1, sizeof(*change));
    if (!change) {
        if (!err.code)
            err_nomem(&err);
        call_answer_err(call, &err);
        return;
    }
    change->mutation =
        (struct mutation){.call = call, .apply = apply_patch, .destroy = destroy_change};
    mutation_submit(&change->mutation);
}

/* --- delete ---------------------------------------------------------------------------------- */

static int put_deleted(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    if (store_image_delete(tx, ((struct image_change *)mutation)->id, err) < 0)
        return -1;
    jw_object_begin(&mutation->body, NULL);
    jw_string(&mutation->body, "message", "Image deleted");
    jw_object_end(&mutation->body);
    return 0;
}

/* The seed's route never asks who uses it. */
static int apply_delete(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    mutation->status = 201;
    return put_deleted(mutation, tx, err);
}

static int apply_delete_one(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct image_change *change = (struct image_change *)mutation;
    if (!change->force && store_image_check_unused(tx, change->id, err) < 0)
        return -1;
    mutation->status = 200;
    return put_deleted(mutation, tx, err);
}

static void submit_delete(struct call *call, struct body *body, const char *id, bool force,
                          int (*apply)(struct mutation *, struct store_tx *, struct err *))
{
    struct image_change *change = body->failed ? NULL : calloc(1, sizeof(*change));
    if (!change) {
        if (!body->failed)
            err_nomem(&body->err);
        call_answer_err(call, &body->err);
        return;
    }
    change->id = id;
    change->force = force;
    change->mutation = (struct mutation){.call = call, .apply = apply, .destroy = destroy_change};
    mutation_submit(&change->mutation);
}

void images_delete(struct call *call)
{
    struct body body;
    body_open(&body, call->body, call->req);
    const char *id = body_text(&body, "id", BODY_REQUIRED, TEXT_MAX);
    submit_delete(call, &body, id, true, apply_delete);
}

void images_delete_one(struct call *call)
{
    struct body body;
    body_open(&body, call->body, call->req);
    bool force = body_flag(&body, "force", false);
    submit_delete(call, &body, call->param, force, apply_delete_one);
}
