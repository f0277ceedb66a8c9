/* The domain's words: states and small values that several rooms speak of. No code, any thread. */
#ifndef PANEL_DOMAIN_WORDS_H
#define PANEL_DOMAIN_WORDS_H

#include <stdbool.h>
#include <stdint.h>

enum node_status { NODE_UNCONFIGURED, NODE_ONLINE, NODE_SUSPECT, NODE_OFFLINE, NODE_MAINTENANCE };

enum instance_phase { PHASE_INSTALLING, PHASE_READY, PHASE_FAILED, PHASE_DELETING };

/* What a node was last heard to say of it; numbers are the protocol's (wire.Observed). */
enum instance_observed {
    OBSERVED_NOTHING = 0, /* no word yet */
    OBSERVED_ABSENT,
    OBSERVED_PULLING,
    OBSERVED_CREATING,
    OBSERVED_STARTING,
    OBSERVED_RUNNING,
    OBSERVED_STOPPING,
    OBSERVED_STOPPED,
    OBSERVED_FAILED,
    OBSERVED_REMOVING,
    OBSERVED_REMOVED,
    OBSERVED_INSTALLING,
};

/* What its user wants of it. OFF, RESTART and KILL stop it; RESTART becomes ON when it has stopped.
 */
enum instance_power { POWER_ON, POWER_OFF, POWER_RESTART, POWER_KILL };

/* From being told to stop until it is killed, where its template doesn't say. */
#define STOP_TIMEOUT_S 30

/* The error code of an instance whose host port something else on its node has. */
#define WORD_PORT_IN_USE "port_in_use"
/* That of one that doesn't stop in time. */
#define WORD_STOP_TIMEOUT "stop_timeout"

struct port_mapping {
    uint16_t container_port;
    uint16_t host_port;
    bool tcp;
    bool udp;
};

struct port_range {
    uint16_t first, last;
};

#endif
