/* Deadlines of one loop: a pairing heap of intrusive timers, so that setting one can't fail.
 * (Fredman, Sedgewick, Sleator, Tarjan: The Pairing Heap, 1986.)
 *
 * A struct timer lives inside what it belongs to, which cancels it before it goes. Zero-initialised
 * is idle. A struct timers stays where it is while a timer is set. One thread. */
#ifndef COMMON_TIMERS_H
#define COMMON_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
    int64_t due_mono_ms;
    void (*fire)(struct timer *timer);
    struct timer *child; /* the first of those that are due no earlier */
    struct timer *next;  /* sibling */
    struct timer **at;   /* what points to it; NULL: idle */
};

struct timers {
    struct timer *first;
};

/* Set or move the timer. It fires once. */
void timers_set(struct timers *timers, struct timer *timer, int64_t due_mono_ms);
/* Idle timers may be cancelled too. */
void timers_cancel(struct timers *timers, struct timer *timer);
bool timer_is_set(const struct timer *timer);
/* When the next one is due; INT64_MAX when none is. */
int64_t timers_next(const struct timers *timers);
/* Fire all that are due at now; fire may set and cancel any timer. */
void timers_run(struct timers *timers, int64_t now_mono_ms);

#endif
