/* Answers on the link: filled in, packed, sent. One thread. */
#ifndef AGENT_ANSWER_H
#define AGENT_ANSWER_H

#include <stdint.h>

#include "agent/identity.h"
#include "agent/rpc.h"
#include "common/envelope.h"

/* Send the envelope, whose body alone is set; the call is over. */
void answer_send(struct rpc_call *call, const struct identity *identity, uint64_t call_id,
                 Wire__Envelope *envelope);
void answer_ack(struct rpc_call *call, const struct identity *identity, uint64_t call_id);
/* code: err->reason */
void answer_failure(struct rpc_call *call, const struct identity *identity, uint64_t call_id,
                    const struct err *err);

#endif
