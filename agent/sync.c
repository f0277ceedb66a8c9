/* Holding and answering Sync. See sync.h.
 *
 * A cursor is a change_seq of the table's journal. A listing of everything (cursor 0, or a boot_id
 * of an earlier life) may take several answers: it covers what the journal held when it began,
 * up to full_end, and every answer to a cursor below that belongs to it. What changes meanwhile
 * moves to the journal's end and so is told after it. */
#include "agent/sync.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/answer.h"
#include "agent/usage.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/failpoint.h"

#define FORGET_EVERY_MS 60000
#define STATUS_BYTES    800 /* no status is larger, packed */

_Static_assert(WIRE_STATUSES_MAX *STATUS_BYTES < WIRE_FRAME_MAX, "a full answer fits a frame");

struct sync {
    struct loop *loop;
    const struct identity *identity;
    struct reconcile *reconcile;
    struct usage_meter meter;
    char boot_id[CRYPTO_UUID_SIZE];
    struct rpc_call *held;
    uint64_t held_id;
    uint64_t cursor; /* 0: everything */
    struct timer timer;
    struct timer forget;
    uint64_t full_end;
    uint64_t read_to; /* what the panel has surely read */
    bool dirty;
    bool stopping;
    bool told_up; /* what the last answer said of Docker */
    char told_error[320];
};

static uint64_t last_seq(const struct sync *sync)
{
    return reconcile_table(sync->reconcile)->seq;
}

static bool docker_is_news(const struct sync *sync)
{
    Wire__DockerStatus docker;
    reconcile_fill_docker(sync->reconcile, &docker);
    return docker.up != sync->told_up ||
           strncmp(docker.error, sync->told_error, sizeof(sync->told_error) - 1) != 0;
}

static bool has_news(const struct sync *sync)
{
    if (sync->stopping || docker_is_news(sync))
        return true;
    if (!reconcile_is_inventory_ready(sync->reconcile))
        return false;
    return sync->cursor == 0 || last_seq(sync) > sync->cursor;
}

/* Put what there is after the cursor into the reply. Both arrays have room for
 * WIRE_STATUSES_MAX. */
static void fill_statuses(struct sync *sync, Wire__SyncReply *reply, Wire__InstanceStatus *statuses,
                          Wire__InstanceStatus **pointers)
{
    const struct instance_table *table = reconcile_table(sync->reconcile);
    uint64_t cursor = sync->cursor;
    if (cursor == 0)
        sync->full_end = table->seq;
    reply->full = cursor < sync->full_end;
    reply->statuses = pointers;
    struct instance *inst = instance_changed_since(table, cursor);
    /* A listing is whole at full_end; what comes after is news for the next Sync. */
    while (inst && reply->n_statuses < WIRE_STATUSES_MAX &&
           !(reply->full && inst->change_seq > sync->full_end)) {
        pointers[reply->n_statuses] = &statuses[reply->n_statuses];
        instance_fill_status(inst, &statuses[reply->n_statuses]);
        reply->n_statuses++;
        cursor = inst->change_seq;
        inst = inst->next;
    }
    reply->more = inst && !(reply->full && inst->change_seq > sync->full_end);
    if (!inst)
        cursor = table->seq;
    else if (reply->full && !reply->more)
        cursor = sync->full_end;
    reply->cursor = cursor;
}

static void remember_told(struct sync *sync, const Wire__DockerStatus *docker)
{
    sync->told_up = docker->up;
    snprintf(sync->told_error, sizeof(sync->told_error), "%s", docker->error);
}

static void answer(struct sync *sync)
{
    (void)FAILPOINT("agent.sync.answering");
    Wire__InstanceStatus *statuses = calloc(WIRE_STATUSES_MAX, sizeof(*statuses));
    Wire__InstanceStatus **pointers = calloc(WIRE_STATUSES_MAX, sizeof(*pointers));
    Wire__SyncReply reply = WIRE__SYNC_REPLY__INIT;
    Wire__DockerStatus docker;
    Wire__Capacity capacity;
    Wire__Usage usage;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    reconcile_fill_docker(sync->reconcile, &docker);
    usage_fill(&sync->meter, sync->identity->dir, &capacity, &usage);
    reply.boot_id = sync->boot_id;
    reply.docker = &docker;
    reply.capacity = &capacity;
    reply.usage = &usage;
    reply.agent_version = PANEL_VERSION;
    reply.cert_not_after = (uint64_t)sync->identity->cert_not_after;
    reply.cert_issuer = (char *)(uintptr_t)sync->identity->cert_issuer;
    reply.ca_digest = (char *)(uintptr_t)sync->identity->ca_digest;
    reply.cursor = sync->cursor;
    reply.inventory_ready = reconcile_is_inventory_ready(sync->reconcile) && statuses && pointers;
    /* Before that, and without memory, it is only a heartbeat: the cursor stays where it was. */
    if (reply.inventory_ready)
        fill_statuses(sync, &reply, statuses, pointers);
    envelope.body_case = WIRE__ENVELOPE__BODY_SYNC_REPLY;
    envelope.sync_reply = &reply;
    remember_told(sync, &docker);
    struct rpc_call *call = sync->held;
    sync->held = NULL;
    timers_cancel(&sync->loop->timers, &sync->timer);
    answer_send(call, sync->identity, sync->held_id, &envelope);
    free(statuses);
    free(pointers);
}

static void fire_timer(struct timer *timer)
{
    struct sync *sync = (struct sync *)((char *)timer - offsetof(struct sync, timer));
    if (sync->held)
        answer(sync);
}

static void fire_forget(struct timer *timer)
{
    struct sync *sync = (struct sync *)((char *)timer - offsetof(struct sync, forget));
    reconcile_forget_old(sync->reconcile, sync->read_to);
    timers_set(&sync->loop->timers, timer, clock_mono_ms() + FORGET_EVERY_MS);
}

struct sync *sync_create(struct loop *loop, const struct identity *identity, struct err *err)
{
    struct sync *sync = calloc(1, sizeof(*sync));
    if (!sync) {
        err_nomem(err);
        return NULL;
    }
    sync->loop = loop;
    sync->identity = identity;
    sync->timer.fire = fire_timer;
    sync->forget.fire = fire_forget;
    crypto_uuid(sync->boot_id);
    timers_set(&loop->timers, &sync->forget, clock_mono_ms() + FORGET_EVERY_MS);
    return sync;
}

const char *sync_boot_id(const struct sync *sync)
{
    return sync->boot_id;
}

void sync_set_reconcile(struct sync *sync, struct reconcile *reconcile)
{
    sync->reconcile = reconcile;
}

void sync_destroy(struct sync *sync)
{
    if (!sync)
        return;
    timers_cancel(&sync->loop->timers, &sync->timer);
    timers_cancel(&sync->loop->timers, &sync->forget);
    free(sync);
}

void sync_take(struct sync *sync, struct rpc_call *call, const Wire__Envelope *request)
{
    const Wire__Sync *body = request->sync;
    if (sync->held)
        answer(sync);
    bool known = strcmp(body->boot_id, sync->boot_id) == 0 && body->cursor <= last_seq(sync);
    uint32_t wait = body->wait_ms < WIRE_SYNC_WAIT_MAX ? body->wait_ms : WIRE_SYNC_WAIT_MAX;
    sync->held = call;
    sync->held_id = request->call_id;
    sync->cursor = known ? body->cursor : 0;
    if (known)
        sync->read_to = body->cursor;
    sync->dirty = true;
    timers_set(&sync->loop->timers, &sync->timer, clock_mono_ms() + wait);
}

void sync_changed(struct sync *sync)
{
    sync->dirty = true;
}

void sync_settle(struct sync *sync)
{
    if (!sync->dirty)
        return;
    sync->dirty = false;
    if (sync->held && has_news(sync))
        answer(sync);
}

void sync_stop(struct sync *sync)
{
    sync->stopping = true;
    if (sync->held)
        answer(sync);
}
