/* Nodes and instances for /metrics. See metrics.h.
 *
 * Rows from the store, joined with the board, are copied first: a family's samples stand together,
 * so all nodes are gone through for each family. There is a series for each node, none for an
 * instance: how many nodes there are, its owner decides. A figure that isn't known has no sample.
 */
#include "panel/api/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/utf8.h"

#define MIB 1048576

struct node_sample {
    char id[65];
    char name[129];
    char agent_version[32];
    char docker_version[32];
    bool joined, maintenance, docker_told, docker_up, has_usage;
    enum node_status status;
    int64_t last_seen_ms;
    int64_t cert_end;
    int64_t memory, memory_used, memory_allocated; /* bytes */
    int64_t disk, disk_used;
    int64_t cpus, cpu_used_milli, cpus_allocated_milli, load_milli;
    int64_t uptime;
    int64_t instances, orphans;
    struct board_counts counts;
};

struct node_samples {
    struct board *board;
    struct node_sample *rows;
    size_t count, room;
};

static int grow(struct node_samples *samples, struct err *err)
{
    size_t room = samples->room ? samples->room * 2 : 64;
    struct node_sample *rows = realloc(samples->rows, room * sizeof(*rows));
    if (!rows)
        return err_nomem(err);
    samples->rows = rows;
    samples->room = room;
    return 0;
}

static int add_node(const struct node *node, void *arg, struct err *err)
{
    struct node_samples *samples = arg;
    struct node_live live;
    if (samples->count == samples->room && grow(samples, err) < 0)
        return -1;
    struct node_sample *row = &samples->rows[samples->count++];
    (void)board_get(samples->board, node->id, &live);
    *row = (struct node_sample){
        .joined = node->joined,
        .maintenance = node->maintenance || node->drained,
        .docker_told = live.docker_told,
        .docker_up = live.docker_up,
        .has_usage = live.has_usage,
        .status = live.status,
        .last_seen_ms = live.last_seen ? live.last_seen : node->last_seen,
        .cert_end =
            live.cert_not_after < INT32_MAX * UINT64_C(1000) ? (int64_t)live.cert_not_after : 0,
        .memory = (int64_t)node->capacity_memory_mib * MIB,
        .memory_used = (int64_t)live.memory_used_mib * MIB,
        .memory_allocated = (int64_t)node->allocated_memory_mib * MIB,
        .disk = (int64_t)node->capacity_disk_mib * MIB,
        .disk_used = (int64_t)live.disk_used_mib * MIB,
        .cpus = node->capacity_cpus,
        .cpu_used_milli = live.cpu_permille,
        .cpus_allocated_milli = node->allocated_cpu_milli,
        .load_milli = live.load1_permille,
        .uptime = (int64_t)live.uptime_seconds,
        .instances = node->instances,
        .orphans = live.orphans,
    };
    snprintf(row->id, sizeof(row->id), "%s", node->id);
    utf8_copy(row->name, sizeof(row->name), node->name);
    utf8_copy(row->agent_version, sizeof(row->agent_version), node->agent_version);
    utf8_copy(row->docker_version, sizeof(row->docker_version), node->docker_version);
    board_counts(samples->board, node->id, &row->counts);
    return 0;
}

/* --- one family, all nodes ------------------------------------------------------------------- */

/* What a sample needs to be known. */
enum needs { JOINED, USAGE, CAPACITY, DOCKER, CERTIFICATE, SEEN };

static bool is_known(const struct node_sample *row, enum needs needs)
{
    switch (needs) {
    case JOINED:
        return row->joined;
    case USAGE: /* of a node that is silent it is history */
        return row->has_usage && row->status != NODE_OFFLINE;
    case CAPACITY:
        return row->cpus > 0;
    case DOCKER:
        return row->docker_told && row->status != NODE_OFFLINE;
    case CERTIFICATE:
        return row->cert_end > 0;
    case SEEN:
        return row->last_seen_ms > 0;
    }
    return false;
}

static const struct node_figure {
    struct family family;
    enum needs needs;
    size_t offset; /* of an int64_t */
    unsigned decimals;
} figures[] = {
#define FIGURE(name, unit, needs, member, decimals, help)                                          \
    {                                                                                              \
        {"panel_node_" name, FAMILY_GAUGE, unit, help}, needs,                                     \
            offsetof(struct node_sample, member), decimals                                         \
    }
    FIGURE("last_seen_timestamp_seconds", "seconds", SEEN, last_seen_ms, 3,
           "When its agent last answered, seconds since 1970."),
    FIGURE("certificate_end_timestamp_seconds", "seconds", CERTIFICATE, cert_end, 0,
           "When its agent's certificate ends, seconds since 1970; it renews itself before."),
    FIGURE("memory_bytes", "bytes", CAPACITY, memory, 0, "The memory that it has."),
    FIGURE("memory_used_bytes", "bytes", USAGE, memory_used, 0,
           "How much of its memory is in use, by whatever."),
    FIGURE("memory_allocated_bytes", "bytes", JOINED, memory_allocated, 0,
           "The memory limits of its instances together."),
    FIGURE("disk_bytes", "bytes", CAPACITY, disk, 0,
           "The size of the filesystem that holds its volumes."),
    FIGURE("disk_used_bytes", "bytes", USAGE, disk_used, 0, "How much of that is in use."),
    FIGURE("cpus", "", CAPACITY, cpus, 0, "The cores that it has."),
    FIGURE("cpu_used_ratio", "ratio", USAGE, cpu_used_milli, 3,
           "How much of all its cores is in use, 0 to 1."),
    FIGURE("cpus_allocated", "", JOINED, cpus_allocated_milli, 3,
           "The core limits of its instances together."),
    FIGURE("load1", "", USAGE, load_milli, 3, "Its load average over one minute."),
    FIGURE("uptime_seconds", "seconds", USAGE, uptime, 0, "How long ago it was booted."),
    FIGURE("instances", "", JOINED, instances, 0,
           "Instances that have a right to be on it, whatever their state."),
    FIGURE("orphans", "", JOINED, orphans, 0,
           "Containers on it with the panel's label that the panel doesn't know."),
#undef FIGURE
};

static void put_figure(struct exposition *to, const struct node_samples *samples,
                       const struct node_figure *figure)
{
    expose_family(to, &figure->family);
    for (size_t i = 0; i < samples->count; i++) {
        const struct node_sample *row = &samples->rows[i];
        int64_t value;
        if (!row->joined || !is_known(row, figure->needs))
            continue;
        memcpy(&value, (const char *)row + figure->offset, sizeof(value));
        struct label label = {"node", row->id};
        expose_sample(to, &label, 1, value, figure->decimals);
    }
}

static void put_flag(struct exposition *to, const struct node_samples *samples,
                     const struct family *family, enum needs needs,
                     bool (*is)(const struct node_sample *row))
{
    expose_family(to, family);
    for (size_t i = 0; i < samples->count; i++) {
        const struct node_sample *row = &samples->rows[i];
        struct label label = {"node", row->id};
        if (row->joined && is_known(row, needs))
            expose_sample(to, &label, 1, is(row), 0);
    }
}

static bool is_up(const struct node_sample *row)
{
    return row->status == NODE_ONLINE;
}

static bool is_docker_up(const struct node_sample *row)
{
    return row->docker_up;
}

static bool is_in_maintenance(const struct node_sample *row)
{
    return row->maintenance;
}

static void put_flags(struct exposition *to, const struct node_samples *samples)
{
    static const struct family up = {"panel_node_up", FAMILY_GAUGE, "", "1 while it is Online."};
    static const struct family docker_up = {"panel_node_docker_up", FAMILY_GAUGE, "",
                                            "1 while its Docker Engine answers its agent."};
    static const struct family maintenance = {
        "panel_node_maintenance", FAMILY_GAUGE, "",
        "1 while it is in maintenance or drained, so that nobody need be woken for it."};
    put_flag(to, samples, &up, JOINED, is_up);
    put_flag(to, samples, &docker_up, DOCKER, is_docker_up);
    put_flag(to, samples, &maintenance, JOINED, is_in_maintenance);
}

static void put_infos(struct exposition *to, const struct node_samples *samples)
{
    static const struct family family = {
        "panel_node", FAMILY_INFO, "",
        "What a node's id stands for; join it with the others on (node)."};
    expose_family(to, &family);
    for (size_t i = 0; i < samples->count; i++) {
        const struct node_sample *row = &samples->rows[i];
        const struct label labels[] = {{"node", row->id},
                                       {"name", row->name},
                                       {"agent_version", row->agent_version},
                                       {"docker_version", row->docker_version}};
        if (row->joined)
            expose_sample(to, labels, ARRAY_LEN(labels), 1, 0);
    }
}

/* --- all together ---------------------------------------------------------------------------- */

static void put_statuses(struct exposition *to, const struct node_samples *samples)
{
    static const struct family family = {"panel_nodes", FAMILY_GAUGE, "",
                                         "Nodes by status; maintenance goes before the rest."};
    int64_t counts[NODE_MAINTENANCE + 1] = {0};
    for (size_t i = 0; i < samples->count; i++) {
        const struct node_sample *row = &samples->rows[i];
        counts[row->joined && row->maintenance ? NODE_MAINTENANCE : row->status]++;
    }
    expose_family(to, &family);
    for (unsigned i = 0; i <= NODE_MAINTENANCE; i++) {
        struct label label = {"status", node_status_name((enum node_status)i)};
        expose_sample(to, &label, 1, counts[i], 0);
    }
}

/* What is on a node that doesn't answer is "unknown", unless it is being deleted. */
static void sum_states(const struct node_samples *samples, struct board_counts *sum,
                       int64_t *ret_looping)
{
    for (size_t i = 0; i < samples->count; i++) {
        const struct node_sample *row = &samples->rows[i];
        bool silent = row->status == NODE_OFFLINE || row->status == NODE_UNCONFIGURED;
        for (unsigned s = 0; s < INSTANCE_STATES; s++)
            sum->states[silent && s != STATE_DELETING ? STATE_UNKNOWN : s] += row->counts.states[s];
        for (unsigned p = 0; p < INSTANCE_PHASES; p++)
            sum->phases[p] += row->counts.phases[p];
        *ret_looping += silent ? 0 : row->counts.crash_looping;
    }
}

static void put_instances(struct exposition *to, const struct node_samples *samples)
{
    static const struct family states = {"panel_instances", FAMILY_GAUGE, "",
                                         "Instances by State, as the API tells it."};
    static const struct family phases = {"panel_instances_internal", FAMILY_GAUGE, "",
                                         "Instances by InternalState, as the API tells it."};
    static const struct family looping = {"panel_instances_crash_looping", FAMILY_GAUGE, "",
                                          "Instances that ended by themselves three times or more "
                                          "and did not run for a minute since."};
    struct board_counts sum = {.states = {0}};
    int64_t crash_looping = 0;
    sum_states(samples, &sum, &crash_looping);
    expose_family(to, &states);
    for (unsigned i = 0; i < INSTANCE_STATES; i++) {
        struct label label = {"state", instance_state_word((enum instance_state)i)};
        expose_sample(to, &label, 1, sum.states[i], 0);
    }
    expose_family(to, &phases);
    for (unsigned i = 0; i < INSTANCE_PHASES; i++) {
        struct label label = {"internal_state", instance_phase_name((enum instance_phase)i)};
        expose_sample(to, &label, 1, sum.phases[i], 0);
    }
    metrics_put_one(to, &looping, crash_looping, 0);
}

int metrics_put_nodes(struct exposition *to, struct store *store, struct board *board,
                      struct err *err)
{
    struct node_samples samples = {.board = board};
    struct store_page all = {.limit = 0};
    int rc = store_node_list(store, &all, add_node, &samples, err);
    if (rc >= 0) {
        put_statuses(to, &samples);
        put_instances(to, &samples);
        put_infos(to, &samples);
        put_flags(to, &samples);
        for (size_t i = 0; i < ARRAY_LEN(figures); i++)
            put_figure(to, &samples, &figures[i]);
    }
    free(samples.rows);
    return rc < 0 ? -1 : 0;
}
