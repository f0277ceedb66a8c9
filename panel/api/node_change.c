/* PATCH /api/nodes/{id}: what a node is called, where it is, whether it takes anything new, and how
 * much. */
#include "panel/api/internal.h"

#include <stdlib.h>
#include <string.h>

#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/wire.h"
#include "panel/domain/limits.h"
#include "panel/domain/ports.h"
#include "panel/domain/quantity.h"
#include "panel/domain/text.h"

#define TEXT_MAX NODE_TEXT_MAX

static int check_line(const char *field, const char *value, struct err *err)
{
    return value ? text_check_line(field, value, TEXT_MAX, err) : 0;
}

int node_check(const struct node_change *fields, struct err *err)
{
    if ((fields->name && text_check_name("name", fields->name, NODE_NAME_MAX, err) < 0) ||
        check_line("tags", fields->tags, err) < 0 || check_line("ram", fields->ram, err) < 0 ||
        check_line("disk", fields->disk, err) < 0 ||
        check_line("processor", fields->processor, err) < 0 ||
        (fields->address && text_check_address("address", fields->address, err) < 0))
        return -1;
    if (fields->drain > 0 && fields->maintenance == 0)
        return err_field(err, ERR_INVALID, "invalid_field", "maintenance",
                         "The field \"maintenance\" can't be false where \"drain\" is true: a node "
                         "that is drained takes nothing new.");
    return fields->port ? text_check_port("port", fields->port, err) : 0;
}

static int read_ratio(struct body *overcommit, const char *name)
{
    uint32_t milli;
    if (body_is_null(overcommit, name))
        return 0;
    const char *text = body_text(overcommit, name, BODY_OPTIONAL, TEXT_MAX);
    if (!text)
        return -1;
    if (quantity_parse_ratio(text, &milli))
        return (int)milli;
    overcommit->failed = true;
    return -1;
}

static void read_overcommit(struct body *body, struct node_change *change)
{
    struct body ratios;
    json_t *object = body_object(body, "overcommit");
    if (body_is_null(body, "overcommit"))
        change->memory_overcommit = change->cpu_overcommit = 0;
    if (!object)
        return;
    body_open(&ratios, object, NULL);
    change->memory_overcommit = read_ratio(&ratios, "memory");
    change->cpu_overcommit = read_ratio(&ratios, "cpu");
    if (!ratios.failed)
        return;
    body->failed = true;
    if (ratios.err.code == ERR_NO_MEMORY)
        body->err = ratios.err;
    else
        err_field(
            &body->err, ERR_INVALID, "invalid_field", "overcommit",
            "The field \"overcommit\" has to be an object such as {\"memory\": 1.5, \"cpu\": 4} "
            "with numbers from 0.1 to 100, or null.");
}

void node_read_shares(struct body *body, struct node_change *ret_change)
{
    struct port_range range = {0};
    ret_change->auto_first = ret_change->auto_last = -1;
    ret_change->memory_overcommit = ret_change->cpu_overcommit = -1;
    const char *text = body_text(body, "portRange", BODY_OPTIONAL, TEXT_MAX);
    if (text && !body->failed)
        body->failed = ports_parse_range("portRange", text, &range, &body->err) < 0;
    if (text || body_is_null(body, "portRange")) {
        ret_change->auto_first = range.first;
        ret_change->auto_last = range.last;
    }
    read_overcommit(body, ret_change);
}

struct patch {
    struct mutation mutation;
    struct node_change change; /* texts live in the call's body */
};

static int put_node(const struct node *node, void *arg, struct err *err)
{
    (void)err;
    struct mutation *mutation = arg;
    wire_node(&mutation->body, node, fleet_board(mutation->call->api->rooms.fleet), NULL, NULL);
    return 0;
}

static int apply_patch(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct patch *patch = (struct patch *)mutation;
    if (store_node_change(tx, &patch->change, err) < 0)
        return -1;
    mutation->status = 200;
    return store_node_see(tx, patch->change.id, put_node, mutation, err) < 0 ? -1 : 0;
}

static void notice_patch(struct mutation *mutation)
{
    fleet_notice_node(mutation->call->api->rooms.fleet, ((struct patch *)mutation)->change.id);
}

static void destroy_patch(struct mutation *mutation)
{
    free(mutation);
}

void nodes_patch(struct call *call)
{
    struct body body;
    body_open(&body, call->body, NULL);
    struct node_change change = {
        .id = call->param,
        .name = body_text(&body, "name", BODY_OPTIONAL, TEXT_MAX),
        .tags = body_text(&body, "tags", BODY_OPTIONAL, TEXT_MAX),
        .ram = body_text(&body, "ram", BODY_OPTIONAL, TEXT_MAX),
        .disk = body_text(&body, "disk", BODY_OPTIONAL, TEXT_MAX),
        .processor = body_text(&body, "processor", BODY_OPTIONAL, TEXT_MAX),
        .address = body_text(&body, "address", BODY_OPTIONAL, TEXT_MAX),
        .port = body_text(&body, "port", BODY_OPTIONAL, TEXT_MAX),
        .maintenance = body_flag_if_sent(&body, "maintenance"),
        .drain = body_flag_if_sent(&body, "drain"),
    };
    node_read_shares(&body, &change);
    bool sound = !body.failed && node_check(&change, &body.err) == 0;
    struct patch *patch = sound ? calloc(1, sizeof(*patch)) : NULL;
    if (!patch) {
        if (sound)
            err_nomem(&body.err);
        call_answer_err(call, &body.err);
        return;
    }
    patch->change = change;
    patch->mutation = (struct mutation){
        .call = call, .apply = apply_patch, .committed = notice_patch, .destroy = destroy_patch};
    mutation_submit(&patch->mutation);
}
