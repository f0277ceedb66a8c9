/* The floor of a panel that starts under a fleet: nng alone, mutual TLS, so many links.
 *
 *   floor-link LINKS FIRST_PORT WINDOW     one line: seconds until each link has done an echo
 *
 * One process listens, LINKS sockets on a port each of 127.0.0.2; another dials them, WINDOW
 * handshakes under way at once. All share one certificate a side. */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/pki.h"

struct end {
    nng_socket socket;
    nng_aio *aio;
    bool sending;
};

struct pair {
    char *key;
    char *cert;
};

static char *ca;
static sem_t room; /* of the window */

static void must(int rv, const char *what)
{
    if (rv) {
        fprintf(stderr, "floor-link: %s: %s\n", what, nng_strerror(rv));
        exit(1);
    }
}

static void must_pki(int rc, const struct err *err)
{
    if (rc < 0) {
        fprintf(stderr, "floor-link: %s\n", err->msg);
        exit(1);
    }
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- certificates ----------------------------------------------------------------------------- */

static void make_certificates(struct pair *server, struct pair *client)
{
    struct err err;
    char *ca_key;
    struct pair *pairs[] = {server, client};
    must_pki(pki_key_create(&ca_key, &err), &err);
    must_pki(pki_ca_create(ca_key, "floor", 1, &ca, &err), &err);
    for (int i = 0; i < 2; i++) {
        char *csr;
        must_pki(pki_key_create(&pairs[i]->key, &err), &err);
        must_pki(pki_csr_create(pairs[i]->key, "end", &csr, &err), &err);
        must_pki(pki_sign(ca_key, ca, csr, "end", i == 0 ? PKI_SERVER : PKI_CLIENT, 1,
                          &pairs[i]->cert, &err),
                 &err);
        free(csr);
    }
    free(ca_key);
}

static nng_tls_config *make_tls(nng_tls_mode mode, const struct pair *own)
{
    nng_tls_config *tls;
    must(nng_tls_config_alloc(&tls, mode), "TLS");
    must(nng_tls_config_own_cert(tls, own->cert, own->key, NULL), "TLS");
    must(nng_tls_config_ca_chain(tls, ca, NULL), "TLS");
    must(nng_tls_config_auth_mode(tls, NNG_TLS_AUTH_MODE_REQUIRED), "TLS");
    must(nng_tls_config_version(tls, NNG_TLS_1_2, NNG_TLS_1_2), "TLS");
    if (mode == NNG_TLS_MODE_CLIENT)
        must(nng_tls_config_server_name(tls, "end"), "TLS");
    return tls;
}

/* --- who listens ------------------------------------------------------------------------------ */

static void echo(void *arg)
{
    struct end *end = arg;
    if (nng_aio_result(end->aio) != 0)
        return;
    end->sending = !end->sending;
    if (end->sending)
        nng_send_aio(end->socket, end->aio); /* what came is still in the aio */
    else
        nng_recv_aio(end->socket, end->aio);
}

static void listen_all(int links, int port, const struct pair *own, int ready)
{
    nng_tls_config *tls = make_tls(NNG_TLS_MODE_SERVER, own);
    for (int i = 0; i < links; i++) {
        struct end *end = calloc(1, sizeof(*end));
        nng_listener listener;
        char url[64];
        snprintf(url, sizeof(url), "tls+tcp://127.0.0.2:%d", port + i);
        must(nng_rep0_open(&end->socket), "socket");
        must(nng_aio_alloc(&end->aio, echo, end), "aio");
        must(nng_listener_create(&listener, end->socket, url), "listener");
        must(nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, tls), "TLS");
        must(nng_listener_start(listener, 0), url);
        nng_recv_aio(end->socket, end->aio);
    }
    if (write(ready, "r", 1) != 1)
        exit(1);
    for (;;)
        pause();
}

/* --- who dials -------------------------------------------------------------------------------- */

static void asked(void *arg)
{
    struct end *end = arg;
    must(nng_aio_result(end->aio), "echo");
    if (end->sending) {
        end->sending = false;
        nng_recv_aio(end->socket, end->aio);
        return;
    }
    nng_msg_free(nng_aio_get_msg(end->aio));
    sem_post(&room);
}

static double dial_all(int links, int port, int window, const struct pair *own)
{
    nng_tls_config *tls = make_tls(NNG_TLS_MODE_CLIENT, own);
    double from = now();
    sem_init(&room, 0, (unsigned)window);
    for (int i = 0; i < links; i++) {
        struct end *end = calloc(1, sizeof(*end));
        nng_dialer dialer;
        nng_msg *msg;
        char url[64];
        sem_wait(&room);
        snprintf(url, sizeof(url), "tls+tcp://127.0.0.2:%d", port + i);
        must(nng_req0_open(&end->socket), "socket");
        must(nng_aio_alloc(&end->aio, asked, end), "aio");
        must(nng_dialer_create(&dialer, end->socket, url), "dialer");
        must(nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, tls), "TLS");
        must(nng_dialer_start(dialer, NNG_FLAG_NONBLOCK), url);
        must(nng_msg_alloc(&msg, 64), "message");
        end->sending = true;
        nng_aio_set_msg(end->aio, msg);
        nng_send_aio(end->socket, end->aio); /* goes out when the link is up */
    }
    for (int i = 0; i < window; i++)
        sem_wait(&room);
    return now() - from;
}

int main(int argc, char **argv)
{
    struct err err;
    struct pair server;
    struct pair client;
    int ready[2];
    char byte;
    if (argc != 4 || crypto_init(&err) < 0) {
        fprintf(stderr, "usage: floor-link LINKS FIRST_PORT WINDOW\n");
        return 2;
    }
    int links = atoi(argv[1]);
    int port = atoi(argv[2]);
    make_certificates(&server, &client);
    if (pipe(ready) < 0)
        return 1;
    pid_t listeners = fork(); /* nng isn't in use yet */
    if (listeners < 0)
        return 1;
    if (listeners == 0)
        listen_all(links, port, &server, ready[1]);
    close(ready[1]);
    double seconds =
        read(ready[0], &byte, 1) == 1 ? dial_all(links, port, atoi(argv[3]), &client) : -1;
    kill(listeners, SIGKILL);
    if (seconds < 0)
        return 1;
    printf("%.3f\n", seconds);
    fflush(stdout);
    _Exit(0); /* nng's sockets go with the process */
}
