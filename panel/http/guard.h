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
    const char *head_end; /* where the body has to begin; NULL likewise */
    bool has_host;
    bool has_length;
    bool chunked;
    uint64_t length;
};

/* line_end: the NUL that libmicrohttpd has put behind the request line, or NULL where the bytes
 * behind its strings mean nothing (another version of it). */
void guard_init(struct guard *guard, const char *line_end);
void guard_header(struct guard *guard, const char *name, size_t name_len, const char *value,
                  size_t value_len);
/* After the last header. */
void guard_end(struct guard *guard, bool http_1_1);

/* May the first piece of the body be where it is? head_end: as guard_end() left it. */
bool guard_body_begins_well(const char *head_end, bool chunked, const char *piece);

#endif
