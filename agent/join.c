/* Joining. See join.h, and docs/protocol.md for the exchange.
 *
 * Request and answer are authenticated with a key made from the token's secret, which itself is
 * never sent; nothing is stored before the answer's MAC, its node and its certificate have been
 * checked. Key, CSR and nonce are kept in join.pending until then, so that after a lost answer
 * the same command sends the very same request, which the panel answers again. */
#include "agent/join.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/address.h"
#include "agent/http_client.h"
#include "agent/identity.h"
#include "common/auto.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/fs.h"
#include "common/json_writer.h"
#include "common/owner.h"
#include "common/pki.h"

#define SECRET_LEN      43
#define NONCE_LEN       32
#define JOIN_TIMEOUT_MS 30000
#define PENDING_MAX     65536
/* What makes a folder a node's; the rest of it is what instances have written. */
#define IDENTITY_FILES                                                                             \
    "identity.json, agent.key, agent.crt, ca.crt and epoch, and nothing else (volumes/ has "       \
    "instances' files)"

struct ticket {
    char node_id[65];
    uint8_t mac_key[CRYPTO_HASH_BYTES];
    char token_hash[CRYPTO_HEX_LEN + 1]; /* tells pending requests of different tokens apart */
};

struct pending {
    char *key;
    char *csr;
    char nonce[NONCE_LEN + 1];
};

static void free_pending(struct pending *pending)
{
    if (pending->key)
        crypto_wipe(pending->key, strlen(pending->key));
    free(pending->key);
    free(pending->csr);
}

/* pj1.<node id>.<secret>; the id may have dots of its own. */
static int parse_token(const char *token, struct ticket *ret, struct err *err)
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char prefix[] = "panel join 1\n";
    const char *id = token + 4;
    const char *dot = strrchr(token, '.');
    if (strncmp(token, "pj1.", 4) != 0 || !dot || dot <= id ||
        (size_t)(dot - id) >= sizeof(ret->node_id) || strlen(dot + 1) != SECRET_LEN ||
        strspn(dot + 1, alphabet) != SECRET_LEN)
        return err_set(err, ERR_INVALID, "bad_token",
                       "the token is not complete: it looks like pj1.<node>.<43 characters>");
    snprintf(ret->node_id, sizeof(ret->node_id), "%.*s", (int)(dot - id), id);
    if (envelope_check_id(ret->node_id) < 0)
        return err_set(err, ERR_INVALID, "bad_token", "the token names no usable node");
    char secret[sizeof(prefix) + SECRET_LEN];
    size_t len = (size_t)snprintf(secret, sizeof(secret), "%s%s", prefix, dot + 1);
    crypto_digest(secret, len, ret->mac_key);
    crypto_wipe(secret, sizeof(secret));
    crypto_digest_hex(token, strlen(token), ret->token_hash);
    return 0;
}

/* ---- The pending request ---- */

/* Line one: the token's hash; then nonce, key and CSR. */
static int load_pending(const char *path, const struct ticket *ticket, struct pending *ret,
                        struct err *err)
{
    auto_free char *text = NULL;
    if (fs_read(path, PENDING_MAX, &text, NULL, err) < 0)
        return -1;
    json_error_t why;
    json_t *root = json_loads(text, 0, &why);
    crypto_wipe(text, strlen(text));
    /* Not "nothing pending": another request would take this one's place, whose answer may have
     * been given already. */
    if (!root && json_error_code(&why) == json_error_out_of_memory)
        return err_nomem(err);
    const char *hash = json_string_value(json_object_get(root, "token"));
    const char *nonce = json_string_value(json_object_get(root, "nonce"));
    const char *key = json_string_value(json_object_get(root, "key"));
    const char *csr = json_string_value(json_object_get(root, "csr"));
    int rc = -1;
    if (!hash || !nonce || !key || !csr || strlen(nonce) != NONCE_LEN ||
        strcmp(hash, ticket->token_hash) != 0) {
        err_set(err, ERR_NOT_FOUND, "no_file", "nothing is pending for this token");
    } else {
        memcpy(ret->nonce, nonce, NONCE_LEN + 1);
        ret->key = strdup(key);
        ret->csr = strdup(csr);
        rc = ret->key && ret->csr ? 0 : err_nomem(err);
    }
    json_decref(root);
    return rc;
}

static int store_pending(const char *path, const struct ticket *ticket,
                         const struct pending *pending, struct err *err)
{
    auto_strbuf struct strbuf sb = {0};
    jw_object_begin(&sb, NULL);
    jw_string(&sb, "token", ticket->token_hash);
    jw_string(&sb, "nonce", pending->nonce);
    jw_string(&sb, "key", pending->key);
    jw_string(&sb, "csr", pending->csr);
    jw_object_end(&sb);
    if (sb.failed)
        return err_nomem(err);
    int rc = fs_write_atomic(path, sb.data, sb.len, 0600, err);
    crypto_wipe(sb.data, sb.len);
    return rc;
}

static int get_pending(const char *path, const struct ticket *ticket, struct pending *ret,
                       struct err *err)
{
    if (load_pending(path, ticket, ret, err) == 0)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    crypto_random_base36(ret->nonce, NONCE_LEN);
    if (pki_key_create(&ret->key, err) < 0 ||
        pki_csr_create(ret->key, ticket->node_id, &ret->csr, err) < 0)
        return -1;
    return store_pending(path, ticket, ret, err);
}

/* ---- The exchange ---- */

static char *make_request(const struct ticket *ticket, const struct pending *pending)
{
    auto_strbuf struct strbuf signed_text = {0};
    struct strbuf sb = {0};
    char mac[CRYPTO_HEX_LEN + 1];
    strbuf_fmt(&signed_text, "join request\n%s\n%s\n%s\n%s", ticket->node_id, pending->nonce,
               PANEL_VERSION, pending->csr);
    if (signed_text.failed)
        return NULL;
    crypto_mac_hex(ticket->mac_key, signed_text.data, signed_text.len, mac);
    jw_object_begin(&sb, NULL);
    jw_string(&sb, "nodeId", ticket->node_id);
    jw_string(&sb, "csr", pending->csr);
    jw_string(&sb, "nonce", pending->nonce);
    jw_string(&sb, "agentVersion", PANEL_VERSION);
    jw_int(&sb, "protocolVersion", WIRE_PROTOCOL_VERSION);
    jw_string(&sb, "mac", mac);
    jw_object_end(&sb);
    return strbuf_steal(&sb);
}

static int make_url(const char *panel, char **ret, struct err *err)
{
    size_t len = strlen(panel);
    while (len && panel[len - 1] == '/')
        len--;
    if (strncasecmp(panel, "http://", 7) != 0 && strncasecmp(panel, "https://", 8) != 0)
        return err_set(err, ERR_INVALID, "bad_url",
                       "--panel must be an address that begins with http:// or https://");
    if (asprintf(ret, "%.*s/join", (int)len, panel) < 0) {
        *ret = NULL;
        return err_nomem(err);
    }
    return 0;
}

static int post(const char *url, const char *ca, const char *request, json_t **ret, struct err *err)
{
    auto_free char *body = NULL;
    long status = 0;
    if (http_post_json(url, ca, request, JOIN_TIMEOUT_MS, &status, &body, err) < 0)
        return -1;
    json_t *root = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    if (status == 200 && json_is_object(root)) {
        *ret = root;
        return 0;
    }
    const char *sentence = json_string_value(json_object_get(root, "error"));
    if (sentence)
        err_set(err, ERR_INVALID, "refused", "the panel refused: %s", sentence);
    else if (status / 100 == 3)
        err_set(err, ERR_INVALID, "redirected",
                "%s redirects elsewhere, which is not followed: give the panel's final address",
                url);
    else
        err_set(err, ERR_PROTOCOL, "bad_answer",
                "%s answered with status %ld, not as a panel does: is the address right?", url,
                status);
    json_decref(root);
    return -1;
}

static const char *text_of(const json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    return text ? text : "";
}

/* Is the answer from someone who knows the secret, and for this very request? */
static int check_mac(const struct ticket *ticket, const struct pending *pending,
                     const json_t *answer, struct err *err)
{
    auto_strbuf struct strbuf sb = {0};
    char mac[CRYPTO_HEX_LEN + 1];
    const char *given = text_of(answer, "mac");
    strbuf_fmt(&sb, "join answer\n%s\n%s\n%s\n%s\n%s\n%s\n%s", pending->nonce,
               text_of(answer, "panelId"), text_of(answer, "nodeId"), text_of(answer, "address"),
               text_of(answer, "port"), text_of(answer, "certificate"), text_of(answer, "ca"));
    if (sb.failed)
        return err_nomem(err);
    crypto_mac_hex(ticket->mac_key, sb.data, sb.len, mac);
    if (strlen(given) != CRYPTO_HEX_LEN || !crypto_equal(mac, given, CRYPTO_HEX_LEN))
        return err_set(err, ERR_UNAUTHORIZED, "bad_mac",
                       "the answer doesn't prove that the panel knows the token; "
                       "nothing was stored");
    return 0;
}

static int choose_listen(const struct options *options, const char *address, const char *port,
                         char **ret, struct err *err)
{
    int rc;
    if (options->listen)
        rc = asprintf(ret, "%s", options->listen);
    else if (address_is_loopback(address))
        rc = asprintf(ret, strchr(address, ':') ? "[%s]:%s" : "%s:%s", address, port);
    else
        rc = asprintf(ret, "0.0.0.0:%s", port);
    if (rc < 0) {
        *ret = NULL;
        return err_nomem(err);
    }
    if (!address_is_listen(*ret))
        return err_set(err, ERR_PROTOCOL, "bad_answer",
                       "the panel knows this node's port as \"%s\", which is none: give --listen",
                       port);
    return 0;
}

static int fill_identity(const struct options *options, const char *panel_url,
                         const struct ticket *ticket, const struct pending *pending,
                         const json_t *answer, const char *dir, struct identity *ret,
                         struct err *err)
{
    if (check_mac(ticket, pending, answer, err) < 0)
        return -1;
    if (strcmp(text_of(answer, "nodeId"), ticket->node_id) != 0 ||
        envelope_check_id(text_of(answer, "panelId")) < 0)
        return err_set(err, ERR_PROTOCOL, "bad_answer", "the panel answered for another node");
    if (pki_check_pair(pending->key, text_of(answer, "certificate"), err) < 0)
        return err_wrap(err, "the panel's answer can't be used");
    ret->dir = strdup(dir);
    ret->panel_url = strdup(panel_url);
    ret->panel_id = strdup(text_of(answer, "panelId"));
    ret->node_id = strdup(ticket->node_id);
    ret->address = strdup(text_of(answer, "address"));
    ret->port = strdup(text_of(answer, "port"));
    ret->key = strdup(pending->key);
    ret->cert = strdup(text_of(answer, "certificate"));
    ret->ca = strdup(text_of(answer, "ca"));
    if (!ret->dir || !ret->panel_url || !ret->panel_id || !ret->node_id || !ret->address ||
        !ret->port || !ret->key || !ret->cert || !ret->ca)
        return err_nomem(err);
    return choose_listen(options, ret->address, ret->port, &ret->listen, err);
}

/* ---- The whole ---- */

/* Joining over another node's identity would orphan what that node holds. */
static int check_present(const char *dir, const struct ticket *ticket, char **ret_panel_id,
                         struct err *err)
{
    struct identity present;
    if (identity_load(dir, &present, err) < 0) {
        if (err->code == ERR_NOT_FOUND)
            return 0;
        if (err->code != ERR_INVALID)
            return -1;
        /* A damaged identity may be replaced by joining again, if it is the same node's. */
        auto_free char *path = fs_join(dir, "identity.json");
        auto_free char *text = NULL;
        if (!path)
            return err_nomem(err);
        if (fs_read(path, PENDING_MAX, &text, NULL, err) < 0)
            return -1;
        return strstr(text, ticket->node_id)
                   ? 0
                   : err_set(err, ERR_INVALID, "bad_identity",
                             "the identity in %s can't be read: join with a token of the same "
                             "node, or move away " IDENTITY_FILES,
                             dir);
    }
    int rc = strcmp(present.node_id, ticket->node_id) == 0
                 ? 0
                 : err_set(err, ERR_CONFLICT, "already_joined",
                           "%s is node %s of panel %s: give another --state folder, or, to give "
                           "that node up, move away " IDENTITY_FILES,
                           dir, present.node_id, present.panel_id);
    if (rc == 0)
        *ret_panel_id = steal_ptr(present.panel_id);
    identity_fini(&present);
    return rc;
}

static int exchange(const struct options *options, const struct options_command *command,
                    const char *ca, const struct ticket *ticket, const char *dir,
                    const char *pending_path, struct identity *identity, struct err *err)
{
    struct pending pending = {0};
    auto_free char *url = NULL;
    auto_free char *request = NULL;
    json_t *answer = NULL;
    int rc = make_url(command->panel_url, &url, err);
    if (rc == 0)
        rc = get_pending(pending_path, ticket, &pending, err);
    if (rc == 0 && !(request = make_request(ticket, &pending)))
        rc = err_nomem(err);
    if (rc == 0)
        rc = post(url, ca, request, &answer, err);
    if (rc == 0)
        rc = fill_identity(options, command->panel_url, ticket, &pending, answer, dir, identity,
                           err);
    if (rc == 0 && ca && !(identity->panel_ca = strdup(ca)))
        rc = err_nomem(err);
    json_decref(answer);
    free_pending(&pending);
    return rc;
}

/* With the package, systemd watches for the identity and starts the service (panel-agent.path). */
static void say_what_next(const struct options *options)
{
    bool usual = !options->head.source[settings_find(&options_table, "state")];
    if (usual && access("/run/systemd/system", F_OK) == 0 &&
        access("/lib/systemd/system/panel-agent.path", F_OK) == 0)
        puts("Its service starts by itself now. How it does: panel-agent doctor");
    else
        printf("Now start the agent:\n  panel-agent%s%s\n", usual ? "" : " --state ",
               usual ? "" : options->state);
}

static int join_in(const struct options *options, const struct options_command *command,
                   const char *ca, const struct ticket *ticket, const char *dir, struct err *err)
{
    struct identity identity = {0};
    auto_free char *pending_path = fs_join(dir, "join.pending");
    auto_free char *epoch_path = fs_join(dir, "epoch");
    auto_free char *old_panel = NULL;
    if (!pending_path || !epoch_path)
        return err_nomem(err);
    if (check_present(dir, ticket, &old_panel, err) < 0)
        return -1;
    int rc = exchange(options, command, ca, ticket, dir, pending_path, &identity, err);
    if (rc < 0 && old_panel)
        err_wrap(
            err,
            "joined already, as node %s of panel %s: start it with \"panel-agent --state %s\". "
            "Joining anew",
            ticket->node_id, old_panel, dir);
    if (rc == 0) {
        /* Another panel counts its starts anew. */
        if (!old_panel || strcmp(old_panel, identity.panel_id) != 0)
            rc = unlink(epoch_path) < 0 && errno != ENOENT
                     ? err_io(err, errno, "can't remove %s", epoch_path)
                     : 0;
    }
    if (rc == 0)
        rc = identity_store(&identity, err);
    if (rc == 0) {
        unlink(pending_path);
        printf("Joined: this machine is node %s and will listen on %s.\n", identity.node_id,
               identity.listen);
        say_what_next(options);
    }
    identity_fini(&identity);
    return rc;
}

static int run(const struct options *options, const struct options_command *command,
               struct err *err)
{
    struct ticket ticket;
    auto_fd int lock = -1;
    auto_free char *ca = NULL;
    /* The package's agent runs as a user of its own, who has to be able to read what we write. */
    if (parse_token(command->token, &ticket, err) < 0 || options_read_ca(command, &ca, err) < 0 ||
        owner_become(options->state, err) < 0 || fs_make_dir(options->state, 0700, err) < 0)
        return -1;
    if (fs_lock(options->state, "agent.lock", &lock, err) < 0)
        return err->code == ERR_CONFLICT
                   ? err_set(err, ERR_CONFLICT, "running",
                             "panel-agent is running with %s: stop it first", options->state)
                   : -1;
    auto_free char *dir = realpath(options->state, NULL);
    int rc = dir ? join_in(options, command, ca, &ticket, dir, err)
                 : err_io(err, errno, "can't open %s", options->state);
    crypto_wipe(&ticket, sizeof(ticket));
    return rc;
}

int join_run(const struct options *options, const struct options_command *command, struct err *err)
{
    int rc = run(options, command, err);
    if (rc < 0 && err->os_errno == EACCES && geteuid() != 0)
        err_wrap(err, "joining needs root, as by sudo");
    return rc;
}
