/* One instance: what is wanted, what is seen, and the step between.
 *
 * instance_drive() may be called at any time and any number of times; reconcile.c decides, this
 * file does. Nothing that is only in memory matters: after a restart the row and the node's
 * inventory bring it all back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/utf8.h"
#include "panel/fleet/reconcile.h"
#include "panel/fleet/spec.h"
#include "panel/fleet/state.h"
#include "panel/metrics/metrics.h"

#define EXIT_AT_MAX INT64_C(253402300799999) /* the year 9999 */
#define RESEND_MS   20000 /* a node that promised and then says nothing is told again */
/* No panel comes that far: a node that says so is wrong, and the store could not go beyond it. */
#define GENERATION_END (UINT64_C(1) << 62)
#define STOP_MARGIN_MS 15000 /* what a kill may take, once the time to stop is over */
#define STABLE_MS      60000 /* running this long, earlier crashes are forgiven */

static struct fleet_error no_memory = {.code = "no_memory"};

static void clear_error(struct fleet_instance *inst)
{
    if (inst->error != &no_memory)
        free(inst->error);
    inst->error = NULL;
}

static void set_error(struct fleet_instance *inst, const char *code, const char *message)
{
    char text[ERROR_MESSAGE_SIZE];
    clear_error(inst);
    utf8_copy(text, sizeof(text), message);
    if (!code[0] && !text[0])
        return;
    inst->error = malloc(sizeof(*inst->error) + strlen(text) + 1);
    if (!inst->error) { /* that something went wrong is known even so */
        inst->error = &no_memory;
        return;
    }
    utf8_copy(inst->error->code, sizeof(inst->error->code), code);
    memcpy(inst->error->message, text, strlen(text) + 1);
}

const char *instance_error_code(const struct fleet_instance *inst)
{
    return inst->error ? inst->error->code : "";
}

const char *instance_error_message(const struct fleet_instance *inst)
{
    return inst->error && inst->error != &no_memory ? inst->error->message : "";
}

uint64_t spec_number(const char *spec_hash)
{
    char digits[17];
    snprintf(digits, sizeof(digits), "%s", spec_hash);
    return strtoull(digits, NULL, 16);
}

/* --- rows ------------------------------------------------------------------------------------ */

static bool is_down(enum instance_observed observed)
{
    return observed == OBSERVED_STOPPED || observed == OBSERVED_ABSENT;
}

static void take_wish(struct fleet_instance *inst, const struct instance *row)
{
    inst->generation = row->generation;
    inst->power = row->power;
    inst->suspended = row->suspended;
    inst->down = row->suspended || row->power != POWER_ON || row->node_drained;
    inst->stop_timeout_ms = row->stop_timeout_s * 1000 + STOP_MARGIN_MS;
    if (inst->stop_timeout_ms < inst->fleet->settings.stop_timeout_ms)
        inst->stop_timeout_ms = inst->fleet->settings.stop_timeout_ms;
    inst->phase = row->phase;
    inst->committed_phase = row->phase;
    inst->want_spec = 0;
    inst->failures = 0;
    inst->failed_now = false;
    inst->choosing = false;
    inst->changing = row->changing;
    inst->told = false;
    inst->attempt = ++inst->fleet->attempts;
    int64_t age = clock_wall_ms() - row->phase_since;
    inst->deadline =
        clock_mono_ms() - (age > 0 ? age : 0) + inst->fleet->settings.install_timeout_ms;
    if (inst->down && inst->phase != PHASE_INSTALLING)
        inst->deadline = INT64_MAX; /* until its node can be told */
    set_error(inst, row->error_code, row->error_message);
}

struct fleet_instance *instance_add(struct fleet *fleet, const struct instance *row,
                                    struct err *err)
{
    struct fleet_node *node;
    HASH_FIND_STR(fleet->nodes, row->node_id, node);
    struct fleet_instance *inst = node ? calloc(1, sizeof(*inst) + strlen(row->id) + 1) : NULL;
    if (!inst) {
        if (node)
            err_nomem(err);
        else
            err_set(err, ERR_INTERNAL, "no_node", "its node is not in the fleet");
        return NULL;
    }
    memcpy(inst->id, row->id, strlen(row->id));
    HASH_ADD_KEYPTR(hh, fleet->instances, inst->id, strlen(inst->id), inst);
    if (!inst->hh.tbl) {
        free(inst);
        err_nomem(err);
        return NULL;
    }
    inst->fleet = fleet;
    inst->node = node;
    inst->observed = row->observed;
    inst->committed_observed = row->observed;
    inst->progress = row->progress_percent;
    snprintf(inst->container_id, sizeof(inst->container_id), "%s", row->container_id);
    inst->port_choices = row->port_choices;
    inst->exit_at = row->exit_at;
    take_wish(inst, row);
    instance_mark_written(inst);
    inst->next = node->instances;
    if (inst->next)
        inst->next->prev = inst;
    node->instances = inst;
    return inst;
}

/* Another wish alone is nothing to be written, which counts where thousands are drained at once. */
static bool has_same_facts(const struct fleet_instance *inst, const struct instance *row)
{
    return inst->observed == row->observed && inst->progress == row->progress_percent &&
           inst->exit_at == row->exit_at && strcmp(inst->container_id, row->container_id) == 0;
}

void instance_update(struct fleet_instance *inst, const struct instance *row)
{
    inst->port_choices = row->port_choices;
    if (row->generation == inst->generation)
        return;
    take_wish(inst, row);
    if (!has_same_facts(inst, row))
        return;
    inst->committed_observed = row->observed;
    instance_mark_written(inst);
}

static void leave_queue(struct fleet_instance *inst)
{
    struct fleet_instance **at = &inst->node->queue;
    while (*at && *at != inst)
        at = &(*at)->queue_next;
    if (!*at)
        return;
    *at = inst->queue_next;
    if (inst->node->queue_tail == &inst->queue_next)
        inst->node->queue_tail = at;
}

void instance_free(struct fleet_instance *inst)
{
    struct fleet_node *node = inst->node;
    waits_end(inst, FLEET_REACHED);
    logs_instance_gone(inst);
    stats_instance_gone(inst);
    count_instance_gone(inst);
    if (inst->queued)
        leave_queue(inst);
    timers_cancel(&inst->fleet->timers, &inst->timer);
    timers_cancel(&inst->fleet->timers, &inst->write_timer);
    if (inst->prev)
        inst->prev->next = inst->next;
    else
        node->instances = inst->next;
    if (inst->next)
        inst->next->prev = inst->prev;
    HASH_DEL(inst->fleet->instances, inst);
    clear_error(inst);
    free(inst);
}

struct fleet_instance *instance_add_removal(struct fleet *fleet, const struct removal *removal,
                                            struct err *err)
{
    struct instance row = {
        .id = removal->instance_id,
        .node_id = removal->node_id,
        .generation = removal->generation,
        .phase = PHASE_DELETING,
        .container_id = "",
        .error_code = "",
        .error_message = "",
    };
    struct fleet_instance *inst = instance_add(fleet, &row, err);
    if (!inst)
        return NULL;
    inst->orphan = true;
    node_drop_orphan(inst->node, inst->id);
    return inst;
}

struct reload {
    struct fleet *fleet;
    struct fleet_instance *inst;
};

static int reload_row(const struct instance *row, void *arg, struct err *err)
{
    struct reload *reload = arg;
    HASH_FIND_STR(reload->fleet->instances, row->id, reload->inst);
    if (reload->inst)
        instance_update(reload->inst, row);
    else
        reload->inst = instance_add(reload->fleet, row, err);
    return reload->inst ? 0 : -1;
}

static int reload_removal(const struct removal *removal, void *arg, struct err *err)
{
    struct reload *reload = arg;
    HASH_FIND_STR(reload->fleet->instances, removal->instance_id, reload->inst);
    if (!reload->inst)
        reload->inst = instance_add_removal(reload->fleet, removal, err);
    return reload->inst ? 0 : -1;
}

struct fleet_instance *instance_reload(struct fleet *fleet, const char *id)
{
    struct reload reload = {.fleet = fleet};
    struct err err = {0};
    int rows = store_instance_scan(fleet->store, NULL, id, reload_row, &reload, &err);
    if (rows == 0)
        rows = store_removal_scan(fleet->store, id, reload_removal, &reload, &err);
    if (rows < 0) {
        log_warn("instance not loaded", "instance=%s reason=\"%s\"", id, err.msg);
        fleet_rescan_later(fleet);
    }
    return reload.inst;
}

/* --- what is seen ---------------------------------------------------------------------------- */

/* outlook: what comes of it, or "". */
static void set_exit_error(struct fleet_instance *inst, const Wire__InstanceStatus *status,
                           const char *outlook)
{
    char text[240];
    snprintf(text, sizeof(text), "the container exited with code %d%s%s", status->exit_code,
             status->oom_killed ? " (out of its memory limit)" : "", outlook);
    set_error(inst, RECONCILE_EXITED, text);
}

/* Has it run so long that earlier crashes don't count any more? */
static bool is_stable(const struct fleet_instance *inst)
{
    return inst->running_since && clock_mono_ms() - inst->running_since >= STABLE_MS;
}

static bool is_to_be_forgiven(const struct fleet_instance *inst)
{
    return inst->failures && inst->phase == PHASE_READY && !inst->down && is_stable(inst);
}

static void note_crash(struct fleet_instance *inst, const Wire__InstanceStatus *status)
{
    if (is_stable(inst))
        inst->failures = 0;
    inst->failures++;
    metric_add(METRIC_INSTANCE_CRASHES, 1);
    if (status->observed == WIRE__OBSERVED__OBSERVED_ABSENT) {
        set_error(inst, "container_gone", "the container was removed behind the panel's back");
        return;
    }
    char outlook[100];
    unsigned seconds = reconcile_crash_delay(inst->failures) / 1000;
    if (inst->failures == 1)
        snprintf(outlook, sizeof(outlook), "; it is started again within %u s", seconds);
    else
        snprintf(outlook, sizeof(outlook), ", %u times in a row; it is started again within %u s",
                 inst->failures, seconds);
    set_exit_error(inst, status, outlook);
}

/* The latest attempt came to nothing. A failure of an attempt that is over says nothing of it. */
static void note_failure(struct fleet_instance *inst, const Wire__InstanceStatus *status)
{
    if (status->attempt != inst->attempt || inst->failed_now)
        return;
    inst->failed_now = true;
    inst->failures++;
    if (inst->phase == PHASE_FAILED) /* why it FAILED still holds */
        return;
    if (status->observed == WIRE__OBSERVED__OBSERVED_STOPPED)
        set_exit_error(inst, status, "");
    else
        set_error(inst, status->error_code[0] ? status->error_code : "failed",
                  status->error_message);
}

/* While it runs Docker still tells when it ended last, but no longer how. */
static void note_exit(struct fleet_instance *inst, const Wire__InstanceStatus *status)
{
    if (status->observed == WIRE__OBSERVED__OBSERVED_RUNNING ||
        status->finished_at_ms <= inst->exit_at || status->finished_at_ms > EXIT_AT_MAX)
        return;
    inst->exit_at = status->finished_at_ms;
    inst->exit_code = status->exit_code;
    inst->exit_oom_killed = status->oom_killed;
}

void instance_take_status(struct fleet_instance *inst, const Wire__InstanceStatus *status)
{
    enum instance_observed before = inst->observed;
    enum instance_observed now = (enum instance_observed)status->observed;
    if (now > OBSERVED_INSTALLING)
        return;
    bool news = now != before || strcmp(inst->container_id, status->container_id) != 0;
    inst->observed = now;
    inst->told = status->generation == inst->generation;
    if (status->generation > inst->seen_generation && status->generation < GENERATION_END)
        inst->seen_generation = status->generation;
    inst->progress = status->progress_percent <= 100 ? status->progress_percent : 100;
    utf8_copy(inst->container_id, sizeof(inst->container_id), status->container_id);
    inst->has_spec = spec_number(status->spec_hash);
    note_exit(inst, status);
    bool wanted_up = !inst->down && inst->phase != PHASE_DELETING;
    if (now == OBSERVED_FAILED ||
        (now == OBSERVED_STOPPED && wanted_up && inst->phase == PHASE_INSTALLING))
        note_failure(inst, status);
    else
        inst->failed_now = false;
    if (now == OBSERVED_RUNNING) {
        if (before != OBSERVED_RUNNING || !inst->running_since)
            inst->running_since = clock_mono_ms();
        if (!inst->down && inst->phase != PHASE_FAILED) /* else why it FAILED still holds */
            set_error(inst, "", "");
    } else {
        if (is_down(now) && news && wanted_up && inst->phase == PHASE_READY)
            note_crash(inst, status);
        inst->running_since = 0;
    }
    instance_drive(inst);
}

void instance_missing(struct fleet_instance *inst)
{
    /* "Nothing of it is there" is the answer to a Remove, too. But an agent is asked, since only
     * it knows of a volume without container. */
    Wire__InstanceStatus absent = WIRE__INSTANCE_STATUS__INIT;
    absent.instance_id = inst->id;
    absent.observed = WIRE__OBSERVED__OBSERVED_ABSENT;
    instance_take_status(inst, &absent);
}

/* --- the step between ------------------------------------------------------------------------ */

static int hash_row(const struct instance *row, void *arg, struct err *err)
{
    struct fleet_instance *inst = arg;
    char hash[65];
    if (row->generation != inst->generation)
        return 0;
    int rc = spec_hash(row, hash, err);
    if (rc == 0)
        inst->want_spec = spec_number(hash);
    return rc;
}

bool instance_is_as_wanted(struct fleet_instance *inst)
{
    struct err err = {0};
    if (!inst->want_spec &&
        store_instance_scan(inst->fleet->store, NULL, inst->id, hash_row, inst, &err) < 0)
        log_warn("spec not made", "instance=%s node=%s reason=\"%s\"", inst->id, inst->node->id,
                 err.msg);
    return inst->want_spec && inst->want_spec == inst->has_spec;
}

/* That of one to be down counts while its node could stop it. */
int64_t instance_deadline(const struct fleet_instance *inst)
{
    bool stopping = inst->down && inst->phase == PHASE_READY && node_is_ready(inst->node);
    return inst->phase == PHASE_INSTALLING || stopping ? inst->deadline : INT64_MAX;
}

static void came_due(struct timer *timer)
{
    struct fleet_instance *inst =
        (struct fleet_instance *)((char *)timer - offsetof(struct fleet_instance, timer));
    bool retrying = inst->retry_set;
    inst->retry_set = false;
    if (retrying) {
        inst->attempt = ++inst->fleet->attempts;
        inst->failed_now = false;
    }
    if (clock_mono_ms() >= instance_deadline(inst) || is_to_be_forgiven(inst))
        instance_drive(inst);
    else if (node_is_ready(inst->node) && (retrying || inst->observed != OBSERVED_PULLING))
        instance_send(inst);
    else
        instance_drive(inst);
}

static void set_timer(struct fleet_instance *inst, int64_t due)
{
    inst->timer.fire = came_due;
    timers_set(&inst->fleet->timers, &inst->timer, due);
}

/* While something is under way: look again in a while, and at the deadline. A node that can't be
 * asked brings it up by itself when it is back. */
static void wait_on(struct fleet_instance *inst)
{
    int64_t due = node_is_ready(inst->node) ? clock_mono_ms() + RESEND_MS : INT64_MAX;
    if (instance_deadline(inst) < due)
        due = instance_deadline(inst);
    inst->retry_set = false;
    if (due == INT64_MAX)
        timers_cancel(&inst->fleet->timers, &inst->timer);
    else
        set_timer(inst, due);
}

static const char *step_word(enum instance_observed observed)
{
    static const char *const words[] = {
        [OBSERVED_NOTHING] = "its node has not reported on it",
        [OBSERVED_ABSENT] = "no container was made",
        [OBSERVED_PULLING] = "the image was still being pulled",
        [OBSERVED_CREATING] = "the container was still being created",
        [OBSERVED_STARTING] = "the container was still starting",
        [OBSERVED_RUNNING] = "another container was still running",
        [OBSERVED_STOPPING] = "the container was still stopping",
        [OBSERVED_STOPPED] = "the container does not stay up",
        [OBSERVED_FAILED] = "the node reported a failure",
        [OBSERVED_REMOVING] = "an older container was still being removed",
        [OBSERVED_REMOVED] = "the container was removed",
        [OBSERVED_INSTALLING] = "its files were still being downloaded",
    };
    return words[observed];
}

/* What the node said of its last attempt tells more than how long it took. */
static void say_last_reason(struct fleet_instance *inst, unsigned seconds)
{
    char text[ERROR_MESSAGE_SIZE];
    char code[sizeof(inst->error->code)];
    snprintf(code, sizeof(code), "%s", instance_error_code(inst));
    snprintf(text, sizeof(text), "not installed within %u s, last: %s", seconds,
             instance_error_message(inst));
    set_error(inst, code, text);
}

static void say_not_installed(struct fleet_instance *inst)
{
    char text[300];
    unsigned seconds = inst->fleet->settings.install_timeout_ms / 1000;
    const struct fleet_node *node = inst->node;
    bool offline = !node_is_ready(node);
    if (!offline && inst->error) {
        say_last_reason(inst, seconds);
        return;
    }
    if (node->joined)
        snprintf(text, sizeof(text), "not installed within %u s: %s; retry, or choose another node",
                 seconds, offline ? "its node does not answer" : step_word(inst->observed));
    else
        snprintf(
            text, sizeof(text),
            "not installed within %u s: nobody has joined its node (%s) yet; join it, and retry",
            seconds, node->id);
    set_error(inst, offline ? "node_offline" : "install_timeout", text);
}

/* A failed attempt has said it already. */
static void say_why(struct fleet_instance *inst)
{
    char text[200];
    if (inst->down) {
        snprintf(text, sizeof(text), "not stopped within %u s; the panel goes on trying",
                 inst->stop_timeout_ms / 1000);
        set_error(inst, WORD_STOP_TIMEOUT, text);
    } else if (!inst->failed_now) {
        say_not_installed(inst);
    }
}

static void give_up(struct fleet_instance *inst)
{
    say_why(inst);
    metric_add(METRIC_INSTANCE_FAILURES, 1);
    log_warn("instance failed", "instance=%s node=%s code=%s reason=\"%s\"", inst->id,
             inst->node->id, instance_error_code(inst), instance_error_message(inst));
}

/* The time to stop runs while its node could stop it. */
static void time_stopping(struct fleet_instance *inst)
{
    int64_t latest = clock_mono_ms() + inst->stop_timeout_ms;
    if (!inst->down)
        return;
    if (node_is_ready(inst->node) && inst->deadline > latest)
        inst->deadline = latest;
    else if (!node_is_ready(inst->node) && inst->phase != PHASE_INSTALLING)
        inst->deadline = INT64_MAX;
}

void instance_drive(struct fleet_instance *inst)
{
    if (inst->forgetting)
        return;
    if (inst->seen_generation > inst->generation) { /* the node would refuse what it is told */
        instance_outrank(inst);
        return;
    }
    time_stopping(inst);
    if (is_to_be_forgiven(inst))
        inst->failures = 0;
    struct reconcile_view view = {
        .phase = inst->phase,
        .down = inst->down,
        .restarting = inst->power == POWER_RESTART,
        .observed = inst->observed,
        .same_spec = inst->observed == OBSERVED_RUNNING && instance_is_as_wanted(inst),
        .failed_now = inst->failed_now,
        .error_code = instance_error_code(inst),
        .told = inst->told,
        .never_there = !inst->node->joined,
        .node_ready = node_is_ready(inst->node),
        .deadline_passed = clock_mono_ms() >= instance_deadline(inst),
        .may_choose_ports = inst->port_choices > 0,
        .may_undo = inst->changing,
        .failures = inst->failures,
    };
    struct reconcile_decision decision = reconcile(&view);
    inst->choosing =
        decision.step == STEP_CHOOSE || decision.step == STEP_RISE || decision.step == STEP_UNDO;
    if (decision.phase == PHASE_READY && inst->phase != PHASE_READY) {
        log_info("instance ready", "instance=%s node=%s", inst->id, inst->node->id);
        if (!inst->down)
            set_error(inst, "", "");
    }
    inst->phase = decision.phase;
    count_instance(inst);
    if (inst->down && decision.step == STEP_REST)
        inst->deadline = INT64_MAX;
    switch (decision.step) {
    case STEP_REST:
        inst->retry_set = false;
        timers_cancel(&inst->fleet->timers, &inst->timer);
        if (inst->failures && inst->running_since && !inst->down) /* to be forgiven then */
            set_timer(inst, inst->running_since + STABLE_MS);
        if (inst->down && inst->phase == PHASE_READY)
            set_error(inst, "", "");
        break;
    case STEP_WAIT:
        wait_on(inst);
        break;
    case STEP_APPLY:
    case STEP_REMOVE:
        instance_send(inst);
        break;
    case STEP_RETRY:
        if (!inst->retry_set) {
            inst->retry_set = true;
            set_timer(inst, clock_mono_ms() + decision.delay_ms);
        }
        break;
    case STEP_CHOOSE:
        instance_choose_ports(inst);
        return;
    case STEP_UNDO:
        say_why(inst);
        instance_undo(inst);
        return;
    case STEP_RISE:
        instance_rise(inst);
        return;
    case STEP_GIVE_UP:
        timers_cancel(&inst->fleet->timers, &inst->timer);
        inst->retry_set = false;
        give_up(inst);
        if (inst->down) { /* FAILED is said; now the next try */
            instance_drive(inst);
            return;
        }
        break;
    case STEP_FORGET:
        instance_forget(inst);
        return;
    }
    instance_persist(inst);
}
