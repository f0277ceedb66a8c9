/* Silent connections, found and hung up on. See strays.h.
 *
 * Only shut down, never closed: the descriptor is nng's, which then sees the end of the stream and
 * closes it. Should nng have closed it in between and the number be another connection's, that one
 * is made anew by its peer. */
#include "agent/strays.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

static bool is_same(const struct peer *a, const struct peer *b)
{
    return a->port == b->port && memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* The number that a name of /proc/self/fd is; -1 for "." and "..". */
static int parse_fd(const char *name)
{
    int fd = 0;
    if (!*name)
        return -1;
    for (; *name; name++) {
        if (*name < '0' || *name > '9' || __builtin_mul_overflow(fd, 10, &fd) ||
            __builtin_add_overflow(fd, *name - '0', &fd))
            return -1;
    }
    return fd;
}

/* Is it a TCP connection, and whose? */
static bool peer_of(int fd, struct peer *ret_peer)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {0};
    socklen_t size = sizeof(name);
    if (getpeername(fd, &name.any, &size) < 0)
        return false;
    memset(ret_peer, 0, sizeof(*ret_peer));
    if (name.any.sa_family == AF_INET) {
        memcpy(ret_peer->address, &name.v4.sin_addr, sizeof(name.v4.sin_addr));
        ret_peer->port = name.v4.sin_port;
        return true;
    }
    memcpy(ret_peer->address, &name.v6.sin6_addr, sizeof(ret_peer->address));
    ret_peer->port = name.v6.sin6_port;
    return name.any.sa_family == AF_INET6;
}

static bool is_link(const struct peer *peer, const struct peer *links, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_same(peer, &links[i]))
            return true;
    }
    return false;
}

static int64_t seen_since(const struct strays *strays, const struct peer *peer, int64_t now)
{
    for (size_t i = 0; i < strays->count; i++) {
        if (is_same(peer, &strays->seen[i].peer))
            return strays->seen[i].since;
    }
    return now;
}

unsigned strays_sweep(struct strays *strays, const struct peer *links, size_t link_count,
                      int64_t now_mono_ms)
{
    struct strays left = {.count = 0};
    unsigned dropped = 0;
    struct dirent *entry;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while ((entry = readdir(dir)) != NULL) {
        struct stray stray;
        int fd = parse_fd(entry->d_name);
        if (fd < 0 || !peer_of(fd, &stray.peer) || is_link(&stray.peer, links, link_count))
            continue;
        stray.since = seen_since(strays, &stray.peer, now_mono_ms);
        if (left.count < STRAYS_MAX && now_mono_ms - stray.since < STRAY_MS) {
            left.seen[left.count++] = stray;
        } else {
            shutdown(fd, SHUT_RDWR);
            dropped++;
        }
    }
    closedir(dir);
    *strays = left;
    return dropped;
}
