/* Deadlines of one loop: a binary heap of intrusive timers.
 *
 * A struct timer lives inside what it belongs to. Zero-initialised is idle. One thread. */
#ifndef COMMON_TIMERS_H
#define COMMON_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct timer {
    int64_t due_mono_ms;
    size_t slot; /* 1-based place in the heap; 0: idle */
    void (*fire)(struct timer *timer);
};

struct timers {
    struct timer **heap;
    size_t count;
    size_t cap;
};

/* Set or move the timer. It fires once. ERR_NO_MEMORY leaves it idle. */
int timers_set(struct timers *timers, struct timer *timer, int64_t due_mono_ms, struct err *err);
/* Idle timers may be cancelled too. */
void timers_cancel(struct timers *timers, struct timer *timer);
/* When the next one is due; INT64_MAX when none is. */
int64_t timers_next(const struct timers *timers);
/* Fire all that are due at now; fire may set and cancel any timer. */
void timers_run(struct timers *timers, int64_t now_mono_ms);
void timers_fini(struct timers *timers);

#endif
