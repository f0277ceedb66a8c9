/* PATCH /api/nodes/{id}: what a node is called, where it is, and whether it takes anything new. */
#include "panel/api/internal.h"

#include <stdlib.h>
#include <string.h>

#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/wire.h"
#include "panel/domain/text.h"

#define TEXT_MAX       1024
#define NAME_MAX_CHARS 128

static int check_line(const char *field, const char *value, struct err *err)
{
    return value ? text_check_line(field, value, TEXT_MAX, err) : 0;
}

int node_check(const struct node_change *fields, struct err *err)
{
    if ((fields->name && text_check_name("name", fields->name, NAME_MAX_CHARS, err) < 0) ||
        check_line("tags", fields->tags, err) < 0 || check_line("ram", fields->ram, err) < 0 ||
        check_line("disk", fields->disk, err) < 0 ||
        check_line("processor", fields->processor, err) < 0 ||
        (fields->address && text_check_address("address", fields->address, err) < 0))
        return -1;
    return fields->port ? text_check_port("port", fields->port, err) : 0;
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
    };
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
