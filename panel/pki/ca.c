/* The panel's own certificate authority. See ca.h.
 *
 * DIR/pki/ca.key and ca.crt are written once, key first: a key without certificate is simply
 * certified at the next start. Losing them means that every node must join again, so a
 * certificate without its key is an error for a person, never replaced.
 *
 * next.key and next.crt are the new one of a rotation, which has begun once next.crt is there. It
 * ends with a file "retire": from then on the old one is given up, whatever happens, and what is
 * left of the renames is done at the next start. */
#include "panel/pki/ca.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/pki.h"
#include "common/strbuf.h"

#define CA_DAYS    7300u
#define PANEL_DAYS 365u
#define PEM_MAX    16384
#define SUFFIX_LEN 8

struct authority {
    char *key;
    char *cert;
    char name[CA_NAME_SIZE];
};

struct ca {
    char *folder;
    char *panel_id;
    pthread_mutex_t lock; /* of what is below */
    struct authority now;
    struct authority next; /* key NULL: there is none */
    uint32_t changes;
    char digest[CRYPTO_HEX_LEN + 1]; /* of the bundle */
};

static void authority_fini(struct authority *authority)
{
    if (authority->key)
        crypto_wipe(authority->key, strlen(authority->key));
    free(authority->key);
    free(authority->cert);
    *authority = (struct authority){0};
}

/* --- files ----------------------------------------------------------------------------------- */

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

static int write_file(const struct ca *ca, const char *name, const char *text, struct err *err)
{
    auto_free char *path = fs_join(ca->folder, name);
    return path ? fs_write_atomic(path, text, strlen(text), 0600, err) : err_nomem(err);
}

static int load_key(struct authority *authority, const char *path, struct err *err)
{
    int absent = read_optional(path, &authority->key, err);
    if (absent <= 0)
        return absent;
    if (pki_key_create(&authority->key, err) < 0)
        return -1;
    return fs_write_atomic(path, authority->key, strlen(authority->key), 0600, err);
}

static int load_cert(struct authority *authority, const char *path, const char *name,
                     struct err *err)
{
    int absent = read_optional(path, &authority->cert, err);
    if (absent < 0)
        return -1;
    if (!absent)
        return pki_check_pair(authority->key, authority->cert, err) < 0
                   ? err_wrap(err, "%s doesn't belong to the key beside it; restore both", path)
                   : 0;
    if (pki_ca_create(authority->key, name, CA_DAYS, &authority->cert, err) < 0)
        return -1;
    return fs_write_atomic(path, authority->cert, strlen(authority->cert), 0600, err);
}

static int load_now(struct ca *ca, struct err *err)
{
    auto_free char *key_path = fs_join(ca->folder, "ca.key");
    auto_free char *cert_path = fs_join(ca->folder, "ca.crt");
    char name[CA_NAME_SIZE];
    snprintf(name, sizeof(name), "panel-%s", ca->panel_id);
    if (!key_path || !cert_path)
        return err_nomem(err);
    if (load_key(&ca->now, key_path, err) < 0 || load_cert(&ca->now, cert_path, name, err) < 0)
        return -1;
    return pki_subject(ca->now.cert, ca->now.name, sizeof(ca->now.name), err);
}

/* A key alone is a rotation that never began; the next one takes its place. */
static int load_next(struct ca *ca, struct err *err)
{
    auto_free char *key_path = fs_join(ca->folder, "next.key");
    auto_free char *cert_path = fs_join(ca->folder, "next.crt");
    if (!key_path || !cert_path)
        return err_nomem(err);
    int absent = read_optional(cert_path, &ca->next.cert, err);
    if (absent)
        return absent < 0 ? -1 : 0;
    if (fs_read(key_path, PEM_MAX, &ca->next.key, NULL, err) < 0 ||
        pki_check_pair(ca->next.key, ca->next.cert, err) < 0)
        return err_wrap(err, "%s and the key beside it don't belong together; restore both",
                        cert_path);
    return pki_subject(ca->next.cert, ca->next.name, sizeof(ca->next.name), err);
}

/* --- the end of the old one ------------------------------------------------------------------ */

/* Renamed before is success: only the sync of the folder may be missing, which comes with it. */
static int promote(const struct ca *ca, const char *from_name, const char *to_name, struct err *err)
{
    auto_free char *from = fs_join(ca->folder, from_name);
    auto_free char *to = fs_join(ca->folder, to_name);
    if (!from || !to)
        return err_nomem(err);
    if (access(from, F_OK) < 0 && errno == ENOENT)
        return fs_commit(to, to, err);
    return fs_commit(from, to, err);
}

/* What the file "retire" has promised; without one there is nothing to do. */
static int finish_retiring(const struct ca *ca, struct err *err)
{
    auto_free char *mark = fs_join(ca->folder, "retire");
    if (!mark)
        return err_nomem(err);
    if (access(mark, F_OK) < 0)
        return errno == ENOENT ? 0 : err_io(err, errno, "can't look at %s", mark);
    if (promote(ca, "next.key", "ca.key", err) < 0)
        return -1;
    (void)FAILPOINT("ca.retire.key");
    if (promote(ca, "next.crt", "ca.crt", err) < 0)
        return -1;
    (void)FAILPOINT("ca.retire.cert");
    if (unlink(mark) < 0 && errno != ENOENT)
        return err_io(err, errno, "can't remove %s", mark);
    return 0;
}

/* --- what it is ------------------------------------------------------------------------------ */

static const struct authority *signer_of(const struct ca *ca)
{
    return ca->next.key ? &ca->next : &ca->now;
}

static void put_bundle(const struct ca *ca, struct strbuf *out)
{
    strbuf_str(out, ca->now.cert);
    if (ca->next.cert)
        strbuf_str(out, ca->next.cert);
}

/* Without memory it stays empty, which nobody is ever told to trust. */
static void note_change(struct ca *ca)
{
    auto_strbuf struct strbuf bundle = {0};
    put_bundle(ca, &bundle);
    ca->changes++;
    ca->digest[0] = '\0';
    if (!bundle.failed)
        crypto_digest_hex(bundle.data, bundle.len, ca->digest);
}

/* --- life ------------------------------------------------------------------------------------ */

int ca_open(const char *dir, const char *panel_id, struct ca **ret_ca, struct err *err)
{
    struct ca *ca = calloc(1, sizeof(*ca));
    if (!ca)
        return err_nomem(err);
    pthread_mutex_init(&ca->lock, NULL);
    ca->folder = fs_join(dir, "pki");
    ca->panel_id = strdup(panel_id);
    int rc = ca->folder && ca->panel_id ? 0 : err_nomem(err);
    if (rc < 0 || fs_make_dir(ca->folder, 0700, err) < 0 || finish_retiring(ca, err) < 0 ||
        load_now(ca, err) < 0 || load_next(ca, err) < 0) {
        ca_close(ca);
        return err_wrap(err, "can't open the certificate authority");
    }
    note_change(ca);
    ca->changes = 0;
    *ret_ca = ca;
    return 0;
}

void ca_close(struct ca *ca)
{
    if (!ca)
        return;
    authority_fini(&ca->now);
    authority_fini(&ca->next);
    pthread_mutex_destroy(&ca->lock);
    free(ca->folder);
    free(ca->panel_id);
    free(ca);
}

/* --- what it does ---------------------------------------------------------------------------- */

char *ca_bundle(struct ca *ca)
{
    struct strbuf out = {0};
    pthread_mutex_lock(&ca->lock);
    put_bundle(ca, &out);
    pthread_mutex_unlock(&ca->lock);
    return strbuf_steal(&out);
}

void ca_look(struct ca *ca, struct ca_state *ret_state)
{
    pthread_mutex_lock(&ca->lock);
    *ret_state = (struct ca_state){.rotating = ca->next.key, .changes = ca->changes};
    memcpy(ret_state->signer, signer_of(ca)->name, sizeof(ret_state->signer));
    memcpy(ret_state->bundle_digest, ca->digest, sizeof(ca->digest));
    pthread_mutex_unlock(&ca->lock);
}

int ca_sign_agent(struct ca *ca, const char *csr_pem, const char *node_id, char **ret_cert_pem,
                  struct err *err)
{
    pthread_mutex_lock(&ca->lock);
    const struct authority *signer = signer_of(ca);
    int rc = pki_sign_seconds(signer->key, signer->cert, csr_pem, node_id, PKI_SERVER,
                              CA_AGENT_SECONDS, ret_cert_pem, err);
    pthread_mutex_unlock(&ca->lock);
    return rc;
}

int ca_issue_panel(struct ca *ca, char **ret_key_pem, char **ret_cert_pem, struct err *err)
{
    auto_free char *key = NULL;
    auto_free char *csr = NULL;
    if (pki_key_create(&key, err) < 0 || pki_csr_create(key, "panel", &csr, err) < 0)
        return -1;
    pthread_mutex_lock(&ca->lock);
    int rc = pki_sign(ca->now.key, ca->now.cert, csr, "panel", PKI_CLIENT, PANEL_DAYS, ret_cert_pem,
                      err);
    pthread_mutex_unlock(&ca->lock);
    if (rc == 0)
        *ret_key_pem = steal_ptr(key);
    return rc;
}

/* --- from one to another --------------------------------------------------------------------- */

/* The name tells whose certificates are whose, so it is one that was never there. */
static int make_next(const struct ca *ca, struct authority *next, struct err *err)
{
    char suffix[SUFFIX_LEN + 1];
    crypto_random_base36(suffix, SUFFIX_LEN);
    snprintf(next->name, sizeof(next->name), "panel-%.40s-%s", ca->panel_id, suffix);
    if (pki_key_create(&next->key, err) < 0 ||
        pki_ca_create(next->key, next->name, CA_DAYS, &next->cert, err) < 0 ||
        write_file(ca, "next.key", next->key, err) < 0)
        return -1;
    (void)FAILPOINT("ca.rotate.key");
    return write_file(ca, "next.crt", next->cert, err);
}

int ca_rotate(struct ca *ca, struct err *err)
{
    struct authority next = {0};
    pthread_mutex_lock(&ca->lock);
    /* Else what is left of the one before would be taken for this one. */
    int rc = ca->next.key ? err_set(err, ERR_CONFLICT, "rotating",
                                    "a new CA is there already; \"paneld ca status\" tells how "
                                    "far its nodes are, \"paneld ca retire\" ends the old one")
                          : finish_retiring(ca, err);
    if (rc == 0)
        rc = make_next(ca, &next, err);
    if (rc == 0) {
        (void)FAILPOINT("ca.rotate.made");
        ca->next = next;
        note_change(ca);
    } else {
        authority_fini(&next);
    }
    pthread_mutex_unlock(&ca->lock);
    return rc;
}

/* Past the mark there is no way back, so the new one is in force even if a rename has to wait for
 * the next start. */
static int retire(struct ca *ca, struct err *err)
{
    if (!ca->next.key)
        return err_set(err, ERR_CONFLICT, "not_rotating",
                       "there is only one CA; \"paneld ca rotate\" makes another");
    if (write_file(ca, "retire", "", err) < 0)
        return -1;
    (void)FAILPOINT("ca.retire.marked");
    authority_fini(&ca->now);
    ca->now = ca->next;
    ca->next = (struct authority){0};
    note_change(ca);
    return finish_retiring(ca, err) < 0
               ? err_wrap(err, "the old CA is ended, but its files are put right only by a restart")
               : 0;
}

int ca_retire(struct ca *ca, struct err *err)
{
    pthread_mutex_lock(&ca->lock);
    int rc = retire(ca, err);
    pthread_mutex_unlock(&ca->lock);
    return rc;
}
