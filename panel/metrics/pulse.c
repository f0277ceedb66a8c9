/* See pulse.h. */
#include "panel/metrics/pulse.h"

#include <stdatomic.h>

#include "common/clock.h"

static struct {
    _Alignas(64) _Atomic int64_t since_us; /* monotonic; 0: it rests */
    _Atomic uint64_t busy_us;              /* of the rounds that are over */
} beats[PULSES];

void pulse_work(enum pulse pulse)
{
    atomic_store_explicit(&beats[pulse].since_us, clock_mono_us(), memory_order_relaxed);
}

void pulse_rest(enum pulse pulse)
{
    int64_t since = atomic_load_explicit(&beats[pulse].since_us, memory_order_relaxed);
    if (!since)
        return;
    atomic_store_explicit(&beats[pulse].since_us, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&beats[pulse].busy_us, (uint64_t)(clock_mono_us() - since),
                              memory_order_relaxed);
}

static int64_t round_us(enum pulse pulse)
{
    int64_t since = atomic_load_explicit(&beats[pulse].since_us, memory_order_relaxed);
    int64_t now = clock_mono_us();
    return since && now > since ? now - since : 0;
}

int64_t pulse_round_ms(enum pulse pulse)
{
    return round_us(pulse) / 1000;
}

/* What is over only: with the round under way a reader could see it twice, and a total fall. */
uint64_t pulse_busy_us(enum pulse pulse)
{
    return atomic_load_explicit(&beats[pulse].busy_us, memory_order_relaxed);
}

const char *pulse_name(enum pulse pulse)
{
    static const char *const names[] = {
        [PULSE_FLEET] = "fleet", [PULSE_STORE] = "store", [PULSE_LISTS] = "lists"};
    return names[pulse];
}
