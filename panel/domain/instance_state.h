/* The words that clients see for what an instance is doing. Pure; any thread. */
#ifndef PANEL_DOMAIN_INSTANCE_STATE_H
#define PANEL_DOMAIN_INSTANCE_STATE_H

#include <stdbool.h>

#include "panel/domain/words.h"

/* The wire's InternalState. */
const char *instance_phase_name(enum instance_phase phase);

enum instance_state {
    STATE_PULLING,
    STATE_CREATING,
    STATE_INSTALLING,
    STATE_STARTING,
    STATE_RUNNING,
    STATE_STOPPING,
    STATE_STOPPED,
    STATE_CRASHED,
    STATE_SUSPENDED,
    STATE_FAILED,
    STATE_DELETING,
    STATE_UNKNOWN
};
#define INSTANCE_STATES 12
#define INSTANCE_PHASES 4

/* The wire's State, from what is wanted, what was seen, whether something is known to have gone
 * wrong since that was asked for, and whether its node answers. */
enum instance_state instance_state(enum instance_phase phase, bool suspended,
                                   enum instance_power power, enum instance_observed observed,
                                   bool has_error, enum node_status node);
const char *instance_state_word(enum instance_state state);
/* Both. */
const char *instance_state_name(enum instance_phase phase, bool suspended,
                                enum instance_power power, enum instance_observed observed,
                                bool has_error, enum node_status node);

#endif
