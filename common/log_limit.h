/* How many lines of one kind may be written. For log.c alone. Any thread; one short lock. */
#ifndef COMMON_LOG_LIMIT_H
#define COMMON_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* May a line of this kind be written now? *ret_suppressed: how many were not, since the last. */
bool log_limit_take(uint64_t kind, int64_t now_ms, uint64_t *ret_suppressed);
uint64_t log_limit_suppressed(void);

#endif
