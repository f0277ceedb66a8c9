/* Addresses of this host. Any thread; getifaddrs(3) doesn't block. */
#ifndef AGENT_ADDRESS_H
#define AGENT_ADDRESS_H

#include <stdbool.h>

/* Is text an IP literal that belongs to one of the host's interfaces? */
bool address_is_local(const char *text);
/* Is text a loopback IP literal? */
bool address_is_loopback(const char *text);
#define ADDRESS_TEXT_SIZE 46

struct sockaddr;

/* "?" where it is none of IPv4 or IPv6. */
void address_text(const struct sockaddr *address, char out[ADDRESS_TEXT_SIZE]);
/* Does it lead to this host, to its links (which is where clouds have their metadata), or nowhere
 * in particular? What a stranger names must not be asked for there. */
bool address_is_near(const struct sockaddr *address);
/* Is text ADDR:PORT with an IP literal (IPv6 in brackets) and a port of 1-65535? */
bool address_is_listen(const char *text);

#endif
