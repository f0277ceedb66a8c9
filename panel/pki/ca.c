/* The panel's own certificate authority. See ca.h.
 *
 * DIR/pki/ca.key and ca.crt are written once, key first: a key without certificate is simply
 * certified at the next start. Losing them means that every node must join again, so a
 * certificate without its key is an error for a person, never replaced. */
#include "panel/pki/ca.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/pki.h"

#define CA_DAYS    7300u
#define PANEL_DAYS 365u
#define PEM_MAX    16384

struct ca {
    char *key;
    char *cert;
};

/* Read the file; where it is absent, 1. */
static int read_optional(const char *path, char **ret_text, struct err *err)
{
    struct err why = {0};
    if (fs_read(path, PEM_MAX, ret_text, NULL, &why) == 0)
        return 0;
    if (why.code == ERR_NOT_FOUND)
        return 1;
    if (err)
        *err = why;
    return -1;
}

static int load_key(struct ca *ca, const char *path, struct err *err)
{
    int absent = read_optional(path, &ca->key, err);
    if (absent <= 0)
        return absent;
    if (pki_key_create(&ca->key, err) < 0)
        return -1;
    return fs_write_atomic(path, ca->key, strlen(ca->key), 0600, err);
}

static int load_cert(struct ca *ca, const char *path, const char *panel_id, struct err *err)
{
    int absent = read_optional(path, &ca->cert, err);
    if (absent < 0)
        return -1;
    if (!absent)
        return pki_check_pair(ca->key, ca->cert, err) < 0
                   ? err_wrap(err, "%s doesn't belong to the key beside it; restore both", path)
                   : 0;
    char name[64];
    snprintf(name, sizeof(name), "panel-%s", panel_id);
    if (pki_ca_create(ca->key, name, CA_DAYS, &ca->cert, err) < 0)
        return -1;
    return fs_write_atomic(path, ca->cert, strlen(ca->cert), 0600, err);
}

int ca_open(const char *dir, const char *panel_id, struct ca **ret_ca, struct err *err)
{
    auto_free char *folder = fs_join(dir, "pki");
    auto_free char *key_path = folder ? fs_join(folder, "ca.key") : NULL;
    auto_free char *cert_path = folder ? fs_join(folder, "ca.crt") : NULL;
    struct ca *ca = calloc(1, sizeof(*ca));
    if (!ca || !key_path || !cert_path) {
        free(ca);
        return err_nomem(err);
    }
    if (fs_make_dir(folder, 0700, err) < 0 || load_key(ca, key_path, err) < 0 ||
        load_cert(ca, cert_path, panel_id, err) < 0) {
        ca_close(ca);
        return err_wrap(err, "can't open the certificate authority");
    }
    *ret_ca = ca;
    return 0;
}

void ca_close(struct ca *ca)
{
    if (!ca)
        return;
    if (ca->key)
        crypto_wipe(ca->key, strlen(ca->key));
    free(ca->key);
    free(ca->cert);
    free(ca);
}

const char *ca_certificate(const struct ca *ca)
{
    return ca->cert;
}

int ca_sign_agent(const struct ca *ca, const char *csr_pem, const char *node_id,
                  char **ret_cert_pem, struct err *err)
{
    return pki_sign_seconds(ca->key, ca->cert, csr_pem, node_id, PKI_SERVER, CA_AGENT_SECONDS,
                            ret_cert_pem, err);
}

int ca_issue_panel(const struct ca *ca, char **ret_key_pem, char **ret_cert_pem, struct err *err)
{
    auto_free char *key = NULL;
    auto_free char *csr = NULL;
    if (pki_key_create(&key, err) < 0 || pki_csr_create(key, "panel", &csr, err) < 0 ||
        pki_sign(ca->key, ca->cert, csr, "panel", PKI_CLIENT, PANEL_DAYS, ret_cert_pem, err) < 0)
        return -1;
    *ret_key_pem = steal_ptr(key);
    return 0;
}
