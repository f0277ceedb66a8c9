/* POST /join: an agent proves that it has a join token and gets its certificate.
 *
 * Invariant: nothing is told to who can't make the MAC: an unknown node, an expired or used token
 * and a wrong MAC look and take alike. The very same request is answered again, so a lost answer
 * doesn't strand the node; any other use of a used token is refused. The MAC of the answer covers
 * all of it, so the agent knows it talked to the panel that made its token (docs, Join). */
#include "panel/api/internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/envelope.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"

#define CSR_MAX 16384

struct join {
    struct mutation mutation;
    const char *node_id; /* this and the next in the call's body */
    const char *nonce;
    struct node_join node;
    char digest[CRYPTO_HEX_LEN + 1]; /* of the request */
    char *certificate;
};

static int refuse_join(struct err *err)
{
    return err_set(
        err, ERR_UNAUTHORIZED, "join_refused",
        "The join token is unknown, expired or already used; POST /api/nodes/{id}/token makes "
        "a new one for the node.");
}

static void destroy_join(struct mutation *mutation)
{
    struct join *join = (struct join *)mutation;
    crypto_wipe(join->node.key, sizeof(join->node.key));
    free(join->certificate);
    free(join);
}

/* Does mac prove the request? Also fills digest. Takes as long for nodes that don't exist. */
static int check_request(struct join *join, const char *version, const char *csr, const char *mac,
                         struct err *err)
{
    const struct api *api = join->mutation.call->api;
    auto_strbuf struct strbuf signed_text = {0};
    strbuf_fmt(&signed_text, "join request\n%s\n%s\n%s\n%s", join->node_id, join->nonce, version,
               csr);
    if (signed_text.failed)
        return err_nomem(err);
    int found = store_node_join_get(api->rooms.store, join->node_id, &join->node, err);
    if (found < 0)
        return -1;
    char want[CRYPTO_HEX_LEN + 1];
    crypto_mac_hex(found ? join->node.key : api->dummy_key, signed_text.data, signed_text.len,
                   want);
    crypto_digest_hex(signed_text.data, signed_text.len, join->digest);
    bool right = strlen(mac) == CRYPTO_HEX_LEN && crypto_equal(mac, want, CRYPTO_HEX_LEN);
    bool live = join->node.expires_at > clock_wall_ms();
    bool unused = !join->node.used_by[0] || strcmp(join->node.used_by, join->digest) == 0;
    return found && right && live && unused ? 0 : refuse_join(err);
}

static int put_answer(struct join *join, struct err *err)
{
    const struct api *api = join->mutation.call->api;
    const char *panel_id = store_identity(api->rooms.store)->panel_id;
    auto_free char *ca = ca_bundle(api->rooms.ca);
    if (!ca)
        return err_nomem(err);
    auto_strbuf struct strbuf signed_text = {0};
    char mac[CRYPTO_HEX_LEN + 1];
    strbuf_fmt(&signed_text, "join answer\n%s\n%s\n%s\n%s\n%s\n%s\n%s", join->nonce, panel_id,
               join->node_id, join->node.address, join->node.port, join->certificate, ca);
    if (signed_text.failed)
        return err_nomem(err);
    crypto_mac_hex(join->node.key, signed_text.data, signed_text.len, mac);
    struct strbuf *out = &join->mutation.body;
    jw_object_begin(out, NULL);
    jw_string(out, "panelId", panel_id);
    jw_string(out, "nodeId", join->node_id);
    jw_string(out, "address", join->node.address);
    jw_string(out, "port", join->node.port);
    jw_string(out, "certificate", join->certificate);
    jw_string(out, "ca", ca);
    jw_string(out, "mac", mac);
    jw_object_end(out);
    return 0;
}

static int apply_join(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct join *join = (struct join *)mutation;
    if (store_node_join_use(tx, join->node_id, join->digest, err) < 0) {
        bool taken = strcmp(err->reason, "node_exists") == 0; /* its token is good, so it is told */
        bool refused = !taken && (err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND);
        return refused ? refuse_join(err) : -1;
    }
    mutation->status = 200;
    return put_answer(join, err);
}

static void notice_join(struct mutation *mutation)
{
    const struct join *join = (struct join *)mutation;
    log_info("node joined", "req=%s node=%s", http_req_id(mutation->call->req), join->node_id);
    fleet_notice_node(mutation->call->api->rooms.fleet, join->node_id);
}

/* What an agent may know before it proves anything: whether the two would understand each other. */
void join_describe(struct call *call)
{
    struct strbuf body = {0};
    jw_object_begin(&body, NULL);
    jw_int(&body, "protocolVersion", WIRE_PROTOCOL_VERSION);
    jw_object_end(&body);
    call_answer(call, 200, &body);
}

/* Said by agents since 0.1, and before the token is used up. */
static int check_protocol(const struct call *call, struct err *err)
{
    const json_t *version = json_object_get(call->body, "protocolVersion");
    json_int_t theirs = version ? json_integer_value(version) : WIRE_PROTOCOL_VERSION;
    if (theirs >= WIRE_PROTOCOL_OLDEST && theirs <= WIRE_PROTOCOL_NEWEST)
        return 0;
    return err_field(err, ERR_CONFLICT, "protocol_mismatch", "protocolVersion",
                     "This agent speaks version %lld of the protocol and this panel version %u; "
                     "install the same release of both. The join token is still good.",
                     (long long)theirs, WIRE_PROTOCOL_VERSION);
}

void join_answer(struct call *call)
{
    struct body body;
    body_open(&body, call->body, NULL);
    const char *node_id = body_text(&body, "nodeId", BODY_REQUIRED, 64);
    const char *csr = body_text(&body, "csr", BODY_REQUIRED, CSR_MAX);
    const char *nonce = body_text(&body, "nonce", BODY_REQUIRED, 128);
    const char *version = body_text(&body, "agentVersion", BODY_REQUIRED, 64);
    const char *mac = body_text(&body, "mac", BODY_REQUIRED, 128);
    struct join *join = body.failed ? NULL : calloc(1, sizeof(*join));
    if (!join) {
        if (!body.failed)
            err_nomem(&body.err);
        call_answer_err(call, &body.err);
        return;
    }
    join->node_id = node_id;
    join->nonce = nonce;
    join->mutation = (struct mutation){
        .call = call, .apply = apply_join, .committed = notice_join, .destroy = destroy_join};
    if (check_protocol(call, &body.err) < 0 ||
        check_request(join, version, csr, mac, &body.err) < 0 ||
        ca_sign_agent(call->api->rooms.ca, csr, node_id, &join->certificate, &body.err) < 0) {
        call_answer_err(call, &body.err);
        destroy_join(&join->mutation);
        return;
    }
    mutation_submit(&join->mutation);
}
