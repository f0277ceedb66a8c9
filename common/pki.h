/* Keys and certificates: EC P-256 made, requested and signed with mbedTLS. All as PEM text.
 *
 * Roles are told apart by extended key usage: an agent's certificate is serverAuth only, the
 * panel's clientAuth only, so a stolen agent key can't speak as the panel. The name a
 * certificate is for stands in its CN and, for servers, as DNS subjectAltName.
 * Every returned string is the caller's to free(). Any thread; the calls block on CPU only. */
#ifndef COMMON_PKI_H
#define COMMON_PKI_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum pki_role { PKI_CA, PKI_SERVER, PKI_CLIENT };

/* A fresh private key, PEM. */
int pki_key_create(char **ret_key_pem, struct err *err);

/* A PKCS#10 request for common_name, signed with the key. */
int pki_csr_create(const char *key_pem, const char *common_name, char **ret_csr_pem,
                   struct err *err);

/* A self-signed CA certificate for the key. */
int pki_ca_create(const char *key_pem, const char *common_name, uint32_t days, char **ret_cert_pem,
                  struct err *err);

/* Sign a request. Its own subject is ignored: the certificate is for name, in role, from a day
 * ago for days. ERR_INVALID "bad_csr" when the request can't be used. */
int pki_sign(const char *ca_key_pem, const char *ca_cert_pem, const char *csr_pem, const char *name,
             enum pki_role role, uint32_t days, char **ret_cert_pem, struct err *err);

/* The same for a time in seconds. */
int pki_sign_seconds(const char *ca_key_pem, const char *ca_cert_pem, const char *csr_pem,
                     const char *name, enum pki_role role, uint32_t seconds, char **ret_cert_pem,
                     struct err *err);

/* Does the certificate belong to the key? ERR_INVALID when it doesn't. */
int pki_check_pair(const char *key_pem, const char *cert_pem, struct err *err);

/* Are these one to PKI_BUNDLE_MAX certificates of CAs? ERR_INVALID when they aren't. */
#define PKI_BUNDLE_MAX 4
int pki_check_bundle(const char *bundle_pem, struct err *err);

/* The common names of whom the (first) certificate is for, and of who signed it. ERR_INVALID when
 * it has none that fits. */
int pki_subject(const char *cert_pem, char *out, size_t size, struct err *err);
int pki_issuer(const char *cert_pem, char *out, size_t size, struct err *err);

/* End of validity, seconds since 1970; -1 with err set when it can't be read. */
int64_t pki_not_after(const char *cert_pem, struct err *err);

#endif
