/* Docker's grammar of image references, read left to right. See image_ref.h. Pure.
 * What it stops is an agent's request to Docker being bent by a strange name. */
#include "panel/domain/image_ref.h"

#include <stdbool.h>
#include <string.h>

#define NAME_MAX_LEN 255
#define TAG_MAX_LEN  128
#define LOWER        "abcdefghijklmnopqrstuvwxyz"
#define UPPER        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS       "0123456789"

/* [a-z0-9]+ joined by ".", "_", "__" or any number of "-". */
static bool is_path_part(const char *s, size_t len)
{
    const char *end = s + len;
    for (;;) {
        size_t run = strspn(s, LOWER DIGITS);
        if (!run)
            return false;
        s += run;
        if (s >= end)
            return s == end;
        size_t dashes = strspn(s, "-");
        if (dashes)
            s += dashes;
        else if (s[0] == '_' && s[1] == '_')
            s += 2;
        else if (s[0] == '_' || s[0] == '.')
            s += 1;
        else
            return false;
    }
}

static bool is_registry(const char *s, size_t len)
{
    const char *end = s + len;
    const char *colon = memchr(s, ':', len);
    const char *host_end = colon ? colon : end;
    if (colon) {
        size_t digits = strspn(colon + 1, DIGITS);
        if (!digits || digits > 5 || colon + 1 + digits != end)
            return false;
    }
    for (const char *p = s; p <= host_end; p++) {
        bool boundary = p == host_end || *p == '.';
        if (boundary && (p == s || p[-1] == '.' || p[-1] == '-'))
            return false; /* an empty label, or one that ends in a dash */
        if (!boundary && !strchr(LOWER UPPER DIGITS "-", *p))
            return false;
        if (!boundary && *p == '-' && (p == s || p[-1] == '.'))
            return false;
    }
    return true;
}

/* Docker takes the first part for a registry when it looks like a host. */
static bool looks_like_registry(const char *s, size_t len)
{
    return memchr(s, '.', len) || memchr(s, ':', len) ||
           (len == 9 && memcmp(s, "localhost", 9) == 0);
}

static bool is_name(const char *s, size_t len)
{
    if (!len || len > NAME_MAX_LEN)
        return false;
    if (len == 64 && strspn(s, "abcdef" DIGITS) >= 64)
        return false; /* an image's id, not a name */
    const char *end = s + len;
    const char *slash = memchr(s, '/', len);
    if (slash && looks_like_registry(s, (size_t)(slash - s))) {
        if (!is_registry(s, (size_t)(slash - s)))
            return false;
        s = slash + 1;
    }
    for (;;) {
        const char *stop = memchr(s, '/', (size_t)(end - s));
        if (!is_path_part(s, (size_t)((stop ? stop : end) - s)))
            return false;
        if (!stop)
            return true;
        s = stop + 1;
    }
}

static bool is_tag(const char *s, size_t len)
{
    return len > 0 && len <= TAG_MAX_LEN && *s != '.' && *s != '-' &&
           strspn(s, LOWER UPPER DIGITS "_.-") >= len;
}

/* Of an algorithm that Docker has: it refuses the others that its grammar leaves room for. */
static bool is_digest(const char *s)
{
    static const struct {
        const char *prefix;
        size_t digits;
    } algorithms[] = {{"sha256:", 64}, {"sha384:", 96}, {"sha512:", 128}};
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        size_t len = strlen(algorithms[i].prefix);
        if (strncmp(s, algorithms[i].prefix, len) == 0)
            return strspn(s + len, "abcdef" DIGITS) == algorithms[i].digits &&
                   !s[len + algorithms[i].digits];
    }
    return false;
}

static bool is_reference(const char *s)
{
    size_t rest = strcspn(s, "@");
    if (s[rest] && !is_digest(s + rest + 1))
        return false;
    const char *slash = memrchr(s, '/', rest);
    const char *from = slash ? slash : s;
    const char *colon = memchr(from, ':', rest - (size_t)(from - s));
    if (!colon)
        return is_name(s, rest);
    return is_name(s, (size_t)(colon - s)) && is_tag(colon + 1, rest - (size_t)(colon + 1 - s));
}

int image_ref_check(const char *field, const char *s, struct err *err)
{
    if (!is_reference(s))
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be a Docker image such as nginx:1.25 or "
                         "ghcr.io/owner/name:tag.",
                         field);
    return 0;
}
