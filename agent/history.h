/* The History request: what a container has printed, read from Docker's log once. One thread. */
#ifndef AGENT_HISTORY_H
#define AGENT_HISTORY_H

#include "agent/identity.h"
#include "agent/reconcile.h"
#include "agent/rpc.h"

struct histories;

/* All three must outlive it. NULL without memory. */
struct histories *histories_create(const struct identity *identity, struct reconcile *reconcile);
/* What is being read goes unanswered. NULL is fine. */
void histories_destroy(struct histories *histories);

/* Answers the call when Docker has told. */
void histories_take(struct histories *histories, struct rpc_call *call,
                    const Wire__Envelope *request);

#endif
