/* logfmt lines on stderr. See log.h. Each line is one write(2), so threads don't mix. */
#include "common/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

static _Atomic int current_level = LOG_INFO;

const char *const log_level_names[] = {"debug", "info", "warn", "error", NULL};

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (int i = 0; i <= LOG_ERROR; i++) {
        if (strcmp(name, log_level_names[i]) == 0) {
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

/* --- a line ----------------------------------------------------------------------------------- */

struct line {
    char text[1024]; /* two bytes stay free for a quote that a cut left open, and the line's end */
    size_t len;
    bool quoted; /* inside quotes */
    bool full;
};

static void put(struct line *line, const char *text, size_t len)
{
    line->full = line->full || len > sizeof(line->text) - 2 - line->len;
    if (line->full)
        return;
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_quote(struct line *line)
{
    put(line, "\"", 1);
    line->quoted = line->full ? line->quoted : !line->quoted;
}

static void put_escaped(struct line *line, char c)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char byte = (unsigned char)c;
    if (c == '"' || c == '\\')
        put(line, (const char[]){'\\', c}, 2);
    else if (c == '\n')
        put(line, "\\n", 2);
    else if (byte < 0x20 || byte == 0x7f)
        put(line, (const char[]){'\\', 'x', hex[byte >> 4], hex[byte & 15]}, 4);
    else
        put(line, &c, 1);
}

static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte <= ' ' || byte == 0x7f || strchr("\"\\=", byte))
            return false;
    }
    return len > 0;
}

static void put_value(struct line *line, const char *text, size_t max)
{
    size_t len = strnlen(text ? text : "", max);
    bool quotes = !line->quoted && !is_plain(text, len);
    if (quotes)
        put_quote(line);
    for (size_t i = 0; i < len; i++)
        put_escaped(line, text[i]);
    if (quotes)
        put_quote(line);
}

static void put_number(struct line *line, const char *length, bool is_signed, va_list *ap)
{
    char digits[24];
    bool wide = *length == 'l' || *length == 'z'; /* 64 bits, here as everywhere we run */
    int len;
    if (is_signed)
        len = snprintf(digits, sizeof(digits), "%lld",
                       wide ? va_arg(*ap, long long) : (long long)va_arg(*ap, int));
    else
        len = snprintf(digits, sizeof(digits), "%llu",
                       wide ? va_arg(*ap, unsigned long long)
                            : (unsigned long long)va_arg(*ap, unsigned));
    put(line, digits, (size_t)len);
}

/* Of printf's conversions there are %s with or without a precision, %d and %u of any length. */
static void put_format(struct line *line, const char *fmt, va_list *ap)
{
    for (const char *p = fmt; *p; p++) {
        if (*p == '"') {
            put_quote(line);
            continue;
        }
        if (*p != '%') {
            put(line, p, 1);
            continue;
        }
        size_t max = SIZE_MAX;
        if (*++p == '.') {
            char *end;
            max = strtoul(p + 1, &end, 10);
            p = end;
        }
        const char *length = p;
        p += strspn(p, "lz");
        if (*p == 's')
            put_value(line, va_arg(*ap, const char *), max);
        else if (*p == 'd' || *p == 'u')
            put_number(line, length, *p == 'd', ap);
        else
            return; /* test_log.c would have seen it */
    }
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
    if ((int)level < atomic_load_explicit(&current_level, memory_order_relaxed))
        return;
    struct line line = {.len = 0};
    char when[CLOCK_ISO_LEN];
    clock_format_iso(clock_wall_ms(), when);
    line.len = (size_t)snprintf(line.text, sizeof(line.text) - 2, "%s %s \"%s\" ", when,
                                log_level_names[level], event);
    va_list ap;
    va_start(ap, fmt);
    put_format(&line, fmt, &ap);
    va_end(ap);
    if (line.quoted)
        line.text[line.len++] = '"';
    line.text[line.len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line.text, line.len);
    (void)ignored;
}
