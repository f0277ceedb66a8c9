/* See stats.h. The Engine is asked once for each start of a container, for its first process; all
 * else is read from the kernel, so looking costs the Engine nothing. */
#include "agent/stats.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup.h"
#include "agent/disk_usage.h"
#include "agent/reconcile_parts.h"
#include "common/clock.h"
#include "common/envelope.h"

#define FIRST_MS    250 /* between the two first measurements */
#define EVERY_MS    1000
#define TRIES_MAX   8u    /* so soon after each other */
#define REST_ROUNDS 30u   /* then between two inspections */
#define VOLUME_MS   60000 /* between two of a volume's size */
#define INSPECTS    8u    /* under way */
#define WANTED_MAX  512u  /* by name */

/* What a volume takes. It stays when nobody looks, so that one who asks now and then is told. */
struct volume_size {
    char id[INSTANCE_ID_SIZE];
    UT_hash_handle hh;
    bool known;
    uint64_t bytes;
    int64_t asked_ms; /* mono; 0: never */
};

struct meter {
    char id[INSTANCE_ID_SIZE];
    UT_hash_handle hh;
    struct stats *stats;
    struct volume_size *size; /* borrowed */
    bool wanted;              /* by name */
    bool news;
    /* of the container */
    char container[CONTAINER_ID_SIZE];
    struct docker_call *call;
    pid_t pid; /* 0: to be asked for */
    int64_t started_at_ms;
    /* measured */
    struct cgroup_sample sample;
    uint64_t cpu_milli; /* thousandths of one core */
    int64_t at_ms;      /* mono; 0: not yet */
    bool rated;         /* cpu_milli is known */
    unsigned tries;     /* since it was not */
};

struct stats {
    struct loop *loop;
    struct reconcile *reconcile;
    struct disk_usage *disk;
    struct meter *meters;
    struct volume_size *sizes;
    bool all;
    bool news;
    unsigned inspects;
    struct timer timer;
    char measured[INSTANCE_ID_SIZE]; /* whose volume is */
};

static struct meter *find_meter(struct stats *stats, const char *id)
{
    struct meter *meter;
    HASH_FIND_STR(stats->meters, id, meter);
    return meter;
}

static struct volume_size *find_size(struct stats *stats, const char *id)
{
    struct volume_size *size;
    HASH_FIND_STR(stats->sizes, id, size);
    return size;
}

static struct volume_size *find_or_add_size(struct stats *stats, const char *id)
{
    struct volume_size *size = find_size(stats, id);
    if (size)
        return size;
    size = calloc(1, sizeof(*size));
    if (!size)
        return NULL;
    snprintf(size->id, sizeof(size->id), "%s", id);
    HASH_ADD_STR(stats->sizes, id, size);
    if (size->hh.tbl)
        return size;
    free(size);
    return NULL;
}

/* Of instances that there are no more. */
static void drop_sizes(struct stats *stats, bool all)
{
    struct volume_size *size;
    struct volume_size *next;
    HASH_ITER(hh, stats->sizes, size, next)
    {
        if (find_meter(stats, size->id) ||
            (!all && instance_find(reconcile_table(stats->reconcile), size->id)))
            continue;
        HASH_DEL(stats->sizes, size);
        free(size);
    }
}

static struct meter *add_meter(struct stats *stats, const char *id)
{
    struct volume_size *size = find_or_add_size(stats, id);
    struct meter *meter = size ? calloc(1, sizeof(*meter)) : NULL;
    if (!meter)
        return NULL;
    meter->stats = stats;
    meter->size = size;
    snprintf(meter->id, sizeof(meter->id), "%s", id);
    HASH_ADD_STR(stats->meters, id, meter);
    if (!meter->hh.tbl) {
        free(meter);
        return NULL;
    }
    return meter;
}

/* Of the present container nothing is known. */
static void forget_container(struct meter *meter)
{
    if (meter->call) {
        docker_call_cancel(meter->call);
        meter->call = NULL;
        meter->stats->inspects--;
    }
    meter->container[0] = '\0';
    meter->pid = 0;
    meter->at_ms = 0;
    meter->rated = false;
    meter->tries = 0;
    meter->sample = (struct cgroup_sample){0};
}

static void drop_meter(struct meter *meter)
{
    forget_container(meter);
    HASH_DEL(meter->stats->meters, meter);
    free(meter);
}

/* --- measuring ------------------------------------------------------------------------------- */

static void end_inspect(void *arg, const struct docker_reply *reply)
{
    struct meter *meter = arg;
    meter->call = NULL;
    meter->stats->inspects--;
    if (reply->err.code != ERR_NONE ||
        docker_json_process(reply->json, &meter->pid, &meter->started_at_ms) < 0)
        meter->pid = 0; /* asked for again with the next measurement */
}

static void find_process(struct meter *meter)
{
    struct err err;
    struct stats *stats = meter->stats;
    bool hopeless = meter->tries > TRIES_MAX; /* it runs where we can't see it */
    if (meter->call || stats->inspects >= INSPECTS || (hopeless && meter->tries % REST_ROUNDS))
        return;
    meter->call =
        docker_inspect(stats->reconcile->docker, meter->container, end_inspect, meter, &err);
    if (meter->call)
        stats->inspects++;
}

static void take_sample(struct meter *meter, const struct cgroup_sample *sample)
{
    int64_t now = clock_mono_ms();
    uint64_t ms = (uint64_t)(now - meter->at_ms);
    if (meter->at_ms && ms && sample->cpu_ns >= meter->sample.cpu_ns) {
        meter->cpu_milli = (sample->cpu_ns - meter->sample.cpu_ns) / (ms * 1000);
        meter->rated = true;
        meter->tries = 0;
        meter->news = meter->stats->news = true;
    }
    meter->sample = *sample;
    meter->at_ms = now;
}

static void measure(struct meter *meter)
{
    const struct instance *inst =
        instance_find(reconcile_table(meter->stats->reconcile), meter->id);
    struct cgroup_sample sample;
    if (!inst || !inst->container.id[0] || !reconcile_is_alive(&inst->container)) {
        forget_container(meter);
        meter->news = meter->stats->news = true; /* that it does not run */
        return;
    }
    if (strcmp(inst->container.id, meter->container) != 0) {
        forget_container(meter);
        snprintf(meter->container, sizeof(meter->container), "%s", inst->container.id);
    }
    if (!meter->pid) {
        find_process(meter);
    } else if (cgroup_sample("/proc", "/sys/fs/cgroup", meter->pid, meter->container, &sample)) {
        take_sample(meter, &sample);
    } else { /* it ended, and perhaps runs anew */
        meter->pid = 0;
        meter->at_ms = 0;
        meter->rated = false;
    }
}

/* --- volumes --------------------------------------------------------------------------------- */

static void volume_measured(void *arg, uint64_t bytes)
{
    struct stats *stats = arg;
    struct volume_size *size = find_size(stats, stats->measured);
    if (!size)
        return;
    size->bytes = bytes;
    size->known = true;
}

/* The one whose size was asked for longest ago, if that is long enough. */
static void measure_a_volume(struct stats *stats)
{
    struct meter *meter;
    struct meter *next;
    struct volume_size *oldest = NULL;
    struct err err;
    int64_t now = clock_mono_ms();
    if (disk_usage_is_busy(stats->disk))
        return;
    HASH_ITER(hh, stats->meters, meter, next)
    {
        if (!oldest || meter->size->asked_ms < oldest->asked_ms)
            oldest = meter->size;
    }
    if (!oldest || (oldest->asked_ms && now - oldest->asked_ms < VOLUME_MS))
        return;
    const struct instance *inst = instance_find(reconcile_table(stats->reconcile), oldest->id);
    const char *volume = inst && inst->spec ? inst->spec->volume_id : oldest->id;
    char *path = volume_path(stats->reconcile->volumes, volume);
    oldest->asked_ms = now;
    snprintf(stats->measured, sizeof(stats->measured), "%s", oldest->id);
    if (path)
        (void)disk_usage_measure(stats->disk, path, volume_measured, stats, &err);
    free(path);
}

/* --- rounds ---------------------------------------------------------------------------------- */

/* Instances come and go while all are looked at. */
static void match_table(struct stats *stats)
{
    const struct instance_table *table = reconcile_table(stats->reconcile);
    struct instance *inst;
    struct instance *next_inst;
    struct meter *meter;
    struct meter *next;
    if (stats->all) {
        HASH_ITER(hh, table->by_id, inst, next_inst)
        {
            if (!find_meter(stats, inst->id))
                (void)add_meter(stats, inst->id);
        }
    }
    HASH_ITER(hh, stats->meters, meter, next)
    {
        if (!meter->wanted && (!stats->all || !instance_find(table, meter->id)))
            drop_meter(meter);
    }
    drop_sizes(stats, false);
}

static void round_is_due(struct timer *timer)
{
    struct stats *stats = (struct stats *)((char *)timer - offsetof(struct stats, timer));
    struct meter *meter;
    struct meter *next;
    bool is_new = false;
    match_table(stats);
    if (!stats->meters)
        return; /* nobody looks; stats_want() begins anew */
    HASH_ITER(hh, stats->meters, meter, next)
    {
        measure(meter);
        is_new |= meter->container[0] && !meter->rated && meter->tries++ < TRIES_MAX;
    }
    measure_a_volume(stats);
    timers_set(&stats->loop->timers, timer, clock_mono_ms() + (is_new ? FIRST_MS : EVERY_MS));
}

void stats_want(struct stats *stats, char *const *ids, size_t count, bool all)
{
    struct meter *meter;
    struct meter *next;
    bool is_new = all && !stats->all;
    HASH_ITER(hh, stats->meters, meter, next)
    meter->wanted = false;
    for (size_t i = 0; i < count && i < WANTED_MAX; i++) {
        if (envelope_check_id(ids[i]) < 0)
            continue;
        meter = find_meter(stats, ids[i]);
        is_new |= !meter;
        meter = meter ? meter : add_meter(stats, ids[i]);
        if (meter)
            meter->wanted = true;
    }
    stats->all = all;
    match_table(stats);
    if (is_new)
        round_is_due(&stats->timer);
}

/* --- telling --------------------------------------------------------------------------------- */

bool stats_has_news(const struct stats *stats)
{
    return stats->news;
}

size_t stats_count(const struct stats *stats)
{
    return HASH_COUNT(stats->meters);
}

static void fill_row(const struct meter *meter, Wire__Stats *row)
{
    const struct cgroup_sample *sample = &meter->sample;
    wire__stats__init(row);
    row->instance_id = (char *)meter->id;
    row->running = meter->rated;
    row->volume_known = meter->size->known;
    row->volume_bytes = meter->size->bytes;
    if (!meter->rated)
        return;
    int64_t up = clock_wall_ms() - meter->started_at_ms;
    row->uptime_ms = meter->started_at_ms && up > 0 ? (uint64_t)up : 0;
    row->cpu_milli = meter->cpu_milli;
    row->cpu_ns = sample->cpu_ns;
    row->memory_bytes = sample->memory_bytes;
    row->memory_limit_bytes = sample->memory_limit_bytes;
    row->received_bytes = sample->received_bytes;
    row->sent_bytes = sample->sent_bytes;
    row->read_bytes = sample->read_bytes;
    row->written_bytes = sample->written_bytes;
    row->pids = sample->pids;
}

size_t stats_tell(struct stats *stats, Wire__Stats *rows, Wire__Stats **pointers)
{
    struct meter *meter;
    struct meter *next;
    size_t count = 0;
    HASH_ITER(hh, stats->meters, meter, next)
    {
        if (!meter->news)
            continue;
        meter->news = false;
        fill_row(meter, &rows[count]);
        pointers[count] = &rows[count];
        count++;
    }
    stats->news = false;
    return count;
}

/* --- life ------------------------------------------------------------------------------------ */

struct stats *stats_create(struct loop *loop, struct reconcile *reconcile)
{
    struct stats *stats = calloc(1, sizeof(*stats));
    if (!stats)
        return NULL;
    stats->loop = loop;
    stats->reconcile = reconcile;
    stats->timer.fire = round_is_due;
    stats->disk = disk_usage_create(loop);
    if (!stats->disk) {
        free(stats);
        return NULL;
    }
    return stats;
}

void stats_destroy(struct stats *stats)
{
    if (!stats)
        return;
    stats_want(stats, NULL, 0, false);
    drop_sizes(stats, true);
    timers_cancel(&stats->loop->timers, &stats->timer);
    disk_usage_destroy(stats->disk);
    free(stats);
}
