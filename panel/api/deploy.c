/* POST /api/instances/deploy.
 *
 * Everything is read and checked on the pool thread; nothing is created for a node that doesn't
 * answer. The store reserves ports and memory and inserts the instance in one transaction, where
 * its environment and command are made, too, since PRIMARY_PORT may be a port picked there. The
 * answer goes out when the intent is committed, or with ?wait when the install has ended.
 *
 * A struct deploy owns what it computed and borrows the texts of the call's body. */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/placing.h"
#include "panel/api/wire.h"
#include "panel/domain/environment.h"
#include "panel/domain/image_ref.h"
#include "panel/domain/limits.h"
#include "panel/domain/ports.h"
#include "panel/domain/quantity.h"
#include "panel/domain/template.h"
#include "panel/domain/text.h"

#define TEXT_MAX          4096
#define INSTANCE_ID_LEN   20
#define DEPLOYING_MESSAGE "Instance is being installed"

struct deploy {
    struct mutation mutation;
    struct instance_new create;
    struct port_mapping ports[PORTS_MAX];
    char id[INSTANCE_ID_LEN + 1];
    uint32_t wait_seconds;
    json_t *tmpl;      /* NULL: no template of that name */
    json_t *variables; /* texts by name */
    char *template_text;
    char *alt_images;
    char *variables_text;
    struct placing *placing; /* nodeId "auto"; NULL: it is named */
    bool refused;            /* nobody can take it */
};

static void destroy_deploy(struct mutation *mutation)
{
    struct deploy *deploy = (struct deploy *)mutation;
    placing_destroy(deploy->placing);
    json_decref(deploy->tmpl);
    json_decref(deploy->variables);
    free(deploy->template_text);
    free(deploy->alt_images);
    free(deploy->variables_text);
    free(deploy);
}

/* --- the answer ------------------------------------------------------------------------------ */

static void put_created(struct strbuf *out, const char *id, const char *message, const char *state)
{
    jw_object_begin(out, NULL);
    jw_string(out, "message", message);
    jw_string(out, "Id", id);
    jw_string(out, "volumeId", id);
    jw_string(out, "state", state);
}

struct deploy_view {
    struct call *call;
    struct strbuf *out;
    int status;
};

static int put_deployed(const struct instance *instance, void *arg, struct err *err)
{
    (void)err;
    struct deploy_view *view = arg;
    view->status = 201;
    if (instance->phase == PHASE_FAILED) {
        view->status = instance_render_failure(instance, http_req_id(view->call->req), view->out);
    } else if (instance->phase == PHASE_READY) {
        put_created(view->out, instance->id, "Instance deployed", "READY");
        wire_instance(view->out, "instance", instance, fleet_board(view->call->api->rooms.fleet));
        jw_object_end(view->out);
    } else {
        put_created(view->out, instance->id, DEPLOYING_MESSAGE, "INSTALLING");
        jw_object_end(view->out);
    }
    return 0;
}

static int render_deployed(struct call *call, const char *id, enum fleet_outcome outcome,
                           struct strbuf *out)
{
    (void)outcome; /* what the store says now is the answer */
    struct err err = {0};
    struct deploy_view view = {call, out, 201};
    int rc = store_instance_get(call->api->rooms.store, id, put_deployed, &view, &err);
    if (rc > 0)
        return view.status;
    if (rc == 0)
        err_set(&err, ERR_NOT_FOUND, "instance_not_found",
                "The instance was deleted while it was being installed.");
    strbuf_reset(out);
    call_render_err(call, &err, out);
    return error_status(&err);
}

void instances_deploy_resume(struct call *call, const char *instance_id)
{
    struct err err = {0};
    uint32_t seconds = 0;
    if (call_read_wait(call, &seconds, &err) < 0) { /* only a repeat's: it may wait as it likes */
        call_answer_err(call, &err);
        return;
    }
    call_wait(call, instance_id, FLEET_GOAL_READY, seconds * 1000, render_deployed);
}

/* --- the change ------------------------------------------------------------------------------ */

static int create_on(void *arg, struct store_tx *tx, const char *node_id, struct err *err)
{
    struct deploy *deploy = arg;
    struct instance_new create = deploy->create; /* a run must leave nothing for the next */
    create.row.node_id = node_id;
    return store_instance_create(tx, &create, err);
}

/* An answer that names each node and its reason is longer than any error. */
static void refuse(struct deploy *deploy, const char *details)
{
    struct mutation *mutation = &deploy->mutation;
    deploy->refused = true;
    error_write(&mutation->body, "no_node",
                "No node can take this instance now; nothing was created. The details say why, node"
                " by node.",
                http_req_id(mutation->call->req), "nodeId", details);
    mutation->status = 400;
}

static int apply_deploy(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct deploy *deploy = (struct deploy *)mutation;
    auto_free char *details = NULL;
    deploy->refused = false;
    int rc = deploy->placing ? placing_try(deploy->placing, tx, create_on, deploy, &details, err)
                             : create_on(deploy, tx, deploy->create.row.node_id, err);
    if (rc < 0)
        return -1;
    if (details) {
        refuse(deploy, details);
        return 0;
    }
    put_created(&mutation->body, deploy->id, DEPLOYING_MESSAGE, "INSTALLING");
    jw_object_end(&mutation->body);
    mutation->status = 201;
    mutation->made = deploy->id;
    if (deploy->wait_seconds)
        memcpy(mutation->waits_for, deploy->id, sizeof(deploy->id));
    return 0;
}

static void notice_deploy(struct mutation *mutation)
{
    const struct deploy *deploy = (struct deploy *)mutation;
    if (!deploy->refused)
        fleet_notice_instance(mutation->call->api->rooms.fleet, deploy->id);
}

/* --- the request ----------------------------------------------------------------------------- */

struct node_seen {
    bool joined, maintenance;
};

static int see_node(const struct node *node, void *arg, struct err *err)
{
    (void)err;
    struct node_seen *seen = arg;
    *seen = (struct node_seen){.joined = node->joined, .maintenance = node->maintenance};
    return 0;
}

static int check_node(const struct call *call, const char *node_id, struct err *err)
{
    struct node_seen seen = {0};
    struct node_live live;
    int rc = store_node_get(call->api->rooms.store, node_id, see_node, &seen, err);
    if (rc == 0)
        return err_field(err, ERR_NOT_FOUND, "node_not_found", "nodeId",
                         "There is no node with this id.");
    if (rc < 0)
        return -1;
    enum node_status status = wire_node_status(fleet_board(call->api->rooms.fleet), node_id,
                                               seen.joined, seen.maintenance, &live);
    if (status == NODE_MAINTENANCE)
        return err_field(err, ERR_CONFLICT, "node_maintenance", "nodeId",
                         "The node is in maintenance and takes nothing new; nothing was created.");
    if (status != NODE_ONLINE)
        return err_field(
            err, ERR_OFFLINE, "node_offline", "nodeId",
            "The node can take no instance now, its status is %s; nothing was created.",
            node_status_name(status));
    if (!live.docker_up)
        return err_field(err, ERR_OFFLINE, "docker_unavailable", "nodeId",
                         "Docker does not answer on the node%s%s; nothing was created.",
                         live.docker_error[0] ? ": " : "", live.docker_error);
    return 0;
}

static int take_template(const struct image *image, void *arg, struct err *err)
{
    struct deploy *deploy = arg;
    deploy->tmpl = json_loads(image->body, 0, NULL);
    deploy->template_text = strdup(image->body);
    return deploy->tmpl && deploy->template_text ? 0 : err_nomem(err);
}

static int find_template(struct deploy *deploy, const char *name, struct err *err)
{
    struct store *store = deploy->mutation.call->api->rooms.store;
    if (!name || !*name)
        return 0;
    int rc = store_image_find(store, name, take_template, deploy, err);
    if (rc <= 0)
        return rc; /* one that isn't there is no error: clients always send a name */
    return template_fill_variables(deploy->tmpl, deploy->variables, err);
}

static int put_template(struct deploy *deploy, struct err *err)
{
    struct instance *row = &deploy->create.row;
    const json_t *tmpl = deploy->tmpl;
    deploy->alt_images =
        tmpl ? json_dumps(json_object_get(tmpl, "AltImages"), JSON_COMPACT) : strdup("[]");
    deploy->variables_text = json_dumps(deploy->variables, JSON_COMPACT);
    if (!deploy->alt_images || !deploy->variables_text)
        return err_nomem(err);
    row->alt_images = deploy->alt_images;
    row->variables = deploy->variables_text;
    row->own_env = "{}";
    row->template = deploy->template_text;
    row->stop_command = tmpl ? template_text(tmpl, "StopCommand", "") : "";
    row->stop_timeout_s = tmpl ? template_stop_timeout(tmpl) : 0;
    row->terminal = tmpl && template_wants_terminal(tmpl);
    row->mount_path = tmpl ? template_text(tmpl, "MountPath", DEFAULT_MOUNT) : DEFAULT_MOUNT;
    return 0;
}

struct deploy_texts {
    const char *memory, *cpu, *disk, *ports, *primary;
};

static int read_amounts(struct deploy *deploy, const struct deploy_texts *texts, struct err *err)
{
    struct instance_new *create = &deploy->create;
    if (quantity_parse_mib("memory", texts->memory, QUANTITY_MEMORY_MIN_MIB,
                           &create->row.memory_mib, err) < 0 ||
        quantity_parse_cpu("cpu", texts->cpu, &create->row.cpu_milli, err) < 0 ||
        ports_parse("ports", texts->ports, deploy->ports, &create->port_count, err) < 0 ||
        ports_parse_primary("primary", texts->primary, deploy->ports, create->port_count,
                            &create->primary_asked, err) < 0)
        return -1;
    create->ports = deploy->ports;
    if (texts->disk)
        return quantity_parse_mib("disk", texts->disk, 0, &create->row.disk_mib, err);
    return 0;
}

static int read_request(struct deploy *deploy, struct err *err)
{
    struct call *call = deploy->mutation.call;
    struct instance *row = &deploy->create.row;
    struct body body;
    body_open(&body, call->body, NULL);
    row->image = body_text(&body, "image", BODY_REQUIRED, TEXT_MAX);
    row->name = body_text(&body, "name", BODY_REQUIRED, TEXT_MAX);
    row->user_id = body_text(&body, "user", BODY_REQUIRED, TEXT_MAX);
    row->node_id = body_text(&body, "nodeId", BODY_REQUIRED, TEXT_MAX);
    struct deploy_texts texts = {
        .memory = body_text(&body, "memory", BODY_REQUIRED, TEXT_MAX),
        .cpu = body_text(&body, "cpu", BODY_REQUIRED, TEXT_MAX),
        .ports = body_text(&body, "ports", BODY_REQUIRED, TEXT_MAX),
        .primary = body_text(&body, "primary", BODY_REQUIRED, TEXT_MAX),
        .disk = body_text(&body, "disk", BODY_OPTIONAL, TEXT_MAX),
    };
    const char *tags = body_text(&body, "tags", BODY_OPTIONAL, TEXT_MAX);
    const char *template_name = body_text(&body, "imagename", BODY_OPTIONAL, TEXT_MAX);
    const json_t *given = body_object(&body, "variables");
    if (body.failed) {
        *err = body.err;
        return -1;
    }
    if (image_ref_check("image", row->image, err) < 0 ||
        text_check_name("name", row->name, INSTANCE_NAME_MAX, err) < 0 ||
        read_amounts(deploy, &texts, err) < 0 ||
        environment_variables("variables", given, &deploy->variables, err) < 0 ||
        call_read_wait(call, &deploy->wait_seconds, err) < 0)
        return -1;
    if (find_template(deploy, template_name, err) < 0 || put_template(deploy, err) < 0)
        return -1;
    if (strcmp(row->node_id, "auto") == 0)
        return placing_create(call, tags ? tags : "", &deploy->placing, err);
    if (tags && *tags)
        return err_field(err, ERR_INVALID, "invalid_field", "tags",
                         "The field \"tags\" is for nodeId \"auto\" alone.");
    return check_node(call, row->node_id, err);
}

static void put_settings(struct deploy *deploy)
{
    const struct api_settings *settings = &deploy->mutation.call->api->settings;
    crypto_random_base36(deploy->id, INSTANCE_ID_LEN);
    deploy->create.row.id = deploy->id;
    deploy->create.row.created_at = clock_wall_ms();
    deploy->create.memory_overcommit = settings->memory_overcommit;
    deploy->create.auto_ports = settings->auto_ports;
}

void instances_deploy(struct call *call)
{
    struct err err = {0};
    struct deploy *deploy = calloc(1, sizeof(*deploy));
    if (!deploy) {
        err_nomem(&err);
        call_answer_err(call, &err);
        return;
    }
    deploy->mutation = (struct mutation){
        .call = call, .apply = apply_deploy, .committed = notice_deploy, .destroy = destroy_deploy};
    put_settings(deploy);
    if (read_request(deploy, &err) < 0) {
        call_answer_err(call, &err);
        destroy_deploy(&deploy->mutation);
        return;
    }
    mutation_submit(&deploy->mutation);
}
