/* The steps of an install: wipe the volume where that is asked for, then download into it
 * (install.c). See reconcile_parts.h.
 *
 * A thread works on it and can only be asked to end, so a newer goal waits for that, as it does for
 * a Docker call. Whatever breaks an install off, it is done again from the start. */
#include <stddef.h>
#include <string.h>

#include "agent/reconcile_parts.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/failpoint.h"

#define INSTALLS_MAX 3
#define TELL_MS      500

/* A place is free: the first who waits takes it. */
static void admit_install(struct reconcile *reconcile)
{
    struct instance *inst;
    struct instance *tmp;
    HASH_ITER(hh, reconcile->table.by_id, inst, tmp)
    {
        if (inst->step != STEP_INSTALL_WAIT)
            continue;
        step_end(inst);
        reconcile_decide(inst);
        return;
    }
}

static void give_up(struct instance *inst, const struct err *err)
{
    struct failure failure;
    failure_set(&failure, "install_failed", "The install failed: %s.", err->msg);
    step_give_up(inst, &failure);
}

static void end_install(void *arg, const struct err *err)
{
    struct instance *inst = arg;
    struct reconcile *reconcile = inst->reconcile;
    inst->install = NULL;
    timers_cancel(&reconcile->loop->timers, &inst->timer);
    step_end(inst);
    reconcile->installing--;
    if (err->code == ERR_NONE || inst->work != inst->step_work)
        reconcile_decide(inst);
    else
        give_up(inst, err);
    admit_install(reconcile);
}

static void tell(struct timer *timer)
{
    struct instance *inst = (struct instance *)((char *)timer - offsetof(struct instance, timer));
    uint32_t percent = install_percent(inst->install);
    if (percent != inst->progress) {
        inst->progress = percent;
        instance_touch(&inst->reconcile->table, inst);
    }
    timers_set(&inst->reconcile->loop->timers, timer, clock_mono_ms() + TELL_MS);
}

static void start_install(struct instance *inst)
{
    (void)FAILPOINT("agent.install.starting");
    struct reconcile *reconcile = inst->reconcile;
    struct err err = {0};
    step_begin(inst, STEP_INSTALL);
    auto_free char *path = volume_path(reconcile->volumes, inst->spec->volume_id);
    int rc = path ? volume_make(reconcile->volumes, inst->spec->volume_id, &err) : err_nomem(&err);
    if (rc == 0)
        inst->install =
            install_start(reconcile->installs, inst->spec, path, end_install, inst, &err);
    if (!inst->install) {
        step_end(inst);
        give_up(inst, &err);
        return;
    }
    reconcile->installing++;
    inst->timer.fire = tell;
    timers_set(&reconcile->loop->timers, &inst->timer, clock_mono_ms() + TELL_MS);
}

static void end_wipe(void *arg, const struct err *err)
{
    (void)FAILPOINT("agent.volume.wiped");
    struct instance *inst = arg;
    step_end(inst);
    if (inst->work != inst->step_work)
        reconcile_decide(inst);
    else if (err->code == ERR_NONE)
        start_install(inst);
    else
        give_up(inst, err);
}

void steps_install(struct instance *inst)
{
    struct reconcile *reconcile = inst->reconcile;
    struct err err = {0};
    reconcile_report(inst, WIRE__OBSERVED__OBSERVED_INSTALLING);
    if (reconcile->installing >= INSTALLS_MAX) {
        step_begin(inst, STEP_INSTALL_WAIT);
        return;
    }
    if (!inst->spec->install_wipe) {
        start_install(inst);
        return;
    }
    (void)FAILPOINT("agent.volume.wiping");
    step_begin(inst, STEP_WIPE);
    if (volume_remove(reconcile->volumes, inst->spec->volume_id, end_wipe, inst, &err) < 0)
        end_wipe(inst, &err);
}
