/* Who this node is: what joining left in the state folder, and what renews itself there.
 *
 *   identity.json  panelId, nodeId, address, port, listen,    written last: its presence is
 *                  panelUrl, panelCa                          "has joined"
 *   agent.key      the node's private key, 0600
 *   agent.crt      the node's certificate
 *   ca.crt         whom the panel's certificate must come from
 *   agent.key.next the key of a renewal under way
 *   epoch          the highest start of the panel seen
 *
 * One thread; calls block on the disk for a moment. The struct owns its texts. */
#ifndef AGENT_IDENTITY_H
#define AGENT_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct identity {
    char *dir; /* absolute */
    char *panel_id;
    char *panel_url; /* where it joined, for the doctor; NULL: an agent of before 0.1 did it */
    char *panel_ca;  /* by whose certificates its HTTPS is trusted, PEM; NULL: the system's */
    char *node_id;
    char *address;
    char *port;
    char *listen;
    char *key;
    char *cert;
    char *ca;
    char *next_key;   /* NULL when no renewal is under way */
    bool promote_due; /* the key in use still lies in agent.key.next */
    int64_t cert_not_after;
    char cert_issuer[65]; /* who signed it, by common name */
    char ca_digest[65];   /* SHA-256 of ca, in hex */
    uint64_t epoch;
    bool epoch_due; /* it isn't on disk yet */
};

/* ERR_NOT_FOUND when the node hasn't joined. Heals a renewal that a crash broke off. */
int identity_load(const char *dir, struct identity *ret_identity, struct err *err);
/* Write all of it, from a filled struct. */
int identity_store(const struct identity *identity, struct err *err);
void identity_fini(struct identity *identity);

/* Remember a higher epoch, on disk as well; where that fails, in memory, with epoch_due set. */
int identity_raise_epoch(struct identity *identity, uint64_t epoch, struct err *err);

/* A request for a new certificate with a new key, for the caller to free. Asked again before the
 * certificate came, it is for the same key. */
int identity_begin_renewal(struct identity *identity, char **ret_csr, struct err *err);
/* Take the certificate for that key into use. Fails with no effect when it doesn't fit. Installing
 * the present one again is success; *ret_changed tells. */
int identity_install(struct identity *identity, const char *cert, bool *ret_changed,
                     struct err *err);

/* Trust these CAs from now on, and no others. Fails with no effect when they can't be used. */
int identity_install_ca(struct identity *identity, const char *ca, bool *ret_changed,
                        struct err *err);

#endif
