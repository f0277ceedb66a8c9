/* Long lists, made on a thread of their own: a hundred thousand rows take a quarter of a second, in
 * which a pool thread would serve none of its other connections. One at a time, in order. */
#ifndef PANEL_API_LISTER_H
#define PANEL_API_LISTER_H

#include "common/err.h"

struct call;
struct lister;

int lister_create(struct lister **ret_lister, struct err *err);
/* When every call that it took has been answered. */
void lister_destroy(struct lister *lister);

/* Defers the call and runs its route's handler on the lister's thread. */
void lister_take(struct lister *lister, struct call *call);
/* How many wait. Any thread. */
unsigned lister_queued(const struct lister *lister);

#endif
