/* The listening socket, made by us so that its options are ours. See internal.h.
 * Called once at start; fails with ERR_INVALID for an address that is none, else ERR_IO. */
#include "panel/http/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/auto.h"

int listener_open(const char *address, uint16_t port, uint16_t *ret_port, struct err *err)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at = {0};
    socklen_t len;
    if (inet_pton(AF_INET, address, &at.v4.sin_addr) == 1) {
        at.v4.sin_family = AF_INET;
        at.v4.sin_port = htons(port);
        len = sizeof(at.v4);
    } else if (inet_pton(AF_INET6, address, &at.v6.sin6_addr) == 1) {
        at.v6.sin6_family = AF_INET6;
        at.v6.sin6_port = htons(port);
        len = sizeof(at.v6);
    } else {
        return err_set(err, ERR_INVALID, "bad_address", "\"%s\" is no IP address to listen on",
                       address);
    }
    auto_fd int fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_io(err, errno, "can't make a socket");
    int on = 1;
    /* Accepted sockets inherit TCP_NODELAY. No SO_REUSEPORT: a second panel must not share ours. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) || bind(fd, &at.any, len) ||
        listen(fd, SOMAXCONN) || getsockname(fd, &at.any, &len))
        return err_io(err, errno, "can't listen on %s port %u", address, port);
    *ret_port = ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
    return steal_fd(&fd);
}
