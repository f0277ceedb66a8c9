/* `panel-agent doctor`: what keeps this machine from being a good node, and what to do about it.
 *
 * Looks, and changes nothing but for taking the agent's lock for a moment. As root in a state
 * folder of the service's user it becomes that user first, so that what it finds is what the
 * service finds. Blocks, for some seconds where somebody doesn't answer. */
#ifndef AGENT_DOCTOR_H
#define AGENT_DOCTOR_H

#include "agent/options.h"

/* What the program exits with, for scripts. */
enum doctor_status {
    DOCTOR_WELL = 0,
    DOCTOR_BROKEN = 1,   /* something doesn't work */
    DOCTOR_WARNINGS = 3, /* all works; something soon won't, or is not as it should be */
};

/* Findings and advice on stdout, a line each. Without a panel_url it is the one that was joined. */
enum doctor_status doctor_run(const struct options *options, const struct options_command *command);

#endif
