/* What a request's head must satisfy before anything believes it. Pure; any thread.
 *
 * libmicrohttpd accepts heads that two parsers may read differently, which is how requests are
 * smuggled past a proxy. Fed each header in order, the guard refuses them. */
#ifndef PANEL_HTTP_GUARD_H
#define PANEL_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guard {
    const char *wrong;    /* a sentence for the client; NULL while all is well */
    const char *line_end; /* where the last line ended; NULL: its bytes can't be seen */
    const char *head_end; /* where the head has to end; NULL likewise */
    bool has_host;
    bool has_length;
    bool chunked;
    uint64_t length;
};

/* Is it made of the characters that a method or a header's name may have? */
bool guard_is_token(const char *s, size_t len);

/* line_end: the NUL that libmicrohttpd has put behind the request line, or NULL where the bytes
 * behind its strings mean nothing (another version of it). */
void guard_init(struct guard *guard, const char *line_end);
void guard_header(struct guard *guard, const char *name, size_t name_len, const char *value,
                  size_t value_len);
/* After the last header. */
void guard_end(struct guard *guard, bool http_1_1);

#endif
