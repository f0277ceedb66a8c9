/* The text of events that was made last, for those who follow all of them: each stands where the
 * others do, and would read and write the same. Any thread. */
#ifndef PANEL_API_EVENT_MEMO_H
#define PANEL_API_EVENT_MEMO_H

#include <stdint.h>

#include "common/err.h"
#include "common/shared.h"

struct event_memo;

int event_memo_create(struct event_memo **ret_memo, struct err *err);
/* NULL is fine. */
void event_memo_destroy(struct event_memo *memo);

/* What comes after that event, up to *ret_last: a reference of the caller's; NULL: not known. */
struct shared *event_memo_get(struct event_memo *memo, int64_t after, int64_t *ret_last);
/* Keeps a reference in the place of the one before. Nothing that is after `after` and not after
 * `last` may be missing in it. */
void event_memo_put(struct event_memo *memo, int64_t after, int64_t last, struct shared *piece);

#endif
