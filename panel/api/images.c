/* /api/images, /api/images/create, /api/images/delete. A template is kept as the JSON text that the
 * wire shows. */
#include "panel/api/internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/domain/template.h"

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

struct image_change {
    struct mutation mutation;
    json_t *tmpl; /* create: what it makes */
    char *text;
    const char *id; /* delete: in the call's body */
};

static void destroy_change(struct mutation *mutation)
{
    struct image_change *change = (struct image_change *)mutation;
    json_decref(change->tmpl);
    free(change->text);
    free(change);
}

static int apply_create(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct image_change *change = (struct image_change *)mutation;
    struct image image = {
        .id = template_text(change->tmpl, "Id", ""),
        .name = template_text(change->tmpl, "Name", ""),
        .body = change->text,
    };
    if (store_image_create(tx, &image, err) < 0)
        return -1;
    strbuf_str(&mutation->body, change->text);
    mutation->status = 201;
    return 0;
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
    if (rc == 0 && !(change->text = json_dumps(change->tmpl, JSON_COMPACT)))
        rc = err_nomem(&err);
    if (rc < 0) {
        call_answer_err(call, &err);
        destroy_change(&change->mutation);
        return;
    }
    mutation_submit(&change->mutation);
}

static int apply_delete(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    if (store_image_delete(tx, ((struct image_change *)mutation)->id, err) < 0)
        return -1;
    jw_object_begin(&mutation->body, NULL);
    jw_string(&mutation->body, "message", "Image deleted");
    jw_object_end(&mutation->body);
    mutation->status = 201;
    return 0;
}

void images_delete(struct call *call)
{
    struct body body;
    body_open(&body, call->body, call->req);
    const char *id = body_text(&body, "id", BODY_REQUIRED, TEXT_MAX);
    struct image_change *change = body.failed ? NULL : calloc(1, sizeof(*change));
    if (!change) {
        if (!body.failed)
            err_nomem(&body.err);
        call_answer_err(call, &body.err);
        return;
    }
    change->id = id;
    change->mutation =
        (struct mutation){.call = call, .apply = apply_delete, .destroy = destroy_change};
    mutation_submit(&change->mutation);
}
