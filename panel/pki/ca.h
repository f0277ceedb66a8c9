/* The panel's own certificate authority, kept in DIR/pki (0700): made at the first start.
 *
 * It signs agents as servers and the panel itself as client; see common/pki.h for how the two
 * are kept apart. Any thread. */
#ifndef PANEL_PKI_CA_H
#define PANEL_PKI_CA_H

#include "common/err.h"
#include "common/failpoint.h"

struct ca;

/* How long an agent's certificate lives, and how long before its end it is renewed. */
#define CA_AGENT_SECONDS HURRIED(90u * 24 * 3600)
#define CA_RENEW_SECONDS HURRIED(30u * 24 * 3600)

int ca_open(const char *dir, const char *panel_id, struct ca **ret_ca, struct err *err);
void ca_close(struct ca *ca);

/* The CA's certificate, PEM; lives as long as ca. */
const char *ca_certificate(const struct ca *ca);

/* An agent's certificate for its request; the caller frees it. ERR_INVALID "bad_csr". */
int ca_sign_agent(const struct ca *ca, const char *csr_pem, const char *node_id,
                  char **ret_cert_pem, struct err *err);

/* A fresh key and client certificate of the panel; the caller frees (and wipes) both. */
int ca_issue_panel(const struct ca *ca, char **ret_key_pem, char **ret_cert_pem, struct err *err);

#endif
