/* Times as texts (RFC 3339), read. clock.h writes them. Pure; any thread. */
#ifndef COMMON_ISO_TIME_H
#define COMMON_ISO_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Any such time after 1970, in nanoseconds since then, those past 2554 the last of them; false when
 * it is none. */
bool iso_time_parse(const char *text, uint64_t *ret_ns);

#endif
