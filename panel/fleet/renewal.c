/* Certificates renew themselves over the link that they still protect: when less than a third of
 * its life is left the agent is asked for a request made with a new key, and gets it signed. A
 * step that fails is taken again an hour later; nothing is lost before the old one ends. */
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "panel/fleet/state.h"

#define RETRY_MS HURRIED(3600u * 1000)
#define CALL_MS  15000

static void installed(void *arg, Wire__Envelope **reply, const struct err *err)
{
    struct fleet_node *node = arg;
    node->renewing = false;
    node->calls--;
    if (err || (*reply)->body_case != WIRE__ENVELOPE__BODY_ACK)
        log_warn("certificate not renewed", "node=%s reason=\"%s\"", node->id,
                 err ? err->msg : "the agent refused it");
    else
        log_info("certificate renewed", "node=%s", node->id);
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
        node->renewing = false;
        node->calls--;
        log_warn("certificate not renewed", "node=%s reason=\"%s\"", node->id, err.msg);
    }
}

void renewal_consider(struct fleet_node *node, uint64_t cert_not_after)
{
    int64_t now = clock_mono_ms();
    uint64_t due =
        cert_not_after - CA_RENEW_SECONDS; /* wraps for what is no time: then it isn't due */
    if (due > (uint64_t)clock_wall_ms() / 1000 || node->renewing || now < node->next_renewal)
        return;
    node->next_renewal = now + RETRY_MS;
    Wire__Envelope envelope;
    Wire__CertRequest body = WIRE__CERT_REQUEST__INIT;
    struct err err = {0};
    node_envelope(node, &envelope);
    envelope.body_case = WIRE__ENVELOPE__BODY_CERT_REQUEST;
    envelope.cert_request = &body;
    if (link_call(node->link, &envelope, CALL_MS, requested, node, &err) < 0) {
        log_warn("certificate not renewed", "node=%s reason=\"%s\"", node->id, err.msg);
        return;
    }
    node->renewing = true;
    node->calls++;
}
