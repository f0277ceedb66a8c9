/* The Sync request: heartbeat and stream of changes in one, held until there is news.
 *
 * At most one is held; a newer one answers the older with what there is. Once a round of the loop
 * sync_settle() looks whether the held one can be answered, so many changes go in one answer.
 * One thread. */
#ifndef AGENT_SYNC_H
#define AGENT_SYNC_H

#include "agent/identity.h"
#include "agent/reconcile.h"
#include "agent/rpc.h"
#include "common/err.h"

struct sync;

/* loop, identity and reconcile must outlive it; reconcile may be set later. */
struct sync *sync_create(struct loop *loop, const struct identity *identity, struct err *err);
void sync_set_reconcile(struct sync *sync, struct reconcile *reconcile);
/* NULL is fine. */
void sync_destroy(struct sync *sync);

/* Of this life of the agent. */
const char *sync_boot_id(const struct sync *sync);

void sync_take(struct sync *sync, struct rpc_call *call, const Wire__Envelope *request);
/* There may be news. */
void sync_changed(struct sync *sync);
void sync_settle(struct sync *sync);
/* Answer what is held, and from now on each at once: the agent is stopping. */
void sync_stop(struct sync *sync);

#endif
