/* What is seen of the containers, beside the steps. See reconcile_parts.h.
 *
 * Every observation carries the stamp of when it was asked for; one that is older than what is
 * known already is dropped, so answers may overtake each other. The list tells of presence and
 * state; what it doesn't tell (exit code, out of memory) is asked for when the state is new. */
#include <string.h>

#include "agent/reconcile_parts.h"
#include "common/log.h"

#define LISTED_MAX 10000

static void check_inventory(struct reconcile *reconcile)
{
    if (reconcile->inventory_ready || !reconcile->ready || reconcile->looks)
        return;
    reconcile->inventory_ready = true;
    log_info("inventory ready", "instances=%u", HASH_COUNT(reconcile->table.by_id));
    reconcile->table.changed(reconcile->table.changed_arg);
}

static bool is_same(const struct docker_container *a, const struct docker_container *b)
{
    return strcmp(a->id, b->id) == 0 && a->state == b->state && a->exit_code == b->exit_code &&
           a->oom_killed == b->oom_killed && a->finished_at_ms == b->finished_at_ms &&
           a->generation == b->generation && strcmp(a->spec_hash, b->spec_hash) == 0;
}

/* Something couldn't be seen, for lack of memory or of a connection: nothing is concluded from that
 * before the next list, which comes soon. */
static void miss(struct reconcile *reconcile)
{
    reconcile->ready = false;
    docker_watch_suspect(reconcile->watch);
}

static const struct docker_container none;

void observe_spare(struct instance *inst, const struct docker_container *seen, uint64_t seq)
{
    if (seq < inst->spare_seq)
        return;
    inst->spare_seq = seq;
    bool was = inst->spare.state != CONTAINER_NONE;
    inst->spare = seen ? *seen : none;
    reconcile_settle(inst, was != (inst->spare.state != CONTAINER_NONE));
}

void observe_container(struct instance *inst, const struct docker_container *seen, uint64_t seq)
{
    if (seq < inst->seen_seq)
        return;
    inst->seen_seq = seq;
    struct docker_container now = seen ? *seen : none;
    if (now.id[0] && strcmp(now.id, inst->resized.container_id) == 0)
        memcpy(now.spec_hash, inst->resized.spec_hash, sizeof(now.spec_hash));
    seen = &now;
    bool changed = !is_same(&inst->container, seen);
    inst->container = now;
    if (now.pulled > inst->pulled)
        inst->pulled = now.pulled;
    if (inst->goal == GOAL_NONE && seen->generation > inst->generation)
        inst->generation = seen->generation;
    /* A create that the Engine had still in hand when the removal was over. */
    if (inst->goal == GOAL_REMOVED && !inst->pending && seen->state != CONTAINER_NONE)
        reconcile_again(inst);
    reconcile_settle(inst, changed);
}

static void end_look(void *arg, const struct docker_reply *reply)
{
    struct instance *inst = arg;
    struct reconcile *reconcile = inst->reconcile;
    struct docker_container seen;
    inst->look = NULL;
    reconcile->looks--;
    bool known = strcmp(inst->look_id, inst->container.id) == 0;
    if (reply->err.code == ERR_NONE &&
        docker_json_inspected(reply->json, reconcile->panel_id, &seen) == 0 &&
        strcmp(seen.instance_id, inst->id) == 0) {
        if (seen.spare)
            observe_spare(inst, &seen, inst->look_seq);
        else
            observe_container(inst, &seen, inst->look_seq);
    } else if (reply->err.code == ERR_NOT_FOUND && known)
        observe_container(inst, NULL, inst->look_seq);
    else if (reply->err.code == ERR_OFFLINE || reply->err.code == ERR_NO_MEMORY)
        miss(reconcile);
    if (inst->look_again) {
        inst->look_again = false;
        if (inst->container.id[0])
            observe_look(inst, inst->container.id);
    }
    check_inventory(reconcile);
    if (inst->step == STEP_PAUSE && inst->container.state != CONTAINER_REMOVING)
        steps_abandon(inst);
    steps_note_end(inst);
    sparing_note_end(inst);
    reconcile_decide(inst);
}

void observe_look(struct instance *inst, const char *container_id)
{
    struct reconcile *reconcile = inst->reconcile;
    if (inst->look) {
        inst->look_again = true;
        return;
    }
    struct err err;
    if (container_id != inst->look_id)
        memcpy(inst->look_id, container_id, sizeof(inst->look_id));
    inst->look_seq = ++reconcile->stamp;
    inst->look = docker_inspect(reconcile->docker, inst->look_id, end_look, inst, &err);
    if (inst->look)
        reconcile->looks++;
    else
        miss(reconcile);
}

/* ---- What the watch tells ---- */

static void take_status(void *arg)
{
    struct reconcile *reconcile = arg;
    if (!docker_watch_is_up(reconcile->watch)) {
        reconcile->ready = false;
        reconcile_decide_all(reconcile);
    }
    reconcile->table.changed(reconcile->table.changed_arg);
}

static void take_list_begin(void *arg)
{
    struct reconcile *reconcile = arg;
    reconcile->list_seq = ++reconcile->stamp;
}

/* The instance; NULL when there is no room: no Engine has so many but one that lies. */
static struct instance *find_listed(struct reconcile *reconcile, const char *id)
{
    struct instance *inst = instance_find(&reconcile->table, id);
    if (inst || HASH_COUNT(reconcile->table.by_id) >= LISTED_MAX)
        return inst;
    inst = instance_insert(&reconcile->table, id);
    if (inst)
        inst->reconcile = reconcile;
    else
        miss(reconcile);
    return inst;
}

static void take_listed(struct reconcile *reconcile, const struct docker_container *listed)
{
    struct instance *inst = find_listed(reconcile, listed->instance_id);
    if (!inst)
        return; /* no memory: the next list brings it again */
    if (listed->spare) {
        inst->spare_listed_seq = reconcile->list_seq;
        observe_spare(inst, listed, reconcile->list_seq);
        return;
    }
    inst->doubled = inst->listed_seq == reconcile->list_seq;
    if (inst->doubled)
        return; /* left be, until the instance is removed */
    inst->listed_seq = reconcile->list_seq;
    if (reconcile->list_seq < inst->seen_seq)
        return;
    if (strcmp(listed->id, inst->container.id) == 0 && listed->state == inst->container.state)
        return;
    /* What runs has nothing more to tell; a goal that waits wants to go on now. */
    if (listed->state == CONTAINER_RUNNING || inst->pending)
        observe_container(inst, listed, reconcile->list_seq);
    if (listed->state != CONTAINER_RUNNING)
        observe_look(inst, listed->id);
}

/* Should there be two with the label of one instance: the one that it is known by comes first, then
 * the one with the name that we gave it. */
enum rank { RANK_KNOWN, RANK_NAMED, RANK_OTHER, RANKS };

static enum rank rank_of(const struct reconcile *reconcile, const json_t *entry,
                         const struct docker_container *listed)
{
    struct instance *inst = instance_find(&reconcile->table, listed->instance_id);
    char name[DOCKER_NAME_SIZE];
    if (inst && strcmp(inst->container.id, listed->id) == 0)
        return RANK_KNOWN;
    docker_json_name(listed->instance_id, false, name);
    return docker_json_is_named(entry, name) ? RANK_NAMED : RANK_OTHER;
}

static void take_ranked(struct reconcile *reconcile, const json_t *entries, enum rank rank)
{
    struct docker_container listed;
    size_t at;
    json_t *entry;
    json_array_foreach((json_t *)entries, at, entry)
    {
        if (docker_json_listed(entry, reconcile->panel_id, &listed) == 0 &&
            rank_of(reconcile, entry, &listed) == rank)
            take_listed(reconcile, &listed);
    }
}

static void take_list_end(void *arg, const json_t *entries)
{
    struct reconcile *reconcile = arg;
    reconcile->ready = true;
    for (enum rank rank = RANK_KNOWN; rank < RANKS; rank++)
        take_ranked(reconcile, entries, rank);
    struct instance *inst;
    struct instance *tmp;
    HASH_ITER(hh, reconcile->table.by_id, inst, tmp)
    {
        if (inst->container.state != CONTAINER_NONE && inst->listed_seq != reconcile->list_seq)
            observe_container(inst, NULL, reconcile->list_seq);
        if (inst->spare.state != CONTAINER_NONE && inst->spare_listed_seq != reconcile->list_seq)
            observe_spare(inst, NULL, reconcile->list_seq);
    }
    check_inventory(reconcile);
    reconcile_decide_all(reconcile);
    steps_admit_pull(reconcile); /* should all who pulled have gone while the Engine was away */
}

/* Called inside the stream: starts calls, but decides nothing. */
static void take_hint(void *arg, const char *instance_id, const char *container_id)
{
    struct reconcile *reconcile = arg;
    struct instance *inst = find_listed(reconcile, instance_id);
    if (inst && (!inst->container.id[0] || strcmp(inst->container.id, container_id) == 0))
        observe_look(inst, container_id);
}

const struct docker_watch_events observe_events = {
    .status = take_status,
    .list_begin = take_list_begin,
    .list_end = take_list_end,
    .hint = take_hint,
};
