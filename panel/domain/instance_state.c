/* State names. See instance_state.h. Pure.
 *
 * What is decided outranks what is seen (deleting, failed), what can't be seen is said to be
 * unknown, and a stopped container means different things: suspended or stopped when that is
 * wanted, starting while it is being installed or has just been asked to run, and a crash where
 * its error says how it ended. */
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

static enum instance_state observed_state(enum instance_observed observed, bool installing,
                                          bool has_error)
{
    switch (observed) {
    case OBSERVED_NOTHING:
    case OBSERVED_CREATING:
        return STATE_CREATING;
    case OBSERVED_PULLING:
        return STATE_PULLING;
    case OBSERVED_INSTALLING:
        return STATE_INSTALLING;
    case OBSERVED_STARTING:
        return STATE_STARTING;
    case OBSERVED_RUNNING:
        return STATE_RUNNING;
    case OBSERVED_STOPPING:
        return STATE_STOPPING;
    case OBSERVED_STOPPED:
        return has_error && !installing ? STATE_CRASHED : STATE_STARTING;
    case OBSERVED_ABSENT:
    case OBSERVED_REMOVED:
    case OBSERVED_FAILED: /* another attempt is due */
        if (installing)
            return STATE_CREATING;
        return has_error ? STATE_CRASHED : STATE_STARTING;
    case OBSERVED_REMOVING:
        return STATE_STOPPING;
    }
    return STATE_UNKNOWN;
}

enum instance_state instance_state(enum instance_phase phase, bool suspended,
                                   enum instance_power power, enum instance_observed observed,
                                   bool has_error, enum node_status node)
{
    if (phase == PHASE_DELETING)
        return STATE_DELETING;
    if (node == NODE_OFFLINE || node == NODE_UNCONFIGURED)
        return STATE_UNKNOWN;
    if (phase == PHASE_FAILED)
        return STATE_FAILED;
    if (suspended)
        return is_at_rest(observed) ? STATE_SUSPENDED : STATE_STOPPING;
    if (power == POWER_RESTART)
        return is_at_rest(observed) ? STATE_STARTING : STATE_STOPPING;
    if (power != POWER_ON)
        return is_at_rest(observed) ? STATE_STOPPED : STATE_STOPPING;
    return observed_state(observed, phase == PHASE_INSTALLING, has_error);
}

const char *instance_state_word(enum instance_state state)
{
    static const char *const words[INSTANCE_STATES] = {
        [STATE_PULLING] = "pulling",       [STATE_CREATING] = "creating",
        [STATE_INSTALLING] = "installing", [STATE_STARTING] = "starting",
        [STATE_RUNNING] = "running",       [STATE_STOPPING] = "stopping",
        [STATE_STOPPED] = "stopped",       [STATE_CRASHED] = "crashed",
        [STATE_SUSPENDED] = "suspended",   [STATE_FAILED] = "failed",
        [STATE_DELETING] = "deleting",     [STATE_UNKNOWN] = "unknown",
    };
    return words[state];
}

const char *instance_state_name(enum instance_phase phase, bool suspended,
                                enum instance_power power, enum instance_observed observed,
                                bool has_error, enum node_status node)
{
    return instance_state_word(instance_state(phase, suspended, power, observed, has_error, node));
}
