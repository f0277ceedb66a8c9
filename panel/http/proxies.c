/* Reading X-Forwarded-For. See proxies.h. */
#include "panel/http/proxies.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define BLANKS " \t"

static struct http_address take_v6(const struct in6_addr *from)
{
    struct http_address address = {.len = IN6_IS_ADDR_V4MAPPED(from) ? 4 : 16};
    memcpy(address.bytes, from->s6_addr + 16 - address.len, address.len);
    return address;
}

struct http_address http_address_of(const struct sockaddr *from)
{
    struct http_address address = {.len = 0};
    if (from && from->sa_family == AF_INET) {
        address.len = 4;
        memcpy(address.bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    } else if (from && from->sa_family == AF_INET6) {
        address = take_v6(&((const struct sockaddr_in6 *)(const void *)from)->sin6_addr);
    }
    return address;
}

void http_address_put(const struct http_address *address, char out[HTTP_ADDRESS_TEXT])
{
    out[0] = '\0';
    if (address->len)
        inet_ntop(address->len == 4 ? AF_INET : AF_INET6, address->bytes, out, HTTP_ADDRESS_TEXT);
}

/* An IP address, blanks around it allowed. */
static bool read_address(const char *text, size_t len, struct http_address *ret)
{
    char own[HTTP_ADDRESS_TEXT];
    struct in6_addr v6;
    while (len && strchr(BLANKS, text[len - 1]))
        len--;
    size_t blanks = strspn(text, BLANKS);
    if (blanks >= len || len - blanks >= sizeof(own))
        return false;
    memcpy(own, text + blanks, len - blanks);
    own[len - blanks] = '\0';
    ret->len = 4;
    if (inet_pton(AF_INET, own, ret->bytes) == 1)
        return true;
    if (inet_pton(AF_INET6, own, &v6) != 1)
        return false;
    *ret = take_v6(&v6);
    return true;
}

bool http_proxies_read(const char *text, struct http_proxies *ret)
{
    struct http_proxies proxies = {.count = 0};
    for (const char *at = text; at;) {
        size_t len = strcspn(at, ",");
        if (proxies.count == HTTP_PROXIES_MAX ||
            !read_address(at, len, &proxies.at[proxies.count++]))
            return false;
        at = at[len] ? at + len + 1 : NULL;
    }
    *ret = proxies;
    return true;
}

bool http_proxies_have(const struct http_proxies *proxies, const struct http_address *address)
{
    for (size_t i = 0; i < proxies->count; i++) {
        const struct http_address *own = &proxies->at[i];
        if (own->len == address->len && memcmp(own->bytes, address->bytes, own->len) == 0)
            return true;
    }
    return false;
}

enum http_forwarded http_proxies_follow(const struct http_proxies *proxies, const char *line,
                                        struct http_address *ret)
{
    size_t end = strlen(line);
    for (;;) {
        struct http_address address = {.len = 0};
        size_t from = end;
        while (from && line[from - 1] != ',')
            from--;
        if (!read_address(line + from, end - from, &address))
            return FORWARDED_MALFORMED;
        if (!http_proxies_have(proxies, &address)) {
            *ret = address;
            return FORWARDED_FOUND;
        }
        if (!from)
            return FORWARDED_OURS;
        end = from - 1;
    }
}
