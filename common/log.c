/* logfmt lines on stderr. See log.h. Each line is one write(2), so threads don't mix. */
#include "common/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

static _Atomic int current_level = LOG_INFO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (int i = 0; i <= LOG_ERROR; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_level_set(enum log_level level)
{
    atomic_store(&current_level, (int)level);
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
    if ((int)level < atomic_load_explicit(&current_level, memory_order_relaxed))
        return;
    char line[1024];
    char when[CLOCK_ISO_LEN];
    clock_format_iso(clock_wall_ms(), when);
    int used = snprintf(line, sizeof(line) - 1, "%s %s \"%s\" ", when, level_names[level], event);
    va_list ap;
    va_start(ap, fmt);
    int more = vsnprintf(line + used, sizeof(line) - 1 - (size_t)used, fmt, ap);
    va_end(ap);
    size_t len = (size_t)used + (more > 0 ? (size_t)more : 0);
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
}
