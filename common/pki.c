/* Keys and certificates with mbedTLS 2.28. See pki.h.
 *
 * Every function makes its own random generator and contexts and releases them at one label
 * each: nothing is shared, so there is no lock. Certificates start a day back, because clocks
 * of nodes differ. */
#include "common/pki.h"

#include <mbedtls/asn1write.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/crypto.h"

#define PEM_MAX 8192
#define DAY_S   86400

static int draw_random(void *unused, unsigned char *out, size_t len)
{
    (void)unused;
    crypto_random(out, len);
    return 0;
}

/* An error is a module's own, a low-level one, or the sum of both (mbedtls/error.h). */
static bool is_out_of_memory(int rc)
{
    static const int whole[] = {MBEDTLS_ERR_X509_ALLOC_FAILED, MBEDTLS_ERR_PEM_ALLOC_FAILED,
                                MBEDTLS_ERR_PK_ALLOC_FAILED, MBEDTLS_ERR_MD_ALLOC_FAILED,
                                MBEDTLS_ERR_ECP_ALLOC_FAILED};
    int low = -(-rc & 0x7f);
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        if (rc - low == whole[i])
            return true;
    }
    return low == MBEDTLS_ERR_ASN1_ALLOC_FAILED || low == MBEDTLS_ERR_MPI_ALLOC_FAILED;
}

static int fail(struct err *err, enum err_code code, const char *reason, const char *what, int rc)
{
    if (is_out_of_memory(rc))
        return err_nomem(err);
    char text[128];
    mbedtls_strerror(rc, text, sizeof(text));
    return err_set(err, code, reason, "%s: %s", what, text);
}

static int dup_pem(const unsigned char *pem, char **ret, struct err *err)
{
    *ret = strdup((const char *)pem);
    return *ret ? 0 : err_nomem(err);
}

static int parse_key(mbedtls_pk_context *key, const char *pem)
{
    return mbedtls_pk_parse_key(key, (const unsigned char *)pem, strlen(pem) + 1, NULL, 0);
}

int pki_key_create(char **ret_key_pem, struct err *err)
{
    mbedtls_pk_context key;
    unsigned char pem[PEM_MAX];
    mbedtls_pk_init(&key);
    int rc = mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (!rc)
        rc = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), draw_random, NULL);
    if (!rc)
        rc = mbedtls_pk_write_key_pem(&key, pem, sizeof(pem));
    mbedtls_pk_free(&key);
    int ret = rc ? fail(err, ERR_INTERNAL, "no_key", "can't make a key", rc)
                 : dup_pem(pem, ret_key_pem, err);
    crypto_wipe(pem, sizeof(pem));
    return ret;
}

int pki_csr_create(const char *key_pem, const char *common_name, char **ret_csr_pem,
                   struct err *err)
{
    mbedtls_pk_context key;
    mbedtls_x509write_csr csr;
    unsigned char pem[PEM_MAX];
    char subject[128];
    snprintf(subject, sizeof(subject), "CN=%s", common_name);
    mbedtls_pk_init(&key);
    mbedtls_x509write_csr_init(&csr);
    int rc = parse_key(&key, key_pem);
    if (!rc) {
        mbedtls_x509write_csr_set_md_alg(&csr, MBEDTLS_MD_SHA256);
        mbedtls_x509write_csr_set_key(&csr, &key);
        rc = mbedtls_x509write_csr_set_subject_name(&csr, subject);
    }
    if (!rc)
        rc = mbedtls_x509write_csr_pem(&csr, pem, sizeof(pem), draw_random, NULL);
    mbedtls_x509write_csr_free(&csr);
    mbedtls_pk_free(&key);
    return rc ? fail(err, ERR_INTERNAL, "no_csr", "can't make a certificate request", rc)
              : dup_pem(pem, ret_csr_pem, err);
}

static int set_validity(mbedtls_x509write_cert *crt, int64_t seconds)
{
    char from[32];
    char to[32];
    time_t now = time(NULL);
    time_t start = now - DAY_S;
    time_t end = now + (time_t)seconds;
    struct tm tm;
    gmtime_r(&start, &tm);
    strftime(from, sizeof(from), "%Y%m%d%H%M%S", &tm);
    gmtime_r(&end, &tm);
    strftime(to, sizeof(to), "%Y%m%d%H%M%S", &tm);
    return mbedtls_x509write_crt_set_validity(crt, from, to);
}

static int set_serial(mbedtls_x509write_cert *crt)
{
    unsigned char bytes[16];
    crypto_random(bytes, sizeof(bytes));
    bytes[0] &= 0x7f; /* RFC 5280 4.1.2.2: positive */
    mbedtls_mpi serial;
    mbedtls_mpi_init(&serial);
    int rc = mbedtls_mpi_read_binary(&serial, bytes, sizeof(bytes));
    if (!rc)
        rc = mbedtls_x509write_crt_set_serial(crt, &serial);
    mbedtls_mpi_free(&serial);
    return rc;
}

/* mbedTLS 2.28 has no call for extended key usage: SEQUENCE OF one OID, written by hand. */
static int set_extended_usage(mbedtls_x509write_cert *crt, enum pki_role role)
{
    const char *oid = role == PKI_SERVER ? MBEDTLS_OID_SERVER_AUTH : MBEDTLS_OID_CLIENT_AUTH;
    size_t oid_len = role == PKI_SERVER ? MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)
                                        : MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH);
    unsigned char der[32];
    unsigned char *p = der + sizeof(der);
    int len = mbedtls_asn1_write_oid(&p, der, oid, oid_len);
    if (len < 0)
        return len;
    int head = mbedtls_asn1_write_len(&p, der, (size_t)len);
    if (head < 0)
        return head;
    int tag = mbedtls_asn1_write_tag(&p, der, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
    if (tag < 0)
        return tag;
    return mbedtls_x509write_crt_set_extension(crt, MBEDTLS_OID_EXTENDED_KEY_USAGE,
                                               MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 1,
                                               p, (size_t)(len + head + tag));
}

/* subjectAltName with one dNSName: GeneralNames ::= SEQUENCE OF [2] IA5String. */
static int set_dns_name(mbedtls_x509write_cert *crt, const char *name)
{
    unsigned char der[128];
    size_t len = strlen(name);
    if (len > 64)
        return MBEDTLS_ERR_X509_BAD_INPUT_DATA;
    der[0] = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    der[1] = (unsigned char)(len + 2);
    der[2] = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2;
    der[3] = (unsigned char)len;
    memcpy(der + 4, name, len);
    return mbedtls_x509write_crt_set_extension(crt, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                               MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
                                               der, len + 4);
}

static int set_role(mbedtls_x509write_cert *crt, enum pki_role role, const char *name)
{
    int rc =
        mbedtls_x509write_crt_set_basic_constraints(crt, role == PKI_CA, role == PKI_CA ? 0 : -1);
    if (!rc && role == PKI_CA)
        return mbedtls_x509write_crt_set_key_usage(crt, MBEDTLS_X509_KU_KEY_CERT_SIGN |
                                                            MBEDTLS_X509_KU_CRL_SIGN);
    if (!rc)
        rc = mbedtls_x509write_crt_set_key_usage(crt, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    if (!rc)
        rc = set_extended_usage(crt, role);
    if (!rc && role == PKI_SERVER)
        rc = set_dns_name(crt, name);
    return rc;
}

static int write_cert(mbedtls_pk_context *subject_key, mbedtls_pk_context *issuer_key,
                      const char *subject, const char *issuer, enum pki_role role, int64_t seconds,
                      char **ret_cert_pem, struct err *err)
{
    mbedtls_x509write_cert crt;
    unsigned char pem[PEM_MAX];
    char subject_dn[128];
    char issuer_dn[128];
    snprintf(subject_dn, sizeof(subject_dn), "CN=%s", subject);
    snprintf(issuer_dn, sizeof(issuer_dn), "CN=%s", issuer);
    mbedtls_x509write_crt_init(&crt);
    mbedtls_x509write_crt_set_version(&crt, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&crt, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&crt, subject_key);
    mbedtls_x509write_crt_set_issuer_key(&crt, issuer_key);
    int rc = mbedtls_x509write_crt_set_subject_name(&crt, subject_dn);
    if (!rc)
        rc = mbedtls_x509write_crt_set_issuer_name(&crt, issuer_dn);
    if (!rc)
        rc = set_serial(&crt);
    if (!rc)
        rc = set_validity(&crt, seconds);
    if (!rc)
        rc = set_role(&crt, role, subject);
    if (!rc)
        rc = mbedtls_x509write_crt_pem(&crt, pem, sizeof(pem), draw_random, NULL);
    mbedtls_x509write_crt_free(&crt);
    return rc ? fail(err, ERR_INTERNAL, "no_certificate", "can't make a certificate", rc)
              : dup_pem(pem, ret_cert_pem, err);
}

int pki_ca_create(const char *key_pem, const char *common_name, uint32_t days, char **ret_cert_pem,
                  struct err *err)
{
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    int ret;
    int rc = parse_key(&key, key_pem);
    if (rc)
        ret = fail(err, ERR_INVALID, "bad_key", "can't read the CA's key", rc);
    else
        ret = write_cert(&key, &key, common_name, common_name, PKI_CA, (int64_t)days * DAY_S,
                         ret_cert_pem, err);
    mbedtls_pk_free(&key);
    return ret;
}

/* The CN, which is all that our names consist of. */
static int common_name(const mbedtls_x509_name *name, char *out, size_t size)
{
    for (const mbedtls_x509_name *n = name; n; n = n->next) {
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0 && n->val.len < size) {
            memcpy(out, n->val.p, n->val.len);
            out[n->val.len] = '\0';
            return 0;
        }
    }
    return MBEDTLS_ERR_X509_INVALID_NAME;
}

static int read_name(const char *cert_pem, bool of_issuer, char *out, size_t size, struct err *err)
{
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);
    int rc = mbedtls_x509_crt_parse(&crt, (const unsigned char *)cert_pem, strlen(cert_pem) + 1);
    if (!rc)
        rc = common_name(of_issuer ? &crt.issuer : &crt.subject, out, size);
    mbedtls_x509_crt_free(&crt);
    return rc ? fail(err, ERR_INVALID, "bad_certificate", "can't read the certificate's names", rc)
              : 0;
}

int pki_subject(const char *cert_pem, char *out, size_t size, struct err *err)
{
    return read_name(cert_pem, false, out, size, err);
}

int pki_issuer(const char *cert_pem, char *out, size_t size, struct err *err)
{
    return read_name(cert_pem, true, out, size, err);
}

int pki_check_bundle(const char *bundle_pem, struct err *err)
{
    mbedtls_x509_crt all;
    unsigned count = 0;
    bool fits = true;
    mbedtls_x509_crt_init(&all);
    int rc =
        mbedtls_x509_crt_parse(&all, (const unsigned char *)bundle_pem, strlen(bundle_pem) + 1);
    for (const mbedtls_x509_crt *crt = &all; !rc && crt; crt = crt->next) {
        fits = fits && crt->ca_istrue;
        count++;
    }
    mbedtls_x509_crt_free(&all);
    if (rc < 0)
        return fail(err, ERR_INVALID, "bad_bundle", "can't read the CA's certificates", rc);
    return !rc && fits && count <= PKI_BUNDLE_MAX
               ? 0
               : err_set(err, ERR_INVALID, "bad_bundle",
                         "these must be 1 to %d certificates, all of a CA", PKI_BUNDLE_MAX);
}

/* The request must prove that its maker has the key. */
static int check_request(mbedtls_x509_csr *csr)
{
    unsigned char hash[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(csr->sig_md);
    if (!md)
        return MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG;
    int rc = mbedtls_md(md, csr->cri.p, csr->cri.len, hash);
    return rc ? rc
              : mbedtls_pk_verify_ext(csr->sig_pk, csr->sig_opts, &csr->pk, csr->sig_md, hash,
                                      mbedtls_md_get_size(md), csr->sig.p, csr->sig.len);
}

int pki_sign(const char *ca_key_pem, const char *ca_cert_pem, const char *csr_pem, const char *name,
             enum pki_role role, uint32_t days, char **ret_cert_pem, struct err *err)
{
    return pki_sign_seconds(ca_key_pem, ca_cert_pem, csr_pem, name, role, days * DAY_S,
                            ret_cert_pem, err);
}

int pki_sign_seconds(const char *ca_key_pem, const char *ca_cert_pem, const char *csr_pem,
                     const char *name, enum pki_role role, uint32_t seconds, char **ret_cert_pem,
                     struct err *err)
{
    mbedtls_pk_context ca_key;
    mbedtls_x509_crt ca_cert;
    mbedtls_x509_csr csr;
    char issuer[128];
    int ret = -1;
    mbedtls_pk_init(&ca_key);
    mbedtls_x509_crt_init(&ca_cert);
    mbedtls_x509_csr_init(&csr);
    int rc = mbedtls_x509_csr_parse(&csr, (const unsigned char *)csr_pem, strlen(csr_pem) + 1);
    if (rc) {
        fail(err, ERR_INVALID, "bad_csr", "can't read the certificate request", rc);
        goto out;
    }
    if (!mbedtls_pk_can_do(&csr.pk, MBEDTLS_PK_ECKEY) || mbedtls_pk_get_bitlen(&csr.pk) != 256) {
        err_set(err, ERR_INVALID, "bad_csr", "the request's key must be EC P-256");
        goto out;
    }
    rc = check_request(&csr);
    if (rc) {
        fail(err, ERR_INVALID, "bad_csr", "the certificate request's signature is wrong", rc);
        goto out;
    }
    rc = parse_key(&ca_key, ca_key_pem);
    if (!rc)
        rc = mbedtls_x509_crt_parse(&ca_cert, (const unsigned char *)ca_cert_pem,
                                    strlen(ca_cert_pem) + 1);
    if (!rc)
        rc = common_name(&ca_cert.subject, issuer, sizeof(issuer));
    if (rc) {
        fail(err, ERR_INTERNAL, "bad_ca", "can't read the CA", rc);
        goto out;
    }
    ret = write_cert(&csr.pk, &ca_key, name, issuer, role, seconds, ret_cert_pem, err);
out:
    mbedtls_x509_csr_free(&csr);
    mbedtls_x509_crt_free(&ca_cert);
    mbedtls_pk_free(&ca_key);
    return ret;
}

int pki_check_pair(const char *key_pem, const char *cert_pem, struct err *err)
{
    mbedtls_pk_context key;
    mbedtls_x509_crt crt;
    mbedtls_pk_init(&key);
    mbedtls_x509_crt_init(&crt);
    int rc = parse_key(&key, key_pem);
    if (!rc)
        rc = mbedtls_x509_crt_parse(&crt, (const unsigned char *)cert_pem, strlen(cert_pem) + 1);
    if (!rc)
        rc = mbedtls_pk_check_pair(&crt.pk, &key);
    mbedtls_x509_crt_free(&crt);
    mbedtls_pk_free(&key);
    return rc ? fail(err, ERR_INVALID, "bad_pair", "certificate and key don't belong together", rc)
              : 0;
}

int64_t pki_not_after(const char *cert_pem, struct err *err)
{
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);
    int64_t when = -1;
    int rc = mbedtls_x509_crt_parse(&crt, (const unsigned char *)cert_pem, strlen(cert_pem) + 1);
    if (rc) {
        fail(err, ERR_INVALID, "bad_certificate", "can't read the certificate", rc);
    } else {
        struct tm tm = {.tm_year = crt.valid_to.year - 1900,
                        .tm_mon = crt.valid_to.mon - 1,
                        .tm_mday = crt.valid_to.day,
                        .tm_hour = crt.valid_to.hour,
                        .tm_min = crt.valid_to.min,
                        .tm_sec = crt.valid_to.sec};
        when = timegm(&tm);
    }
    mbedtls_x509_crt_free(&crt);
    return when;
}
