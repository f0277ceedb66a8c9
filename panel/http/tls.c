/* HTTPS's certificate. See tls.h. */
#include "panel/http/tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"

#define CHAIN_MAX 16u

struct tls_pair {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t *chain; /* the certificate first */
    unsigned count;
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER; /* of in_force */
static struct tls_pair *in_force;

static int fail(struct err *err, int rc, const char *reason, const char *what)
{
    if (rc == GNUTLS_E_MEMORY_ERROR)
        return err_nomem(err);
    return err_set(err, ERR_INVALID, reason, "%s (%s)", what, gnutls_strerror(rc));
}

/* --- a pair ---------------------------------------------------------------------------------- */

void tls_pair_destroy(struct tls_pair *pair)
{
    if (!pair)
        return;
    for (unsigned i = 0; i < pair->count; i++)
        gnutls_x509_crt_deinit(pair->chain[i]);
    gnutls_free(pair->chain);
    if (pair->key)
        gnutls_x509_privkey_deinit(pair->key);
    free(pair);
}

static gnutls_datum_t datum_of(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

static int read_chain(struct tls_pair *pair, const char *pem, struct err *err)
{
    gnutls_datum_t text = datum_of(pem);
    int rc = gnutls_x509_crt_list_import2(&pair->chain, &pair->count, &text, GNUTLS_X509_FMT_PEM,
                                          GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
    if (rc < 0)
        return fail(err, rc, "bad_certificate", "it holds no certificates that follow each other");
    if (pair->count > CHAIN_MAX)
        return err_set(err, ERR_INVALID, "bad_certificate",
                       "it holds %u certificates, of at most %u", pair->count, CHAIN_MAX);
    return 0;
}

static int read_key(struct tls_pair *pair, const char *pem, struct err *err)
{
    gnutls_datum_t text = datum_of(pem);
    int rc = gnutls_x509_privkey_init(&pair->key);
    if (rc == 0)
        rc = gnutls_x509_privkey_import2(pair->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
    return rc < 0 ? fail(err, rc, "bad_key", "it holds no key that can be read") : 0;
}

static int check_match(const struct tls_pair *pair, struct err *err)
{
    unsigned char of_key[64];
    unsigned char of_cert[64];
    size_t key_len = sizeof(of_key);
    size_t cert_len = sizeof(of_cert);
    int rc = gnutls_x509_privkey_get_key_id(pair->key, GNUTLS_KEYID_USE_SHA256, of_key, &key_len);
    if (rc == 0)
        rc =
            gnutls_x509_crt_get_key_id(pair->chain[0], GNUTLS_KEYID_USE_SHA256, of_cert, &cert_len);
    if (rc < 0)
        return fail(err, rc, "bad_key", "its kind of key can't be used");
    if (key_len != cert_len || memcmp(of_key, of_cert, key_len) != 0)
        return err_set(err, ERR_INVALID, "not_a_pair",
                       "it is the key of another certificate than that in tlsCert");
    return 0;
}

int tls_pair_create(const char *cert_pem, const char *key_pem, struct tls_pair **ret_pair,
                    struct err *err)
{
    struct tls_pair *pair = calloc(1, sizeof(*pair));
    if (!pair)
        return err_nomem(err);
    if (read_chain(pair, cert_pem, err) < 0 || read_key(pair, key_pem, err) < 0 ||
        check_match(pair, err) < 0) {
        tls_pair_destroy(pair);
        return -1;
    }
    *ret_pair = pair;
    return 0;
}

/* The certificate says which key: equal chains are equal pairs. */
bool tls_pair_equal(const struct tls_pair *a, const struct tls_pair *b)
{
    if (!a || !b || a->count != b->count)
        return a == b;
    for (unsigned i = 0; i < a->count; i++) {
        if (!gnutls_x509_crt_equals(a->chain[i], b->chain[i]))
            return false;
    }
    return true;
}

int64_t tls_pair_not_before(const struct tls_pair *pair)
{
    return gnutls_x509_crt_get_activation_time(pair->chain[0]);
}

int64_t tls_pair_not_after(const struct tls_pair *pair)
{
    return gnutls_x509_crt_get_expiration_time(pair->chain[0]);
}

/* --- handshakes ------------------------------------------------------------------------------ */

bool tls_use(struct tls_pair *take_pair)
{
    pthread_rwlock_wrlock(&lock);
    struct tls_pair *old = in_force;
    in_force = take_pair;
    pthread_rwlock_unlock(&lock);
    bool changed = !tls_pair_equal(old, take_pair);
    tls_pair_destroy(old);
    return changed;
}

int64_t tls_not_after(void)
{
    pthread_rwlock_rdlock(&lock);
    int64_t at = in_force ? tls_pair_not_after(in_force) : 0;
    pthread_rwlock_unlock(&lock);
    return at;
}

static int copy_chain(const struct tls_pair *pair, gnutls_pcert_st **ret)
{
    gnutls_pcert_st *copies = gnutls_calloc(pair->count, sizeof(*copies));
    if (!copies)
        return GNUTLS_E_MEMORY_ERROR;
    for (unsigned i = 0; i < pair->count; i++) {
        int rc = gnutls_pcert_import_x509(&copies[i], pair->chain[i], 0);
        if (rc < 0) {
            while (i-- > 0)
                gnutls_pcert_deinit(&copies[i]);
            gnutls_free(copies);
            return rc;
        }
    }
    *ret = copies;
    return 0;
}

static int copy_key(const struct tls_pair *pair, gnutls_privkey_t *ret)
{
    gnutls_privkey_t key;
    int rc = gnutls_privkey_init(&key);
    if (rc < 0)
        return rc;
    rc = gnutls_privkey_import_x509(key, pair->key, GNUTLS_PRIVKEY_IMPORT_COPY);
    if (rc < 0)
        gnutls_privkey_deinit(key);
    else
        *ret = key;
    return rc;
}

static int on_handshake(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                        gnutls_pcert_st **certs, unsigned *count, gnutls_ocsp_data_st **ocsp,
                        unsigned *ocsp_count, gnutls_privkey_t *key, unsigned *flags)
{
    (void)session;
    (void)info;
    int rc = GNUTLS_E_NO_CERTIFICATE_FOUND;
    *ocsp = NULL;
    *ocsp_count = 0;
    pthread_rwlock_rdlock(&lock);
    if (in_force)
        rc = copy_key(in_force, key);
    if (rc == 0 && (rc = copy_chain(in_force, certs)) < 0)
        gnutls_privkey_deinit(*key);
    if (rc == 0)
        *count = in_force->count;
    pthread_rwlock_unlock(&lock);
    *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    return rc;
}

void *tls_callback(void)
{
    return (void *)(uintptr_t)on_handshake;
}
