/* The rule by which an instance is driven: from what is wanted and what is seen to what is to be
 * done next. Pure: no clock, no I/O, no memory; docs/architecture.md draws it. */
#ifndef PANEL_FLEET_RECONCILE_H
#define PANEL_FLEET_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>

#include "panel/store/store.h"

struct reconcile_view {
    /* wanted */
    enum instance_phase phase;
    bool down;       /* it is not to run: suspended, or its user says so */
    bool restarting; /* likewise, but only until it has stopped */
    /* seen */
    enum instance_observed observed;
    bool same_spec;         /* the container there was made from the wanted spec */
    bool failed_now;        /* observed is FAILED for the latest attempt */
    const char *error_code; /* of that failure, or of the last one */
    bool told;              /* what was seen is the node's word on the present wish */
    bool never_there;       /* nobody has joined its node, so nothing of it can be there */
    bool node_ready;        /* it answers, and its inventory is complete */
    bool deadline_passed;   /* of INSTALLING, or, of one to be down, of stopping */
    bool may_choose_ports;  /* the panel chose host ports of it, and may choose others */
    bool may_undo;          /* what it was before its last change is known */
    unsigned failures;      /* attempts that failed one after another, or crashes */
};

/* The error code of one that was started and ended by itself. */
#define RECONCILE_EXITED "container_exited"
/* How long one that ended by itself so often in a row stays down at most, ms. */
uint32_t reconcile_crash_delay(unsigned failures);

enum reconcile_step {
    STEP_REST,    /* as wanted: nothing to do */
    STEP_WAIT,    /* the node works on it, or can't be asked now */
    STEP_APPLY,   /* tell the node what is wanted */
    STEP_RETRY,   /* the same, after delay_ms, as a new attempt */
    STEP_CHOOSE,  /* other host ports for it; the wish that makes is looked at anew */
    STEP_UNDO,    /* its last change comes to nothing: what was before is wanted again */
    STEP_RISE,    /* a restart: it has stopped, and is to run now */
    STEP_REMOVE,  /* tell the node to remove it */
    STEP_GIVE_UP, /* installing or stopping has ended: FAILED */
    STEP_FORGET,  /* nothing is left on the node */
};

struct reconcile_decision {
    enum reconcile_step step;
    enum instance_phase phase; /* what the phase now is */
    uint32_t delay_ms;
};

struct reconcile_decision reconcile(const struct reconcile_view *view);

#endif
