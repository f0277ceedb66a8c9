/* One node: its link, its beats, its status, its inventory.
 *
 * Sync is heartbeat and event stream in one: while the link is up, one Sync is always under way.
 * Its answer brings what changed since the cursor; the first one on a new boot of the agent asks
 * for everything and is compared with what should be there. The status follows from the time of
 * the last answer alone, on the monotonic clock:
 *
 *   Online ── a beat missed, or the link lost ──▶ Suspect ── three beats missed ──▶ Offline
 *      ▲───────────── an answer, once the inventory is complete ─────────────────────┘ */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/utf8.h"
#include "panel/fleet/state.h"
#include "panel/metrics/metrics.h"

#define BEATS_PER_SECOND 500u /* of the whole fleet, at most */
#define GRACE_MIN_MS     1000u
#define BEATS_TO_OFFLINE 3
#define CREDIT_MS        1000
#define ORPHANS_MAX      10000u /* of one node; more are not told apart */

static void sync_start(struct fleet_node *node);

uint32_t node_beat_ms(const struct fleet *fleet)
{
    uint32_t stretched = HASH_COUNT(fleet->nodes) * 1000u / BEATS_PER_SECOND;
    return stretched > fleet->settings.beat_ms ? stretched : fleet->settings.beat_ms;
}

static uint32_t grace_ms(uint32_t beat)
{
    return beat / 2 > GRACE_MIN_MS ? beat / 2 : GRACE_MIN_MS;
}

void node_remove_if_empty(struct fleet_node *node)
{
    if (node->deleted && !node->instances)
        node_forget(node);
}

bool node_is_ready(const struct fleet_node *node)
{
    return node->link_state == LINK_UP && node->inventory_done;
}

bool node_answers(const struct fleet_node *node)
{
    return node_is_ready(node) && node->live.status != NODE_OFFLINE;
}

void node_envelope(struct fleet_node *node, Wire__Envelope *envelope)
{
    const struct store_identity *identity = store_identity(node->fleet->store);
    wire__envelope__init(envelope);
    envelope->protocol_version = WIRE_PROTOCOL_VERSION;
    envelope->panel_id = (char *)identity->panel_id;
    envelope->epoch = identity->epoch;
    envelope->node_id = node->id;
}

void node_failure(const Wire__Failure *failure, struct err *ret_err)
{
    static const struct {
        const char *code;
        enum err_code meaning;
        const char *reason;
    } known[] = {
        {"busy", ERR_BUSY, "busy"},
        {"no_container", ERR_NOT_FOUND, "no_container"},
        {"not_running", ERR_CONFLICT, "not_running"},
        {"agent_restarted", ERR_OFFLINE, "node_unreachable"},
        {"unknown_request", ERR_CONFLICT, "agent_too_old"},
        {"docker_unavailable", ERR_OFFLINE, "docker_unreachable"},
        {"no_connection", ERR_OFFLINE, "docker_unreachable"},
    };
    char message[ERROR_MESSAGE_SIZE];
    utf8_copy(message, sizeof(message), failure->message);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(failure->code, known[i].code) == 0) {
            err_set(ret_err, known[i].meaning, known[i].reason, "%s", message);
            return;
        }
    }
    err_set(ret_err, ERR_CONFLICT, "node_refused", "%s", message);
}

/* --- status ---------------------------------------------------------------------------------- */

static int publish_orphans(struct fleet_node *node, struct err *err)
{
    struct orphan *orphan;
    struct orphan *next;
    size_t count = 0;
    struct board_orphan *rows = calloc(HASH_COUNT(node->orphans) + 1, sizeof(*rows));
    if (!rows)
        return err_nomem(err);
    HASH_ITER(hh, node->orphans, orphan, next)
    rows[count++] = orphan->seen;
    int rc = board_put_orphans(node->fleet->board, node->id, rows, count, err);
    free(rows);
    node->orphans_changed = rc < 0;
    return rc;
}

static void publish(struct fleet_node *node)
{
    struct err err;
    node->live.orphans = HASH_COUNT(node->orphans);
    if (!node->deleted && (board_put(node->fleet->board, node->id, &node->live, &err) < 0 ||
                           (node->orphans_changed && publish_orphans(node, &err) < 0)))
        log_warn("node not shown", "node=%s reason=\"%s\"", node->id, err.msg);
}

static void set_status(struct fleet_node *node, enum node_status status)
{
    if (node->live.status == status)
        return;
    log_info("node status", "node=%s from=%s to=%s", node->id, node_status_name(node->live.status),
             node_status_name(status));
    node->live.status = status;
    publish(node);
    node_persist(node);
    if (status != NODE_ONLINE)
        waits_node_silent(node);
}

static void status_due(struct timer *timer);

/* It has told on this connection what it has; without Docker it can't, and is Online all the
 * same, with its Docker shown as down. */
static bool speaks_up(const struct fleet_node *node)
{
    return node->link_state == LINK_UP && node->facts_written &&
           (node->inventory_done || (node->answered && !node->live.docker_up));
}

/* An answer that was asked for by a slower beat isn't late by a quicker one. */
static uint32_t due_beat_ms(const struct fleet_node *node)
{
    uint32_t beat = node_beat_ms(node->fleet);
    return node->syncing && node->sync_beat_ms > beat ? node->sync_beat_ms : beat;
}

/* It has taken another certificate, or CA, which ends its link: that is no missed beat yet. */
static bool is_swapping(const struct fleet_node *node)
{
    return node->live.status == NODE_ONLINE && clock_mono_ms() < node->swaps_until;
}

/* Derive the status from the age of the last answer, and come back when it would change. */
static void update_status(struct fleet_node *node)
{
    uint32_t beat = due_beat_ms(node);
    int64_t suspect_at = node->last_answer + beat + grace_ms(beat);
    int64_t offline_at = node->last_answer + (int64_t)beat * BEATS_TO_OFFLINE + grace_ms(beat);
    int64_t now = clock_mono_ms();
    int64_t next;
    if (now >= offline_at) {
        set_status(node, NODE_OFFLINE);
        next = INT64_MAX;
    } else if (now >= suspect_at || (!speaks_up(node) && !is_swapping(node))) {
        if (node->live.status != NODE_OFFLINE)
            set_status(node, NODE_SUSPECT);
        next = offline_at;
    } else {
        set_status(node, NODE_ONLINE);
        next = suspect_at;
    }
    node->status_timer.fire = status_due;
    if (next == INT64_MAX)
        timers_cancel(&node->fleet->timers, &node->status_timer);
    else
        timers_set(&node->fleet->timers, &node->status_timer, next);
}

void node_facts_committed(struct fleet_node *node)
{
    update_status(node);
}

static void status_due(struct timer *timer)
{
    update_status((struct fleet_node *)((char *)timer - offsetof(struct fleet_node, status_timer)));
}

void node_refused(struct fleet_node *node)
{
    if (node->live.refused)
        return;
    node->live.refused = true;
    publish(node);
    log_warn("node refused", "node=%s op=%s reason=\"%s\"", node->id, "dial",
             "the certificate there has expired, is of a CA that was ended, or is another's; "
             "panelctl node token prints how the node joins again");
}

/* --- what an answer brings ------------------------------------------------------------------- */

static struct orphan *add_orphan(struct fleet_node *node, const Wire__InstanceStatus *status)
{
    struct orphan *orphan =
        HASH_COUNT(node->orphans) < ORPHANS_MAX ? calloc(1, sizeof(*orphan)) : NULL;
    if (!orphan)
        return NULL;
    snprintf(orphan->seen.id, sizeof(orphan->seen.id), "%s", status->instance_id);
    HASH_ADD_STR(node->orphans, seen.id, orphan);
    if (!orphan->hh.tbl) {
        free(orphan);
        return NULL;
    }
    log_warn("orphan container", "node=%s instance=%s container=%.12s", node->id, orphan->seen.id,
             status->container_id);
    return orphan;
}

static void remove_orphan(struct fleet_node *node, struct orphan *orphan)
{
    HASH_DEL(node->orphans, orphan);
    free(orphan);
    node->orphans_changed = true;
}

static void note_orphan(struct fleet_node *node, const Wire__InstanceStatus *status)
{
    struct orphan *orphan;
    HASH_FIND_STR(node->orphans, status->instance_id, orphan);
    if (!status->container_id[0]) {
        if (orphan)
            remove_orphan(node, orphan);
        return;
    }
    if (!orphan && !(orphan = add_orphan(node, status)))
        return;
    utf8_copy(orphan->seen.container_id, sizeof(orphan->seen.container_id), status->container_id);
    orphan->seen.generation = status->generation;
    orphan->seen.running = status->observed == WIRE__OBSERVED__OBSERVED_RUNNING;
    node->orphans_changed = true;
}

void node_drop_orphan(struct fleet_node *node, const char *instance_id)
{
    struct orphan *orphan;
    HASH_FIND_STR(node->orphans, instance_id, orphan);
    if (!orphan)
        return;
    remove_orphan(node, orphan);
    publish(node);
}

static void take_status(struct fleet_node *node, const Wire__InstanceStatus *status)
{
    struct fleet_instance *inst;
    if (envelope_check_id(status->instance_id) < 0)
        return;
    HASH_FIND_STR(node->fleet->instances, status->instance_id, inst);
    if (!inst) /* perhaps newer than the last notice */
        inst = instance_reload(node->fleet, status->instance_id);
    if (!inst || inst->node != node) {
        note_orphan(node, status);
        return;
    }
    inst->listed = true;
    instance_take_status(inst, status);
}

/* Does it differ from what is there? */
static bool take_version(char out[32], const char *text)
{
    char version[32];
    utf8_copy(version, sizeof(version), text);
    bool changed = strcmp(out, version) != 0;
    memcpy(out, version, sizeof(version));
    return changed;
}

static void take_facts(struct fleet_node *node, const Wire__SyncReply *reply)
{
    struct node_live *live = &node->live;
    bool changed = take_version(live->agent_version, reply->agent_version);
    utf8_copy(live->cert_issuer, sizeof(live->cert_issuer), reply->cert_issuer);
    utf8_copy(live->ca_digest, sizeof(live->ca_digest), reply->ca_digest);
    if (reply->docker) {
        live->docker_told = true;
        live->docker_up = reply->docker->up;
        if (reply->docker->version[0])
            changed |= take_version(live->docker_version, reply->docker->version);
        utf8_copy(live->docker_error, sizeof(live->docker_error), reply->docker->error);
    }
    if (reply->usage) {
        live->has_usage = true;
        live->memory_used_mib = reply->usage->memory_used_bytes >> 20;
        live->disk_used_mib = reply->usage->disk_used_bytes >> 20;
        live->cpu_permille = reply->usage->cpu_permille;
        live->load1_permille = reply->usage->load1_permille;
        live->uptime_seconds = reply->usage->uptime_seconds;
    }
    if (reply->capacity) {
        uint64_t memory = reply->capacity->memory_bytes >> 20;
        uint64_t disk = reply->capacity->disk_bytes >> 20;
        changed |= memory != node->memory_mib || disk != node->disk_mib ||
                   reply->capacity->cpus != node->cpus;
        node->memory_mib = memory;
        node->disk_mib = disk;
        node->cpus = reply->capacity->cpus;
    }
    if (changed || !node->facts_written || node->facts_dirty)
        node_persist(node);
}

static void inventory_begin(struct fleet_node *node, const char *boot_id)
{
    struct fleet_instance *inst;
    struct orphan *orphan;
    struct orphan *next;
    utf8_copy(node->boot_id, sizeof(node->boot_id), boot_id);
    node->inventory_done = false;
    for (inst = node->instances; inst; inst = inst->next)
        inst->listed = false;
    HASH_ITER(hh, node->orphans, orphan, next)
    remove_orphan(node, orphan);
}

static void inventory_end(struct fleet_node *node)
{
    struct fleet_instance *inst;
    struct fleet_instance *next;
    node->inventory_done = true;
    log_info("node inventory", "node=%s orphans=%u", node->id, HASH_COUNT(node->orphans));
    for (inst = node->instances; inst; inst = next) {
        next = inst->next;
        if (inst->listed)
            instance_drive(inst);
        else
            instance_missing(inst);
    }
    logs_node_ready(node);
    stats_node_ready(node);
}

static void take_reply(struct fleet_node *node, const Wire__SyncReply *reply)
{
    bool begins = reply->full && (node->cursor == 0 || strcmp(reply->boot_id, node->boot_id) != 0);
    if (begins && reply->inventory_ready)
        inventory_begin(node, reply->boot_id);
    take_facts(node, reply);
    if (!reply->inventory_ready)
        return;
    node->cursor = reply->cursor;
    for (size_t i = 0; i < reply->n_statuses; i++)
        take_status(node, reply->statuses[i]);
    if (!node->inventory_done && reply->full && !reply->more)
        inventory_end(node);
}

/* --- the Sync under way ---------------------------------------------------------------------- */

static void relink(struct fleet_node *node)
{
    node->inventory_done = false;
    dial_abandon(node);
    dial_after_rest(node);
    update_status(node);
}

/* An agent that answers but can't be understood, or is too long silent, gets a new connection. */
static void start_over(struct fleet_node *node)
{
    node->dial_failures++;
    relink(node);
}

static void sync_is_due(struct timer *timer)
{
    sync_start((struct fleet_node *)((char *)timer - offsetof(struct fleet_node, sync_timer)));
}

/* An answer costs the loop, and so all nodes, some time. One that answers without end has used up
 * its credit after a second, and is then asked only as often as the loop has time for it. */
static void sync_next(struct fleet_node *node, size_t statuses)
{
    int64_t now = clock_mono_ms();
    if (node->heard_until < now - CREDIT_MS)
        node->heard_until = now - CREDIT_MS;
    node->heard_until += 2 + (int64_t)statuses / 8;
    node->sync_timer.fire = sync_is_due;
    if (node->heard_until <= now)
        sync_start(node);
    else
        timers_set(&node->fleet->timers, &node->sync_timer, node->heard_until);
}

/* Why it is no answer to a Sync; NULL when it is one. */
static const char *wrong_with(const Wire__Envelope *reply)
{
    if (reply->body_case == WIRE__ENVELOPE__BODY_FAILURE)
        return reply->failure->message;
    if (reply->body_case != WIRE__ENVELOPE__BODY_SYNC_REPLY)
        return "an unexpected answer";
    return reply->sync_reply->n_statuses > WIRE_STATUSES_MAX ? "too many statuses at once" : NULL;
}

static void sync_done(void *arg, Wire__Envelope **reply, const struct err *err)
{
    struct fleet_node *node = arg;
    node->syncing = false;
    if (node->link_state != LINK_UP)
        return;
    if (node->sync_is_stale) { /* it belonged to the connection before */
        node->sync_is_stale = false;
        sync_start(node);
        return;
    }
    if (err && err->code == ERR_TIMEOUT)
        metric_add(METRIC_BEATS_MISSED, 1);
    if (err && err->code == ERR_TIMEOUT && ++node->missed < 2) {
        update_status(node);
        sync_start(node); /* perhaps it was only slow */
        return;
    }
    if (err && err->code != ERR_TIMEOUT && is_swapping(node)) {
        relink(node);
        return;
    }
    const char *wrong = err ? err->msg : wrong_with(*reply);
    if (!wrong && renewal_is_too_late(node, (*reply)->sync_reply))
        wrong = "its CA has been ended";
    if (wrong) {
        log_warn("node doesn't sync", "node=%s op=%s reason=\"%s\"", node->id, "sync", wrong);
        start_over(node);
        return;
    }
    const Wire__SyncReply *answer = (*reply)->sync_reply;
    metric_add(METRIC_BEATS, 1);
    node->missed = 0;
    node->dial_failures = 0;
    node->answered = true;
    node->live.cert_not_after = answer->cert_not_after;
    node->last_answer = clock_mono_ms();
    node->live.last_seen = clock_wall_ms();
    take_reply(node, answer);
    update_status(node);
    publish(node);
    renewal_consider(node, answer);
    sync_next(node, answer->n_statuses);
}

static void sync_start(struct fleet_node *node)
{
    if (node->syncing || node->link_state != LINK_UP)
        return;
    Wire__Envelope envelope;
    Wire__Sync sync = WIRE__SYNC__INIT;
    struct err err = {0};
    uint32_t beat = node_beat_ms(node->fleet);
    node_envelope(node, &envelope);
    sync.boot_id = node->boot_id;
    sync.cursor = node->cursor;
    sync.wait_ms = beat < WIRE_SYNC_WAIT_MAX ? beat : WIRE_SYNC_WAIT_MAX;
    envelope.body_case = WIRE__ENVELOPE__BODY_SYNC;
    envelope.sync = &sync;
    node->syncing = true;
    node->sync_beat_ms = beat;
    if (link_call(node->link, &envelope, sync.wait_ms + grace_ms(beat), sync_done, node, &err) <
        0) {
        node->syncing = false;
        log_warn("node doesn't sync", "node=%s op=%s reason=\"%s\"", node->id, "sync", err.msg);
        start_over(node);
    }
}

static void on_pipe(void *arg, bool up)
{
    struct fleet_node *node = arg;
    if (up) {
        if (!dial_succeeded(node))
            return;
        node->answered = false;
        node->cursor = 0; /* a new connection: compare everything */
        node->inventory_done = false;
        node->missed = 0;
        node->sync_is_stale = node->syncing;
        sync_start(node);
    } else if (node->link_state == LINK_UP && is_swapping(node)) {
        relink(node);
        return;
    } else if (node->link_state == LINK_UP) {
        log_info("link lost", "node=%s", node->id);
        metric_add(METRIC_LINKS_LOST, 1);
        node->inventory_done = false;
        dial_abandon(node);
        dial_after_rest(node);
    }
    update_status(node);
}

/* --- coming and going ------------------------------------------------------------------------ */

static int copy_place(struct fleet_node *node, const struct node *row)
{
    char *address = strdup(row->address);
    char *port = strdup(row->port);
    if (!address || !port) {
        free(address);
        free(port);
        return -1;
    }
    free(node->address);
    free(node->port);
    node->address = address;
    node->port = port;
    return 0;
}

/* It has joined: from now on it is dialled. */
static int begin(struct fleet_node *node, struct err *err)
{
    struct link_owner owner = {&node->fleet->inbox, &node->fleet->timers, on_pipe, node};
    if (link_create(&owner, node->id, &node->link, err) < 0)
        return -1;
    metric_add(METRIC_LINKS_IDLE, 1);
    node->joined = true;
    node->last_answer = clock_mono_ms(); /* the benefit of the doubt: Suspect for three beats */
    node->live.status = NODE_SUSPECT;
    publish(node);
    update_status(node);
    dial_queue(node);
    return 0;
}

struct fleet_node *node_add(struct fleet *fleet, const struct node *row, struct err *err)
{
    struct fleet_node *node = calloc(1, sizeof(*node));
    if (!node) {
        err_nomem(err);
        return NULL;
    }
    snprintf(node->id, sizeof(node->id), "%s", row->id);
    node->fleet = fleet;
    node->queue_tail = &node->queue;
    node->deleted = row->deleted;
    node->drained = row->drained;
    node->live.status = NODE_UNCONFIGURED;
    node->live.last_seen = row->last_seen;
    take_version(node->live.agent_version, row->agent_version);
    take_version(node->live.docker_version, row->docker_version);
    if (copy_place(node, row) < 0) {
        err_nomem(err);
        goto fail;
    }
    HASH_ADD_STR(fleet->nodes, id, node);
    if (!node->hh.tbl) {
        err_nomem(err);
        goto fail;
    }
    if (!row->joined) {
        publish(node);
    } else if (begin(node, err) < 0) {
        node_remove(node);
        return NULL;
    }
    return node;
fail:
    free(node->address);
    free(node->port);
    free(node);
    return NULL;
}

static void dial_anew(struct fleet_node *node)
{
    dial_abandon(node);
    node->inventory_done = false;
    dial_queue(node);
    update_status(node);
}

void node_update(struct fleet_node *node, const struct node *row)
{
    node->drained = row->drained;
    if (row->deleted && !node->deleted) {
        node->deleted = true;
        board_remove(node->fleet->board, node->id);
    }
    struct err err;
    bool moved = strcmp(node->address, row->address) != 0 || strcmp(node->port, row->port) != 0;
    if (moved && copy_place(node, row) < 0) {
        fleet_rescan_later(node->fleet);
        return;
    }
    if (node->joined && moved)
        dial_anew(node);
    else if (!node->joined && row->joined && begin(node, &err) < 0)
        fleet_rescan_later(node->fleet);
}

void node_remove(struct fleet_node *node)
{
    struct fleet *fleet = node->fleet;
    struct orphan *orphan;
    struct orphan *next;
    dial_abandon(node);
    timers_cancel(&fleet->timers, &node->status_timer);
    timers_cancel(&fleet->timers, &node->sync_timer);
    timers_cancel(&fleet->timers, &node->watch.timer);
    while (node->instances)
        instance_free(node->instances);
    link_destroy(node->link);
    HASH_ITER(hh, node->orphans, orphan, next)
    remove_orphan(node, orphan);
    if (node->joined)
        metric_add(METRIC_LINKS_IDLE, -1); /* which it was left as */
    HASH_DEL(fleet->nodes, node);
    board_remove(fleet->board, node->id);
    free(node->address);
    free(node->port);
    free(node);
}
