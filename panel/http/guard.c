/* Checks of a request's head. See guard.h.
 *
 * libmicrohttpd 0.9.75 parses in place: in its buffer "\r\n" has become two NULs, a bare "\n" one,
 * and a folded line leaves its header's name elsewhere. So the distance from the end of a line to
 * the next one tells what the strings alone hide: bare LF, obs-fold, and NUL inside a line. What it
 * can't tell from each other in the two bytes of a line's end is CR, LF, NUL and, where it begins a
 * line, ':'; no proxy lets these pass. Where line ends can't be seen (line_end NULL) the checks of
 * names and values remain.
 * Pure; fails by setting wrong, first reason wins. */
#include "panel/http/guard.h"

#include <string.h>
#include <strings.h>

static bool is_token_char(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool guard_is_token(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_token_char((unsigned char)s[i]))
            return false;
    }
    return len > 0;
}

static bool is_value(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static void refuse(struct guard *guard, const char *why)
{
    if (!guard->wrong)
        guard->wrong = why;
}

void guard_init(struct guard *guard, const char *line_end)
{
    *guard = (struct guard){.line_end = line_end};
}

/* Did the last line end in CRLF, right before next? */
static bool line_ends_well(const char *line_end, const char *next)
{
    return next == line_end + 2 && !line_end[0] && !line_end[1];
}

static void check_lines(struct guard *guard, const char *name, size_t name_len, const char *value,
                        size_t value_len)
{
    if (!guard->line_end)
        return;
    if (!line_ends_well(guard->line_end, name)) {
        refuse(guard, "Each line of the head has to end in CR LF, and none may be folded.");
        return;
    }
    const char *at = name + name_len + 1;
    if (value < at || value - at > 4096) {
        refuse(guard, "A header is folded over several lines.");
        return;
    }
    for (; at < value; at++) {
        if (*at != ' ' && *at != '\t') {
            refuse(guard, "A header is folded over several lines.");
            return;
        }
    }
    guard->line_end = value + value_len;
}

static void check_length(struct guard *guard, const char *value, size_t len)
{
    if (guard->has_length) {
        refuse(guard, "Content-Length is given twice.");
        return;
    }
    guard->has_length = true;
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(value[i] - '0'), &n)) {
            refuse(guard, "Content-Length has to be a decimal number.");
            return;
        }
    }
    if (!len)
        refuse(guard, "Content-Length has to be a decimal number.");
    guard->length = n;
}

static void check_host(struct guard *guard, const char *value, size_t len)
{
    if (guard->has_host)
        refuse(guard, "Host is given twice.");
    guard->has_host = true;
    while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            continue;
        if (!strchr(".-_:[]%~", c)) {
            refuse(guard, "Host has to be a host name or an address, with or without a port.");
            return;
        }
    }
}

static bool is_name(const char *name, size_t len, const char *want, size_t want_len)
{
    return len == want_len && strncasecmp(name, want, len) == 0;
}
#define IS_NAME(want) is_name(name, name_len, want, sizeof(want) - 1)

void guard_header(struct guard *guard, const char *name, size_t name_len, const char *value,
                  size_t value_len)
{
    if (guard->wrong)
        return;
    if (!guard_is_token(name, name_len)) {
        refuse(guard, "A header's name has a space or another character that may not be there.");
        return;
    }
    if (!is_value(value, value_len)) {
        refuse(guard, "A header's value has a control character.");
        return;
    }
    check_lines(guard, name, name_len, value, value_len);
    if (IS_NAME("Content-Length")) {
        check_length(guard, value, value_len);
    } else if (IS_NAME("Transfer-Encoding")) {
        if (guard->chunked || !is_name(value, value_len, "chunked", 7))
            refuse(guard, "Transfer-Encoding may only be chunked, once.");
        guard->chunked = true;
    } else if (IS_NAME("Host")) {
        check_host(guard, value, value_len);
    }
}

void guard_end(struct guard *guard, bool http_1_1)
{
    if (guard->line_end && !line_ends_well(guard->line_end, guard->line_end + 2))
        refuse(guard, "Each line of the head has to end in CR LF.");
    if (guard->line_end && (guard->line_end[2] || guard->line_end[3]))
        refuse(guard, "The empty line behind the headers has to be CR LF.");
    if (guard->line_end)
        guard->head_end = guard->line_end + 4;
    if (guard->has_length && guard->chunked)
        refuse(guard, "Content-Length and Transfer-Encoding may not come together.");
    if (guard->chunked && !http_1_1)
        refuse(guard, "Transfer-Encoding needs HTTP/1.1.");
    if (http_1_1 && !guard->has_host)
        refuse(guard, "An HTTP/1.1 request needs a Host header.");
}
