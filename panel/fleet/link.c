/* The link to one node. See link.h.
 *
 * A call is one nng context with one aio: send, then receive (never submitted together: nanomsg
 * nng #1702). The aio's callback runs on nng's threads; it moves the call on or posts it to the
 * loop. A call is cancelled by nng_aio_cancel() and still comes home through its callback, so
 * calls are freed only by the loop, never inside a callback.
 *
 * Links are never freed and their sockets never closed, but kept for the next node: nng_close() of
 * 1.5.2 now and then waits for ever for an endpoint that is being reaped already, and the loop must
 * not wait. There are at most as many as there were nodes at once. */
#include "panel/fleet/link.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "panel/fleet/task.h"

#define RECONNECT_MIN_MS 250
#define RECONNECT_MAX_MS 2000
#define SPARE_CALLS      4
#define CANCEL_AGAIN_MS  100

struct call {
    struct task task;
    struct timer deadline;
    struct link *link;
    struct call *next; /* among the link's active or spare calls */
    nng_ctx ctx;
    nng_aio *aio;
    uint64_t id;
    enum { CALL_SENDING, CALL_RECEIVING } step;
    bool timed_out;
    void (*done)(void *arg, Wire__Envelope **reply, const struct err *err);
    void *arg;
};

struct link {
    struct link_owner owner;
    char node_id[65];
    nng_socket socket;
    nng_dialer dialer;
    struct link *next; /* among the spare ones */
    bool dialing;
    bool owned;
    bool leaving; /* disowned, with calls or a connection still to come home; else spare */
    struct call *active;
    struct call *spare;
    unsigned spares;
    /* written by nng's threads */
    _Atomic unsigned ups;
    _Atomic unsigned downs;
    _Atomic bool pipe_posted;
    struct task pipe_task;
    /* what the owner has been told */
    unsigned seen_ups;
    bool told_up;
};

static struct link *spare_links; /* the loop's */
static unsigned lingering;       /* likewise */
static uint64_t calls_made;      /* likewise */

/* Held while a pipe event is posted: after link_silence() there is no inbox to post to. */
static pthread_mutex_t posting = PTHREAD_MUTEX_INITIALIZER;
static bool silenced;

unsigned link_lingering(void)
{
    return lingering;
}

static int nng_fail(struct err *err, int rc, const char *what)
{
    return err_set(err, rc == NNG_ENOMEM ? ERR_NO_MEMORY : ERR_OFFLINE, "link_failed", "%s: %s",
                   what, nng_strerror(rc));
}

/* --- pipes ----------------------------------------------------------------------------------- */

static void pipes_changed(struct task *task);
static void link_retire_if_done(struct link *link);

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)pipe;
    struct link *link = arg;
    atomic_fetch_add(event == NNG_PIPE_EV_ADD_POST ? &link->ups : &link->downs, 1);
    pthread_mutex_lock(&posting);
    if (!silenced && !atomic_exchange(&link->pipe_posted, true))
        task_post(link->owner.loop, &link->pipe_task, pipes_changed);
    pthread_mutex_unlock(&posting);
}

static void pipes_changed(struct task *task)
{
    struct link *link = (struct link *)((char *)task - offsetof(struct link, pipe_task));
    atomic_store(&link->pipe_posted, false);
    unsigned downs = atomic_load(&link->downs);
    unsigned ups = atomic_load(&link->ups);
    bool up = ups > downs;
    if (!link->owned) {
        link_retire_if_done(link);
        return;
    }
    bool fresh = ups != link->seen_ups;
    link->seen_ups = ups;
    if (link->told_up && (!up || fresh)) {
        link->told_up = false;
        link->owner.on_pipe(link->owner.arg, false);
    }
    if (link->owned && up && !link->told_up) {
        link->told_up = true;
        link->owner.on_pipe(link->owner.arg, true);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

static int link_open(struct link *link, struct err *err)
{
    int rc = nng_req0_open(&link->socket);
    if (rc)
        return nng_fail(err, rc, "can't open a socket");
    rc = nng_socket_set_ms(link->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (!rc)
        rc = nng_pipe_notify(link->socket, NNG_PIPE_EV_ADD_POST, on_pipe, link);
    if (!rc)
        rc = nng_pipe_notify(link->socket, NNG_PIPE_EV_REM_POST, on_pipe, link);
    if (rc) {
        nng_close(link->socket); /* it never had an endpoint */
        return nng_fail(err, rc, "can't set a socket up");
    }
    return 0;
}

int link_create(const struct link_owner *owner, const char *node_id, struct link **ret_link,
                struct err *err)
{
    struct link *link = spare_links;
    if (link) {
        spare_links = link->next;
    } else {
        link = calloc(1, sizeof(*link));
        if (!link)
            return err_nomem(err);
        link->owner = *owner;
        if (link_open(link, err) < 0) {
            free(link);
            return -1;
        }
    }
    link->owner = *owner;
    link->owned = true;
    link->told_up = false;
    link->seen_ups = atomic_load(&link->ups);
    snprintf(link->node_id, sizeof(link->node_id), "%s", node_id);
    *ret_link = link;
    return 0;
}

static void call_free(struct call *call)
{
    nng_ctx_close(call->ctx);
    nng_aio_free(call->aio);
    free(call);
}

static void link_retire_if_done(struct link *link)
{
    if (!link->leaving || link->active || atomic_load(&link->ups) != atomic_load(&link->downs))
        return;
    link->leaving = false;
    while (link->spare) {
        struct call *call = link->spare;
        link->spare = call->next;
        call_free(call);
    }
    link->spares = 0;
    link->next = spare_links;
    spare_links = link;
    lingering--;
}

void link_destroy(struct link *link)
{
    if (!link)
        return;
    struct err closed;
    err_set(&closed, ERR_OFFLINE, "link_closed", "the link was closed");
    link->owned = false;
    link->leaving = true;
    lingering++;
    for (struct call *call = link->active; call; call = call->next) {
        Wire__Envelope *none =
            NULL; /* its timer stays, to cancel it again should it miss this one */
        call->done(call->arg, &none, &closed);
    }
    link_hang_up(link);
    link_retire_if_done(link);
}

void link_silence(void)
{
    pthread_mutex_lock(&posting);
    silenced = true;
    pthread_mutex_unlock(&posting);
}

/* --- dialling -------------------------------------------------------------------------------- */

static int make_tls(const struct link *link, const struct link_tls *tls, nng_tls_config **ret)
{
    nng_tls_config *config;
    int rc = nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT);
    if (rc)
        return rc;
    rc = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED);
    if (!rc)
        rc = nng_tls_config_server_name(config, link->node_id);
    if (!rc)
        rc = nng_tls_config_ca_chain(config, tls->ca_pem, NULL);
    if (!rc)
        rc = nng_tls_config_own_cert(config, tls->cert_pem, tls->key_pem, NULL);
    if (!rc)
        rc = nng_tls_config_version(config, NNG_TLS_1_2, NNG_TLS_1_2);
    if (rc)
        nng_tls_config_free(config);
    else
        *ret = config;
    return rc;
}

int link_dial(struct link *link, const char *address, const char *port, const struct link_tls *tls,
              struct err *err)
{
    char url[320];
    bool v6 = strchr(address, ':') != NULL && address[0] != '[';
    snprintf(url, sizeof(url), "tls+tcp://%s%s%s:%s", v6 ? "[" : "", address, v6 ? "]" : "", port);
    nng_tls_config *config;
    link_hang_up(link);
    int rc = make_tls(link, tls, &config);
    if (rc)
        return nng_fail(err, rc, "can't set TLS up");
    rc = nng_dialer_create(&link->dialer, link->socket, url);
    if (!rc) {
        link->dialing = true;
        rc = nng_dialer_set_ptr(link->dialer, NNG_OPT_TLS_CONFIG, config);
        if (!rc)
            rc = nng_dialer_set_size(link->dialer, NNG_OPT_RECVMAXSZ, WIRE_FRAME_MAX);
        if (!rc)
            rc = nng_dialer_set_ms(link->dialer, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
        if (!rc)
            rc = nng_dialer_set_ms(link->dialer, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
        if (!rc)
            rc = nng_dialer_start(link->dialer, NNG_FLAG_NONBLOCK);
        if (rc)
            link_hang_up(link);
    }
    nng_tls_config_free(config); /* the dialer holds its own reference */
    return rc ? nng_fail(err, rc, "can't dial") : 0;
}

void link_hang_up(struct link *link)
{
    if (link->dialing) {
        link->dialing = false;
        nng_dialer_close(link->dialer);
    }
    for (struct call *call = link->active; call; call = call->next)
        nng_aio_cancel(call->aio);
}

/* A snapshot of nng's statistics, under a name that says no more than is asked of it. */
struct link_figures *link_figures_take(void)
{
    nng_stat *stats;
    return nng_stats_get(&stats) ? NULL : (struct link_figures *)stats;
}

void link_figures_free(struct link_figures *figures)
{
    if (figures)
        nng_stats_free((nng_stat *)figures);
}

bool link_was_refused(const struct link *link, struct link_figures *figures)
{
    nng_stat *dialer =
        link->dialing ? nng_stat_find_dialer((nng_stat *)figures, link->dialer) : NULL;
    nng_stat *refused = dialer ? nng_stat_find(dialer, "auth") : NULL;
    return refused && nng_stat_value(refused) > 0;
}

/* --- calls ----------------------------------------------------------------------------------- */

static void call_home(struct task *task);

static void call_step(void *arg)
{
    struct call *call = arg;
    if (call->step == CALL_SENDING && nng_aio_result(call->aio) == 0) {
        call->step = CALL_RECEIVING;
        nng_ctx_recv(call->ctx, call->aio);
        return;
    }
    task_post(call->link->owner.loop, &call->task, call_home);
}

static void call_timed_out(struct timer *timer)
{
    struct call *call = (struct call *)((char *)timer - offsetof(struct call, deadline));
    call->timed_out = true;
    nng_aio_cancel(call->aio);
    /* Between its send and its receive there is nothing to cancel: once more, until it is home. */
    timers_set(call->link->owner.timers, timer, clock_mono_ms() + CANCEL_AGAIN_MS);
}

/* The certificate has proven who answers; this is for a peer that is confused. What it can't read
 * it can't echo, and says so by a Failure. */
static int check_reply(const struct call *call, const Wire__Envelope *reply, struct err *err)
{
    if (reply->body_case == WIRE__ENVELOPE__BODY_FAILURE ||
        (reply->call_id == call->id && strcmp(reply->node_id, call->link->node_id) == 0))
        return 0;
    return err_set(err, ERR_PROTOCOL, "wrong_answer", "the answer is another node's or call's");
}

static int call_result(struct call *call, Wire__Envelope **ret_reply, struct err *err)
{
    int rc = nng_aio_result(call->aio);
    nng_msg *msg = nng_aio_get_msg(call->aio);
    nng_aio_set_msg(call->aio, NULL);
    if (rc) {
        /* a request that wasn't sent is still ours */
        if (msg && call->step == CALL_SENDING)
            nng_msg_free(msg);
        if (call->timed_out)
            return err_set(err, ERR_TIMEOUT, "no_answer", "the node did not answer in time");
        return nng_fail(err, rc, "the call failed");
    }
    rc = envelope_unpack(nng_msg_body(msg), nng_msg_len(msg), ret_reply, err);
    nng_msg_free(msg);
    return rc == 0 ? check_reply(call, *ret_reply, err) : rc;
}

static void call_retire(struct call *call)
{
    struct link *link = call->link;
    for (struct call **at = &link->active; *at; at = &(*at)->next) {
        if (*at == call) {
            *at = call->next;
            break;
        }
    }
    if (link->spares < SPARE_CALLS && link->owned && !call->timed_out) {
        link->spares++;
        call->next = link->spare;
        link->spare = call;
    } else {
        call_free(call);
    }
}

static void call_home(struct task *task)
{
    struct call *call = (struct call *)task;
    struct link *link = call->link;
    Wire__Envelope *reply = NULL;
    struct err err = {0};
    void (*done)(void *, Wire__Envelope **, const struct err *) = call->done;
    void *arg = call->arg;
    timers_cancel(link->owner.timers, &call->deadline);
    int rc = call_result(call, &reply, &err);
    call_retire(call);
    if (!link->owned)
        link_retire_if_done(link);
    else
        done(arg, &reply, rc < 0 ? &err : NULL);
    envelope_free(reply);
}

static int call_take(struct link *link, struct call **ret_call, struct err *err)
{
    struct call *call = link->spare;
    if (call) {
        link->spare = call->next;
        link->spares--;
        *ret_call = call;
        return 0;
    }
    call = calloc(1, sizeof(*call));
    if (!call) {
        err_nomem(err);
        return -1;
    }
    call->link = link;
    int rc = nng_aio_alloc(&call->aio, call_step, call);
    if (!rc) {
        nng_aio_set_timeout(call->aio, NNG_DURATION_INFINITE);
        rc = nng_ctx_open(&call->ctx, link->socket);
        if (rc)
            nng_aio_free(call->aio);
    }
    if (rc) {
        free(call);
        nng_fail(err, rc, "can't open a context");
        return -1;
    }
    *ret_call = call;
    return 0;
}

static int make_message(const Wire__Envelope *request, nng_msg **ret_msg, struct err *err)
{
    uint8_t *data;
    size_t len;
    if (envelope_pack(request, &data, &len, err) < 0)
        return -1;
    nng_msg *msg;
    int rc = nng_msg_alloc(&msg, 0);
    if (!rc) {
        rc = nng_msg_append(msg, data, len);
        if (rc)
            nng_msg_free(msg);
    }
    free(data);
    if (rc) {
        err_nomem(err);
        return -1;
    }
    *ret_msg = msg;
    return 0;
}

int link_call(struct link *link, Wire__Envelope *request, uint32_t timeout_ms,
              void (*done)(void *arg, Wire__Envelope **reply, const struct err *err), void *arg,
              struct err *err)
{
    nng_msg *msg;
    struct call *call;
    request->call_id = ++calls_made;
    if (make_message(request, &msg, err) < 0)
        return -1;
    if (call_take(link, &call, err) < 0) {
        nng_msg_free(msg);
        return -1;
    }
    call->id = request->call_id;
    call->done = done;
    call->arg = arg;
    call->timed_out = false;
    call->step = CALL_SENDING;
    call->deadline.fire = call_timed_out;
    timers_set(link->owner.timers, &call->deadline, clock_mono_ms() + timeout_ms);
    call->next = link->active;
    link->active = call;
    nng_aio_set_msg(call->aio, msg);
    nng_ctx_send(call->ctx, call->aio);
    return 0;
}
