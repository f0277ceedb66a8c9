/* Addresses of this host. See address.h. */
#include "agent/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct address {
    int family; /* 0: not an IP literal */
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } ip;
};

static struct address parse(const char *text)
{
    struct address a = {0};
    if (inet_pton(AF_INET, text, &a.ip.v4) == 1)
        a.family = AF_INET;
    else if (inet_pton(AF_INET6, text, &a.ip.v6) == 1)
        a.family = AF_INET6;
    return a;
}

static bool is_of(const struct address *a, const struct sockaddr *sa)
{
    if (!sa || sa->sa_family != a->family)
        return false;
    if (a->family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        return in.sin_addr.s_addr == a->ip.v4.s_addr;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, sa, sizeof(in6));
    return memcmp(&in6.sin6_addr, &a->ip.v6, sizeof(a->ip.v6)) == 0;
}

bool address_is_loopback(const char *text)
{
    struct address a = parse(text);
    if (a.family == AF_INET)
        return ntohl(a.ip.v4.s_addr) >> 24 == 127;
    return a.family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a.ip.v6);
}

bool address_is_local(const char *text)
{
    struct address a = parse(text);
    struct ifaddrs *all = NULL;
    bool found = address_is_loopback(text);
    if (!a.family || found || getifaddrs(&all) < 0)
        return found;
    for (struct ifaddrs *at = all; at && !found; at = at->ifa_next)
        found = is_of(&a, at->ifa_addr);
    freeifaddrs(all);
    return found;
}

void address_text(const struct sockaddr *address, char out[ADDRESS_TEXT_SIZE])
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    memcpy(out, "?", 2);
    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, out, ADDRESS_TEXT_SIZE);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof(in6));
        inet_ntop(AF_INET6, &in6.sin6_addr, out, ADDRESS_TEXT_SIZE);
    }
}

static bool is_near_v4(uint32_t ip)
{
    return ip >> 24 == 0 || ip >> 24 == 127 || ip >> 16 == 0xa9fe || ip >= 0xe0000000u ||
           ip == 0x646464c8u; /* 100.100.100.200, where a cloud has its metadata */
}

static bool is_near_v6(const struct in6_addr *ip)
{
    static const uint8_t translated[12] = {0, 0x64, 0xff, 0x9b};
    static const uint8_t metadata[16] = {0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
    uint32_t v4;
    memcpy(&v4, &ip->s6_addr[12], sizeof(v4));
    if (IN6_IS_ADDR_V4MAPPED(ip) || IN6_IS_ADDR_V4COMPAT(ip) ||
        memcmp(ip->s6_addr, translated, sizeof(translated)) == 0)
        return is_near_v4(ntohl(v4));
    return IN6_IS_ADDR_UNSPECIFIED(ip) || IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_LINKLOCAL(ip) ||
           IN6_IS_ADDR_SITELOCAL(ip) || IN6_IS_ADDR_MULTICAST(ip) ||
           memcmp(ip, metadata, sizeof(metadata)) == 0;
}

bool address_is_near(const struct sockaddr *address)
{
    char text[ADDRESS_TEXT_SIZE];
    struct address a;
    address_text(address, text);
    a = parse(text);
    if (a.family == AF_INET ? is_near_v4(ntohl(a.ip.v4.s_addr)) : is_near_v6(&a.ip.v6))
        return true;
    if (a.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.ip.v6))
        inet_ntop(AF_INET, &a.ip.v6.s6_addr[12], text, sizeof(text));
    return !a.family || address_is_local(text);
}

bool address_is_listen(const char *text)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof(host))
        return false;
    size_t len = (size_t)(colon - text);
    memcpy(host, text, len);
    host[len] = '\0';
    uint32_t port = 0;
    const char *p = colon + 1;
    for (; *p >= '0' && *p <= '9' && port <= 65535; p++)
        port = port * 10 + (uint32_t)(*p - '0');
    if (*p || port < 1 || port > 65535)
        return false;
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        return parse(host + 1).family == AF_INET6;
    }
    return parse(host).family == AF_INET;
}
