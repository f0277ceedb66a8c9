/* The fleet's loop under torture: whatever fails while it drives a node's instances, ten seconds
 * later they are as wanted, and so says the store.
 *
 * The store is the fuzzers' (a real one, on this thread; its five instances), the clock stands
 * until it is moved, and in the place of the link stands an agent that does at once what it is
 * told. */
#include "tests/torture/torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/pki.h"
#include "panel/fleet/state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/store.h"

#define HELD_MAX   8
#define CALLS_MAX  64
#define TICK_MS    50
#define WORK_TICKS 60 /* a quiet run needs no more than half of them */
#define PROMISE_MS 10000

static struct fleet *fleet;
static int64_t longest_ms;

/* --- the agent ------------------------------------------------------------------------------- */

struct held {
    char id[ID_SIZE];
    char spec_hash[65];
    uint64_t generation, attempt, seq;
    Wire__Observed observed;
};

static struct {
    struct held held[HELD_MAX];
    size_t count;
    uint64_t seq;
    bool port_is_taken; /* the first that was chosen for i3 */
    uint64_t not_after; /* of its certificate */
    unsigned installed; /* certificates */
    char csr[2048];
} agent;

static struct held *hold(const char *id)
{
    for (size_t i = 0; i < agent.count; i++) {
        if (strcmp(agent.held[i].id, id) == 0)
            return &agent.held[i];
    }
    assert_true(agent.count < HELD_MAX);
    struct held *held = &agent.held[agent.count++];
    snprintf(held->id, sizeof(held->id), "%s", id);
    return held;
}

static Wire__Observed observed_of(const char *id)
{
    return hold(id)->observed;
}

static bool has_taken_port(const Wire__InstanceSpec *spec)
{
    return agent.port_is_taken && spec->n_ports && spec->ports[0]->host_port == 20000;
}

/* Is it taken? If not, the panel has forgotten that it is stale. */
static bool do_apply(const Wire__Apply *apply)
{
    struct held *held = hold(apply->instance_id);
    if (apply->generation < held->generation)
        return false;
    held->generation = apply->generation;
    held->attempt = apply->attempt;
    snprintf(held->spec_hash, sizeof(held->spec_hash), "%s", apply->spec_hash);
    if (has_taken_port(apply->spec))
        held->observed = WIRE__OBSERVED__OBSERVED_FAILED;
    else if (apply->desired == WIRE__DESIRED__DESIRED_STOPPED)
        held->observed = WIRE__OBSERVED__OBSERVED_STOPPED;
    else
        held->observed = WIRE__OBSERVED__OBSERVED_RUNNING;
    held->seq = ++agent.seq;
    return true;
}

static bool do_remove(const Wire__Remove *remove)
{
    struct held *held = hold(remove->instance_id);
    if (remove->generation < held->generation)
        return false;
    held->generation = remove->generation;
    held->attempt = remove->attempt;
    held->observed = WIRE__OBSERVED__OBSERVED_REMOVED;
    held->seq = ++agent.seq;
    return true;
}

/* --- the link to it -------------------------------------------------------------------------- */

struct link {
    struct link_owner owner;
    bool dialled;
    bool up;
};

struct call {
    void (*done)(void *arg, Wire__Envelope **reply, const struct err *err);
    void *arg;
    int64_t due; /* a lost one ends then; a Sync without news is answered then */
    Wire__Envelope__BodyCase body;
    bool done_it, lost;
    bool knows; /* of a Sync: what came before the cursor */
    uint64_t cursor;
};

static struct link *node_link;
static struct call calls[CALLS_MAX];
static size_t call_count;

static struct call take_call(size_t which)
{
    struct call call = calls[which];
    memmove(&calls[which], &calls[which + 1], (--call_count - which) * sizeof(call));
    return call;
}

static void fail_calls(const char *reason)
{
    struct err err;
    Wire__Envelope *none = NULL;
    err_set(&err, ERR_OFFLINE, reason, "the connection was lost");
    for (size_t left = call_count; left && call_count; left--) {
        struct call call = take_call(0);
        call.done(call.arg, &none, &err);
    }
}

int link_create(const struct link_owner *owner, const char *node_id, struct link **ret_link,
                struct err *err)
{
    (void)node_id;
    node_link = calloc(1, sizeof(*node_link));
    if (!node_link)
        return err_nomem(err);
    node_link->owner = *owner;
    *ret_link = node_link;
    return 0;
}

void link_destroy(struct link *link)
{
    if (!link)
        return;
    fail_calls("link_closed");
    free(link);
    node_link = NULL;
}

unsigned link_lingering(void)
{
    return 0;
}

void link_silence(void) {}

int link_dial(struct link *link, const char *address, const char *port, const struct link_tls *tls,
              struct err *err)
{
    (void)address;
    (void)port;
    (void)tls;
    if (torture_hit(TORTURE_MEMORY, "link_dial"))
        return err_nomem(err);
    link->dialled = true;
    return 0;
}

void link_hang_up(struct link *link)
{
    link->dialled = false;
    link->up = false;
    for (size_t i = 0; i < call_count; i++)
        calls[i].due = 0;
}

int link_call(struct link *link, Wire__Envelope *request, uint32_t timeout_ms,
              void (*done)(void *arg, Wire__Envelope **reply, const struct err *err), void *arg,
              struct err *err)
{
    if (torture_hit(TORTURE_MEMORY, "link_call"))
        return err_nomem(err);
    assert_true(call_count < CALLS_MAX);
    struct call *call = &calls[call_count++];
    *call = (struct call){.done = done, .arg = arg, .body = request->body_case};
    call->due = fuzz_now_ms + timeout_ms;
    call->lost = !link->up || torture_hit(TORTURE_CALLS, "the request");
    if (call->lost)
        return 0;
    switch (request->body_case) {
    case WIRE__ENVELOPE__BODY_SYNC:
        call->knows = strcmp(request->sync->boot_id, "boot") == 0 && request->sync->cursor;
        call->cursor = request->sync->cursor;
        call->due = fuzz_now_ms + request->sync->wait_ms;
        break;
    case WIRE__ENVELOPE__BODY_APPLY:
        call->done_it = do_apply(request->apply);
        break;
    case WIRE__ENVELOPE__BODY_REMOVE:
        call->done_it = do_remove(request->remove);
        break;
    case WIRE__ENVELOPE__BODY_CERT_INSTALL:
        agent.installed++;
        agent.not_after = UINT64_MAX;
        call->done_it = true;
        break;
    default:
        break;
    }
    call->lost = torture_hit(TORTURE_CALLS, "its answer");
    if (call->lost)
        call->due = fuzz_now_ms + timeout_ms;
    return 0;
}

/* --- its answers, made without memory --------------------------------------------------------- */

static Wire__SyncReply *sync_reply(const struct call *call)
{
    static Wire__InstanceStatus statuses[HELD_MAX];
    static Wire__InstanceStatus *pointers[HELD_MAX];
    static Wire__DockerStatus docker;
    static Wire__Capacity capacity;
    static Wire__SyncReply reply;
    wire__docker_status__init(&docker);
    docker.up = true;
    docker.version = "20.10";
    wire__capacity__init(&capacity);
    capacity.memory_bytes = 8ULL << 30;
    capacity.disk_bytes = 80ULL << 30;
    capacity.cpus = 4;
    wire__sync_reply__init(&reply);
    reply.boot_id = "boot";
    reply.cursor = agent.seq;
    reply.full = !call->knows;
    reply.inventory_ready = true;
    reply.docker = &docker;
    reply.capacity = &capacity;
    reply.agent_version = "0.1.0";
    reply.cert_not_after = agent.not_after;
    reply.statuses = pointers;
    for (size_t i = 0; i < agent.count; i++) {
        struct held *held = &agent.held[i];
        if (!held->seq || (call->knows && held->seq <= call->cursor))
            continue;
        Wire__InstanceStatus *status = &statuses[reply.n_statuses];
        wire__instance_status__init(status);
        status->instance_id = held->id;
        status->generation = held->generation;
        status->attempt = held->attempt;
        status->observed = held->observed;
        status->spec_hash = held->spec_hash;
        bool failed = held->observed == WIRE__OBSERVED__OBSERVED_FAILED;
        bool removed = held->observed == WIRE__OBSERVED__OBSERVED_REMOVED;
        status->container_id = failed || removed ? "" : "c1";
        status->error_code = failed ? "port_in_use" : "";
        status->error_message = failed ? "something else has it" : "";
        pointers[reply.n_statuses++] = status;
    }
    return &reply;
}

static void answer(const struct call *call)
{
    static Wire__Ack ack;
    static Wire__Failure failure;
    static Wire__CertRequestReply csr;
    static Wire__Envelope envelope;
    Wire__Envelope *reply = &envelope;
    wire__envelope__init(&envelope);
    if (call->body == WIRE__ENVELOPE__BODY_SYNC) {
        envelope.body_case = WIRE__ENVELOPE__BODY_SYNC_REPLY;
        envelope.sync_reply = sync_reply(call);
    } else if (call->body == WIRE__ENVELOPE__BODY_CERT_REQUEST) {
        wire__cert_request_reply__init(&csr);
        csr.csr_pem = agent.csr;
        envelope.body_case = WIRE__ENVELOPE__BODY_CERT_REQUEST_REPLY;
        envelope.cert_request_reply = &csr;
    } else if (call->done_it) {
        wire__ack__init(&ack);
        envelope.body_case = WIRE__ENVELOPE__BODY_ACK;
        envelope.ack = &ack;
    } else {
        wire__failure__init(&failure);
        failure.code = "stale_generation";
        failure.message = "a later one is known";
        envelope.body_case = WIRE__ENVELOPE__BODY_FAILURE;
        envelope.failure = &failure;
    }
    call->done(call->arg, &reply, NULL);
}

static bool is_over(const struct call *call)
{
    if (fuzz_now_ms >= call->due)
        return true;
    if (call->lost)
        return false;
    return call->body != WIRE__ENVELOPE__BODY_SYNC || !call->knows || call->cursor < agent.seq;
}

static void end_call(size_t which)
{
    struct err err;
    Wire__Envelope *none = NULL;
    struct call call = take_call(which);
    if (call.due && !call.lost && !torture_hit(TORTURE_MEMORY, "the reply")) {
        answer(&call);
        return;
    }
    err_set(&err, call.due && call.lost ? ERR_TIMEOUT : ERR_OFFLINE, "no_answer", "none came");
    call.done(call.arg, &none, &err);
}

static void play_tick(void)
{
    struct mail *mail;
    fuzz_now_ms += TICK_MS;
    while ((mail = mailbox_take(&fleet->inbox, 0)) != NULL) {
        while (mail) {
            struct task *task = (struct task *)mail;
            mail = mail->next;
            task->run(task);
        }
    }
    timers_run(&fleet->timers, fuzz_now_ms);
    if (!node_link || !node_link->dialled)
        return;
    if (!node_link->up) {
        node_link->up = true;
        node_link->owner.on_pipe(node_link->owner.arg, true);
    } else if (torture_hit(TORTURE_CALLS, "the connection")) {
        node_link->up = false;
        node_link->owner.on_pipe(node_link->owner.arg, false);
    }
    for (size_t i = 0; i < call_count;) {
        if (is_over(&calls[i]))
            end_call(i);
        else
            i++;
    }
}

/* --- the store ------------------------------------------------------------------------------- */

static bool store_fails(const char *what)
{
    return torture_hit(TORTURE_CALLS, what);
}

struct look {
    enum instance_phase phase;
    enum instance_observed observed;
    uint64_t generation;
    uint16_t port;
    bool found;
};

static int look_at(const struct instance *row, void *arg, struct err *err)
{
    struct look *look = arg;
    (void)err;
    *look = (struct look){.phase = row->phase,
                          .observed = row->observed,
                          .generation = row->generation,
                          .port = row->primary_port,
                          .found = true};
    return 0;
}

static struct look row_of(const char *id)
{
    struct look look = {0};
    struct err err = {0};
    if (store_instance_scan(fuzz_store.store, NULL, id, look_at, &look, &err) < 0)
        fail_msg("%s", err.msg);
    return look;
}

static bool is_stored_as(const char *id, enum instance_phase phase, enum instance_observed observed)
{
    struct look row = row_of(id);
    return row.found && row.phase == phase && row.observed == observed;
}

/* A change as a request makes it: committed, then noticed. */
struct wish {
    struct store_change change; /* first */
    int (*make)(struct store_tx *tx, struct err *err);
};

static int make_wish(struct store_change *change, struct store_tx *tx, struct err *err)
{
    return ((struct wish *)change)->make(tx, err);
}

static void wished(struct store_change *change, const struct err *err)
{
    (void)change;
    if (err)
        fail_msg("%s", err->msg);
}

static void wish_for(int (*make)(struct store_tx *tx, struct err *err))
{
    struct wish wish = {.change = {.apply = make_wish, .done = wished}, .make = make};
    fuzz_store.fails = NULL;
    assert_int_equal(store_submit(fuzz_store.store, &wish.change, NULL), 0);
    fuzz_store.fails = store_fails;
}

/* --- the rounds ------------------------------------------------------------------------------ */

static unsigned waits_ended;

static void wait_ended(void *arg, enum fleet_outcome outcome)
{
    (void)arg;
    (void)outcome;
    waits_ended++;
}

static void begin(void)
{
    struct err err = {0};
    memset(&agent.held, 0, sizeof(agent.held));
    agent.count = 0;
    agent.seq = 0;
    agent.port_is_taken = false;
    agent.not_after = UINT64_MAX;
    agent.installed = 0;
    fuzz_store.fails = store_fails;
    fuzz_store_reset();
    waits_ended = 0;
    fuzz_now_ms = 1000000;
    fleet = calloc(1, sizeof(*fleet));
    assert_non_null(fleet);
    fleet->store = fuzz_store.store;
    fleet->ca = fuzz_store.ca;
    fleet->settings = (struct fleet_settings){.beat_ms = 5000,
                                              .install_timeout_ms = 1800000,
                                              .stop_timeout_ms = 60000,
                                              .auto_ports = {20000, 20010}};
    fleet->dial_tail = &fleet->dial_queue;
    mailbox_init(&fleet->inbox, NULL, NULL);
    assert_int_equal(board_create(&fleet->board, &err), 0);
}

static void end(void)
{
    while (fleet->nodes)
        node_remove(fleet->nodes);
    while (fleet->writes)
        play_tick();
    timers_cancel(&fleet->timers, &fleet->rescan_timer);
    assert_null(fleet->timers.first);
    assert_null(fleet->instances);
    dial_fini(fleet);
    mailbox_fini(&fleet->inbox);
    board_destroy(fleet->board);
    free(fleet);
    call_count = 0;
}

static void play(int ticks)
{
    for (int i = 0; i < ticks; i++)
        play_tick();
}

static void must_be_so(bool (*is_so)(void), const char *what)
{
    int64_t begun_ms = fuzz_now_ms;
    /* where all fails for long, what is tried again is tried later and later */
    int patience_ms = getenv("TORTURE_LONG") ? 3 * PROMISE_MS : PROMISE_MS;
    while (!is_so()) {
        if (fuzz_now_ms - begun_ms >= patience_ms)
            fail_msg("after %d s still not: %s", patience_ms / 1000, what);
        play_tick();
    }
    if (fuzz_now_ms - begun_ms > longest_ms)
        longest_ms = fuzz_now_ms - begun_ms;
}

/* i1 was READY, i2 FAILED, i3 INSTALLING, i4 suspended, i5 DELETING. */
static bool all_are_there(void)
{
    return is_stored_as("i1", PHASE_READY, OBSERVED_RUNNING) &&
           observed_of("i1") == WIRE__OBSERVED__OBSERVED_RUNNING && row_of("i2").found &&
           row_of("i2").phase == PHASE_FAILED &&
           is_stored_as("i3", PHASE_READY, OBSERVED_RUNNING) &&
           observed_of("i3") == WIRE__OBSERVED__OBSERVED_RUNNING &&
           is_stored_as("i4", PHASE_READY, OBSERVED_STOPPED) && !row_of("i5").found;
}

static int load_and_drive(struct err *err)
{
    (void)err;
    fleet_rescan_later(fleet);
    fuzz_now_ms += 5000;
    play(WORK_TICKS);
    return 0;
}

static void are_driven(int rc)
{
    (void)rc;
    must_be_so(all_are_there, "the instances as wanted");
    end();
}

static void all_is_well(void)
{
    struct err err = {0};
    begin();
    load_and_drive(&err);
    must_be_so(all_are_there, "the instances as wanted");
}

static int suspend(struct store_tx *tx, struct err *err)
{
    return store_instance_suspend(tx, "i1", true, err);
}

static int delete_one(struct store_tx *tx, struct err *err)
{
    return store_instance_delete(tx, "i1", err);
}

static int delete_node(struct store_tx *tx, struct err *err)
{
    return store_node_delete(tx, "n1", true, err);
}

static int remove_orphan(struct store_tx *tx, struct err *err)
{
    struct removal removal = {.instance_id = "lost", .node_id = "n1", .generation = 7};
    return store_removal_add(tx, &removal, err);
}

static void one_to_suspend(void)
{
    all_is_well();
    wish_for(suspend);
}

static void one_to_delete(void)
{
    all_is_well();
    wish_for(delete_one);
}

static void a_node_to_delete(void)
{
    all_is_well();
    wish_for(delete_node);
}

static void an_orphan_to_remove(void)
{
    all_is_well();
    struct held *held = hold("lost");
    held->generation = 6;
    held->observed = WIRE__OBSERVED__OBSERVED_RUNNING;
    held->seq = ++agent.seq;
    play(2);
    wish_for(remove_orphan);
}

static int notice(const char *id, enum fleet_goal goal, struct err *err)
{
    int rc = fleet_wait_instance(fleet, id, goal, 2000, wait_ended, NULL, err);
    if (rc < 0)
        waits_ended++; /* nobody will tell */
    fleet_notice_instance(fleet, id);
    play(WORK_TICKS);
    return rc;
}

static int notice_suspended(struct err *err)
{
    return notice("i1", FLEET_GOAL_SETTLED, err);
}

static int notice_deleted(struct err *err)
{
    return notice("i1", FLEET_GOAL_GONE, err);
}

static int notice_removal(struct err *err)
{
    return notice("lost", FLEET_GOAL_GONE, err);
}

static int notice_node(struct err *err)
{
    (void)err;
    fleet_notice_node(fleet, "n1");
    play(WORK_TICKS);
    return 0;
}

static bool is_suspended(void)
{
    return is_stored_as("i1", PHASE_READY, OBSERVED_STOPPED) &&
           observed_of("i1") == WIRE__OBSERVED__OBSERVED_STOPPED && waits_ended == 1;
}

static bool is_gone(void)
{
    return !row_of("i1").found && observed_of("i1") == WIRE__OBSERVED__OBSERVED_REMOVED &&
           waits_ended == 1;
}

/* n2, which nobody has joined, stays. */
static bool node_is_gone(void)
{
    struct fleet_node *node;
    HASH_FIND_STR(fleet->nodes, "n1", node);
    return !row_of("i1").found && !row_of("i4").found &&
           observed_of("i4") == WIRE__OBSERVED__OBSERVED_REMOVED && !node;
}

static int found(const struct removal *removal, void *arg, struct err *err)
{
    (void)removal;
    (void)arg;
    (void)err;
    return 0;
}

static bool orphan_is_gone(void)
{
    struct node_live live;
    return observed_of("lost") == WIRE__OBSERVED__OBSERVED_REMOVED && waits_ended == 1 &&
           store_removal_scan(fuzz_store.store, NULL, found, NULL, NULL) == 0 &&
           board_get(fleet->board, "n1", &live) && live.orphans == 0;
}

static void is_stopped(int rc)
{
    (void)rc;
    must_be_so(is_suspended, "i1 stopped");
    end();
}

static void is_removed(int rc)
{
    (void)rc;
    must_be_so(is_gone, "i1 removed");
    end();
}

static void has_left(int rc)
{
    (void)rc;
    must_be_so(node_is_gone, "the node forgotten");
    end();
}

static void is_lost_no_more(int rc)
{
    (void)rc;
    must_be_so(orphan_is_gone, "the orphan removed");
    end();
}

/* --- what the agent objects to ---------------------------------------------------------------- */

static void a_taken_port(void)
{
    begin();
    agent.port_is_taken = true;
}

static bool has_another_port(void)
{
    struct look row = row_of("i3");
    return all_are_there() && row.port != 20000;
}

static void has_moved(int rc)
{
    (void)rc;
    must_be_so(has_another_port, "i3 on another port");
    end();
}

static void a_later_state(void)
{
    begin();
    struct held *held = hold("i1");
    held->generation = 9;
    held->observed = WIRE__OBSERVED__OBSERVED_STOPPED;
    held->seq = ++agent.seq;
}

static bool is_outranked(void)
{
    return all_are_there() && row_of("i1").generation >= 9;
}

static void has_outranked(int rc)
{
    (void)rc;
    must_be_so(is_outranked, "generations above the node's");
    end();
}

static void an_old_certificate(void)
{
    all_is_well();
    agent.not_after = (uint64_t)clock_wall_ms() / 1000 + 60;
}

static int let_it_renew(struct err *err)
{
    (void)err;
    agent.seq++;
    play(WORK_TICKS);
    return 0;
}

/* What fails comes again after an hour, while the old one has days left. */
static void has_renewed(int rc)
{
    (void)rc;
    for (int i = 0; i < 61 && !agent.installed; i++) {
        fuzz_now_ms += 60000;
        play(100);
    }
    assert_true(agent.installed > 0);
    end();
}

/* --- all of them ------------------------------------------------------------------------------ */

static int set_up(void **state)
{
    (void)state;
    struct err err = {0};
    auto_free char *key = NULL;
    auto_free char *csr = NULL;
    fuzz_init();
    log_level_set(LOG_ERROR + 1); /* what fails here is asked for */
    fuzz_store_open();
    fuzz_store.keeping = true;
    if (pki_key_create(&key, &err) < 0 || pki_csr_create(key, "n1", &csr, &err) < 0)
        fail_msg("%s", err.msg);
    snprintf(agent.csr, sizeof(agent.csr), "%s", csr);
    all_is_well(); /* this thread's connection to the store is kept from now on */
    end();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(fuzz_store.store);
    ca_close(fuzz_store.ca);
    return 0;
}

static void test_all(void **state)
{
    (void)state;
    torture(&(struct torture){"drive", begin, load_and_drive, are_driven});
    torture(&(struct torture){"suspend", one_to_suspend, notice_suspended, is_stopped});
    torture(&(struct torture){"delete", one_to_delete, notice_deleted, is_removed});
    torture(&(struct torture){"delete the node", a_node_to_delete, notice_node, has_left});
    torture(&(struct torture){"an orphan", an_orphan_to_remove, notice_removal, is_lost_no_more});
    torture(&(struct torture){"a port in use", a_taken_port, load_and_drive, has_moved});
    torture(&(struct torture){"a later state", a_later_state, load_and_drive, has_outranked});
    torture(&(struct torture){"renewal", an_old_certificate, let_it_renew, has_renewed});
    printf("the longest way to what was asked for: %lld ms\n", (long long)longest_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    torture_evidence("I8", "the fleet's loop: nodes, instances, what it writes");
    return failed;
}
