/* Decoding of request targets. See uri.h.
 *
 * Invariant: what passes is valid UTF-8 without NUL, and a path has neither control characters
 * nor an encoded slash, so that splitting at '/' after decoding means what the client wrote.
 * Pure functions; they fail with a sentence for the client. */
#include "panel/http/uri.h"

#include <string.h>
#include <strings.h>

#include "common/utf8.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decode one component of len bytes to *out, which moves on past it. */
static const char *decode(const char *in, size_t len, bool is_path, char **out)
{
    char *start = *out;
    char *to = start;
    for (size_t i = 0; i < len; i++) {
        char c = in[i];
        if (c == '+' && !is_path) {
            c = ' ';
        } else if (c == '%') {
            int high = len - i > 2 ? hex_value(in[i + 1]) : -1;
            int low = len - i > 2 ? hex_value(in[i + 2]) : -1;
            if (high < 0 || low < 0)
                return "The URL has a percent sign that is not followed by two hex digits.";
            c = (char)(high << 4 | low);
            i += 2;
            if (!c)
                return "The URL holds an encoded NUL.";
            if (is_path && c == '/')
                return "The path holds an encoded slash.";
            if (is_path && ((unsigned char)c < 0x20 || c == 0x7f))
                return "The path holds an encoded control character.";
        }
        *to++ = c;
    }
    *to++ = '\0';
    if (!utf8_is_valid(start))
        return "The URL is not UTF-8 once it is decoded.";
    *out = to;
    return NULL;
}

/* "http://host/path" is as good as "/path" (RFC 9112, 3.2.2). */
static const char *skip_authority(const char *target, const char *end)
{
    size_t len = (size_t)(end - target);
    size_t scheme = 0;
    if (len > 7 && strncasecmp(target, "http://", 7) == 0)
        scheme = 7;
    else if (len > 8 && strncasecmp(target, "https://", 8) == 0)
        scheme = 8;
    if (!scheme)
        return target;
    const char *at = target + scheme;
    while (at < end && *at != '/' && *at != '?')
        at++;
    return at < end && *at == '/' ? at : target;
}

static const char *decode_params(const char *query, size_t len, char *out, struct uri *uri)
{
    uri->params = out;
    const char *end = query + len;
    while (query < end) {
        const char *stop = memchr(query, '&', (size_t)(end - query));
        if (!stop)
            stop = end;
        if (stop > query) {
            const char *equals = memchr(query, '=', (size_t)(stop - query));
            const char *value = equals ? equals + 1 : stop;
            const char *wrong =
                decode(query, (size_t)((equals ? equals : stop) - query), false, &out);
            if (!wrong)
                wrong = decode(value, (size_t)(stop - value), false, &out);
            if (wrong)
                return wrong;
            uri->param_count++;
        }
        query = stop < end ? stop + 1 : end;
    }
    return NULL;
}

const char *uri_parse(const char *target, size_t len, char *scratch, struct uri *ret_uri)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)target[i];
        if (c <= 0x20 || c == 0x7f || c == '#')
            return "The URL holds a character that has to be percent-encoded.";
    }
    const char *end = target + len;
    const char *path = skip_authority(target, end);
    if (path == end || *path != '/')
        return "The URL has to begin with a slash.";
    const char *mark = memchr(path, '?', (size_t)(end - path));
    const char *path_end = mark ? mark : end;

    struct uri uri = {.query = "", .params = "", .param_count = 0};
    char *out = scratch;
    uri.path = out;
    const char *wrong = decode(path, (size_t)(path_end - path), true, &out);
    if (!wrong && mark) {
        size_t query_len = (size_t)(end - mark - 1);
        memcpy(out, mark + 1, query_len);
        out[query_len] = '\0';
        uri.query = out;
        wrong = decode_params(uri.query, query_len, out + query_len + 1, &uri);
    }
    if (!wrong)
        *ret_uri = uri;
    return wrong;
}

const char *uri_param(const struct uri *uri, const char *name)
{
    const char *at = uri->params;
    for (size_t i = 0; i < uri->param_count; i++) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}
