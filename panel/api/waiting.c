/* Answers that wait for the fleet. See internal.h.
 *
 * Invariant: a final answer is durable under its Idempotency-Key before it is sent. When the panel
 * stops meanwhile, what is sent isn't final and isn't kept: a repeat waits anew.
 * Begins on any thread, goes on on the fleet's, ends there or on the store's writer. */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "panel/domain/text.h"

#define WAIT_MAX_SECONDS 300

/* --- kept answers ---------------------------------------------------------------------------- */

struct kept {
    struct store_change change;
    struct call *call;
    bool forget;
    int status;
    struct strbuf body;
};

static int apply_save(struct store_change *change, struct store_tx *tx, struct err *err)
{
    struct kept *kept = (struct kept *)change;
    const struct call *call = kept->call;
    if (kept->forget)
        return store_answer_forget(tx, call->key.id, call->idempotency_key, err);
    struct answer answer = {.status = kept->status, .body = kept->body.data};
    return store_answer_save(tx, call->key.id, call->idempotency_key, call->digest, &answer, err);
}

static void save_done(struct store_change *change, const struct err *err)
{
    (void)err; /* unsaved, the answer is true all the same */
    struct kept *kept = (struct kept *)change;
    call_answer(kept->call, kept->status, &kept->body);
    strbuf_fini(&kept->body);
    free(kept);
}

static void answer(struct call *call, bool forget, int status, struct strbuf *take_body)
{
    bool keep = call->has_idempotency && take_body->data && !take_body->failed;
    struct kept *kept = keep ? calloc(1, sizeof(*kept)) : NULL;
    if (!kept) {
        call_answer(call, status, take_body);
        return;
    }
    kept->change.apply = apply_save;
    kept->change.done = save_done;
    kept->call = call;
    kept->forget = forget;
    kept->status = status;
    kept->body = *take_body;
    *take_body = (struct strbuf){0};
    if (store_submit(call->api->rooms.store, &kept->change, NULL) < 0)
        save_done(&kept->change, NULL);
}

void call_answer_kept(struct call *call, int status, struct strbuf *take_body)
{
    answer(call, false, status, take_body);
}

void call_answer_forgotten(struct call *call, int status, struct strbuf *take_body)
{
    answer(call, true, status, take_body);
}

/* --- waiting --------------------------------------------------------------------------------- */

struct waiting {
    struct call *call;
    waiting_fn render;
    char instance_id[ROUTE_PARAM_SIZE];
};

static void on_outcome(void *arg, enum fleet_outcome outcome)
{
    (void)FAILPOINT("panel.answer.final");
    struct waiting *waiting = arg;
    struct call *call = waiting->call;
    struct strbuf body = {0};
    int status = waiting->render(call, waiting->instance_id, outcome, &body);
    free(waiting);
    if (outcome == FLEET_CLOSED)
        call_answer(call, status, &body);
    else
        call_answer_kept(call, status, &body);
}

void call_wait(struct call *call, const char *instance_id, enum fleet_goal goal,
               uint32_t timeout_ms, waiting_fn render)
{
    struct err err = {0};
    call_defer(call);
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    if (!waiting) { /* it goes on, though nobody waits for it */
        fleet_notice_instance(call->api->rooms.fleet, instance_id);
        struct strbuf body = {0};
        int status = render(call, instance_id, FLEET_CLOSED, &body);
        call_answer(call, status, &body);
        return;
    }
    waiting->call = call;
    waiting->render = render;
    snprintf(waiting->instance_id, sizeof(waiting->instance_id), "%s", instance_id);
    if (fleet_wait_instance(call->api->rooms.fleet, waiting->instance_id, goal, timeout_ms,
                            on_outcome, waiting, &err) < 0) {
        fleet_notice_instance(call->api->rooms.fleet, waiting->instance_id);
        on_outcome(waiting, FLEET_CLOSED);
    }
}

int call_read_wait(const struct call *call, uint32_t *ret_seconds, struct err *err)
{
    uint64_t seconds = 0;
    const char *text = http_req_query(call->req, "wait");
    if (text && !text_parse_uint(text, WAIT_MAX_SECONDS, &seconds))
        return err_field(err, ERR_INVALID, "invalid_field", "wait",
                         "The parameter \"wait\" has to be a number of seconds from 0 to %d.",
                         WAIT_MAX_SECONDS);
    *ret_seconds = (uint32_t)seconds;
    return 0;
}
