/* The log: one line an event, to stderr (the journal keeps the rest), as logfmt or as JSON.
 *
 *   log_info("node online", "node=%s pipe=%u", id, pipe);
 *   → ts=2026-01-02T03:04:05.678Z level=info msg="node online" node=… pipe=7
 *   → {"ts":"2026-01-02T03:04:05.678Z","level":"info","msg":"node online","node":"…","pipe":7}
 *
 * Libraries don't log; the owner of an operation logs its end once. A value may hold anything: it
 * is quoted and escaped as it needs, so one call is one line, no value can pass for another, and no
 * control character gets through. What a line is about goes by the same names everywhere: req (a
 * request's id), op (what is being done), node, instance. Any thread.
 *
 * Lines of one kind about one thing (node, instance, client), as a flapping node writes them, are
 * limited: after LOG_BURST of them one every LOG_EVERY_MS, which says how many were left out
 * (suppressed=N). A line with req is one of its kind. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

#define LOG_BURST    20
#define LOG_EVERY_MS 10000

/* "debug" and so on, by level, and "logfmt" and so on, by format; each ends with NULL. */
extern const char *const log_level_names[];
extern const char *const log_format_names[];

void log_level_set(enum log_level level);
const char *log_level_name(enum log_level level);
/* Would a line of that level be written? For who has to prepare one. */
bool log_is_on(enum log_level level);
void log_format_set(enum log_format format);

/* From now on every line has node=id, unless it has one of its own. Copied; before threads. */
void log_node_set(const char *id);

/* event: a literal. fmt: fields with a space between, each key=%s or key="%s"; of printf's
 * conversions %s, %.Ns, %d and %u of any length, and no other. */
void log_write(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

/* --- what a thread is at --------------------------------------------------------------------- */

/* A field that all lines of this thread have, until the scope ends, unless they have it anyway or
 * its value is NULL or "". */
struct log_scope {
    const char *key;   /* a literal */
    const char *value; /* borrowed */
    struct log_scope *outer;
};
void log_scope_begin(struct log_scope *scope, const char *key, const char *value);
void log_scope_end(struct log_scope *scope);
#define auto_log_scope __attribute__((cleanup(log_scope_end)))

/* --- how much was written -------------------------------------------------------------------- */

uint64_t log_lines(enum log_level level);
uint64_t log_lines_suppressed(void);

#endif
