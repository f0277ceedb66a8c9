/* Time. Deadlines use the monotonic clock; what is stored or shown uses the wall clock. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/* Milliseconds on CLOCK_MONOTONIC. */
int64_t clock_mono_ms(void);
/* The same in microseconds, for what is measured. */
int64_t clock_mono_us(void);

/* Milliseconds since 1970 UTC. */
int64_t clock_wall_ms(void);

#define CLOCK_ISO_LEN sizeof("2026-01-02T03:04:05.678Z")

/* RFC 3339 in UTC with milliseconds; out holds CLOCK_ISO_LEN bytes. */
void clock_format_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN]);
#endif
