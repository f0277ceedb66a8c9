/* The parts of /metrics; metrics.c puts them together. HTTP pool threads or the lister's. */
#ifndef PANEL_API_METRICS_H
#define PANEL_API_METRICS_H

#include "common/err.h"
#include "panel/fleet/board.h"
#include "panel/metrics/expose.h"
#include "panel/store/store.h"

/* One sample of a family that has one, or one label at most. */
void metrics_put_one(struct exposition *to, const struct family *family, int64_t value,
                     unsigned decimals);

/* metrics_nodes.c: nodes, each by itself, and all instances by state. */
int metrics_put_nodes(struct exposition *to, struct store *store, struct board *board,
                      struct err *err);

#endif
