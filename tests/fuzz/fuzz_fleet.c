/* The panel and an agent that may answer anything: Syncs, acknowledgements, certificate requests,
 * silence, lost connections, told to a fleet of one node with five instances. In the place of the
 * link stand the few lines below; store.h and clock.c do the rest.
 *
 * Input: events. 'R' CALL LENGTH answer (a whole envelope); 'E' CALL KIND no answer; 'U' and 'D'
 * the connection comes and goes; 'T' TIME goes by. LENGTH is two bytes, low one first; CALL counts
 * those under way. */
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "panel/fleet/state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/store.h"

#define CALLS_MAX  64
#define EVENTS_MAX 200

/* --- the link -------------------------------------------------------------------------------- */

struct link {
    struct link_owner owner;
    bool dialled;
};

struct call {
    struct link *link;
    void (*done)(void *arg, Wire__Envelope **reply, const struct err *err);
    void *arg;
};

static struct link *node_link;
static struct call calls[CALLS_MAX];
static size_t call_count;

int link_create(const struct link_owner *owner, const char *node_id, struct link **ret_link,
                struct err *err)
{
    (void)err;
    CHECK(node_id[0]);
    node_link = calloc(1, sizeof(*node_link));
    CHECK(node_link);
    node_link->owner = *owner;
    *ret_link = node_link;
    return 0;
}

static struct call take_call(size_t which)
{
    struct call call = calls[which];
    memmove(&calls[which], &calls[which + 1], (--call_count - which) * sizeof(call));
    return call;
}

static void fail_calls(void)
{
    struct err err = {0};
    err_set(&err, ERR_OFFLINE, "link_lost", "the connection was lost");
    for (size_t left = call_count; left && call_count; left--) {
        struct call call = take_call(0);
        call.done(call.arg, NULL, &err);
    }
}

/* No callback comes after it. */
void link_destroy(struct link *link)
{
    if (!link)
        return;
    fail_calls();
    CHECK(!call_count);
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
    (void)err;
    CHECK(address[0] && port[0] && tls->ca_pem && tls->cert_pem && tls->key_pem);
    link->dialled = true;
    return 0;
}

void link_hang_up(struct link *link)
{
    link->dialled = false;
}

int link_call(struct link *link, Wire__Envelope *request, uint32_t timeout_ms,
              void (*done)(void *arg, Wire__Envelope **reply, const struct err *err), void *arg,
              struct err *err)
{
    uint8_t *data;
    size_t len;
    char hash[65];
    CHECK(link->dialled && timeout_ms && call_count < CALLS_MAX);
    CHECK(envelope_pack(request, &data, &len, err) == 0);
    free(data);
    if (request->body_case == WIRE__ENVELOPE__BODY_APPLY) {
        CHECK(envelope_spec_hash(request->apply->spec, hash, NULL) == 0);
        CHECK(strcmp(hash, request->apply->spec_hash) == 0);
    }
    calls[call_count++] = (struct call){link, done, arg};
    return 0;
}

static char *panel_key;
static char *panel_cert;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    fuzz_store_open();
    fuzz_store.keeping = true;
    CHECK(ca_issue_panel(fuzz_store.ca, &panel_key, &panel_cert, NULL) == 0);
    return 0;
}

/* --- the story ------------------------------------------------------------------------------- */

static void take_reply(struct fuzz_input *in)
{
    uint8_t which = fuzz_byte(in);
    size_t len = fuzz_byte(in);
    len |= (size_t)fuzz_byte(in) << 8;
    len = len < in->size ? len : in->size;
    struct fuzz_input part = {in->data, len};
    char *data = fuzz_rest(&part, NULL);
    in->data += len;
    in->size -= len;
    struct err err = {0};
    Wire__Envelope *reply = NULL;
    if (call_count) {
        struct call call = take_call(which % call_count);
        int rc = envelope_unpack((uint8_t *)data, len, &reply, &err); /* as the link does */
        call.done(call.arg, &reply, rc < 0 ? &err : NULL);
        envelope_free(reply);
    }
    free(data);
}

static void take_silence(uint8_t which, uint8_t kind)
{
    struct err err = {0};
    err_set(&err, kind & 1 ? ERR_TIMEOUT : ERR_OFFLINE, "no_answer", "none came");
    if (!call_count)
        return;
    struct call call = take_call(which % call_count);
    call.done(call.arg, NULL, &err);
}

static void take_event(struct fuzz_input *in)
{
    uint8_t first;
    uint8_t what = fuzz_byte(in);
    switch (what) {
    case 'R':
        take_reply(in);
        break;
    case 'E':
        first = fuzz_byte(in);
        take_silence(first, fuzz_byte(in));
        break;
    case 'U':
    case 'D':
        if (node_link->dialled)
            node_link->owner.on_pipe(node_link->owner.arg, what == 'U');
        break;
    case 'T':
        first = fuzz_byte(in);
        fuzz_now_ms += (int64_t)first * first * 16; /* up to 17 minutes */
        break;
    default:
        break;
    }
}

static void run_inbox(struct fleet *fleet)
{
    struct mail *mail;
    for (int rounds = 0; (mail = mailbox_take(&fleet->inbox, 0)) != NULL; rounds++) {
        CHECK(rounds < 100); /* it comes to rest */
        while (mail) {
            struct task *task = (struct task *)mail;
            mail = mail->next;
            task->run(task);
        }
    }
    timers_run(&fleet->timers, fuzz_now_ms);
}

static void check_node(struct fleet *fleet, const struct fleet_node *node)
{
    struct node_live live;
    CHECK(board_get(fleet->board, node->id, &live));
    CHECK(live.status >= NODE_UNCONFIGURED && live.status <= NODE_OFFLINE);
    CHECK(utf8_is_valid(live.agent_version) && utf8_is_valid(live.docker_version) &&
          utf8_is_valid(live.docker_error));
    CHECK(live.status != NODE_ONLINE || node->link_state == LINK_UP);
    CHECK(node->calls <= 17 && call_count <= node->calls + 1);
    CHECK(utf8_is_valid(node->boot_id));
}

static void check_instance(const struct fleet_instance *inst)
{
    CHECK(inst->phase <= PHASE_DELETING && inst->observed <= OBSERVED_INSTALLING);
    CHECK(inst->progress <= 100);
    CHECK(utf8_is_valid(inst->container_id));
    CHECK(utf8_is_valid(instance_error_code(inst)));
    CHECK(utf8_is_valid(instance_error_message(inst)));
    CHECK(inst->phase != PHASE_FAILED || instance_error_code(inst)[0]);
    /* what is on its way is looked at again */
    CHECK(inst->phase != PHASE_INSTALLING || timer_is_set(&inst->timer) || inst->queued ||
          inst->calling);
}

static void check_fleet(struct fleet *fleet)
{
    struct fleet_node *node;
    struct fleet_node *next_node;
    struct fleet_instance *inst;
    struct fleet_instance *next;
    HASH_ITER(hh, fleet->nodes, node, next_node)
    check_node(fleet, node);
    HASH_ITER(hh, fleet->instances, inst, next)
    check_instance(inst);
}

static int load_node(const struct node *row, void *arg, struct err *err)
{
    return node_add(arg, row, err) ? 0 : -1;
}

static int load_instance(const struct instance *row, void *arg, struct err *err)
{
    struct fleet_instance *inst = instance_add(arg, row, err);
    if (inst)
        instance_drive(inst);
    return inst ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct err err = {0};
    unsigned refused = fuzz_store.refused;
    fuzz_now_ms = 1000000;
    fuzz_store_reset();
    struct fleet fleet = {
        .store = fuzz_store.store,
        .ca = fuzz_store.ca,
        .settings = {.beat_ms = 5000, .install_timeout_ms = 1800000, .stop_timeout_ms = 60000},
        .panel_key = strdup(panel_key),
        .panel_cert = strdup(panel_cert),
        .trusted = ca_bundle(fuzz_store.ca),
        .panel_cert_made = fuzz_now_ms};
    fleet.dial_tail = &fleet.dial_queue;
    CHECK(board_create(&fleet.board, &err) == 0);
    mailbox_init(&fleet.inbox, NULL, NULL);
    CHECK(store_node_scan(fuzz_store.store, "n1", load_node, &fleet, &err) == 1);
    CHECK(store_instance_scan(fuzz_store.store, NULL, NULL, load_instance, &fleet, &err) >= 0);
    for (int i = 0; in.size && i < EVENTS_MAX; i++) {
        take_event(&in);
        run_inbox(&fleet);
        check_fleet(&fleet);
    }
    while (fleet.nodes)
        node_remove(fleet.nodes);
    run_inbox(&fleet);
    CHECK(fuzz_store.refused == refused);
    CHECK(!fleet.writes && !fleet.instances && !call_count && !fleet.dialing && !fleet.moving);
    timers_cancel(&fleet.timers, &fleet.rescan_timer);
    CHECK(!fleet.timers.first);
    dial_fini(&fleet);
    mailbox_fini(&fleet.inbox);
    board_destroy(fleet.board);
    return 0;
}
