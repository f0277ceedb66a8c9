/* /api/nodes/:id/orphans: containers of this panel on a node that its database doesn't know, as
 * after it was put back to an old copy. They are left alone until a person names one; then it is
 * removed as a deleted instance is, with its volume, however long its node takes. */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"

#define TEXT_MAX 1024

static int see_node(const struct node *node, void *arg, struct err *err)
{
    (void)node;
    (void)arg;
    (void)err;
    return 0;
}

static int check_node(const struct call *call, struct err *err)
{
    int rc = store_node_get(call->api->rooms.store, call->param, see_node, NULL, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "node_not_found", "There is no node with this id.");
    return rc < 0 ? -1 : 0;
}

/* --- list ------------------------------------------------------------------------------------ */

struct orphan_list {
    struct list list;
    int64_t at;
};

static void put_orphan(const struct board_orphan *orphan, void *arg)
{
    struct orphan_list *orphans = arg;
    struct store_page *page = &orphans->list.page;
    struct strbuf *out = &orphans->list.out;
    int64_t at = orphans->at++;
    if (at < page->after)
        return;
    if (page->limit && at - page->after >= page->limit) {
        page->next = page->after + page->limit;
        return;
    }
    jw_object_begin(out, NULL);
    jw_string(out, "instanceId", orphan->id);
    jw_string(out, "containerId", orphan->container_id);
    jw_bool(out, "running", orphan->running);
    jw_object_end(out);
}

void orphans_list(struct call *call)
{
    struct err err = {0};
    struct board *board = fleet_board(call->api->rooms.fleet);
    uint64_t version = board_version(board);
    struct orphan_list orphans = {0};
    if (check_node(call, &err) < 0) {
        call_answer_err(call, &err);
        return;
    }
    if (!list_begin(call, &version, 1, &orphans.list))
        return;
    board_orphans(board, call->param, put_orphan, &orphans);
    list_end(call, &orphans.list, 0, &err);
}

/* --- delete ---------------------------------------------------------------------------------- */

struct orphan_delete {
    struct mutation mutation;
    const char *id; /* in the call's body */
    bool found;
    uint64_t generation;
};

static void find_orphan(const struct board_orphan *orphan, void *arg)
{
    struct orphan_delete *deletion = arg;
    if (strcmp(orphan->id, deletion->id) != 0)
        return;
    deletion->found = true;
    deletion->generation = orphan->generation + 1;
}

static int apply_delete(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct orphan_delete *deletion = (struct orphan_delete *)mutation;
    struct removal removal = {deletion->id, mutation->call->param, deletion->generation};
    if (!deletion->found || strlen(deletion->id) >= sizeof(mutation->waits_for))
        return err_field(err, ERR_NOT_FOUND, "orphan_not_found", "instanceId",
                         "The node has no orphan with this id.");
    if (store_removal_add(tx, &removal, err) < 0)
        return -1;
    jw_object_begin(&mutation->body, NULL);
    jw_string(&mutation->body, "Id", deletion->id);
    jw_object_end(&mutation->body);
    mutation->status = 200; /* kept until the final answer is known */
    snprintf(mutation->waits_for, sizeof(mutation->waits_for), "%s", deletion->id);
    return 0;
}

static void destroy_delete(struct mutation *mutation)
{
    free(mutation);
}

void orphans_delete(struct call *call)
{
    struct body body;
    body_open(&body, call->body, call->req);
    const char *id = body_text(&body, "instanceId", BODY_REQUIRED, TEXT_MAX);
    struct orphan_delete *deletion = NULL;
    if (!body.failed && check_node(call, &body.err) == 0) {
        deletion = calloc(1, sizeof(*deletion));
        if (!deletion)
            err_nomem(&body.err);
    }
    if (!deletion) {
        call_answer_err(call, &body.err);
        return;
    }
    deletion->id = id;
    board_orphans(fleet_board(call->api->rooms.fleet), call->param, find_orphan, deletion);
    deletion->mutation =
        (struct mutation){.call = call, .apply = apply_delete, .destroy = destroy_delete};
    mutation_submit(&deletion->mutation);
}
