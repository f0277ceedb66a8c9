/* nng, made small. See rpc.h.
 *
 * A fixed set of slots, each a REP context with one aio, goes round: receiving (nng's) → serving
 * (the loop's) → sending (nng's) → receiving. A slot belongs to exactly one side at a time, and
 * the mailbox and nng's own locks order the hand-overs. The callback never frees, waits or closes:
 * it submits the next operation or posts.
 *
 * nng has no time limit for a TLS handshake, so peers that connect and say nothing would pile up:
 * a watchdog hangs up on connections that have not become a pipe (strays.h). */
#include "agent/rpc.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/strays.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"

#define SLOTS       16
#define RETRY_MS    3000
#define REOPEN_MS   100
#define WATCHDOG_MS 2000
#define PIPES_MAX   16 /* of peers with a certificate, and there is one panel */

enum slot_state { SLOT_RECEIVING, SLOT_SERVING, SLOT_SENDING };

struct rpc_call {
    struct loop_task task;
    struct rpc *rpc;
    nng_ctx ctx;
    nng_aio *aio;
    nng_msg *msg; /* while serving */
    enum slot_state state;
    bool opened;
};

struct rpc {
    struct loop *loop;
    struct rpc_events events;
    size_t frame_max;
    char url[128];
    char *key;
    char *cert;
    char *ca;
    nng_socket socket;
    nng_listener listener;
    bool listening;
    struct timer retry;
    struct timer watchdog;
    struct strays strays;
    atomic_bool stopping;
    atomic_int sending;
    struct rpc_call slots[SLOTS];
};

#define RPC_OF(timer_ptr, member) ((struct rpc *)((char *)(timer_ptr)-offsetof(struct rpc, member)))

static int nng_failed(struct err *err, const char *what, int rv)
{
    return err_set(err, rv == NNG_ENOMEM ? ERR_NO_MEMORY : ERR_IO, "link_failed", "%s: %s", what,
                   nng_strerror(rv));
}

/* ---- Slots ---- */

static void receive(struct rpc_call *call)
{
    call->state = SLOT_RECEIVING;
    nng_ctx_recv(call->ctx, call->aio);
}

/* On a thread of nng's. */
static void on_aio(void *arg)
{
    struct rpc_call *call = arg;
    struct rpc *rpc = call->rpc;
    int rv = nng_aio_result(call->aio);
    if (call->state == SLOT_SENDING) {
        if (rv)
            nng_msg_free(nng_aio_get_msg(call->aio));
        atomic_fetch_sub(&rpc->sending, 1);
    } else if (rv == 0) {
        call->msg = nng_aio_get_msg(call->aio);
        call->state = SLOT_SERVING;
        loop_post(rpc->loop, &call->task);
        return;
    }
    if (rv == NNG_ECLOSED || rv == NNG_ECANCELED || atomic_load(&rpc->stopping))
        return;
    receive(call);
}

static void serve(struct loop_task *task)
{
    struct rpc_call *call = (struct rpc_call *)task;
    nng_msg *msg = steal_ptr(call->msg);
    call->rpc->events.serve(call->rpc->events.arg, call, nng_msg_body(msg), nng_msg_len(msg));
    nng_msg_free(msg);
}

void rpc_reply(struct rpc_call *call, const uint8_t *data, size_t len)
{
    nng_msg *msg = NULL;
    if (nng_msg_alloc(&msg, 0) != 0 || nng_msg_append(msg, data, len) != 0) {
        if (msg)
            nng_msg_free(msg);
        receive(call); /* without memory there is no answer: the panel asks again */
        return;
    }
    call->state = SLOT_SENDING;
    atomic_fetch_add(&call->rpc->sending, 1);
    nng_aio_set_msg(call->aio, msg);
    nng_ctx_send(call->ctx, call->aio);
}

bool rpc_is_flushed(struct rpc *rpc)
{
    return atomic_load(&rpc->sending) == 0;
}

/* ---- Listener ---- */

static int make_tls(struct rpc *rpc, nng_tls_config **ret, struct err *err)
{
    nng_tls_config *tls = NULL;
    int rv = nng_tls_config_alloc(&tls, NNG_TLS_MODE_SERVER);
    if (rv == 0)
        rv = nng_tls_config_own_cert(tls, rpc->cert, rpc->key, NULL);
    if (rv == 0)
        rv = nng_tls_config_ca_chain(tls, rpc->ca, NULL);
    /* The default is to ask nobody for a certificate. */
    if (rv == 0)
        rv = nng_tls_config_auth_mode(tls, NNG_TLS_AUTH_MODE_REQUIRED);
    if (rv == 0)
        rv = nng_tls_config_version(tls, NNG_TLS_1_2, NNG_TLS_1_3);
    if (rv) {
        if (tls)
            nng_tls_config_free(tls);
        return nng_failed(err, "can't use the node's certificate", rv);
    }
    *ret = tls;
    return 0;
}

static int open_listener(struct rpc *rpc, struct err *err)
{
    nng_tls_config *tls = NULL;
    nng_listener listener;
    if (make_tls(rpc, &tls, err) < 0)
        return -1;
    int rv = nng_listener_create(&listener, rpc->socket, rpc->url);
    if (rv) {
        nng_tls_config_free(tls);
        return nng_failed(err, "can't listen", rv);
    }
    rv = nng_listener_set_size(listener, NNG_OPT_RECVMAXSZ, rpc->frame_max);
    /* What a firewall has forgotten would be there for ever. */
    if (rv == 0)
        rv = nng_listener_set_bool(listener, NNG_OPT_TCP_KEEPALIVE, true);
    if (rv == 0)
        rv = nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, tls);
    if (rv == 0)
        rv = nng_listener_start(listener, 0);
    nng_tls_config_free(tls);
    if (rv) {
        nng_listener_close(listener);
        return nng_failed(err, "can't listen", rv);
    }
    rpc->listener = listener;
    rpc->listening = true;
    return 0;
}

static void try_listen(struct rpc *rpc)
{
    struct err err;
    if (open_listener(rpc, &err) == 0) {
        rpc->events.listening(rpc->events.arg);
        return;
    }
    log_error("not listening", "url=%s reason=\"%s\" retry_ms=%d", rpc->url, err.msg, RETRY_MS);
    timers_set(&rpc->loop->timers, &rpc->retry, clock_mono_ms() + RETRY_MS);
}

static void fire_retry(struct timer *timer)
{
    try_listen(RPC_OF(timer, retry));
}

static void close_listener(struct rpc *rpc)
{
    if (rpc->listening)
        nng_listener_close(rpc->listener);
    rpc->listening = false;
}

/* The old listener's port is free a moment after its closing. */
static void reopen_listener(struct rpc *rpc)
{
    close_listener(rpc);
    timers_set(&rpc->loop->timers, &rpc->retry, clock_mono_ms() + REOPEN_MS);
}

static void free_certificates(struct rpc *rpc)
{
    if (rpc->key)
        explicit_bzero(rpc->key, strlen(rpc->key));
    free(rpc->key);
    free(rpc->cert);
    free(rpc->ca);
}

int rpc_listen(struct rpc *rpc, const char *key, const char *cert, const char *ca, struct err *err)
{
    auto_free char *new_key = strdup(key);
    auto_free char *new_cert = strdup(cert);
    auto_free char *new_ca = strdup(ca);
    if (!new_key || !new_cert || !new_ca)
        return err_nomem(err);
    free_certificates(rpc);
    rpc->key = steal_ptr(new_key);
    rpc->cert = steal_ptr(new_cert);
    rpc->ca = steal_ptr(new_ca);
    if (rpc->listening)
        reopen_listener(rpc);
    else
        try_listen(rpc);
    return 0;
}

/* ---- Watchdog ---- */

/* Of the process's one socket; they outlive the rpc, as the socket does. */
static pthread_mutex_t pipes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct peer pipes[PIPES_MAX];
static int pipe_ids[PIPES_MAX]; /* 0: free */

static void fill_peer(nng_pipe pipe, struct peer *peer)
{
    nng_sockaddr addr;
    memset(peer, 0, sizeof(*peer));
    if (nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &addr) != 0)
        return;
    if (addr.s_family == NNG_AF_INET) {
        memcpy(peer->address, &addr.s_in.sa_addr, sizeof(addr.s_in.sa_addr));
        peer->port = addr.s_in.sa_port;
    } else if (addr.s_family == NNG_AF_INET6) {
        memcpy(peer->address, addr.s_in6.sa_addr, sizeof(peer->address));
        peer->port = addr.s_in6.sa_port;
    }
}

/* On a thread of nng's. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)arg;
    int wanted = event == NNG_PIPE_EV_ADD_POST ? 0 : nng_pipe_id(pipe);
    pthread_mutex_lock(&pipes_lock);
    size_t i = 0;
    while (i < PIPES_MAX && pipe_ids[i] != wanted)
        i++;
    if (event == NNG_PIPE_EV_ADD_POST) {
        if (i == PIPES_MAX) { /* the newest is the panel's; the others it has left behind */
            i = 0;
            for (size_t k = 1; k < PIPES_MAX; k++)
                i = pipe_ids[k] < pipe_ids[i] ? k : i; /* ids rise */
        }
        pipe_ids[i] = nng_pipe_id(pipe);
        fill_peer(pipe, &pipes[i]);
    } else if (i < PIPES_MAX) {
        pipe_ids[i] = 0;
    }
    pthread_mutex_unlock(&pipes_lock);
}

static void fire_watchdog(struct timer *timer)
{
    struct rpc *rpc = RPC_OF(timer, watchdog);
    struct peer links[PIPES_MAX];
    size_t count = 0;
    pthread_mutex_lock(&pipes_lock);
    for (size_t i = 0; i < PIPES_MAX; i++) {
        if (pipe_ids[i])
            links[count++] = pipes[i];
    }
    pthread_mutex_unlock(&pipes_lock);
    unsigned dropped = strays_sweep(&rpc->strays, links, count, clock_mono_ms());
    if (dropped)
        log_warn("silent peers dropped", "count=%u", dropped);
    timers_set(&rpc->loop->timers, &rpc->watchdog, clock_mono_ms() + WATCHDOG_MS);
}

/* ---- Life ---- */

static int open_slots(struct rpc *rpc, struct err *err)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct rpc_call *call = &rpc->slots[i];
        call->rpc = rpc;
        call->task.run = serve;
        int rv = nng_aio_alloc(&call->aio, on_aio, call);
        if (rv == 0)
            rv = nng_ctx_open(&call->ctx, rpc->socket);
        if (rv)
            return nng_failed(err, "can't prepare the link", rv);
        call->opened = true;
    }
    for (size_t i = 0; i < SLOTS; i++)
        receive(&rpc->slots[i]);
    return 0;
}

static int open_socket(struct rpc *rpc, struct err *err)
{
    int rv = nng_rep0_open(&rpc->socket);
    if (rv)
        return nng_failed(err, "can't open the link", rv);
    rv = nng_pipe_notify(rpc->socket, NNG_PIPE_EV_ADD_POST, on_pipe, NULL);
    if (rv == 0)
        rv = nng_pipe_notify(rpc->socket, NNG_PIPE_EV_REM_POST, on_pipe, NULL);
    if (rv)
        return nng_failed(err, "can't watch the link", rv);
    return open_slots(rpc, err);
}

int rpc_create(struct loop *loop, const char *listen, size_t frame_max,
               const struct rpc_events *events, struct rpc **ret_rpc, struct err *err)
{
    struct rpc *rpc = calloc(1, sizeof(*rpc));
    if (!rpc)
        return err_nomem(err);
    rpc->loop = loop;
    rpc->events = *events;
    rpc->frame_max = frame_max;
    rpc->retry.fire = fire_retry;
    rpc->watchdog.fire = fire_watchdog;
    snprintf(rpc->url, sizeof(rpc->url), "tls+tcp://%s", listen);
    if (open_socket(rpc, err) < 0) {
        rpc_destroy(rpc);
        return -1;
    }
    timers_set(&loop->timers, &rpc->watchdog, clock_mono_ms() + WATCHDOG_MS);
    *ret_rpc = rpc;
    return 0;
}

void rpc_destroy(struct rpc *rpc)
{
    if (!rpc)
        return;
    atomic_store(&rpc->stopping, true);
    timers_cancel(&rpc->loop->timers, &rpc->retry);
    timers_cancel(&rpc->loop->timers, &rpc->watchdog);
    close_listener(rpc);
    for (size_t i = 0; i < SLOTS; i++) {
        if (rpc->slots[i].opened)
            nng_ctx_close(rpc->slots[i].ctx);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (!rpc->slots[i].aio)
            continue;
        nng_aio_stop(rpc->slots[i].aio);
        if (rpc->slots[i].msg)
            nng_msg_free(rpc->slots[i].msg);
        nng_aio_free(rpc->slots[i].aio);
    }
    /* The socket, left without listener and contexts, goes with the process: nng_close() of 1.5.2
     * now and then waits for ever for an endpoint that is being reaped already. */
    free_certificates(rpc);
    free(rpc);
}
