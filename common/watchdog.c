/* Proof of life for a supervisor. See watchdog.h.
 *
 * Four ticks make the supervisor's patience: a loop may be late for half of it before we are late.
 */
#include "common/watchdog.h"

#include <assert.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/notify.h"

#define TICKS 4

void heart_beat(struct heart *heart)
{
    atomic_store(&heart->asked, false);
}

void watchdog_init(struct watchdog *watchdog)
{
    int64_t patience = notify_watchdog_ms();
    *watchdog = (struct watchdog){.told_ms = clock_mono_ms()};
    if (patience > 0)
        watchdog->tick_ms = patience < TICKS ? 1 : patience / TICKS;
}

void watchdog_add(struct watchdog *watchdog, struct heart *heart)
{
    assert(watchdog->count < WATCHDOG_HEARTS);
    watchdog->hearts[watchdog->count++] = heart;
}

bool watchdog_tick(struct watchdog *watchdog)
{
    bool alive = true;
    if (!watchdog->tick_ms)
        return false;
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < watchdog->count; i++) {
        const struct heart *heart = watchdog->hearts[i];
        if (!atomic_load(&heart->asked))
            continue;
        alive = false;
        log_warn("no sign of life", "loop=\"%s\" ms=%lld", heart->name,
                 (long long)(now - watchdog->told_ms));
    }
    if (!alive)
        return false;
    watchdog->told_ms = now;
    notify_supervisor("WATCHDOG=1");
    for (size_t i = 0; i < watchdog->count; i++) {
        atomic_store(&watchdog->hearts[i]->asked, true);
        watchdog->hearts[i]->ask(watchdog->hearts[i]);
    }
    return true;
}
