/* /api/instances, getInstance, getUserInstance, delete, suspend, unsuspend, retry.
 *
 * A change is committed first; where the contract has the answer wait for the node, the fleet says
 * when its goal is reached, and the instance is read anew. A repeat with the same Idempotency-Key
 * while that goes on waits for the same goal (resume functions). */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/wire.h"

#define TEXT_MAX       1024
#define DELETE_WAIT_MS (60u * 1000u)
#define SETTLE_WAIT_MS (60u * 1000u) /* the usual time to stop, and to start again */

struct instance_out {
    struct strbuf *out;
    struct board *board;
};

static int put_instance(const struct instance *instance, void *arg, struct err *err)
{
    (void)err;
    const struct instance_out *to = arg;
    wire_instance(to->out, NULL, instance, to->board);
    return 0;
}

static int not_found(struct err *err)
{
    return err_field(err, ERR_NOT_FOUND, "instance_not_found", "id",
                     "There is no instance with this id.");
}

/* The instance's JSON. ERR_NOT_FOUND. */
static int read_instance(const struct call *call, const char *id, struct strbuf *out,
                         struct err *err)
{
    struct instance_out to = {out, fleet_board(call->api->rooms.fleet)};
    if (identity_check_sight(call, id, err) < 0)
        return -1;
    int rc = store_instance_get(call->api->rooms.store, id, put_instance, &to, err);
    return rc > 0 ? 0 : rc == 0 ? not_found(err) : -1;
}

void instances_list(struct call *call)
{
    struct store *store = call->api->rooms.store;
    struct board *board = fleet_board(call->api->rooms.fleet);
    struct err err = {0};
    struct list list;
    uint64_t versions[] = {store_version(store, STORE_INSTANCES), store_version(store, STORE_NODES),
                           board_status_version(board)};
    const char *viewer = call_viewer(call);
    if (!list_begin(call, versions, ARRAY_LEN(versions), &list))
        return;
    struct instance_out to = {&list.out, board};
    int rc = viewer ? store_instance_list_usable(store, viewer, &list.page, put_instance, &to, &err)
                    : store_instance_list(store, NULL, &list.page, put_instance, &to, &err);
    list_end(call, &list, rc, &err);
}

static void answer_with(struct call *call, const char *id)
{
    struct err err = {0};
    struct strbuf out = {0};
    if (read_instance(call, id, &out, &err) < 0) {
        strbuf_fini(&out);
        call_answer_err(call, &err);
        return;
    }
    call_answer(call, 200, &out);
}

void instances_get(struct call *call)
{
    struct body body;
    body_open(&body, call->body, NULL);
    const char *id = body_text(&body, "id", BODY_REQUIRED, TEXT_MAX);
    if (body.failed)
        call_answer_err(call, &body.err);
    else
        answer_with(call, id);
}

void instances_get_one(struct call *call)
{
    answer_with(call, call->param);
}

static int see_user(const struct user *user, void *arg, struct err *err)
{
    (void)user;
    (void)arg;
    (void)err;
    return 0;
}

static int check_user(const struct call *call, const char *user_id, struct err *err)
{
    const char *viewer = call_viewer(call);
    int rc = viewer && strcmp(viewer, user_id) != 0
                 ? 0
                 : store_user_get(call->api->rooms.store, USER_BY_ID, user_id, see_user, NULL, err);
    if (rc == 0)
        return err_field(err, ERR_NOT_FOUND, "user_not_found", "userId",
                         "There is no user with this id.");
    return rc;
}

void instances_get_of_user(struct call *call)
{
    struct body body;
    struct list list;
    body_open(&body, call->body, NULL);
    const char *user_id = body_text(&body, "userId", BODY_REQUIRED, TEXT_MAX);
    bool shared = body_flag(&body, "shared", false);
    if (body.failed || check_user(call, user_id, &body.err) < 0) {
        call_answer_err(call, &body.err);
        return;
    }
    if (!list_begin(call, NULL, 0, &list))
        return;
    struct instance_out to = {&list.out, fleet_board(call->api->rooms.fleet)};
    struct store *store = call->api->rooms.store;
    int rc = shared ? store_instance_list_usable(store, user_id, &list.page, put_instance, &to,
                                                 &body.err)
                    : store_instance_list(store, user_id, &list.page, put_instance, &to, &body.err);
    list_end(call, &list, rc, &body.err);
}

/* --- changes of one instance ----------------------------------------------------------------- */

struct instance_change {
    struct mutation mutation;
    const char *id; /* in the call */
    union {
        bool suspended;
        enum instance_power power;
        bool wipe;
    } to;
};

static void destroy_change(struct mutation *mutation)
{
    free(mutation);
}

/* What is kept until the final answer is known. */
static void put_pending(struct mutation *mutation, const char *id)
{
    jw_object_begin(&mutation->body, NULL);
    jw_string(&mutation->body, "Id", id);
    jw_object_end(&mutation->body);
    mutation->status = 200;
    snprintf(mutation->waits_for, sizeof(mutation->waits_for), "%s", id);
}

/* NULL: there is no memory, and the call has been answered. */
static struct instance_change *new_change(struct call *call, const char *id,
                                          int (*apply)(struct mutation *, struct store_tx *,
                                                       struct err *))
{
    struct err err = {0};
    struct instance_change *change = calloc(1, sizeof(*change));
    if (!change) {
        err_nomem(&err);
        call_answer_err(call, &err);
        return NULL;
    }
    change->id = id;
    change->mutation = (struct mutation){.call = call, .apply = apply, .destroy = destroy_change};
    return change;
}

static void submit_change(struct call *call, const char *id,
                          int (*apply)(struct mutation *, struct store_tx *, struct err *))
{
    struct instance_change *change = new_change(call, id, apply);
    if (change)
        mutation_submit(&change->mutation);
}

/* The body's id, if present, has to be the path's. */
static int check_path_id(struct call *call, struct err *err)
{
    struct body body;
    body_open(&body, call->body, NULL);
    const char *id = body_text(&body, "id", BODY_OPTIONAL, TEXT_MAX);
    if (body.failed) {
        *err = body.err;
        return -1;
    }
    if (id && *id && strcmp(id, call->param) != 0)
        return err_field(err, ERR_INVALID, "id_mismatch", "id",
                         "The field \"id\" has to be the id that the path names.");
    return 0;
}

/* --- delete ---------------------------------------------------------------------------------- */

static int apply_delete(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct instance_change *change = (struct instance_change *)mutation;
    if (store_instance_delete(tx, change->id, err) < 0)
        return -1;
    put_pending(mutation, change->id);
    return 0;
}

static int see_instance(const struct instance *instance, void *arg, struct err *err)
{
    (void)instance;
    (void)arg;
    (void)err;
    return 0;
}

int call_check_instance(const struct call *call, struct err *err)
{
    int rc = store_instance_get(call->api->rooms.store, call->param, see_instance, NULL, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "instance_not_found",
                       "There is no instance with this id.");
    return rc < 0 ? -1 : 0;
}

/* Only what the store has forgotten is said to be gone. */
static void put_deleted(struct call *call, const char *id, enum fleet_outcome outcome,
                        struct strbuf *out)
{
    struct err err = {0};
    bool gone = outcome == FLEET_REACHED && store_instance_scan(call->api->rooms.store, NULL, id,
                                                                see_instance, NULL, &err) == 0;
    jw_object_begin(out, NULL);
    jw_string(out, "message", gone ? "Instance deleted" : "Instance is being deleted");
    jw_string(out, "Id", id);
    jw_string(out, "state", gone ? "DELETED" : "DELETING");
    jw_object_end(out);
}

/* 201 is the contract's. */
static int render_deleted(struct call *call, const char *id, enum fleet_outcome outcome,
                          struct strbuf *out)
{
    put_deleted(call, id, outcome, out);
    return 201;
}

static int render_one_deleted(struct call *call, const char *id, enum fleet_outcome outcome,
                              struct strbuf *out)
{
    put_deleted(call, id, outcome, out);
    return 200;
}

void instances_delete_resume(struct call *call, const char *instance_id)
{
    call_wait(call, instance_id, FLEET_GOAL_GONE, DELETE_WAIT_MS, render_deleted);
}

void instances_delete_one_resume(struct call *call, const char *instance_id)
{
    call_wait(call, instance_id, FLEET_GOAL_GONE, DELETE_WAIT_MS, render_one_deleted);
}

void instances_delete(struct call *call)
{
    struct body body;
    body_open(&body, call->body, call->req);
    const char *id = body_text(&body, "id", BODY_REQUIRED, TEXT_MAX);
    if (body.failed) {
        call_answer_err(call, &body.err);
        return;
    }
    submit_change(call, id, apply_delete);
}

void instances_delete_one(struct call *call)
{
    struct err err = {0};
    if (check_path_id(call, &err) < 0)
        call_answer_err(call, &err);
    else
        submit_change(call, call->param, apply_delete);
}

/* --- suspend and unsuspend ------------------------------------------------------------------- */

static int apply_suspend(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct instance_change *change = (struct instance_change *)mutation;
    if (store_instance_suspend(tx, change->id, change->to.suspended, err) < 0)
        return -1;
    put_pending(mutation, change->id);
    return 0;
}

static int render_error(const struct call *call, const struct err *err, struct strbuf *out)
{
    strbuf_reset(out);
    call_render_err(call, err, out);
    return error_status(err);
}

/* As it is now; or, where its last change was undone, why. */
struct change_view {
    struct call *call;
    struct strbuf *out;
    int status;
};

static int put_changed(const struct instance *instance, void *arg, struct err *err)
{
    (void)err;
    struct change_view *view = arg;
    if (instance->undone && !instance->changing) {
        view->status = instance_render_undone(instance, http_req_id(view->call->req), view->out);
        return 0;
    }
    wire_instance(view->out, NULL, instance, fleet_board(view->call->api->rooms.fleet));
    view->status = 200;
    return 0;
}

/* What the store says now is the answer. */
static int render_now(struct call *call, const char *id, store_instance_fn put, struct strbuf *out)
{
    struct err err = {0};
    struct change_view view = {call, out, 200};
    int rc = store_instance_get(call->api->rooms.store, id, put, &view, &err);
    if (rc == 0)
        not_found(&err);
    return rc > 0 ? view.status : render_error(call, &err, out);
}

static int render_changed(struct call *call, const char *id, enum fleet_outcome outcome,
                          struct strbuf *out)
{
    (void)outcome;
    return render_now(call, id, put_changed, out);
}

static int render_settled(struct call *call, const char *id, enum fleet_outcome outcome,
                          struct strbuf *out)
{
    (void)outcome; /* the instance's State says how far it has come */
    struct err err = {0};
    if (read_instance(call, id, out, &err) < 0)
        return render_error(call, &err, out);
    return 200;
}

void instances_suspend_resume(struct call *call, const char *instance_id)
{
    call_wait(call, instance_id, FLEET_GOAL_SETTLED, SETTLE_WAIT_MS, render_settled);
}

void instances_patch_resume(struct call *call, const char *instance_id)
{
    call_wait(call, instance_id, FLEET_GOAL_SETTLED, SETTLE_WAIT_MS, render_changed);
}

static void suspend_to(struct call *call, bool suspended)
{
    struct err err = {0};
    if (check_path_id(call, &err) < 0) {
        call_answer_err(call, &err);
        return;
    }
    struct instance_change *change = new_change(call, call->param, apply_suspend);
    if (!change)
        return;
    change->to.suspended = suspended;
    mutation_submit(&change->mutation);
}

void instances_suspend(struct call *call)
{
    suspend_to(call, true);
}

void instances_unsuspend(struct call *call)
{
    suspend_to(call, false);
}

/* --- power ----------------------------------------------------------------------------------- */

static int apply_power(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct instance_change *change = (struct instance_change *)mutation;
    if (store_instance_power(tx, change->id, change->to.power, err) < 0)
        return -1;
    put_pending(mutation, change->id);
    return 0;
}

static int read_power(const char *action, enum instance_power *ret_power, struct err *err)
{
    static const char *const names[] = {[POWER_ON] = "start",
                                        [POWER_OFF] = "stop",
                                        [POWER_RESTART] = "restart",
                                        [POWER_KILL] = "kill"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], action) == 0) {
            *ret_power = (enum instance_power)i;
            return 0;
        }
    }
    return err_field(err, ERR_INVALID, "invalid_field", "action",
                     "The field \"action\" has to be start, stop, restart or kill.");
}

void instances_power_resume(struct call *call, const char *instance_id)
{
    call_wait(call, instance_id, FLEET_GOAL_SETTLED, SETTLE_WAIT_MS, render_settled);
}

void instances_power(struct call *call)
{
    struct body body;
    enum instance_power power = POWER_ON;
    if (check_path_id(call, &body.err) < 0) {
        call_answer_err(call, &body.err);
        return;
    }
    body_open(&body, call->body, NULL);
    const char *action = body_text(&body, "action", BODY_REQUIRED, TEXT_MAX);
    if (body.failed || read_power(action, &power, &body.err) < 0) {
        call_answer_err(call, &body.err);
        return;
    }
    struct instance_change *change = new_change(call, call->param, apply_power);
    if (!change)
        return;
    change->to.power = power;
    mutation_submit(&change->mutation);
}

/* --- retry ----------------------------------------------------------------------------------- */

static int apply_retry(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct instance_change *change = (struct instance_change *)mutation;
    if (store_instance_retry(tx, change->id, err) < 0)
        return -1;
    put_pending(mutation, change->id);
    return 0;
}

static int apply_redeploy(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct instance_change *change = (struct instance_change *)mutation;
    if (store_instance_redeploy(tx, change->id, err) < 0)
        return -1;
    put_pending(mutation, change->id);
    return 0;
}

static int apply_reinstall(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    const struct instance_change *change = (struct instance_change *)mutation;
    if (store_instance_reinstall(tx, change->id, change->to.wipe, err) < 0)
        return -1;
    put_pending(mutation, change->id);
    return 0;
}

static int put_retried(const struct instance *instance, void *arg, struct err *err)
{
    struct change_view *view = arg;
    if (instance->phase == PHASE_FAILED && http_req_query(view->call->req, "wait")) {
        view->status = instance_render_failure(instance, http_req_id(view->call->req), view->out);
        return 0;
    }
    return put_changed(instance, arg, err);
}

static int render_retried(struct call *call, const char *id, enum fleet_outcome outcome,
                          struct strbuf *out)
{
    (void)outcome;
    return render_now(call, id, put_retried, out);
}

void instances_retry_resume(struct call *call, const char *instance_id)
{
    struct err err = {0};
    uint32_t seconds = 0;
    if (call_read_wait(call, &seconds, &err) < 0) { /* only a repeat's: it may wait as it likes */
        call_answer_err(call, &err);
        return;
    }
    call_wait(call, instance_id, FLEET_GOAL_READY, seconds ? seconds * 1000 : 1, render_retried);
}

static void install_again(struct call *call,
                          int (*apply)(struct mutation *, struct store_tx *, struct err *))
{
    struct err err = {0};
    uint32_t seconds;
    if (check_path_id(call, &err) < 0 || call_read_wait(call, &seconds, &err) < 0) {
        call_answer_err(call, &err);
        return;
    }
    submit_change(call, call->param, apply);
}

void instances_retry(struct call *call)
{
    install_again(call, apply_retry);
}

/* --- redeploy and reinstall ------------------------------------------------------------------ */

void instances_redeploy(struct call *call)
{
    install_again(call, apply_redeploy);
}

void instances_reinstall(struct call *call)
{
    struct body body;
    uint32_t seconds;
    body_open(&body, call->body, NULL);
    bool wipe = body_flag(&body, "wipe", false);
    if (body.failed || check_path_id(call, &body.err) < 0 ||
        call_read_wait(call, &seconds, &body.err) < 0) {
        call_answer_err(call, &body.err);
        return;
    }
    struct instance_change *change = new_change(call, call->param, apply_reinstall);
    if (!change)
        return;
    change->to.wipe = wipe;
    mutation_submit(&change->mutation);
}
