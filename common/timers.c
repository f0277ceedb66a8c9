/* A binary heap of intrusive timers. See timers.h. */
#include "common/timers.h"

#include <stdlib.h>

static void put(struct timers *timers, size_t at, struct timer *timer)
{
    timers->heap[at] = timer;
    timer->slot = at + 1;
}

static void sift_up(struct timers *timers, size_t at)
{
    struct timer *timer = timers->heap[at];
    while (at) {
        size_t parent = (at - 1) / 2;
        if (timers->heap[parent]->due_mono_ms <= timer->due_mono_ms)
            break;
        put(timers, at, timers->heap[parent]);
        at = parent;
    }
    put(timers, at, timer);
}

static void sift_down(struct timers *timers, size_t at)
{
    struct timer *timer = timers->heap[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count &&
            timers->heap[child + 1]->due_mono_ms < timers->heap[child]->due_mono_ms)
            child++;
        if (timers->heap[child]->due_mono_ms >= timer->due_mono_ms)
            break;
        put(timers, at, timers->heap[child]);
        at = child;
    }
    put(timers, at, timer);
}

int timers_set(struct timers *timers, struct timer *timer, int64_t due_mono_ms, struct err *err)
{
    timers_cancel(timers, timer);
    if (timers->count == timers->cap) {
        size_t cap = timers->cap ? timers->cap * 2 : 64;
        struct timer **heap = reallocarray(timers->heap, cap, sizeof(struct timer *));
        if (!heap)
            return err_nomem(err);
        timers->heap = heap;
        timers->cap = cap;
    }
    timer->due_mono_ms = due_mono_ms;
    put(timers, timers->count, timer);
    timers->count++;
    sift_up(timers, timers->count - 1);
    return 0;
}

void timers_cancel(struct timers *timers, struct timer *timer)
{
    if (!timer->slot)
        return;
    size_t at = timer->slot - 1;
    timer->slot = 0;
    timers->count--;
    if (at == timers->count)
        return;
    put(timers, at, timers->heap[timers->count]);
    sift_up(timers, at);
    sift_down(timers, timers->heap[at]->slot - 1);
}

int64_t timers_next(const struct timers *timers)
{
    return timers->count ? timers->heap[0]->due_mono_ms : INT64_MAX;
}

void timers_run(struct timers *timers, int64_t now_mono_ms)
{
    while (timers->count && timers->heap[0]->due_mono_ms <= now_mono_ms) {
        struct timer *timer = timers->heap[0];
        timers_cancel(timers, timer);
        timer->fire(timer);
    }
}

void timers_fini(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}
