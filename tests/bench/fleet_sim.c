/* Many agents in one process: each with its own certificate, listener and TLS link, speaking the
 * real protocol to a real panel; only Docker isn't there. For tests/bench/fleet.
 *
 *   fleet-sim DIR PANEL_URL WORK_MS   < lines
 *
 * Lines on stdin, each answered by one on stdout ("ok ..." or "no ..."); I is a node's number:
 *   join TOKEN LISTEN   join as the next node, whose state goes to DIR/I
 *   load LISTEN         take up the next node from DIR/I, joined by an earlier run
 *   start I             listen
 *   die I               drop the link and refuse connections, as a dead process does
 *   hang I              keep the link and answer nothing, as a stopped process does
 *   wake I              answer again
 *   crash I ID          the container of the instance ends; says when, in monotonic ns
 *   count               instances running, over all nodes
 *
 * An Apply is done WORK_MS after it came. While a Watch asks for what instances use, something is
 * told of each once a second, as an agent does; their logs stay empty. nng's callbacks do the work,
 * under the node's mutex; they only submit the next operation. */
#include <inttypes.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/identity.h"
#include "agent/join.h"
#include "common/auto.h"
#include "common/crypto.h"
#include "common/envelope.h"

#include <uthash.h>

#define SLOTS      4
#define NODES_MAX  16384
#define MEASURE_MS 1000

struct sim_instance {
    char id[65];
    char spec_hash[65];
    char container_id[65];
    uint64_t generation;
    uint64_t attempt;
    uint64_t seq;
    Wire__Observed observed;
    Wire__Observed wanted; /* becomes observed at due */
    int64_t due;           /* mono ms; 0: settled */
    UT_hash_handle hh;
};

struct slot {
    struct sim_node *node;
    nng_ctx ctx;
    nng_aio *aio;
    bool sending;
};

struct sim_node {
    pthread_mutex_t lock;
    struct identity identity;
    nng_socket socket;
    nng_listener listener;
    bool listening;
    bool hung;
    struct slot slots[SLOTS];
    struct slot *held; /* whose Sync waits */
    uint64_t held_id;
    uint64_t cursor; /* of that Sync */
    bool full;       /* until a listing of everything is told to its end */
    int64_t held_until;
    struct slot *watching; /* whose Watch waits */
    uint64_t watching_id;
    int64_t watching_until;
    bool measuring; /* that Watch asks for what is used */
    int64_t measured_at;
    nng_aio *timer;
    bool timing;
    char boot_id[37];
    uint64_t seq;
    int64_t started;
    struct sim_instance *instances;
};

static FILE *answers; /* the stdout we were started with */
static struct sim_node *nodes[NODES_MAX];
static size_t node_count;
static int work_ms;

static int64_t mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int64_t mono_ms(void)
{
    return mono_ns() / 1000000;
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(answers, format, args);
    va_end(args);
    fflush(answers);
}

static void must(int rv, const char *what)
{
    if (rv) {
        fprintf(stderr, "fleet-sim: %s: %s\n", what, nng_strerror(rv));
        exit(1);
    }
}

/* --- answers: with the node's lock ------------------------------------------------------------ */

static void receive(struct slot *slot)
{
    slot->sending = false;
    nng_ctx_recv(slot->ctx, slot->aio);
}

static void answer(struct slot *slot, uint64_t call_id, Wire__Envelope *envelope)
{
    auto_free uint8_t *data = NULL;
    size_t len;
    struct err err;
    nng_msg *msg;
    envelope->protocol_version = WIRE_PROTOCOL_VERSION;
    envelope->panel_id = slot->node->identity.panel_id;
    envelope->node_id = slot->node->identity.node_id;
    envelope->call_id = call_id;
    if (envelope_pack(envelope, &data, &len, &err) < 0) {
        fprintf(stderr, "fleet-sim: %s\n", err.msg);
        exit(1);
    }
    must(nng_msg_alloc(&msg, 0), "message");
    must(nng_msg_append(msg, data, len), "message");
    slot->sending = true;
    nng_aio_set_msg(slot->aio, msg);
    nng_ctx_send(slot->ctx, slot->aio);
}

static void answer_ack(struct slot *slot, uint64_t call_id)
{
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    Wire__Ack ack = WIRE__ACK__INIT;
    envelope.body_case = WIRE__ENVELOPE__BODY_ACK;
    envelope.ack = &ack;
    answer(slot, call_id, &envelope);
}

static void answer_refusal(struct slot *slot, uint64_t call_id)
{
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    Wire__Failure failure = WIRE__FAILURE__INIT;
    failure.code = "unknown_request";
    failure.message = "this agent is simulated";
    envelope.body_case = WIRE__ENVELOPE__BODY_FAILURE;
    envelope.failure = &failure;
    answer(slot, call_id, &envelope);
}

static int by_seq(const void *a, const void *b)
{
    const struct sim_instance *x = *(struct sim_instance *const *)a;
    const struct sim_instance *y = *(struct sim_instance *const *)b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Those after the cursor, in the order of their changes; *more: there were too many. */
static size_t gather(struct sim_node *node, Wire__InstanceStatus *statuses, uint64_t *ret_cursor,
                     bool *more)
{
    size_t all = 0;
    size_t count = HASH_COUNT(node->instances);
    auto_free struct sim_instance **news = calloc(count + 1, sizeof(*news));
    for (struct sim_instance *inst = node->instances; inst; inst = inst->hh.next) {
        if (inst->seq > node->cursor)
            news[all++] = inst;
    }
    qsort(news, all, sizeof(struct sim_instance *), by_seq);
    *more = all > WIRE_STATUSES_MAX;
    if (*more)
        all = WIRE_STATUSES_MAX;
    for (size_t i = 0; i < all; i++) {
        Wire__InstanceStatus *status = &statuses[i];
        wire__instance_status__init(status);
        status->instance_id = news[i]->id;
        status->generation = news[i]->generation;
        status->attempt = news[i]->attempt;
        status->observed = news[i]->observed;
        status->spec_hash = news[i]->spec_hash;
        status->container_id = news[i]->container_id;
    }
    *ret_cursor = *more ? news[all - 1]->seq : node->seq;
    return all;
}

static void answer_sync(struct sim_node *node)
{
    static _Thread_local Wire__InstanceStatus statuses[WIRE_STATUSES_MAX];
    static _Thread_local Wire__InstanceStatus *pointers[WIRE_STATUSES_MAX];
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    Wire__SyncReply reply = WIRE__SYNC_REPLY__INIT;
    Wire__DockerStatus docker = WIRE__DOCKER_STATUS__INIT;
    Wire__Capacity capacity = WIRE__CAPACITY__INIT;
    Wire__Usage usage = WIRE__USAGE__INIT;
    bool more = false;
    docker.up = true;
    docker.version = "20.10.24";
    docker.api_version = "1.41";
    capacity.memory_bytes = 1ULL << 40;
    capacity.cpus = 64;
    capacity.disk_bytes = 1ULL << 42;
    usage.memory_used_bytes = 1ULL << 30;
    usage.uptime_seconds = (uint64_t)(mono_ms() - node->started) / 1000;
    reply.boot_id = node->boot_id;
    reply.full = node->full;
    reply.inventory_ready = true;
    reply.docker = &docker;
    reply.capacity = &capacity;
    reply.usage = &usage;
    reply.agent_version = "simulated";
    reply.cert_not_after = (uint64_t)node->identity.cert_not_after;
    reply.cursor = node->cursor;
    if (node->seq != node->cursor || node->full) {
        reply.n_statuses = gather(node, statuses, &reply.cursor, &more);
        for (size_t i = 0; i < reply.n_statuses; i++)
            pointers[i] = &statuses[i];
        reply.statuses = pointers;
    }
    reply.more = more;
    envelope.body_case = WIRE__ENVELOPE__BODY_SYNC_REPLY;
    envelope.sync_reply = &reply;
    struct slot *slot = node->held;
    node->held = NULL;
    node->full = more;
    answer(slot, node->held_id, &envelope);
}

/* Figures that move, so that nothing which answers with them can be the same twice. */
static void measure(const struct sim_instance *inst, int64_t now, Wire__Stats *stats)
{
    wire__stats__init(stats);
    stats->instance_id = (char *)inst->id;
    stats->running = inst->observed == WIRE__OBSERVED__OBSERVED_RUNNING;
    stats->uptime_ms = (uint64_t)now;
    stats->cpu_milli = (uint64_t)(now + inst->id[0]) % 1000;
    stats->cpu_ns = (uint64_t)now * 100000;
    stats->memory_bytes = (100ULL << 20) + (uint64_t)now % (1 << 20);
    stats->memory_limit_bytes = 512ULL << 20;
    stats->received_bytes = (uint64_t)now * 100;
    stats->sent_bytes = (uint64_t)now * 50;
    stats->read_bytes = 1 << 20;
    stats->written_bytes = (uint64_t)now * 10;
    stats->pids = 12;
    stats->volume_known = true;
    stats->volume_bytes = 1ULL << 30;
}

/* measured: with what each instance uses; else empty. */
static void answer_watch(struct sim_node *node, bool measured)
{
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    Wire__WatchReply reply = WIRE__WATCH_REPLY__INIT;
    size_t count = measured ? HASH_COUNT(node->instances) : 0;
    auto_free Wire__Stats *stats = calloc(count + 1, sizeof(*stats));
    auto_free Wire__Stats **pointers = calloc(count + 1, sizeof(*pointers));
    int64_t now = mono_ms();
    if (!stats || !pointers)
        abort();
    for (struct sim_instance *inst = node->instances; inst && measured; inst = inst->hh.next) {
        if (inst->observed == WIRE__OBSERVED__OBSERVED_REMOVED)
            continue;
        measure(inst, now, &stats[reply.n_stats]);
        pointers[reply.n_stats] = &stats[reply.n_stats];
        reply.n_stats++;
    }
    reply.stats = pointers;
    envelope.body_case = WIRE__ENVELOPE__BODY_WATCH_REPLY;
    envelope.watch_reply = &reply;
    if (measured)
        node->measured_at = now;
    struct slot *slot = node->watching;
    node->watching = NULL;
    answer(slot, node->watching_id, &envelope);
}

static int64_t watch_due(const struct sim_node *node)
{
    int64_t next = node->measured_at + MEASURE_MS;
    return node->measuring && next < node->watching_until ? next : node->watching_until;
}

static void set_timer(struct sim_node *node);

/* What is due is done; then the Sync is answered when there is news or its time is over. */
static void settle(struct sim_node *node)
{
    int64_t now = mono_ms();
    struct sim_instance *inst;
    struct sim_instance *next;
    HASH_ITER(hh, node->instances, inst, next)
    {
        if (!inst->due || inst->due > now)
            continue;
        inst->due = 0;
        inst->observed = inst->wanted;
        inst->seq = ++node->seq;
        if (inst->observed == WIRE__OBSERVED__OBSERVED_RUNNING && !inst->container_id[0]) {
            crypto_random_base36(inst->container_id, 64);
            inst->container_id[64] = '\0';
        } else if (inst->observed == WIRE__OBSERVED__OBSERVED_REMOVED) {
            inst->container_id[0] = '\0';
        }
    }
    if (node->held && !node->hung &&
        (node->seq != node->cursor || node->full || now >= node->held_until))
        answer_sync(node);
    if (node->watching && !node->hung && now >= watch_due(node))
        answer_watch(node, node->measuring);
    set_timer(node);
}

static void on_timer(void *arg)
{
    struct sim_node *node = arg;
    pthread_mutex_lock(&node->lock);
    node->timing = false;
    settle(node);
    pthread_mutex_unlock(&node->lock);
}

/* One sleep at a time. One that a nearer deadline has overtaken is cut short. */
static void set_timer(struct sim_node *node)
{
    int64_t due = node->held && !node->hung ? node->held_until : INT64_MAX;
    if (node->watching && !node->hung && watch_due(node) < due)
        due = watch_due(node);
    for (struct sim_instance *inst = node->instances; inst; inst = inst->hh.next) {
        if (inst->due && inst->due < due)
            due = inst->due;
    }
    if (due == INT64_MAX)
        return;
    if (node->timing) {
        nng_aio_cancel(node->timer); /* on_timer comes at once, and sets it anew */
        return;
    }
    int64_t wait = due - mono_ms();
    node->timing = true;
    nng_sleep_aio((nng_duration)(wait > 0 ? wait : 0), node->timer);
}

/* --- requests: with the node's lock ----------------------------------------------------------- */

static struct sim_instance *find(struct sim_node *node, const char *id, bool make)
{
    struct sim_instance *inst;
    HASH_FIND_STR(node->instances, id, inst);
    if (!inst && make) {
        inst = calloc(1, sizeof(*inst));
        snprintf(inst->id, sizeof(inst->id), "%s", id);
        HASH_ADD_STR(node->instances, id, inst);
    }
    return inst;
}

static void begin(struct sim_node *node, struct sim_instance *inst, Wire__Observed on_the_way,
                  Wire__Observed wanted)
{
    inst->wanted = wanted;
    inst->due = mono_ms() + work_ms;
    if (work_ms) {
        inst->observed = on_the_way;
        inst->seq = ++node->seq;
    }
}

static void take_apply(struct sim_node *node, const Wire__Apply *apply)
{
    struct sim_instance *inst = find(node, apply->instance_id, true);
    inst->generation = apply->generation;
    inst->attempt = apply->attempt;
    snprintf(inst->spec_hash, sizeof(inst->spec_hash), "%s", apply->spec_hash);
    if (apply->desired == WIRE__DESIRED__DESIRED_STOPPED)
        begin(node, inst, WIRE__OBSERVED__OBSERVED_STOPPING, WIRE__OBSERVED__OBSERVED_STOPPED);
    else
        begin(node, inst, WIRE__OBSERVED__OBSERVED_CREATING, WIRE__OBSERVED__OBSERVED_RUNNING);
}

static void take_remove(struct sim_node *node, const Wire__Remove *remove)
{
    struct sim_instance *inst = find(node, remove->instance_id, true);
    inst->generation = remove->generation;
    begin(node, inst, WIRE__OBSERVED__OBSERVED_REMOVING, WIRE__OBSERVED__OBSERVED_REMOVED);
}

static void take_sync(struct sim_node *node, struct slot *slot, const Wire__Envelope *request)
{
    const Wire__Sync *sync = request->sync;
    if (node->held)
        answer_sync(node);
    bool known = strcmp(sync->boot_id, node->boot_id) == 0 && sync->cursor <= node->seq;
    node->cursor = known ? sync->cursor : 0;
    node->full = node->cursor == 0 || (known && node->full);
    node->held = slot;
    node->held_id = request->call_id;
    node->held_until = mono_ms() + sync->wait_ms;
}

static void take_watch(struct sim_node *node, struct slot *slot, const Wire__Envelope *request)
{
    const Wire__Watch *watch = request->watch;
    if (node->watching)
        answer_watch(node, false);
    node->watching = slot;
    node->watching_id = request->call_id;
    node->watching_until = mono_ms() + watch->wait_ms;
    node->measuring = watch->all_stats || watch->n_stats;
}

static void serve(struct slot *slot, const Wire__Envelope *request)
{
    struct sim_node *node = slot->node;
    switch (request->body_case) {
    case WIRE__ENVELOPE__BODY_SYNC:
        take_sync(node, slot, request);
        break;
    case WIRE__ENVELOPE__BODY_WATCH:
        take_watch(node, slot, request);
        break;
    case WIRE__ENVELOPE__BODY_APPLY:
        take_apply(node, request->apply);
        answer_ack(slot, request->call_id);
        break;
    case WIRE__ENVELOPE__BODY_REMOVE:
        take_remove(node, request->remove);
        answer_ack(slot, request->call_id);
        break;
    default:
        answer_refusal(slot, request->call_id);
    }
    settle(node);
}

static void on_aio(void *arg)
{
    struct slot *slot = arg;
    int rv = nng_aio_result(slot->aio);
    struct sim_node *node = slot->node;
    pthread_mutex_lock(&node->lock);
    if (slot->sending) {
        if (rv)
            nng_msg_free(nng_aio_get_msg(slot->aio));
        receive(slot);
    } else if (rv) {
        if (rv != NNG_ECLOSED)
            receive(slot);
    } else {
        nng_msg *msg = nng_aio_get_msg(slot->aio);
        Wire__Envelope *request = NULL;
        struct err err;
        if (!node->hung &&
            envelope_unpack(nng_msg_body(msg), nng_msg_len(msg), &request, &err) == 0)
            serve(slot, request);
        else
            receive(slot); /* a hung one lets it lie */
        nng_msg_free(msg);
        envelope_free(request);
    }
    pthread_mutex_unlock(&node->lock);
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void listen_on(struct sim_node *node)
{
    nng_tls_config *tls;
    auto_free char *url = NULL;
    if (asprintf(&url, "tls+tcp://%s", node->identity.listen) < 0)
        abort();
    must(nng_tls_config_alloc(&tls, NNG_TLS_MODE_SERVER), "TLS");
    must(nng_tls_config_own_cert(tls, node->identity.cert, node->identity.key, NULL), "TLS");
    must(nng_tls_config_ca_chain(tls, node->identity.ca, NULL), "TLS");
    must(nng_tls_config_auth_mode(tls, NNG_TLS_AUTH_MODE_REQUIRED), "TLS");
    must(nng_listener_create(&node->listener, node->socket, url), "listener");
    must(nng_listener_set_ptr(node->listener, NNG_OPT_TLS_CONFIG, tls), "TLS");
    must(nng_listener_start(node->listener, 0), node->identity.listen);
    nng_tls_config_free(tls);
    node->listening = true;
}

static void take_up(struct identity *identity)
{
    struct sim_node *node = calloc(1, sizeof(*node));
    node->identity = *identity;
    node->started = mono_ms();
    node->seq = 1; /* 0 is who knows nothing yet */
    pthread_mutex_init(&node->lock, NULL);
    crypto_uuid(node->boot_id);
    must(nng_rep0_open(&node->socket), "socket");
    must(nng_aio_alloc(&node->timer, on_timer, node), "aio");
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &node->slots[i];
        slot->node = node;
        must(nng_ctx_open(&slot->ctx, node->socket), "context");
        must(nng_aio_alloc(&slot->aio, on_aio, slot), "aio");
        pthread_mutex_lock(&node->lock);
        receive(slot);
        pthread_mutex_unlock(&node->lock);
    }
    nodes[node_count++] = node;
}

/* --- commands --------------------------------------------------------------------------------- */

static struct sim_node *node_named(const char *text)
{
    size_t i = text ? strtoul(text, NULL, 10) : NODES_MAX;
    return i < node_count ? nodes[i] : NULL;
}

static void add(const char *dir, const char *panel, const char *token, const char *listen)
{
    struct err err = {0};
    struct identity identity = {0};
    char state[512];
    snprintf(state, sizeof(state), "%s/%zu", dir, node_count);
    struct options options = {.state = state, .listen = (char *)(uintptr_t)listen};
    struct options_command join = {.panel_url = panel, .token = token};
    if (node_count == NODES_MAX) {
        say("no room\n");
        return;
    }
    if ((token && join_run(&options, &join, &err) < 0) ||
        identity_load(state, &identity, &err) < 0) {
        say("no %s\n", err.msg);
        return;
    }
    take_up(&identity);
    say("ok %zu\n", node_count - 1);
}

static void crash(struct sim_node *node, const char *id)
{
    pthread_mutex_lock(&node->lock);
    struct sim_instance *inst = id ? find(node, id, false) : NULL;
    if (!inst || inst->observed != WIRE__OBSERVED__OBSERVED_RUNNING) {
        say("no such instance runs\n");
    } else {
        inst->observed = WIRE__OBSERVED__OBSERVED_STOPPED;
        inst->seq = ++node->seq;
        say("ok %" PRId64 "\n", mono_ns());
        settle(node);
    }
    pthread_mutex_unlock(&node->lock);
}

static void count(void)
{
    size_t running = 0;
    for (size_t i = 0; i < node_count; i++) {
        pthread_mutex_lock(&nodes[i]->lock);
        for (struct sim_instance *inst = nodes[i]->instances; inst; inst = inst->hh.next)
            running += inst->observed == WIRE__OBSERVED__OBSERVED_RUNNING;
        pthread_mutex_unlock(&nodes[i]->lock);
    }
    say("ok %zu\n", running);
}

static void set_hung(struct sim_node *node, bool hung)
{
    pthread_mutex_lock(&node->lock);
    node->hung = hung;
    settle(node);
    pthread_mutex_unlock(&node->lock);
}

static void obey(const char *dir, const char *panel, char *line)
{
    const char *verb = strtok(line, " \n");
    const char *first = strtok(NULL, " \n");
    const char *second = strtok(NULL, " \n");
    struct sim_node *node = node_named(first);
    if (!verb) {
        say("no command\n");
    } else if (strcmp(verb, "join") == 0 && second) {
        add(dir, panel, first, second);
    } else if (strcmp(verb, "load") == 0) {
        add(dir, panel, NULL, NULL);
    } else if (strcmp(verb, "count") == 0) {
        count();
    } else if (!node) {
        say("no such node\n");
    } else if (strcmp(verb, "crash") == 0) {
        crash(node, second);
    } else {
        if (strcmp(verb, "start") == 0 && !node->listening) {
            listen_on(node);
        } else if (strcmp(verb, "die") == 0 && node->listening) {
            nng_listener_close(node->listener);
            node->listening = false;
        } else if (strcmp(verb, "hang") == 0) {
            set_hung(node, true);
        } else if (strcmp(verb, "wake") == 0) {
            set_hung(node, false);
        } else {
            say("no such command here\n");
            return;
        }
        say("ok\n");
    }
}

int main(int argc, char **argv)
{
    struct err err = {0};
    char line[1024];
    if (argc != 4 || crypto_init(&err) < 0) {
        fprintf(stderr, "usage: fleet-sim DIR PANEL_URL WORK_MS\n");
        return 2;
    }
    work_ms = atoi(argv[3]);
    answers = fdopen(dup(STDOUT_FILENO), "w");
    if (!answers || !freopen("/dev/null", "w", stdout)) /* join_run() talks to a person */
        return 1;
    while (fgets(line, sizeof(line), stdin))
        obey(argv[1], argv[2], line);
    _Exit(0); /* nng's sockets go with the process */
}
