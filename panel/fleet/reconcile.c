/* The rule by which an instance is driven. See reconcile.h. One function a wish. */
#include "panel/fleet/reconcile.h"

#include <string.h>

#include "common/auto.h"

#define CRASH_DELAY_MS     3000u
#define CRASH_DELAY_MAX_MS 60000u
/* A fault may have ended just after a try, and is to be over in 10 s for us, too. */
#define RETRY_DELAY_MS     2000u
#define RETRY_DELAY_MAX_MS 8000u

/* Failures that the next second may mend. All others need a person (or another node). */
static const struct {
    const char *code;
    unsigned attempts; /* of an INSTALLING instance before it is FAILED; 0: until its deadline */
    bool costly;       /* each try stops the container that a change would replace */
} passing_failures[] = {
    {"docker_unavailable", 0, false},   {"out_of_memory", 3, true},
    {"registry_unreachable", 3, false}, {"registry_timeout", 2, false},
    {"stop_failed", 0, false},          {"remove_failed", 0, false},
    {"resize_failed", 3, false},        {RECONCILE_EXITED, 3, true},
    {"create_failed", 3, true},         {"start_failed", 3, true},
};

static bool worth_another_try(const struct reconcile_view *view)
{
    for (size_t i = 0; i < ARRAY_LEN(passing_failures); i++) {
        if (strcmp(passing_failures[i].code, view->error_code) != 0)
            continue;
        if (view->may_undo && passing_failures[i].costly)
            return false;
        return !passing_failures[i].attempts || view->failures < passing_failures[i].attempts;
    }
    return false;
}

static uint32_t backoff(uint32_t first, uint32_t last, unsigned failures)
{
    uint32_t delay = first;
    for (unsigned i = 1; i < failures && delay < last; i++)
        delay *= 2;
    return delay < last ? delay : last;
}

static uint32_t retry_delay(unsigned failures)
{
    return backoff(RETRY_DELAY_MS, RETRY_DELAY_MAX_MS, failures);
}

uint32_t reconcile_crash_delay(unsigned failures)
{
    return backoff(CRASH_DELAY_MS, CRASH_DELAY_MAX_MS, failures);
}

static struct reconcile_decision decide(enum reconcile_step step, enum instance_phase phase,
                                        uint32_t delay_ms)
{
    return (struct reconcile_decision){step, phase, delay_ms};
}

static struct reconcile_decision want_gone(const struct reconcile_view *view)
{
    if (view->never_there || (view->observed == OBSERVED_REMOVED && view->told))
        return decide(STEP_FORGET, view->phase, 0);
    if (!view->node_ready || view->observed == OBSERVED_REMOVING)
        return decide(STEP_WAIT, view->phase, 0);
    if (view->failed_now)
        return decide(STEP_RETRY, view->phase, retry_delay(view->failures));
    return decide(STEP_REMOVE, view->phase, 0);
}

/* Down is not stopped: between two crashes a container is down, and Docker starts it again, until
 * the node has been told to stop it. */
static struct reconcile_decision want_stopped(const struct reconcile_view *view)
{
    bool down = view->observed == OBSERVED_STOPPED || view->observed == OBSERVED_ABSENT;
    if (down && view->restarting && view->told && view->node_ready)
        return decide(STEP_RISE, view->phase, 0);
    if (down && (view->told || !view->node_ready)) {
        bool heals = strcmp(view->error_code, WORD_STOP_TIMEOUT) == 0;
        bool failed = view->phase == PHASE_FAILED && !heals;
        return decide(STEP_REST, failed ? PHASE_FAILED : PHASE_READY, 0);
    }
    /* FAILED is said, and stopping it is still tried. */
    if (view->phase != PHASE_FAILED && view->deadline_passed)
        return decide(STEP_GIVE_UP, PHASE_FAILED, 0);
    if (!view->node_ready || (view->observed == OBSERVED_STOPPING && view->told))
        return decide(STEP_WAIT, view->phase, 0);
    if (view->failed_now)
        return decide(STEP_RETRY, view->phase, retry_delay(view->failures));
    return decide(STEP_APPLY, view->phase, 0);
}

/* What the panel chose, the panel mends; a port that a person named is that person's. */
static bool needs_other_ports(const struct reconcile_view *view)
{
    return view->failed_now && view->may_choose_ports && !view->deadline_passed &&
           strcmp(view->error_code, WORD_PORT_IN_USE) == 0;
}

static struct reconcile_decision want_installed(const struct reconcile_view *view)
{
    if (needs_other_ports(view))
        return decide(STEP_CHOOSE, view->phase, 0);
    if (view->failed_now && !worth_another_try(view))
        return decide(STEP_GIVE_UP, PHASE_FAILED, 0);
    if (view->deadline_passed)
        return decide(STEP_GIVE_UP, PHASE_FAILED, 0);
    if (!view->node_ready)
        return decide(STEP_WAIT, view->phase, 0);
    switch (view->observed) {
    case OBSERVED_PULLING:
    case OBSERVED_INSTALLING:
    case OBSERVED_CREATING:
    case OBSERVED_STARTING:
    case OBSERVED_STOPPING:
        return decide(STEP_WAIT, view->phase, 0);
    default:
        if (view->failed_now)
            return decide(STEP_RETRY, view->phase, retry_delay(view->failures));
        return decide(STEP_APPLY, view->phase, 0);
    }
}

/* It ran before: bring it back, for ever, but not in a hurry. */
static struct reconcile_decision want_running_again(const struct reconcile_view *view)
{
    if (!view->node_ready)
        return decide(STEP_WAIT, view->phase, 0);
    switch (view->observed) {
    case OBSERVED_PULLING:
    case OBSERVED_INSTALLING:
    case OBSERVED_CREATING:
    case OBSERVED_STARTING:
    case OBSERVED_STOPPING:
        return decide(STEP_WAIT, view->phase, 0);
    case OBSERVED_STOPPED:
    case OBSERVED_ABSENT:
    case OBSERVED_FAILED:
        if (!view->told && !view->failures) /* it was stopped by request: no reason to wait */
            return decide(STEP_APPLY, view->phase, 0);
        return decide(STEP_RETRY, view->phase, reconcile_crash_delay(view->failures));
    default:
        return decide(STEP_APPLY, view->phase, 0);
    }
}

/* In either phase: limits are changed while it is READY. */
static bool is_change_over(const struct reconcile_view *view)
{
    return view->may_undo && !needs_other_ports(view) &&
           (view->deadline_passed || (view->failed_now && !worth_another_try(view)));
}

struct reconcile_decision reconcile(const struct reconcile_view *view)
{
    if (view->phase == PHASE_DELETING)
        return want_gone(view);
    if (view->down)
        return want_stopped(view);
    if (view->observed == OBSERVED_RUNNING && view->same_spec)
        return decide(STEP_REST, PHASE_READY, 0);
    if (view->phase == PHASE_FAILED)
        return decide(STEP_REST, PHASE_FAILED, 0);
    if (is_change_over(view))
        return decide(STEP_UNDO, view->phase, 0);
    if (view->phase == PHASE_INSTALLING)
        return want_installed(view);
    return want_running_again(view);
}
