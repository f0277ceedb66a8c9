/* The link to one node: an nng REQ socket over mutual TLS, and calls that go side by side on it.
 * Only link.c includes nng's headers.
 *
 * All functions and callbacks: the fleet's loop thread. nng's own threads only post tasks to the
 * loop. Nothing blocks. nng's clocks are the wall's, so every deadline here is a timer of ours. */
#ifndef PANEL_FLEET_LINK_H
#define PANEL_FLEET_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/envelope.h"
#include "common/err.h"
#include "common/mailbox.h"
#include "common/timers.h"

struct link;

struct link_tls {
    const char *ca_pem;
    const char *cert_pem;
    const char *key_pem;
};

struct link_owner {
    struct mailbox *loop;
    struct timers *timers;
    /* A connection (with its TLS handshake done) came or went. */
    void (*on_pipe)(void *arg, bool up);
    void *arg;
};

/* The peer must show a certificate for node_id. */
int link_create(const struct link_owner *owner, const char *node_id, struct link **ret_link,
                struct err *err);

/* Calls under way end with an error before this returns, and no callback comes after it; the
 * socket serves the next link when nng has let go of the last of them. NULL is fine. */
void link_destroy(struct link *link);
/* Links destroyed whose calls or connections have not ended yet, for the loop's end ... */
unsigned link_lingering(void);
/* ... after which nothing may be posted to the loop any more. */
void link_silence(void);

/* Start connecting; success shows as on_pipe(true). Until link_hang_up() nng tries again by
 * itself. */
int link_dial(struct link *link, const char *address, const char *port, const struct link_tls *tls,
              struct err *err);
/* Drop the connection, or stop trying. Calls under way fail. */
void link_hang_up(struct link *link);

/* How often handshakes failed, of all links: nng's own figures, copied. Takes time by the number of
 * links. NULL: no memory for it. */
struct link_figures;
struct link_figures *link_figures_take(void);
void link_figures_free(struct link_figures *figures);
/* Has somebody answered since link_dial() whose certificate isn't good, or who found ours so? */
bool link_was_refused(const struct link *link, struct link_figures *figures);

/* Send a request (copied, with a call_id of its own) and call done once: with the reply, which the
 * callee may keep by setting *reply to NULL, or with err. A timeout means that the outcome is
 * unknown. On -1 done is not called. */
int link_call(struct link *link, Wire__Envelope *request, uint32_t timeout_ms,
              void (*done)(void *arg, Wire__Envelope **reply, const struct err *err), void *arg,
              struct err *err);

#endif
