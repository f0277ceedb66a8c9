/* The certificate that HTTPS is served with, and its change while connections go on.
 *
 * One pair is in force for the whole process, for GnuTLS asks by a callback that carries nothing of
 * the server's. A handshake takes copies of it, which GnuTLS frees: so a pair may be replaced and
 * destroyed at any moment, and a connection keeps the certificate that it began with. Any thread.
 * Only tls.c includes GnuTLS. */
#ifndef PANEL_HTTP_TLS_H
#define PANEL_HTTP_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct tls_pair;

/* A certificate, its chain behind it, and its key, as PEM. ERR_INVALID "bad_certificate",
 * "bad_key" or "not_a_pair". */
int tls_pair_create(const char *cert_pem, const char *key_pem, struct tls_pair **ret_pair,
                    struct err *err);
void tls_pair_destroy(struct tls_pair *pair);
bool tls_pair_equal(const struct tls_pair *a, const struct tls_pair *b);
/* When its certificate is valid, in seconds since 1970. */
int64_t tls_pair_not_before(const struct tls_pair *pair);
int64_t tls_pair_not_after(const struct tls_pair *pair);

/* From now on handshakes get this one; NULL: none may begin. True: it is another than before. */
bool tls_use(struct tls_pair *take_pair);
/* tls_pair_not_after() of the one in force; 0: there is none. */
int64_t tls_not_after(void);

/* What libmicrohttpd is to call: a gnutls_certificate_retrieve_function3. */
void *tls_callback(void);

#endif
