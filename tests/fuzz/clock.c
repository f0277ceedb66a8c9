/* A clock that stands still until an input moves it: linked in the place of common/clock.c. */
#include "common/clock.h"

#include <stdio.h>

#include "tests/fuzz/fuzz.h"

int64_t fuzz_now_ms;

int64_t clock_mono_ms(void)
{
    return fuzz_now_ms;
}

int64_t clock_mono_us(void)
{
    return fuzz_now_ms * 1000;
}

int64_t clock_wall_ms(void)
{
    return 1767225600000 + fuzz_now_ms; /* 2026 */
}

void clock_format_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN])
{
    snprintf(out, CLOCK_ISO_LEN, "%lld", (long long)wall_ms);
}
