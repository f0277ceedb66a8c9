/* The panel's own certificate authority, kept in DIR/pki (0700): made at the first start.
 *
 * It signs agents as servers and the panel itself as client; see common/pki.h for how the two
 * are kept apart.
 *
 * It can be changed for another while nodes stay joined. Between ca_rotate() and ca_retire() there
 * are two: what nodes are to trust is the bundle of both, agents are signed by the new one, and the
 * panel still shows itself with the old one's certificate, which every node accepts. So the fleet
 * can move node by node (panel/fleet/renewal.c), and nothing depends on when. Any thread. */
#ifndef PANEL_PKI_CA_H
#define PANEL_PKI_CA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/failpoint.h"

struct ca;

/* How long an agent's certificate lives, and how long before its end it is renewed. */
#define CA_AGENT_SECONDS HURRIED(90u * 24 * 3600)
#define CA_RENEW_SECONDS HURRIED(30u * 24 * 3600)

#define CA_NAME_SIZE 65

/* Finishes what a crash broke off. */
int ca_open(const char *dir, const char *panel_id, struct ca **ret_ca, struct err *err);
void ca_close(struct ca *ca);

/* What the panel and its nodes trust: one certificate, or both, PEM; the caller frees it. NULL
 * without memory. */
char *ca_bundle(struct ca *ca);

/* Changes with everything below. */
struct ca_state {
    bool rotating;
    uint32_t changes;                 /* how often it has changed since it was opened */
    char signer[CA_NAME_SIZE];        /* whose name agents' new certificates carry */
    char bundle_digest[CA_NAME_SIZE]; /* SHA-256 of the bundle, as hex */
};
void ca_look(struct ca *ca, struct ca_state *ret_state);

/* An agent's certificate for its request; the caller frees it. ERR_INVALID "bad_csr". */
int ca_sign_agent(struct ca *ca, const char *csr_pem, const char *node_id, char **ret_cert_pem,
                  struct err *err);

/* A fresh key and client certificate of the panel; the caller frees (and wipes) both. */
int ca_issue_panel(struct ca *ca, char **ret_key_pem, char **ret_cert_pem, struct err *err);

/* Begin with a new one beside the old. Durable when it returns. ERR_CONFLICT "rotating" when that
 * has begun already. */
int ca_rotate(struct ca *ca, struct err *err);

/* End the old one, for good. Durable when it returns. ERR_CONFLICT "not_rotating" when there is
 * only one. */
int ca_retire(struct ca *ca, struct err *err);

#endif
