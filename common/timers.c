/* A pairing heap of intrusive timers. See timers.h. */
#include "common/timers.h"

#include <stddef.h>

static void point(struct timer **at, struct timer *timer)
{
    *at = timer;
    if (timer)
        timer->at = at;
}

/* Two heaps, one of them with more to its right: the later becomes the earlier one's child. */
static struct timer *join(struct timer *a, struct timer *b)
{
    struct timer *earlier = a->due_mono_ms <= b->due_mono_ms ? a : b;
    struct timer *later = earlier == a ? b : a;
    point(&later->next, earlier->child);
    point(&earlier->child, later);
    earlier->next = NULL;
    return earlier;
}

/* Siblings: in pairs from the left, then all pairs from the right. */
static struct timer *join_siblings(struct timer *list)
{
    struct timer *pairs = NULL;
    while (list) {
        struct timer *pair = list;
        struct timer *second = list->next;
        list = second ? second->next : NULL;
        if (second)
            pair = join(pair, second);
        pair->next = pairs;
        pairs = pair;
    }
    struct timer *all = pairs;
    pairs = all ? all->next : NULL;
    while (pairs) {
        struct timer *pair = pairs;
        pairs = pair->next;
        all = join(all, pair);
    }
    if (all)
        all->next = NULL;
    return all;
}

static void add(struct timers *timers, struct timer *heap)
{
    if (heap && timers->first)
        heap = join(timers->first, heap);
    if (heap)
        point(&timers->first, heap);
}

void timers_set(struct timers *timers, struct timer *timer, int64_t due_mono_ms)
{
    timers_cancel(timers, timer);
    timer->due_mono_ms = due_mono_ms;
    add(timers, timer);
}

void timers_cancel(struct timers *timers, struct timer *timer)
{
    if (!timer->at)
        return;
    struct timer *children = join_siblings(timer->child);
    point(timer->at, timer->next);
    timer->at = NULL;
    timer->child = NULL;
    timer->next = NULL;
    add(timers, children);
}

bool timer_is_set(const struct timer *timer)
{
    return timer->at != NULL;
}

int64_t timers_next(const struct timers *timers)
{
    return timers->first ? timers->first->due_mono_ms : INT64_MAX;
}

void timers_run(struct timers *timers, int64_t now_mono_ms)
{
    while (timers->first && timers->first->due_mono_ms <= now_mono_ms) {
        struct timer *timer = timers->first;
        timers_cancel(timers, timer);
        timer->fire(timer);
    }
}
