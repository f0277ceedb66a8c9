/* Certificates renew themselves over the link that they still protect: when less than a third of
 * its life is left the agent is asked for a request made with a new key, and gets it signed. A
 * step that fails is taken again an hour later; nothing is lost before the old one ends.
 *
 * Another CA comes in the same way, a step at each answer that shows the node behind: it is told
 * whom to trust, and when it trusts all that the panel does, it gets a certificate of the newest.
 * Each step is asked for again until the node itself says that it is done, so either side may die
 * between any two. Few nodes at a time: each step costs them a new link. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "panel/fleet/state.h"
#include "panel/metrics/metrics.h"

#define RETRY_MS      HURRIED(3600u * 1000)
#define MOVE_RETRY_MS HURRIED(60u * 1000)
#define MOVING_MAX    16u
#define CALL_MS       15000
#define SWAP_MS       5000 /* an agent takes what it was given within a second of its answer */

/* --- how each ends --------------------------------------------------------------------------- */

static void end_step(struct fleet_node *node)
{
    node->renewing = false;
    node->calls--;
    node->fleet->moving -= node->moving;
    node->moving = false;
}

static void begin_step(struct fleet_node *node, bool moves)
{
    node->renewing = true;
    node->calls++;
    node->moving = moves;
    node->fleet->moving += moves;
}

/* Its listener is another soon, and the link ends. */
static void note_swap(struct fleet_node *node)
{
    node->swaps_until = clock_mono_ms() + SWAP_MS;
}

static bool is_acked(Wire__Envelope *const *reply, const struct err *err)
{
    return !err && (*reply)->body_case == WIRE__ENVELOPE__BODY_ACK;
}

/* --- a certificate --------------------------------------------------------------------------- */

static void note_failure(const struct fleet_node *node, const char *why)
{
    metric_add(METRIC_RENEWALS_FAILED, 1);
    log_warn("certificate not renewed", "node=%s op=%s reason=\"%s\"", node->id, "renew", why);
}

static void installed(void *arg, Wire__Envelope **reply, const struct err *err)
{
    struct fleet_node *node = arg;
    end_step(node);
    if (!is_acked(reply, err)) {
        note_failure(node, err ? err->msg : "the agent refused it");
        return;
    }
    note_swap(node);
    metric_add(METRIC_RENEWALS, 1);
    log_info("certificate renewed", "node=%s op=%s", node->id, "renew");
}

static int install(struct fleet_node *node, const char *csr, struct err *err)
{
    char *cert;
    if (ca_sign_agent(node->fleet->ca, csr, node->id, &cert, err) < 0)
        return -1;
    Wire__Envelope envelope;
    Wire__CertInstall body = WIRE__CERT_INSTALL__INIT;
    node_envelope(node, &envelope);
    body.cert_pem = cert;
    envelope.body_case = WIRE__ENVELOPE__BODY_CERT_INSTALL;
    envelope.cert_install = &body;
    int rc = link_call(node->link, &envelope, CALL_MS, installed, node, err);
    free(cert);
    return rc;
}

static void requested(void *arg, Wire__Envelope **reply, const struct err *failed)
{
    struct fleet_node *node = arg;
    struct err err = {0};
    if (failed)
        err = *failed;
    else if ((*reply)->body_case != WIRE__ENVELOPE__BODY_CERT_REQUEST_REPLY)
        err_set(&err, ERR_PROTOCOL, "unexpected", "the agent made no request");
    else
        (void)install(node, (*reply)->cert_request_reply->csr_pem, &err);
    if (err.code) {
        end_step(node);
        note_failure(node, err.msg);
    }
}

static int ask_for_request(struct fleet_node *node, struct err *err)
{
    Wire__Envelope envelope;
    Wire__CertRequest body = WIRE__CERT_REQUEST__INIT;
    node_envelope(node, &envelope);
    envelope.body_case = WIRE__ENVELOPE__BODY_CERT_REQUEST;
    envelope.cert_request = &body;
    return link_call(node->link, &envelope, CALL_MS, requested, node, err);
}

/* --- whom to trust --------------------------------------------------------------------------- */

static void note_not_told(const struct fleet_node *node, const char *why)
{
    log_warn("node not told of another CA", "node=%s op=%s reason=\"%s\"", node->id, "trust", why);
}

static void trusted(void *arg, Wire__Envelope **reply, const struct err *err)
{
    struct fleet_node *node = arg;
    end_step(node);
    if (!is_acked(reply, err)) {
        note_not_told(node, err ? err->msg : "the agent refused it");
        return;
    }
    note_swap(node);
    node->next_renewal = 0; /* its certificate is next */
    log_info("node told whom to trust", "node=%s op=%s", node->id, "trust");
}

static int tell_trusted(struct fleet_node *node, struct err *err)
{
    Wire__Envelope envelope;
    Wire__CaInstall body = WIRE__CA_INSTALL__INIT;
    char *bundle = ca_bundle(node->fleet->ca);
    if (!bundle)
        return err_nomem(err);
    node_envelope(node, &envelope);
    body.ca_pem = bundle;
    envelope.body_case = WIRE__ENVELOPE__BODY_CA_INSTALL;
    envelope.ca_install = &body;
    int rc = link_call(node->link, &envelope, CALL_MS, trusted, node, err);
    free(bundle);
    return rc;
}

/* --- which ----------------------------------------------------------------------------------- */

/* Wraps for what is no time: then it isn't due. */
static bool is_near_its_end(uint64_t cert_not_after)
{
    return cert_not_after - CA_RENEW_SECONDS <= (uint64_t)clock_wall_ms() / 1000;
}

static bool trusts_others(const Wire__SyncReply *answer, const struct ca_state *ca)
{
    return *answer->cert_issuer && *ca->bundle_digest &&
           strcmp(answer->ca_digest, ca->bundle_digest) != 0;
}

static bool is_of_another(const Wire__SyncReply *answer, const struct ca_state *ca)
{
    return *answer->cert_issuer && strcmp(answer->cert_issuer, ca->signer) != 0;
}

bool renewal_is_too_late(const struct fleet_node *node, const Wire__SyncReply *answer)
{
    struct ca_state ca;
    ca_look(node->fleet->ca, &ca);
    return !ca.rotating && node->ca_changes != ca.changes &&
           strcmp(answer->cert_issuer, ca.signer) != 0;
}

void renewal_consider(struct fleet_node *node, const Wire__SyncReply *answer)
{
    int64_t now = clock_mono_ms();
    struct ca_state ca;
    struct err err = {0};
    ca_look(node->fleet->ca, &ca);
    /* What was tried under other CAs is no reason to wait. */
    if (node->renewing || (now < node->next_renewal && node->renewal_ca == ca.changes))
        return;
    bool tells = trusts_others(answer, &ca);
    bool moves = tells || is_of_another(answer, &ca);
    if (!moves && !is_near_its_end(answer->cert_not_after))
        return;
    if (moves && node->fleet->moving >= MOVING_MAX)
        return; /* its next answer comes in a beat */
    node->renewal_ca = ca.changes;
    node->next_renewal = now + (moves ? MOVE_RETRY_MS : RETRY_MS);
    if ((tells ? tell_trusted(node, &err) : ask_for_request(node, &err)) < 0) {
        (tells ? note_not_told : note_failure)(node, err.msg);
        return;
    }
    begin_step(node, moves);
}
