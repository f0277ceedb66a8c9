/* Who a request comes from, where it comes through proxies.
 *
 * Each proxy adds to X-Forwarded-For the address that it was connected from, at the end. So the
 * list is to be believed from its end back to the first address that no proxy of ours has, and no
 * further: all before that is what a client may have made up. Pure functions; any thread. */
#ifndef PANEL_HTTP_PROXIES_H
#define PANEL_HTTP_PROXIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

/* 4 bytes, or 16; an IPv4 address in IPv6 is an IPv4 one. */
struct http_address {
    uint8_t len; /* 0: it isn't known */
    uint8_t bytes[16];
};

#define HTTP_ADDRESS_TEXT 46

#define HTTP_PROXIES_MAX 16
struct http_proxies {
    size_t count;
    struct http_address at[HTTP_PROXIES_MAX];
};

/* NULL: nobody's. */
struct http_address http_address_of(const struct sockaddr *from);
/* "" for nobody's. */
void http_address_put(const struct http_address *address, char out[HTTP_ADDRESS_TEXT]);

/* IP addresses with commas between; NULL is none of them. False: it isn't that, or too many. */
bool http_proxies_read(const char *text, struct http_proxies *ret);
bool http_proxies_have(const struct http_proxies *proxies, const struct http_address *address);

enum http_forwarded {
    FORWARDED_FOUND,     /* *ret is the client's address */
    FORWARDED_OURS,      /* all of it are proxies of ours: the line before it tells */
    FORWARDED_MALFORMED, /* and what comes before isn't to be believed */
};
/* What one line of X-Forwarded-For says. */
enum http_forwarded http_proxies_follow(const struct http_proxies *proxies, const char *line,
                                        struct http_address *ret);

#endif
