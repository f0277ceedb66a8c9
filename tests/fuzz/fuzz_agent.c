/* The agent between its two peers: frames of the link go into its handlers, answers and streams of
 * a Docker Engine that may say anything come back to what they began. In the place of libcurl, nng,
 * the volumes' worker and /proc stand the few lines below, and clock.c, so that an input is one
 * story that is told the same each time.
 *
 * Input: events. 'F' LENGTH frame of the panel; 'A' CALL STATUS LENGTH answer of the Engine; 'L'
 * CALL LENGTH line of a stream; 'V' OUTCOME of the oldest removal of a volume; 'I' OUTCOME of the
 * oldest install; 'T' TIME goes by.
 * LENGTH is two bytes, low one first; CALL counts those under way. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/docker_json.h"
#include "agent/handlers.h"
#include "agent/install.h"
#include "agent/usage.h"
#include "agent/volume.h"
#include "common/envelope.h"
#include "common/strbuf.h"
#include "common/utf8.h"
#include "tests/fuzz/fuzz.h"

#define PANEL      "p1"
#define NODE       "n1"
#define CALLS_MAX  4096
#define EVENTS_MAX 200

/* --- the Engine's side ----------------------------------------------------------------------- */

struct http_client {
    struct http_call *calls[CALLS_MAX];
    size_t count;
};

struct http_call {
    struct http_client *client;
    struct http_spec spec;
    bool busy;      /* inside one of its callbacks */
    bool cancelled; /* likewise, and over */
};

struct http_client *http_client_create(const char *unix_socket, struct timers *timers,
                                       struct err *err)
{
    (void)unix_socket;
    (void)timers;
    (void)err;
    return calloc(1, sizeof(struct http_client));
}

void http_client_destroy(struct http_client *client)
{
    free(client);
}

/* A container is named by its id or by our name for it, and by nothing that leads elsewhere. */
static void check_path(const struct http_spec *spec)
{
    static const char containers[] = "/containers/";
    const char *at = strstr(spec->path, containers);
    CHECK(spec->path[0] == '/' && strlen(spec->path) < 8192);
    for (const char *p = spec->path; *p; p++)
        CHECK(*p > 0x20 && *p < 0x7f && *p != '#' && *p != '\\');
    CHECK(!strstr(spec->path, "/../") && !strstr(spec->path, "/./") && !strstr(spec->path, "//"));
    if (!at || strncmp(at, "/containers/json?", 17) == 0 ||
        strncmp(at, "/containers/create?name=panel-", 30) == 0)
        return;
    at += sizeof(containers) - 1;
    size_t len = strcspn(at, "/?");
    bool is_id = len == 64 && strspn(at, "0123456789abcdef") >= 64;
    CHECK(is_id || (strncmp(at, "panel-", 6) == 0 && strcmp(spec->method, "GET") == 0));
}

/* What is created is ours, capped, and nothing but what the schema lets through. */
static void check_create(const struct http_spec *spec)
{
    json_t *root = json_loads(spec->body, JSON_REJECT_DUPLICATES, NULL);
    json_t *labels = json_object_get(root, "Labels");
    json_t *host = json_object_get(root, "HostConfig");
    CHECK(root && json_is_object(labels) && json_is_object(host));
    CHECK(strcmp(json_string_value(json_object_get(labels, LABEL_PANEL)), PANEL) == 0);
    CHECK(json_integer_value(json_object_get(host, "Memory")) >= 6 << 20);
    CHECK(!json_is_true(json_object_get(host, "Privileged")));
    CHECK(json_array_size(json_object_get(host, "Binds")) <= 1);
    json_decref(root);
}

struct http_call *http_client_start(struct http_client *client, const struct http_spec *spec,
                                    struct err *err)
{
    (void)err;
    CHECK(client->count < CALLS_MAX);
    check_path(spec);
    if (strstr(spec->path, "/containers/create?"))
        check_create(spec);
    struct http_call *call = calloc(1, sizeof(*call));
    CHECK(call);
    call->client = client;
    call->spec = *spec;
    client->calls[client->count++] = call;
    return call;
}

static void drop_call(struct http_call *call)
{
    struct http_client *client = call->client;
    size_t i = 0;
    while (client->calls[i] != call)
        CHECK(++i < client->count);
    memmove(&client->calls[i], &client->calls[i + 1],
            (--client->count - i) * sizeof(client->calls[0]));
}

void http_call_cancel(struct http_call *call)
{
    CHECK(!call->cancelled);
    drop_call(call);
    call->cancelled = true;
    if (!call->busy)
        free(call);
}

void http_client_run(struct http_client *client)
{
    (void)client;
}

bool http_client_poll(struct http_client *client, int fd, int ms)
{
    (void)client;
    (void)fd;
    (void)ms;
    return false;
}

void http_client_wake(struct http_client *client)
{
    (void)client;
}

int http_post_json(const char *url, const char *ca, const char *json, uint32_t timeout_ms,
                   long *ret_status, char **ret_body, struct err *err)
{
    (void)url;
    (void)ca;
    (void)json;
    (void)timeout_ms;
    (void)ret_status;
    (void)ret_body;
    return err_nomem(err);
}

/* --- the panel's side ------------------------------------------------------------------------ */

struct rpc_call {
    struct rpc_call *next;
    bool answered;
};

static struct rpc_call *frames; /* all of this story */
static char boot_id[65];        /* as the last answer told it */

static void check_sync_reply(const Wire__SyncReply *reply)
{
    snprintf(boot_id, sizeof(boot_id), "%s", reply->boot_id);
    CHECK(reply->n_statuses <= WIRE_STATUSES_MAX && reply->docker && reply->capacity);
    CHECK(reply->inventory_ready || !reply->n_statuses);
    for (size_t i = 0; i < reply->n_statuses; i++) {
        const Wire__InstanceStatus *status = reply->statuses[i];
        CHECK(envelope_check_id(status->instance_id) == 0);
        CHECK(status->observed >= 1 && status->observed <= WIRE__OBSERVED__OBSERVED_INSTALLING);
        CHECK(status->progress_percent <= 100);
        CHECK((status->observed == WIRE__OBSERVED__OBSERVED_FAILED) ==
              (status->error_code[0] != '\0'));
        CHECK(!status->error_code[0] || status->error_message[0]);
    }
}

/* Whatever was asked, what is answered is a message that the panel understands. */
void rpc_reply(struct rpc_call *call, const uint8_t *data, size_t len)
{
    Wire__Envelope *envelope = NULL;
    CHECK(!call->answered);
    call->answered = true;
    CHECK(envelope_unpack(data, len, &envelope, NULL) == 0);
    CHECK(strcmp(envelope->node_id, NODE) == 0 && strcmp(envelope->panel_id, PANEL) == 0);
    CHECK(envelope->body_case != WIRE__ENVELOPE__BODY__NOT_SET);
    if (envelope->body_case == WIRE__ENVELOPE__BODY_SYNC_REPLY)
        check_sync_reply(envelope->sync_reply);
    if (envelope->body_case == WIRE__ENVELOPE__BODY_FAILURE)
        CHECK(envelope->failure->code[0] && envelope->failure->message[0]);
    envelope_free(envelope);
}

int rpc_listen(struct rpc *rpc, const char *key, const char *cert, const char *ca, struct err *err)
{
    (void)rpc;
    (void)err;
    CHECK(key && cert && ca);
    return 0;
}

/* --- the disk and the host ------------------------------------------------------------------- */

struct volumes {
    struct removal {
        void (*done)(void *arg, const struct err *err);
        void *arg;
    } removals[EVENTS_MAX + 1];
    size_t count;
};

static struct volumes *disk;

struct volumes *volumes_create(const char *state_dir, struct loop *loop, struct err *err)
{
    (void)state_dir;
    (void)loop;
    (void)err;
    disk = calloc(1, sizeof(*disk));
    return disk;
}

void volumes_destroy(struct volumes *volumes)
{
    free(volumes);
}

char *volume_path(const struct volumes *volumes, const char *volume_id)
{
    char *path;
    (void)volumes;
    CHECK(envelope_check_id(volume_id) == 0);
    return asprintf(&path, "/state/volumes/%s", volume_id) < 0 ? NULL : path;
}

int volume_make(struct volumes *volumes, const char *volume_id, struct err *err)
{
    (void)volumes;
    CHECK(envelope_check_id(volume_id) == 0);
    if (strcmp(volume_id, "full") == 0)
        return err_set(err, ERR_IO, "io_error", "no space left");
    return 0;
}

int volume_remove(struct volumes *volumes, const char *volume_id,
                  void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
    (void)err;
    CHECK(envelope_check_id(volume_id) == 0 && volumes->count <= EVENTS_MAX);
    volumes->removals[volumes->count++] = (struct removal){done, arg};
    return 0;
}

struct install {
    uint64_t round;
    void (*done)(void *arg, const struct err *err);
    void *arg;
};

static struct {
    struct install *under_way[EVENTS_MAX + 1];
    size_t count;
    uint64_t round; /* the last that was done, in whatever volume */
} at_work;

struct installs *installs_create(const char *state_dir, struct loop *loop,
                                 const struct install_limits *limits, struct err *err)
{
    (void)state_dir;
    (void)loop;
    (void)limits;
    (void)err;
    memset(&at_work, 0, sizeof(at_work));
    return (struct installs *)&at_work;
}

void installs_set_limits(struct installs *installs, const struct install_limits *limits)
{
    (void)installs;
    (void)limits;
}

void installs_destroy(struct installs *installs)
{
    (void)installs;
    while (at_work.count)
        free(at_work.under_way[--at_work.count]);
}

bool install_is_due(const struct installs *installs, const Wire__InstanceSpec *spec)
{
    (void)installs;
    return at_work.round < spec->install_round;
}

struct install *install_start(struct installs *installs, const Wire__InstanceSpec *spec,
                              const char *volume_dir,
                              void (*done)(void *arg, const struct err *err), void *arg,
                              struct err *err)
{
    (void)installs;
    (void)err;
    CHECK(volume_dir[0] && at_work.count <= EVENTS_MAX);
    struct install *install = calloc(1, sizeof(*install));
    *install = (struct install){spec->install_round, done, arg};
    at_work.under_way[at_work.count++] = install;
    return install;
}

void install_cancel(struct install *install)
{
    (void)install;
}

uint32_t install_percent(const struct install *install)
{
    return (uint32_t)install->round % 101;
}

int install_log_read(const struct installs *installs, const char *volume_id, char **ret_text,
                     struct err *err)
{
    (void)installs;
    CHECK(envelope_check_id(volume_id) == 0);
    if (!at_work.round)
        return err_set(err, ERR_NOT_FOUND, "no_file", "it is not there");
    *ret_text = strdup("1000000000 one\n1000000000 two\nno time\n 3\n1000000001 three");
    return 0;
}

void install_forget(const struct installs *installs, const char *volume_id)
{
    (void)installs;
    CHECK(envelope_check_id(volume_id) == 0);
}

static void end_one_install(uint8_t outcome)
{
    struct err err = {0};
    if (!at_work.count)
        return;
    struct install *install = at_work.under_way[0];
    memmove(at_work.under_way, at_work.under_way + 1, --at_work.count * sizeof(install));
    void (*done)(void *arg, const struct err *err) = install->done;
    void *arg = install->arg;
    if (outcome % 2)
        err_set(&err, ERR_OFFLINE, "install_failed", "nobody answers");
    else if (at_work.round < install->round)
        at_work.round = install->round;
    free(install);
    done(arg, &err);
}

void usage_fill(struct usage_meter *meter, const char *disk_dir, Wire__Capacity *ret_capacity,
                Wire__Usage *ret_usage)
{
    (void)meter;
    (void)disk_dir;
    wire__capacity__init(ret_capacity);
    wire__usage__init(ret_usage);
}

/* --- the story ------------------------------------------------------------------------------- */

static const char *state_dir;
static const struct install_limits limits = {1, 1, false};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    state_dir = fuzz_folder();
    return 0;
}

static void on_changed(void *arg)
{
    sync_changed(((struct handlers *)arg)->sync);
}

static size_t read_length(struct fuzz_input *in)
{
    size_t len = fuzz_byte(in);
    len |= (size_t)fuzz_byte(in) << 8;
    return len < in->size ? len : in->size;
}

static char *read_text(struct fuzz_input *in, size_t *ret_len)
{
    struct fuzz_input part = {in->data, read_length(in)};
    part.data = in->data;
    in->data += part.size;
    in->size -= part.size;
    return fuzz_rest(&part, ret_len);
}

/* What no mutation finds by itself: "right" in the place of a hash or of the boot id. */
static void complete(char **data, size_t *len)
{
    Wire__Envelope *envelope = NULL;
    uint8_t *packed;
    char hash[65];
    if (envelope_unpack((uint8_t *)*data, *len, &envelope, NULL) < 0)
        return;
    Wire__Apply *apply = envelope->body_case == WIRE__ENVELOPE__BODY_APPLY ? envelope->apply : NULL;
    Wire__Sync *sync = envelope->body_case == WIRE__ENVELOPE__BODY_SYNC ? envelope->sync : NULL;
    char **text = apply ? &apply->spec_hash : sync ? &sync->boot_id : NULL;
    if (text && strcmp(*text, "right") == 0 && (!apply || apply->spec)) {
        if (apply)
            CHECK(envelope_spec_hash(apply->spec, hash, NULL) == 0);
        free(*text);
        *text = strdup(apply ? hash : boot_id);
        CHECK(*text && envelope_pack(envelope, &packed, len, NULL) == 0);
        free(*data);
        *data = (char *)packed;
    }
    envelope_free(envelope);
}

static void take_frame(struct handlers *h, struct fuzz_input *in)
{
    size_t len;
    char *data = read_text(in, &len);
    struct rpc_call *call = calloc(1, sizeof(*call));
    CHECK(call);
    call->next = frames;
    frames = call;
    complete(&data, &len);
    handlers_serve(h, call, (uint8_t *)data, len);
    free(data);
}

static void take_answer(struct http_client *client, struct fuzz_input *in)
{
    static const long statuses[] = {200, 201, 204, 304, 400, 404, 409, 500};
    uint8_t which = fuzz_byte(in);
    uint8_t status = fuzz_byte(in);
    size_t len;
    char *body = read_text(in, &len);
    struct http_reply reply = {.body = body, .len = len};
    if (status < 8)
        reply.status = statuses[status];
    else
        err_set(&reply.err,
                status == 8   ? ERR_TIMEOUT
                : status == 9 ? ERR_TOO_LARGE
                              : ERR_OFFLINE,
                "no_answer", "none came");
    if (client->count) {
        struct http_call *call = client->calls[which % client->count];
        drop_call(call);
        call->spec.done(call->spec.arg, &reply);
        free(call);
    }
    free(body);
}

static void take_line(struct http_client *client, struct fuzz_input *in)
{
    uint8_t which = fuzz_byte(in);
    size_t len;
    char *line = read_text(in, &len);
    struct http_call *call = client->count ? client->calls[which % client->count] : NULL;
    if (call && call->spec.line && len) {
        call->busy = true;
        call->spec.line(call->spec.arg, line, len);
        call->busy = false;
        if (call->cancelled)
            free(call);
    }
    free(line);
}

static void end_removal(uint8_t outcome)
{
    struct err err = {0};
    if (!disk->count)
        return;
    struct removal removal = disk->removals[0];
    memmove(&disk->removals[0], &disk->removals[1], --disk->count * sizeof(removal));
    if (outcome)
        err_set(&err, ERR_IO, "io_error", "can't");
    removal.done(removal.arg, &err);
}

static void take_event(struct handlers *h, struct fuzz_input *in)
{
    uint8_t step;
    switch (fuzz_byte(in)) {
    case 'F':
        take_frame(h, in);
        break;
    case 'A':
        take_answer(h->loop->http, in);
        break;
    case 'L':
        take_line(h->loop->http, in);
        break;
    case 'V':
        end_removal(fuzz_byte(in));
        break;
    case 'I':
        end_one_install(fuzz_byte(in));
        break;
    case 'T':
        step = fuzz_byte(in);
        fuzz_now_ms += (int64_t)step * step * 16; /* up to 17 minutes */
        break;
    default:
        break;
    }
    timers_run(&h->loop->timers, fuzz_now_ms);
    sync_settle(h->sync);
}

static void check_table(const struct instance_table *table)
{
    uint64_t seq = 0;
    for (const struct instance *inst = table->journal; inst; inst = inst->next) {
        CHECK(inst->change_seq > seq && inst->change_seq <= table->seq);
        seq = inst->change_seq;
        CHECK((inst->step == STEP_IDLE) == (!inst->call && !timer_is_set(&inst->timer)) ||
              inst->step == STEP_PULL_WAIT || inst->step == STEP_INSTALL_WAIT ||
              inst->step == STEP_WIPE || inst->step == STEP_ERASE);
    }
}

static void drop_frames(void)
{
    while (frames) {
        struct rpc_call *next = frames->next;
        free(frames);
        frames = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct err err = {0};
    struct identity identity = {.dir = strdup(state_dir),
                                .panel_id = strdup(PANEL),
                                .node_id = strdup(NODE),
                                .address = strdup("127.0.0.1"),
                                .port = strdup("7400"),
                                .listen = strdup("127.0.0.1:7400"),
                                .key = strdup("key"),
                                .cert = strdup("cert"),
                                .ca = strdup("ca")};
    struct loop loop = {.signal_fd = -1};
    struct handlers h = {.loop = &loop, .identity = &identity};
    fuzz_now_ms = 1000000;
    boot_id[0] = '\0';
    mailbox_init(&loop.box, NULL, NULL);
    loop.http = http_client_create("", &loop.timers, &err);
    h.sync = sync_create(&loop, &identity, &err);
    CHECK(loop.http && h.sync);
    CHECK(reconcile_create(&loop, state_dir, PANEL, &limits, on_changed, &h, &h.reconcile, &err) ==
          0);
    sync_set_reconcile(h.sync, h.reconcile);
    for (int i = 0; in.size && i < EVENTS_MAX; i++) {
        take_event(&h, &in);
        check_table(reconcile_table(h.reconcile));
    }
    sync_stop(h.sync);
    for (const struct rpc_call *call = frames; call; call = call->next)
        CHECK(call->answered);
    reconcile_destroy(h.reconcile);
    sync_destroy(h.sync);
    CHECK(!loop.http->count);
    timers_cancel(&loop.timers, &h.reload);
    CHECK(!loop.timers.first);
    http_client_destroy(loop.http);
    mailbox_fini(&loop.box);
    identity_fini(&identity);
    drop_frames();
    return 0;
}
