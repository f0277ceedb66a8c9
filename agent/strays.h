/* TCP connections that say nothing: who connects to the agent's port and never finishes the TLS
 * handshake is hung up on. nng has no time limit for it, and tells of such a connection only once
 * it is a link; so the process looks at its own descriptors.
 *
 * One thread. Nothing blocks. */
#ifndef AGENT_STRAYS_H
#define AGENT_STRAYS_H

#include <stddef.h>
#include <stdint.h>

#define STRAYS_MAX 64    /* more are not waited for */
#define STRAY_MS   10000 /* time for a handshake */

/* Both as on the wire; an IPv4 address in the first four bytes, the others 0. */
struct peer {
    uint8_t address[16];
    uint16_t port;
};

struct strays {
    struct stray {
        struct peer peer;
        int64_t since; /* mono ms */
    } seen[STRAYS_MAX];
    size_t count;
};

/* To be called every few seconds. Shut down connections whose peer is none of links: those seen for
 * STRAY_MS, and what goes beyond STRAYS_MAX. How many that were. */
unsigned strays_sweep(struct strays *strays, const struct peer *links, size_t link_count,
                      int64_t now_mono_ms);

#endif
