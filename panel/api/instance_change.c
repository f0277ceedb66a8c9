/* PATCH /api/instances/{id}. What isn't sent stays. What the node has to do for it is waited for;
 * the rest is in the books, and answered at once.
 *
 * What of it only a new container can have takes the old one's place once that runs; if it doesn't,
 * what was before runs on, and the answer says why. */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/auto.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/wire.h"
#include "panel/domain/environment.h"
#include "panel/domain/image_ref.h"
#include "panel/domain/limits.h"
#include "panel/domain/ports.h"
#include "panel/domain/quantity.h"
#include "panel/domain/text.h"

#define TEXT_MAX 4096

struct patch {
    struct mutation mutation;
    struct instance_edit edit; /* texts live in the call's body */
    uint64_t disk_mib;
    struct port_mapping ports[PORTS_MAX];
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
    bool changed;
    if (store_instance_edit(tx, &patch->edit, &changed, err) < 0)
        return -1;
    mutation->status = 200;
    if (changed)
        snprintf(mutation->waits_for, sizeof(mutation->waits_for), "%s", patch->edit.id);
    return store_instance_see(tx, patch->edit.id, put_instance, mutation, err) < 0 ? -1 : 0;
}

static void destroy_patch(struct mutation *mutation)
{
    free(mutation);
}

/* To be moved it would have to leave its volume behind: not to be taken for done. */
static int refuse_move(const json_t *root, struct err *err)
{
    const json_t *value = json_object_get(root, "nodeId");
    if (value && !json_is_null(value))
        return err_field(
            err, ERR_INVALID, "not_changeable", "nodeId",
            "The field \"nodeId\" of an instance that is deployed can't be changed: its "
            "volume is on its node.");
    return 0;
}

/* The panel's own names would win, so saying them has no effect. */
static int check_env(const json_t *env, struct err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)env, key, value)
    {
        if (environment_is_own(key))
            return err_field(err, ERR_INVALID, "invalid_field", "env",
                             "The field \"env\" can't set %s: that is the panel's own.", key);
    }
    return 0;
}

/* Are names and values usable? What is with those it has is seen inside the transaction. */
static int check_names(const char *field, const json_t *given, struct err *err)
{
    json_t *names = NULL;
    int rc = given ? environment_variables(field, given, &names, err) : 0;
    json_decref(names);
    return rc;
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
    const char *ports = body_text(&body, "ports", BODY_OPTIONAL, TEXT_MAX);
    edit->image = body_text(&body, "image", BODY_OPTIONAL, TEXT_MAX);
    edit->any_image = body_flag(&body, "force", false);
    edit->primary = body_text(&body, "primary", BODY_OPTIONAL, TEXT_MAX);
    edit->variables = body_object(&body, "variables");
    edit->own_env = body_object(&body, "env");
    if (body.failed) {
        *err = body.err;
        return -1;
    }
    if (refuse_move(call->body, err) < 0 ||
        (edit->image && image_ref_check("image", edit->image, err) < 0) ||
        (ports && ports_parse("ports", ports, patch->ports, &edit->port_count, err) < 0) ||
        check_names("variables", edit->variables, err) < 0 ||
        check_names("env", edit->own_env, err) < 0 || check_env(edit->own_env, err) < 0 ||
        (edit->name && text_check_name("name", edit->name, INSTANCE_NAME_MAX, err) < 0) ||
        (disk && quantity_parse_mib("disk", disk, 0, &patch->disk_mib, err) < 0) ||
        (memory && quantity_parse_mib("memory", memory, QUANTITY_MEMORY_MIN_MIB, &edit->memory_mib,
                                      err) < 0) ||
        (cpu && quantity_parse_cpu("cpu", cpu, &edit->cpu_milli, err) < 0))
        return -1;
    edit->memory_overcommit = call->api->settings.memory_overcommit;
    edit->auto_ports = call->api->settings.auto_ports;
    edit->ports = ports ? patch->ports : NULL;
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
