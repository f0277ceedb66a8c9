/* What instances use, measured once a second while somebody looks, and not at all else.
 *
 * However many look, a container is measured once. The first measurement only begins: a share of
 * the processors needs two. One thread. */
#ifndef AGENT_STATS_H
#define AGENT_STATS_H

#include "agent/loop.h"
#include "agent/reconcile.h"
#include "panel.pb-c.h"

struct stats;

/* Both must outlive it. NULL without memory. */
struct stats *stats_create(struct loop *loop, struct reconcile *reconcile);
/* NULL is fine. */
void stats_destroy(struct stats *stats);

/* These are looked at from now on, and no others; all: whatever there is. */
void stats_want(struct stats *stats, char *const *ids, size_t count, bool all);
/* Is there a measurement that hasn't been told? */
bool stats_has_news(const struct stats *stats);
/* How many rows stats_tell() may fill. */
size_t stats_count(const struct stats *stats);
/* Fill rows with what hasn't been told, and pointers with their addresses; how many. The texts are
 * borrowed until the next call of anything here. */
size_t stats_tell(struct stats *stats, Wire__Stats *rows, Wire__Stats **pointers);

#endif
