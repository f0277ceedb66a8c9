/* Proof of life for a supervisor that wants one (systemd's WatchdogSec=).
 *
 * A loop proves that it lives by doing what it is asked. Each tick asks every loop, through its own
 * queue, and the supervisor hears of us only once all have answered what the tick before asked. So
 * one loop that hangs, in a lock or in a call that doesn't return, is one that the supervisor
 * restarts us for, however well the others do. A loop that ticks itself needs no heart.
 *
 * One thread owns a watchdog; it must have ended its ticks before a heart goes. */
#ifndef COMMON_WATCHDOG_H
#define COMMON_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of one loop, whose owner fills in the first two. */
struct heart {
    const char *name; /* as the log calls it */
    /* Have the loop call heart_beat(), behind whatever waits for it. Doesn't block, can't fail; it
     * isn't called again before that was answered. */
    void (*ask)(struct heart *heart);
    atomic_bool asked;
};

/* By the loop, when what ask() queued has come to it. */
void heart_beat(struct heart *heart);

#define WATCHDOG_HEARTS 4

struct watchdog {
    int64_t tick_ms; /* between two ticks; 0: no supervisor asks, and ticks do nothing */
    int64_t told_ms; /* mono, when it last heard of us */
    size_t count;
    struct heart *hearts[WATCHDOG_HEARTS];
};

/* Reads from the environment whether there is a supervisor that asks. */
void watchdog_init(struct watchdog *watchdog);
void watchdog_add(struct watchdog *watchdog, struct heart *heart);

/* Every tick_ms. True: all are alive, and the supervisor was told. Else logs which isn't. */
bool watchdog_tick(struct watchdog *watchdog);

#endif
