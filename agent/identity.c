/* The state folder's identity. See identity.h.
 *
 * Key and certificate are two files, so a crash may fall between the two: agent.crt is replaced
 * first, then agent.key.next is renamed to agent.key. At start, a certificate that doesn't fit
 * agent.key but fits agent.key.next is that crash, and the rename is done then. */
#include "agent/identity.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/address.h"
#include "common/auto.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/failpoint.h"
#include "common/fs.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "common/pki.h"

#define FILE_SIZE_MAX 65536

static int read_file(const char *dir, const char *name, char **ret, struct err *err)
{
    auto_free char *path = fs_join(dir, name);
    if (!path)
        return err_nomem(err);
    return fs_read(path, FILE_SIZE_MAX, ret, NULL, err);
}

static int write_file(const char *dir, const char *name, const char *text, struct err *err)
{
    auto_free char *path = fs_join(dir, name);
    if (!path)
        return err_nomem(err);
    return fs_write_atomic(path, text, strlen(text), 0600, err);
}

static int promote_key(const char *dir, struct err *err)
{
    auto_free char *from = fs_join(dir, "agent.key.next");
    auto_free char *to = fs_join(dir, "agent.key");
    if (!from || !to)
        return err_nomem(err);
    /* Renamed by an earlier try, of which only the sync of the folder failed: the next file to be
     * written here makes up for that. */
    if (access(from, F_OK) < 0 && errno == ENOENT)
        return 0;
    return fs_commit(from, to, err);
}

static void free_secret(char **text)
{
    if (*text)
        crypto_wipe(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static int take_text(const json_t *root, const char *key, char **ret, struct err *err)
{
    const char *text = json_string_value(json_object_get(root, key));
    if (!text || !*text)
        return err_set(err, ERR_INVALID, "bad_identity", "identity.json has no \"%s\"", key);
    *ret = strdup(text);
    return *ret ? 0 : err_nomem(err);
}

static int load_json(struct identity *identity, struct err *err)
{
    auto_free char *text = NULL;
    if (read_file(identity->dir, "identity.json", &text, err) < 0)
        return -1;
    json_t *root = json_loads(text, 0, NULL);
    int rc = root ? 0 : err_set(err, ERR_INVALID, "bad_identity", "identity.json is not JSON");
    if (rc == 0 && (take_text(root, "panelId", &identity->panel_id, err) < 0 ||
                    take_text(root, "nodeId", &identity->node_id, err) < 0 ||
                    take_text(root, "address", &identity->address, err) < 0 ||
                    take_text(root, "port", &identity->port, err) < 0 ||
                    take_text(root, "listen", &identity->listen, err) < 0))
        rc = -1;
    const char *url = rc == 0 ? json_string_value(json_object_get(root, "panelUrl")) : NULL;
    const char *ca = rc == 0 ? json_string_value(json_object_get(root, "panelCa")) : NULL;
    if ((url && !(identity->panel_url = strdup(url))) || (ca && !(identity->panel_ca = strdup(ca))))
        rc = err_nomem(err);
    json_decref(root);
    if (rc == 0 &&
        (envelope_check_id(identity->panel_id) < 0 || envelope_check_id(identity->node_id) < 0 ||
         !address_is_listen(identity->listen)))
        rc = err_set(err, ERR_INVALID, "bad_identity", "identity.json has a value of no use");
    return rc;
}

/* The same of a file that need not be there: *ret stays what it is then. */
static int read_optional(const char *dir, const char *name, char **ret, struct err *err)
{
    struct err why;
    if (read_file(dir, name, ret, &why) == 0 || why.code == ERR_NOT_FOUND)
        return 0;
    if (err)
        *err = why;
    return -1;
}

static int load_keys(struct identity *identity, struct err *err)
{
    if (read_file(identity->dir, "agent.crt", &identity->cert, err) < 0 ||
        read_file(identity->dir, "ca.crt", &identity->ca, err) < 0 ||
        read_optional(identity->dir, "agent.key", &identity->key, err) < 0 ||
        read_optional(identity->dir, "agent.key.next", &identity->next_key, err) < 0)
        return -1;
    if (identity->key && pki_check_pair(identity->key, identity->cert, err) == 0)
        return 0;
    if (!identity->next_key || pki_check_pair(identity->next_key, identity->cert, NULL) < 0)
        return err_set(err, ERR_INVALID, "bad_identity",
                       "agent.key and agent.crt in %s don't belong together: join again",
                       identity->dir);
    free_secret(&identity->key);
    identity->key = steal_ptr(identity->next_key);
    return promote_key(identity->dir, err);
}

/* One that can't be read is not one that was never seen: a panel of the past would be obeyed. */
static int load_epoch(struct identity *identity, struct err *err)
{
    auto_free char *text = NULL;
    if (read_optional(identity->dir, "epoch", &text, err) < 0)
        return -1;
    uint64_t n = 0;
    for (const char *p = text ? text : ""; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
            return 0;
    }
    identity->epoch = n;
    return 0;
}

int identity_load(const char *dir, struct identity *ret_identity, struct err *err)
{
    struct identity identity = {0};
    identity.dir = realpath(dir, NULL);
    if (!identity.dir)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "not_joined", "%s is not there", dir)
                               : err_io(err, errno, "can't open %s", dir);
    if (load_json(&identity, err) < 0 || load_keys(&identity, err) < 0 ||
        load_epoch(&identity, err) < 0) {
        identity_fini(&identity);
        return -1;
    }
    crypto_digest_hex(identity.ca, strlen(identity.ca), identity.ca_digest);
    identity.cert_not_after = pki_not_after(identity.cert, err);
    if (identity.cert_not_after < 0 ||
        pki_issuer(identity.cert, identity.cert_issuer, sizeof(identity.cert_issuer), err) < 0) {
        identity_fini(&identity);
        return -1;
    }
    *ret_identity = identity;
    return 0;
}

int identity_store(const struct identity *identity, struct err *err)
{
    auto_strbuf struct strbuf sb = {0};
    jw_object_begin(&sb, NULL);
    jw_string(&sb, "panelId", identity->panel_id);
    jw_string(&sb, "nodeId", identity->node_id);
    jw_string(&sb, "address", identity->address);
    jw_string(&sb, "port", identity->port);
    jw_string(&sb, "listen", identity->listen);
    if (identity->panel_url)
        jw_string(&sb, "panelUrl", identity->panel_url);
    if (identity->panel_ca)
        jw_string(&sb, "panelCa", identity->panel_ca);
    jw_object_end(&sb);
    strbuf_char(&sb, '\n');
    if (sb.failed)
        return err_nomem(err);
    const char *dir = identity->dir;
    if (write_file(dir, "agent.key.next", identity->key, err) < 0 ||
        write_file(dir, "ca.crt", identity->ca, err) < 0 ||
        write_file(dir, "agent.crt", identity->cert, err) < 0 || promote_key(dir, err) < 0)
        return -1;
    return write_file(dir, "identity.json", sb.data, err);
}

void identity_fini(struct identity *identity)
{
    free(identity->dir);
    free(identity->panel_id);
    free(identity->panel_url);
    free(identity->panel_ca);
    free(identity->node_id);
    free(identity->address);
    free(identity->port);
    free(identity->listen);
    free(identity->cert);
    free(identity->ca);
    free_secret(&identity->key);
    free_secret(&identity->next_key);
    *identity = (struct identity){0};
}

int identity_raise_epoch(struct identity *identity, uint64_t epoch, struct err *err)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64 "\n", epoch);
    identity->epoch = epoch;
    identity->epoch_due = write_file(identity->dir, "epoch", text, err) < 0;
    return identity->epoch_due ? -1 : 0;
}

int identity_begin_renewal(struct identity *identity, char **ret_csr, struct err *err)
{
    if (!identity->next_key) {
        char *key = NULL;
        /* The file agent.key.next may hold the only copy of the key in use. */
        if (identity->promote_due && promote_key(identity->dir, err) < 0)
            return -1;
        identity->promote_due = false;
        if (pki_key_create(&key, err) < 0)
            return -1;
        if (write_file(identity->dir, "agent.key.next", key, err) < 0) {
            free_secret(&key);
            return -1;
        }
        identity->next_key = key;
    }
    return pki_csr_create(identity->next_key, identity->node_id, ret_csr, err);
}

int identity_install(struct identity *identity, const char *cert, bool *ret_changed,
                     struct err *err)
{
    *ret_changed = false;
    if (strcmp(cert, identity->cert) == 0)
        return 0;
    if (!identity->next_key)
        return err_set(err, ERR_CONFLICT, "no_cert_request",
                       "no certificate was asked for by this node");
    if (pki_check_pair(identity->next_key, cert, err) < 0)
        return err_set(err, ERR_INVALID, "bad_certificate",
                       "the certificate is not for the key that was asked for");
    char issuer[sizeof(identity->cert_issuer)];
    int64_t not_after = pki_not_after(cert, err);
    if (not_after < 0 || pki_issuer(cert, issuer, sizeof(issuer), err) < 0)
        return -1;
    char *copy = strdup(cert);
    if (!copy)
        return err_nomem(err);
    if (write_file(identity->dir, "agent.crt", cert, err) < 0) {
        free(copy);
        return -1;
    }
    /* From here on the new pair is the one in use, even if the rename has to wait for a start. */
    struct err rename_err;
    identity->promote_due = promote_key(identity->dir, &rename_err) < 0;
    if (identity->promote_due)
        log_error("key not renamed", "reason=\"%s\"", rename_err.msg);
    free_secret(&identity->key);
    identity->key = steal_ptr(identity->next_key);
    free(identity->cert);
    identity->cert = copy;
    identity->cert_not_after = not_after;
    memcpy(identity->cert_issuer, issuer, sizeof(issuer));
    *ret_changed = true;
    return 0;
}

int identity_install_ca(struct identity *identity, const char *ca, bool *ret_changed,
                        struct err *err)
{
    *ret_changed = false;
    if (strcmp(ca, identity->ca) == 0)
        return 0;
    if (pki_check_bundle(ca, err) < 0)
        return -1;
    char *copy = strdup(ca);
    if (!copy)
        return err_nomem(err);
    if (write_file(identity->dir, "ca.crt", ca, err) < 0) {
        free(copy);
        return -1;
    }
    (void)FAILPOINT("ca.installed");
    free(identity->ca);
    identity->ca = copy;
    crypto_digest_hex(ca, strlen(ca), identity->ca_digest);
    *ret_changed = true;
    return 0;
}
