/* The Command request: text for a container's standard input, written once at most. One thread. */
#ifndef AGENT_COMMAND_H
#define AGENT_COMMAND_H

#include "agent/identity.h"
#include "agent/reconcile.h"
#include "agent/rpc.h"

struct commands;

/* All must outlive it. NULL without memory. */
struct commands *commands_create(const struct identity *identity, struct reconcile *reconcile,
                                 const char *boot_id);
/* What is being written goes unanswered. NULL is fine. */
void commands_destroy(struct commands *commands);

/* Answers the call when Docker has the text, or it can't be written. */
void commands_take(struct commands *commands, struct rpc_call *call, const Wire__Envelope *request);

#endif
