/* From a request's bytes to its handler: checked first, then dispatched by a table. One thread. */
#ifndef AGENT_HANDLERS_H
#define AGENT_HANDLERS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/command.h"
#include "agent/history.h"
#include "agent/identity.h"
#include "agent/reconcile.h"
#include "agent/rpc.h"
#include "agent/sync.h"
#include "agent/watch.h"

struct handlers {
    struct loop *loop;
    struct identity *identity;
    struct reconcile *reconcile;
    struct sync *sync;
    struct watch *watch;
    struct histories *histories;
    struct commands *commands;
    struct rpc *rpc;
    struct timer reload; /* of the listener, after a new certificate */
};

/* Answers the call, now or, where it is held or waits for Docker, later. */
void handlers_serve(struct handlers *handlers, struct rpc_call *call, const uint8_t *data,
                    size_t len);

#endif
