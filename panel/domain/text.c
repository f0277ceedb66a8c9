/* Names, addresses, identifiers. See text.h. Pure. */
#include "panel/domain/text.h"

#include <arpa/inet.h>
#include <string.h>

#define EMAIL_MAX    254
#define ADDRESS_MAX  253
#define PATH_LEN_MAX 255

/* A control character of ASCII or Latin-1, or one that changes a text's direction or lines. */
static bool has_control(const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            return true;
        if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) /* U+0080–U+009F */
            return true;
        if (p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae)
            return true; /* line and paragraph separators, direction overrides */
        if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)
            return true; /* direction isolates */
    }
    return false;
}

static unsigned count_chars(const char *s)
{
    unsigned n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

int text_check_name(const char *field, const char *s, unsigned max, struct err *err)
{
    if (!s[strspn(s, " ")] || has_control(s) || count_chars(s) > max)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be 1 to %u printable characters.", field, max);
    return 0;
}

int text_check_line(const char *field, const char *s, unsigned max, struct err *err)
{
    if (has_control(s) || strlen(s) > max)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be at most %u bytes without control characters.",
                         field, max);
    return 0;
}

int text_check_email(const char *field, const char *s, struct err *err)
{
    const char *at = strchr(s, '@');
    if (!at || at == s || !at[1] || strchr(at + 1, '@') || strpbrk(s, " ,;<>\"") ||
        has_control(s) || strlen(s) > EMAIL_MAX || at[1] == '.' || s[strlen(s) - 1] == '.')
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be an e-mail address such as ann@example.com.",
                         field);
    return 0;
}

int text_check_id(const char *field, const char *s, struct err *err)
{
    size_t len = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    if (!len || len > 64 || s[len] || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be 1 to 64 characters of A-Z a-z 0-9 _ . -",
                         field);
    return 0;
}

static bool is_host_name(const char *s)
{
    size_t label = 0;
    for (; *s; s++) {
        bool alnum = (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
                     (*s >= 'A' && *s <= 'Z') || *s == '_';
        if (*s == '.' ? label == 0 : !alnum && !(*s == '-' && label > 0))
            return false;
        label = *s == '.' ? 0 : label + 1;
        if (label > 63 || (*s == '-' && (!s[1] || s[1] == '.')))
            return false;
    }
    return label > 0;
}

int text_check_address(const char *field, const char *s, struct err *err)
{
    unsigned char scratch[16];
    bool fine = strlen(s) <= ADDRESS_MAX &&
                (strchr(s, ':') ? inet_pton(AF_INET6, s, scratch) == 1 : is_host_name(s));
    if (!fine)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be a host name or an IP address, without "
                         "\"http://\" and without a port.",
                         field);
    return 0;
}

int text_check_port(const char *field, const char *s, struct err *err)
{
    uint64_t port;
    if (s[0] == '0' || strlen(s) > 5 || !text_parse_uint(s, 65535, &port))
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be a port number from 1 to 65535.", field);
    return 0;
}

int text_check_mount_path(const char *field, const char *s, struct err *err)
{
    bool fine = s[0] == '/' && s[1] && strlen(s) <= PATH_LEN_MAX && !has_control(s) &&
                !strchr(s, ':') && !strstr(s, "//");
    for (const char *part = s; fine && *part; part += strcspn(part, "/")) {
        part++;
        size_t len = strcspn(part, "/");
        if ((len == 2 && part[0] == '.' && part[1] == '.') || (len == 1 && part[0] == '.'))
            fine = false;
    }
    if (!fine)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be an absolute path such as /app/data, without "
                         "\"..\".",
                         field);
    return 0;
}

bool text_is_env_name(const char *s)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return *s && !(*s >= '0' && *s <= '9') && !s[strspn(s, letters)];
}

bool text_parse_uint(const char *s, uint64_t max, uint64_t *ret_n)
{
    if (!*s)
        return false;
    uint64_t n = 0;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n) || n > max)
            return false;
    }
    *ret_n = n;
    return true;
}
