/* A growing byte buffer. See strbuf.h. */
#include "common/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most texts fit. And malloc() serves up to 1,032 bytes from the thread's own cache, while every
 * realloc() takes the lock of an arena, which other threads want as well. */
#define FIRST 1000

static bool reserve(struct strbuf *sb, size_t more)
{
    size_t need;
    if (sb->failed || __builtin_add_overflow(sb->len, more, &need) ||
        __builtin_add_overflow(need, 1, &need)) {
        sb->failed = true;
        return false;
    }
    if (need <= sb->cap)
        return true;
    size_t cap = sb->cap < FIRST ? FIRST : sb->cap;
    while (cap < need) {
        if (__builtin_mul_overflow(cap, 2, &cap)) {
            sb->failed = true;
            return false;
        }
    }
    char *data = realloc(sb->data, cap);
    if (!data) {
        sb->failed = true;
        return false;
    }
    sb->data = data;
    sb->cap = cap;
    return true;
}

void strbuf_add(struct strbuf *sb, const void *bytes, size_t len)
{
    if (!reserve(sb, len))
        return;
    if (len)
        memcpy(sb->data + sb->len, bytes, len);
    sb->len += len;
    sb->data[sb->len] = '\0';
}

void strbuf_str(struct strbuf *sb, const char *s)
{
    strbuf_add(sb, s, strlen(s));
}

void strbuf_char(struct strbuf *sb, char c)
{
    strbuf_add(sb, &c, 1);
}

void strbuf_u64(struct strbuf *sb, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    strbuf_add(sb, digits + at, sizeof(digits) - at);
}

void strbuf_fmt(struct strbuf *sb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int need = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (need >= 0 && reserve(sb, (size_t)need)) {
        vsnprintf(sb->data + sb->len, (size_t)need + 1, fmt, again);
        sb->len += (size_t)need;
    }
    va_end(again);
}

void strbuf_reset(struct strbuf *sb)
{
    sb->len = 0;
    sb->failed = false;
    if (sb->data)
        sb->data[0] = '\0';
}

void strbuf_fini(struct strbuf *sb)
{
    free(sb->data);
    *sb = (struct strbuf){0};
}

char *strbuf_steal(struct strbuf *sb)
{
    if (sb->failed || !reserve(sb, 0)) {
        strbuf_fini(sb);
        return NULL;
    }
    sb->data[sb->len] = '\0';
    char *out = sb->data;
    *sb = (struct strbuf){0};
    return out;
}
