/* State names. See instance_state.h. Pure.
 *
 * What is decided outranks what is seen (deleting, failed), what can't be seen is said to be
 * unknown, and a stopped container means different things: suspended or stopped when that is
 * wanted, starting while it is being installed, and otherwise a crash. */
#include "panel/domain/instance_state.h"

const char *instance_phase_name(enum instance_phase phase)
{
    switch (phase) {
    case PHASE_INSTALLING:
        return "INSTALLING";
    case PHASE_READY:
        return "READY";
    case PHASE_FAILED:
        return "FAILED";
    case PHASE_DELETING:
        return "DELETING";
    }
    return "FAILED";
}

static bool is_at_rest(enum instance_observed observed)
{
    return observed == OBSERVED_STOPPED || observed == OBSERVED_ABSENT ||
           observed == OBSERVED_REMOVED;
}

static const char *observed_name(enum instance_observed observed, bool installing)
{
    switch (observed) {
    case OBSERVED_NOTHING:
    case OBSERVED_CREATING:
        return "creating";
    case OBSERVED_PULLING:
        return "pulling";
    case OBSERVED_INSTALLING:
        return "installing";
    case OBSERVED_STARTING:
        return "starting";
    case OBSERVED_RUNNING:
        return "running";
    case OBSERVED_STOPPING:
        return "stopping";
    case OBSERVED_STOPPED:
        return installing ? "starting" : "crashed";
    case OBSERVED_ABSENT:
    case OBSERVED_REMOVED:
        return installing ? "creating" : "crashed";
    case OBSERVED_FAILED:
        return installing ? "creating" : "crashed"; /* another attempt is due */
    case OBSERVED_REMOVING:
        return "stopping";
    }
    return "unknown";
}

const char *instance_state_name(enum instance_phase phase, bool suspended,
                                enum instance_power power, enum instance_observed observed,
                                enum node_status node)
{
    if (phase == PHASE_DELETING)
        return "deleting";
    if (node == NODE_OFFLINE || node == NODE_UNCONFIGURED)
        return "unknown";
    if (phase == PHASE_FAILED)
        return "failed";
    if (suspended)
        return is_at_rest(observed) ? "suspended" : "stopping";
    if (power == POWER_RESTART)
        return is_at_rest(observed) ? "starting" : "stopping";
    if (power != POWER_ON)
        return is_at_rest(observed) ? "stopped" : "stopping";
    return observed_name(observed, phase == PHASE_INSTALLING);
}
