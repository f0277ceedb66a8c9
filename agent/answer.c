/* Answers on the link. See answer.h.
 *
 * What can't be packed becomes a Failure, and what can't even become that an empty frame: the
 * panel takes it for a broken answer and asks again. */
#include "agent/answer.h"

#include <stdlib.h>

#include "common/auto.h"
#include "common/log.h"

void answer_send(struct rpc_call *call, const struct identity *identity, uint64_t call_id,
                 Wire__Envelope *envelope)
{
    auto_free uint8_t *data = NULL;
    size_t len = 0;
    struct err err;
    envelope->protocol_version = WIRE_PROTOCOL_VERSION;
    envelope->panel_id = identity->panel_id;
    envelope->node_id = identity->node_id;
    envelope->call_id = call_id;
    if (envelope_pack(envelope, &data, &len, &err) == 0) {
        rpc_reply(call, data, len);
        return;
    }
    log_error("answer not packed", "reason=\"%s\"", err.msg);
    if (envelope->body_case == WIRE__ENVELOPE__BODY_FAILURE)
        rpc_reply(call, NULL, 0);
    else
        answer_failure(call, identity, call_id, &err);
}

void answer_ack(struct rpc_call *call, const struct identity *identity, uint64_t call_id)
{
    Wire__Ack ack = WIRE__ACK__INIT;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    envelope.body_case = WIRE__ENVELOPE__BODY_ACK;
    envelope.ack = &ack;
    answer_send(call, identity, call_id, &envelope);
}

void answer_failure(struct rpc_call *call, const struct identity *identity, uint64_t call_id,
                    const struct err *err)
{
    Wire__Failure failure = WIRE__FAILURE__INIT;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    failure.code = (char *)err->reason;
    failure.message = (char *)err->msg;
    envelope.body_case = WIRE__ENVELOPE__BODY_FAILURE;
    envelope.failure = &failure;
    answer_send(call, identity, call_id, &envelope);
}
