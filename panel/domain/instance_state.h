/* The words that clients see for what an instance is doing. Pure; any thread. */
#ifndef PANEL_DOMAIN_INSTANCE_STATE_H
#define PANEL_DOMAIN_INSTANCE_STATE_H

#include <stdbool.h>

#include "panel/domain/words.h"

/* The wire's InternalState. */
const char *instance_phase_name(enum instance_phase phase);

/* The wire's State, from what is wanted, what was seen, and whether its node answers. */
const char *instance_state_name(enum instance_phase phase, bool suspended,
                                enum instance_power power, enum instance_observed observed,
                                enum node_status node);

#endif
