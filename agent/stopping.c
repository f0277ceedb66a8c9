/* Stopping a container: by signal, Docker does all of it; by a line, in three steps. See
 * stopping.h.
 *
 *   line:  no restart policy → the line → its end, or the grace is over → stop
 *
 * One that ends by its own doing Docker would start again, so it loses its restart policy first,
 * and gets it back when it is started (steps.c). */
#include "agent/stopping.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/container_spec.h"
#include "agent/reconcile_parts.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/stop_command.h"
#include "common/strbuf.h"

/* ---- What a StopCommand means ---- */

bool stopping_is_by_line(const char *command)
{
    return stop_command_is_line(command);
}

void stopping_signal(const char *command, char out[STOP_SIGNAL_SIZE])
{
    const char *name = stop_command_signal(command);
    snprintf(out, STOP_SIGNAL_SIZE, "%s", name ? name : "");
}

/* ---- By Docker ---- */

static void end_stop(void *arg, const struct docker_reply *reply)
{
    (void)FAILPOINT("agent.container.stopped");
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code == ERR_NOT_FOUND) {
        step_see(inst, NULL);
        reconcile_decide(inst);
    } else if (reply->err.code != ERR_NONE) {
        struct failure failure;
        failure_of_other(&failure, "stop_failed", "stop the container", &reply->err);
        step_give_up(inst, &failure);
    } else if (inst->goal == GOAL_STOPPED) {
        step_check(inst);
    } else {
        step_see_state(inst, CONTAINER_EXITED);
        reconcile_decide(inst);
    }
}

static uint32_t grace_of(const struct instance *inst)
{
    return inst->stop.grace_s ? inst->stop.grace_s : container_spec_grace(inst->spec);
}

static void stop_within(struct instance *inst, uint32_t grace_s)
{
    struct err err;
    step_begin(inst, STEP_STOP);
    step_begun(
        inst,
        docker_stop(inst->reconcile->docker, inst->container.id, grace_s, end_stop, inst, &err),
        &err);
}

/* One between two crashes does not run, and can only be stopped. */
static void end_kill(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    if (reply->err.code != ERR_CONFLICT) {
        end_stop(arg, reply);
        return;
    }
    step_end(inst);
    stop_within(inst, 0);
}

static void kill_it(struct instance *inst)
{
    struct err err;
    step_begin(inst, STEP_STOP);
    step_begun(inst, docker_kill(inst->reconcile->docker, inst->container.id, end_kill, inst, &err),
               &err);
}

/* ---- By a line ---- */

static void grace_is_over(struct timer *timer)
{
    struct instance *inst = (struct instance *)((char *)timer - offsetof(struct instance, timer));
    step_end(inst);
    log_info("killed, since it did not stop", "instance=%s grace_s=%u", inst->id, grace_of(inst));
    stop_within(inst, 0);
}

void steps_note_end(struct instance *inst)
{
    if (inst->step != STEP_WAIT_END || reconcile_is_alive(&inst->container))
        return;
    timers_cancel(&inst->reconcile->loop->timers, &inst->timer);
    step_end(inst);
    reconcile_decide(inst);
}

static void end_say(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code !=
        ERR_NONE) { /* perhaps it has no standard input; it still gets its signal */
        stop_within(inst, grace_of(inst));
        return;
    }
    step_begin(inst, STEP_WAIT_END);
    inst->timer.fire = grace_is_over;
    timers_set(&inst->reconcile->loop->timers, &inst->timer,
               clock_mono_ms() + (int64_t)grace_of(inst) * 1000);
    steps_note_end(inst); /* it may have been seen ending already */
}

static void say(struct instance *inst)
{
    struct err err;
    auto_strbuf struct strbuf line = {0};
    strbuf_str(&line, inst->stop.command);
    strbuf_char(&line, '\n');
    step_begin(inst, STEP_SAY);
    struct docker_call *call = NULL;
    if (line.failed)
        err_nomem(&err);
    else
        call = docker_write_stdin(inst->reconcile->docker, inst->container.id, line.data, line.len,
                                  end_say, inst, &err);
    step_begun(inst, call, &err);
}

static void end_disarm(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    if (!step_answered(inst, reply))
        return;
    if (reply->err.code == ERR_NONE && inst->work == inst->step_work)
        say(inst);
    else if (inst->work == inst->step_work)
        stop_within(inst, grace_of(inst));
    else
        reconcile_decide(inst);
}

static void disarm(struct instance *inst)
{
    struct err err;
    step_begin(inst, STEP_DISARM);
    step_begun(inst,
               docker_set_restart(inst->reconcile->docker, inst->container.id, false, end_disarm,
                                  inst, &err),
               &err);
}

void steps_stop(struct instance *inst)
{
    (void)FAILPOINT("agent.container.stopping");
    reconcile_report(inst, WIRE__OBSERVED__OBSERVED_STOPPING);
    bool runs = inst->container.state == CONTAINER_RUNNING;
    if (inst->stop.kill)
        kill_it(inst);
    else if (runs && stopping_is_by_line(inst->stop.command))
        disarm(inst);
    else
        stop_within(inst, grace_of(inst));
}
