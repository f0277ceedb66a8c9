/* The Watch request: what somebody looks at now, held until there is news of it.
 *
 * At most one is held; a newer one answers the older with what there is, and what it doesn't name
 * is watched no more. When none comes for a while nobody looks. One thread. */
#ifndef AGENT_WATCH_H
#define AGENT_WATCH_H

#include "agent/identity.h"
#include "agent/reconcile.h"
#include "agent/rpc.h"
#include "common/err.h"

struct watch;

/* All three must outlive it. */
struct watch *watch_create(struct loop *loop, const struct identity *identity,
                           struct reconcile *reconcile, struct err *err);
/* NULL is fine. */
void watch_destroy(struct watch *watch);

void watch_take(struct watch *watch, struct rpc_call *call, const Wire__Envelope *request);
/* Containers may have changed. */
void watch_changed(struct watch *watch);
/* Once a round of the loop: answer, if there is news. */
void watch_settle(struct watch *watch);
/* Answer what is held, and from now on each at once: the agent is stopping. */
void watch_stop(struct watch *watch);

#endif
