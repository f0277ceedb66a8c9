/* A growing byte buffer whose failure sticks: append freely, look at .failed once at the end.
 *
 * Zero-initialised is empty: struct strbuf sb = {0}. data is always NUL-terminated when not
 * NULL. The owner calls strbuf_fini(), or strbuf_steal() to take the bytes. One thread. */
#ifndef COMMON_STRBUF_H
#define COMMON_STRBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf {
    char *data;
    size_t len;
    size_t cap;
    bool failed; /* an allocation failed; contents are incomplete */
};

void strbuf_add(struct strbuf *sb, const void *bytes, size_t len);
void strbuf_str(struct strbuf *sb, const char *s);
void strbuf_char(struct strbuf *sb, char c);
void strbuf_u64(struct strbuf *sb, uint64_t n);
void strbuf_fmt(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Back to empty, the memory kept. */
void strbuf_reset(struct strbuf *sb);
void strbuf_fini(struct strbuf *sb);

/* The bytes, NUL-terminated, for the caller to free; NULL when anything failed. */
char *strbuf_steal(struct strbuf *sb);

#define auto_strbuf __attribute__((cleanup(strbuf_fini)))

#endif
