/* PATCH /api/instances/{id}. What isn't sent stays. What the node has to do for it is waited for;
 * the rest is in the books, and answered at once. */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/auto.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/wire.h"
#include "panel/domain/limits.h"
#include "panel/domain/quantity.h"
#include "panel/domain/text.h"

#define TEXT_MAX 4096

struct patch {
    struct mutation mutation;
    struct instance_edit edit; /* texts live in the call's body */
    uint64_t disk_mib;
};

static int put_instance(const struct instance *instance, void *arg, struct err *err)
{
    (void)err;
    struct mutation *mutation = arg;
    wire_instance(&mutation->body, NULL, instance, fleet_board(mutation->call->api->rooms.fleet));
    return 0;
}

static int apply_patch(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct patch *patch = (struct patch *)mutation;
    bool resized;
    if (store_instance_edit(tx, &patch->edit, &resized, err) < 0)
        return -1;
    mutation->status = 200;
    if (resized)
        snprintf(mutation->waits_for, sizeof(mutation->waits_for), "%s", patch->edit.id);
    return store_instance_see(tx, patch->edit.id, put_instance, mutation, err) < 0 ? -1 : 0;
}

static void destroy_patch(struct mutation *mutation)
{
    free(mutation);
}

/* What a deploy says and a change can't: not to be taken for done. */
static int refuse_fixed(const json_t *root, struct err *err)
{
    static const char *const fixed[] = {"image", "ports", "primary", "nodeId", "variables", "env"};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        const json_t *value = json_object_get(root, fixed[i]);
        if (value && !json_is_null(value))
            return err_field(err, ERR_INVALID, "not_changeable", fixed[i],
                             "The field \"%s\" of an instance that is deployed can't be changed.",
                             fixed[i]);
    }
    return 0;
}

static int read_patch(struct call *call, struct patch *patch, struct err *err)
{
    struct instance_edit *edit = &patch->edit;
    struct body body;
    body_open(&body, call->body, NULL);
    edit->id = call->param;
    edit->name = body_text(&body, "name", BODY_OPTIONAL, TEXT_MAX);
    edit->user_id = body_text(&body, "user", BODY_OPTIONAL, TEXT_MAX);
    const char *disk = body_text(&body, "disk", BODY_OPTIONAL, TEXT_MAX);
    const char *memory = body_text(&body, "memory", BODY_OPTIONAL, TEXT_MAX);
    const char *cpu = body_text(&body, "cpu", BODY_OPTIONAL, TEXT_MAX);
    if (body.failed) {
        *err = body.err;
        return -1;
    }
    if (refuse_fixed(call->body, err) < 0 ||
        (edit->name && text_check_name("name", edit->name, INSTANCE_NAME_MAX, err) < 0) ||
        (disk && quantity_parse_mib("disk", disk, 0, &patch->disk_mib, err) < 0) ||
        (memory && quantity_parse_mib("memory", memory, QUANTITY_MEMORY_MIN_MIB, &edit->memory_mib,
                                      err) < 0) ||
        (cpu && quantity_parse_cpu("cpu", cpu, &edit->cpu_milli, err) < 0))
        return -1;
    edit->memory_overcommit = call->api->settings.memory_overcommit;
    edit->disk_mib = disk ? &patch->disk_mib : NULL;
    return 0;
}

void instances_patch(struct call *call)
{
    struct err err = {0};
    struct patch *patch = calloc(1, sizeof(*patch));
    int rc = patch ? read_patch(call, patch, &err) : err_nomem(&err);
    if (rc < 0) {
        call_answer_err(call, &err);
        free(patch);
        return;
    }
    patch->mutation =
        (struct mutation){.call = call, .apply = apply_patch, .destroy = destroy_patch};
    mutation_submit(&patch->mutation);
}
