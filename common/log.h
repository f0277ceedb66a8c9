/* One logfmt line an event, to stderr (the journal keeps the rest).
 *
 *   log_info("node online", "node=%s pipe=%u", id, pipe);
 *   → 2026-01-02T03:04:05.678Z info "node online" node=… pipe=7
 *
 * Libraries don't log; the owner of an operation logs its end once. A %s may hold anything: quotes,
 * backslashes and control characters are escaped, and what is no plain word is put in quotes where
 * the format has none. So one call is one line, and no value can pass for another. Any thread. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* "debug" and so on, by level; ends with NULL. */
extern const char *const log_level_names[];

/* "debug", "info", "warn" or "error"; false and no change for anything else. */
bool log_level_parse(const char *name, enum log_level *ret_level);
void log_level_set(enum log_level level);

/* Of printf's conversions it knows %s, %.Ns, %d and %u of any length, and no other. */
void log_write(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

#endif
