/* Where an instance goes when its deploy says nodeId "auto". */
#ifndef PANEL_API_PLACING_H
#define PANEL_API_PLACING_H

#include "panel/api/internal.h"

struct placing;

/* All nodes as they are now: who could take it, and why the others can't. tags: "" or some that a
 * node must have, with commas between. Pool thread. */
int placing_create(const struct call *call, const char *tags, struct placing **ret_placing,
                   struct err *err);
void placing_destroy(struct placing *placing);

/* Inside a transaction: try those that can, the one with the most free memory first, until create
 * succeeds, which sets row.node_id. 1: it did. 0: nobody can take it; *ret_details is for the
 * caller to free: a JSON array of {nodeId, name, reason}, one for each node. -1: err. */
int placing_try(struct placing *placing, struct store_tx *tx,
                int (*create)(void *arg, struct store_tx *tx, const char *node_id, struct err *err),
                void *arg, char **ret_details, struct err *err);

#endif
