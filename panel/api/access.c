/* /api/instances/{id}/users: who else may use an instance. One user at a time, so that two who give
 * and take at once undo nothing of each other's. */
#include "panel/api/internal.h"

#include <stdlib.h>

#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"

#define TEXT_MAX 1024

struct view {
    struct strbuf *out;
    bool by_owner; /* whose guests' names and addresses are theirs */
};

static int put_user(const struct user *user, void *arg, struct err *err)
{
    (void)err;
    const struct view *view = arg;
    struct strbuf *out = view->out;
    jw_object_begin(out, NULL);
    jw_string(out, "userId", user->id);
    if (!view->by_owner) {
        jw_string(out, "username", user->username);
        jw_string(out, "email", user->email);
    }
    jw_object_end(out);
    return 0;
}

void access_list(struct call *call)
{
    struct err err = {0};
    struct list list;
    if (!list_begin(call, NULL, 0, &list))
        return;
    struct view view = {&list.out, call_viewer(call) != NULL};
    int rc =
        store_access_list(call->api->rooms.store, call->param, &list.page, put_user, &view, &err);
    list_end(call, &list, rc, &err);
}

struct access_change {
    struct mutation mutation;
    const char *user_id; /* in the call's body */
    bool give;
};

static int apply_change(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct access_change *change = (struct access_change *)mutation;
    const char *instance_id = mutation->call->param;
    int rc = change->give ? store_access_give(tx, instance_id, change->user_id, err)
                          : store_access_take(tx, instance_id, change->user_id, err);
    if (rc < 0)
        return -1;
    jw_object_begin(&mutation->body, NULL);
    jw_string(&mutation->body, "message", change->give ? "Access given" : "Access taken");
    jw_object_end(&mutation->body);
    mutation->status = 200;
    return 0;
}

static void destroy_change(struct mutation *mutation)
{
    free(mutation);
}

static void change_access(struct call *call, bool give)
{
    struct body body;
    body_open(&body, call->body, give ? NULL : call->req);
    const char *user_id = body_text(&body, "userId", BODY_REQUIRED, TEXT_MAX);
    struct access_change *change = body.failed ? NULL : calloc(1, sizeof(*change));
    if (!change) {
        if (!body.failed)
            err_nomem(&body.err);
        call_answer_err(call, &body.err);
        return;
    }
    change->user_id = user_id;
    change->give = give;
    change->mutation =
        (struct mutation){.call = call, .apply = apply_change, .destroy = destroy_change};
    mutation_submit(&change->mutation);
}

void access_give(struct call *call)
{
    change_access(call, true);
}

void access_take(struct call *call)
{
    change_access(call, false);
}
