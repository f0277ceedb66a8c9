/* The agent's requests. See handlers.h.
 *
 * Nothing is believed before it is checked: a message must unpack, be for this node from its
 * panel, and from no earlier start of the panel than the latest seen. TLS has already proven who
 * is speaking; these checks catch the honest mistakes: two panels from one backup, an old panel
 * that comes back, a node restored under another's name. */
#include "agent/handlers.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/answer.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"

#define RELOAD_MS 300 /* time for the answer to leave on the old link */

static void handle_sync(struct handlers *h, struct rpc_call *call, Wire__Envelope *request)
{
    sync_take(h->sync, call, request);
}

/* The outcome of a request that is answered at once. */
static void conclude(struct handlers *h, struct rpc_call *call, const Wire__Envelope *request,
                     int rc, const struct err *err)
{
    if (rc == 0)
        answer_ack(call, h->identity, request->call_id);
    else
        answer_failure(call, h->identity, request->call_id, err);
}

static void handle_apply(struct handlers *h, struct rpc_call *call, Wire__Envelope *request)
{
    (void)FAILPOINT("agent.apply.received");
    struct err err;
    int rc = reconcile_apply(h->reconcile, request->apply, &err);
    if (rc < 0)
        log_warn("apply refused", "instance=%s generation=%" PRIu64 " code=%s reason=\"%s\"",
                 request->apply->instance_id, request->apply->generation, err.reason, err.msg);
    conclude(h, call, request, rc, &err);
    (void)FAILPOINT("agent.apply.answered");
}

static void handle_remove(struct handlers *h, struct rpc_call *call, Wire__Envelope *request)
{
    (void)FAILPOINT("agent.remove.received");
    struct err err;
    int rc = reconcile_remove(h->reconcile, request->remove, &err);
    if (rc < 0)
        log_warn("remove refused", "instance=%s generation=%" PRIu64 " code=%s reason=\"%s\"",
                 request->remove->instance_id, request->remove->generation, err.reason, err.msg);
    conclude(h, call, request, rc, &err);
    (void)FAILPOINT("agent.remove.answered");
}

static void handle_history(struct handlers *h, struct rpc_call *call, Wire__Envelope *request)
{
    histories_take(h->histories, call, request);
}

static void handle_watch(struct handlers *h, struct rpc_call *call, Wire__Envelope *request)
{
    watch_take(h->watch, call, request);
}

static void handle_command(struct handlers *h, struct rpc_call *call, Wire__Envelope *request)
{
    commands_take(h->commands, call, request);
}

static void handle_cert_request(struct handlers *h, struct rpc_call *call, Wire__Envelope *request)
{
    auto_free char *csr = NULL;
    struct err err;
    if (identity_begin_renewal(h->identity, &csr, &err) < 0) {
        log_error("no certificate request", "reason=\"%s\"", err.msg);
        answer_failure(call, h->identity, request->call_id, &err);
        return;
    }
    Wire__CertRequestReply reply = WIRE__CERT_REQUEST_REPLY__INIT;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    reply.csr_pem = csr;
    envelope.body_case = WIRE__ENVELOPE__BODY_CERT_REQUEST_REPLY;
    envelope.cert_request_reply = &reply;
    answer_send(call, h->identity, request->call_id, &envelope);
}

static void fire_reload(struct timer *timer)
{
    struct handlers *h = (struct handlers *)((char *)timer - offsetof(struct handlers, reload));
    struct err err;
    const struct identity *id = h->identity;
    if (rpc_listen(h->rpc, id->key, id->cert, id->ca, &err) < 0)
        log_error("certificate not in use yet", "reason=\"%s\"", err.msg);
}

/* Soon: the answer is to leave over the old one. */
static void swap_listener(struct handlers *h)
{
    h->reload.fire = fire_reload;
    timers_set(&h->loop->timers, &h->reload, clock_mono_ms() + RELOAD_MS);
}

static void handle_cert_install(struct handlers *h, struct rpc_call *call, Wire__Envelope *request)
{
    struct err err;
    bool changed;
    int rc = identity_install(h->identity, request->cert_install->cert_pem, &changed, &err);
    if (rc < 0) {
        log_warn("certificate refused", "code=%s reason=\"%s\"", err.reason, err.msg);
    } else if (changed) {
        char end[CLOCK_ISO_LEN];
        clock_format_iso(h->identity->cert_not_after * 1000, end);
        log_info("certificate renewed", "not_after=%s", end);
        swap_listener(h);
    }
    conclude(h, call, request, rc, &err);
}

static void handle_ca_install(struct handlers *h, struct rpc_call *call, Wire__Envelope *request)
{
    struct err err;
    bool changed;
    int rc = identity_install_ca(h->identity, request->ca_install->ca_pem, &changed, &err);
    if (rc < 0) {
        log_warn("other CAs refused", "code=%s reason=\"%s\"", err.reason, err.msg);
    } else if (changed) {
        log_info("other CAs trusted", "digest=%s", h->identity->ca_digest);
        swap_listener(h);
    }
    conclude(h, call, request, rc, &err);
}

static const struct {
    Wire__Envelope__BodyCase body;
    const char *op;
    void (*handle)(struct handlers *h, struct rpc_call *call, Wire__Envelope *request);
} table[] = {
    {WIRE__ENVELOPE__BODY_SYNC, "sync", handle_sync},
    {WIRE__ENVELOPE__BODY_APPLY, "apply", handle_apply},
    {WIRE__ENVELOPE__BODY_REMOVE, "remove", handle_remove},
    {WIRE__ENVELOPE__BODY_HISTORY, "history", handle_history},
    {WIRE__ENVELOPE__BODY_WATCH, "watch", handle_watch},
    {WIRE__ENVELOPE__BODY_COMMAND, "command", handle_command},
    {WIRE__ENVELOPE__BODY_CERT_REQUEST, "cert_request", handle_cert_request},
    {WIRE__ENVELOPE__BODY_CERT_INSTALL, "cert_install", handle_cert_install},
    {WIRE__ENVELOPE__BODY_CA_INSTALL, "ca_install", handle_ca_install},
};

static int check_sender(struct handlers *h, const Wire__Envelope *request, struct err *err)
{
    struct identity *id = h->identity;
    struct err io;
    if (strcmp(request->panel_id, id->panel_id) != 0)
        return err_set(err, ERR_UNAUTHORIZED, "wrong_panel", "this node belongs to another panel");
    if (strcmp(request->node_id, id->node_id) != 0)
        return err_set(err, ERR_UNAUTHORIZED, "wrong_node", "this is another node");
    if (request->epoch < id->epoch)
        return err_set(err, ERR_CONFLICT, "stale_epoch",
                       "a later start of the panel (%" PRIu64 ") has spoken already", id->epoch);
    if ((request->epoch > id->epoch || id->epoch_due) &&
        identity_raise_epoch(id, request->epoch, &io) < 0)
        log_error("epoch not stored", "reason=\"%s\"", io.msg);
    return 0;
}

void handlers_serve(struct handlers *h, struct rpc_call *call, const uint8_t *data, size_t len)
{
    Wire__Envelope *request = NULL;
    struct err err;
    if (envelope_unpack(data, len, &request, &err) < 0) {
        log_warn("bad request", "reason=\"%s\"", err.msg);
        answer_failure(call, h->identity, 0, &err);
        return;
    }
    uint64_t call_id = request->call_id;
    if (check_sender(h, request, &err) < 0) {
        log_warn("request refused", "code=%s epoch=%" PRIu64, err.reason, request->epoch);
        answer_failure(call, h->identity, call_id, &err);
        envelope_free(request);
        return;
    }
    size_t i = 0;
    while (i < ARRAY_LEN(table) && table[i].body != request->body_case)
        i++;
    if (i < ARRAY_LEN(table)) {
        auto_log_scope struct log_scope scope;
        log_scope_begin(&scope, "op", table[i].op);
        table[i].handle(h, call, request);
    } else {
        err_set(&err, ERR_PROTOCOL, "unknown_request", "this agent does not know that request");
        answer_failure(call, h->identity, call_id, &err);
    }
    envelope_free(request);
}
