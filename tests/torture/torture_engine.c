/* The agent between a panel and a Docker Engine, under torture: what it is asked for is done as
 * soon as there is memory again, with nothing but what a panel does anyway.
 *
 * In the place of libcurl, nng, the volumes' worker and the clock stand the lines below: an honest
 * Engine with one image, whose answers may get lost. */
#include "tests/torture/torture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/handlers.h"
#include "agent/volume.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h" /* the clock's time */

#define CALLS_MAX 16
#define ROUND_MS  500
#define SEND_MS   3000 /* between two requests for the same thing, as of a panel */

/* --- the Engine ------------------------------------------------------------------------------ */

struct http_call {
    struct http_spec spec;
    char path[512];
    char labels[512];
    bool begun; /* under way; else a free slot */
    bool busy;
};

struct http_client {
    struct http_call calls[CALLS_MAX];
};

static struct http_client http;

struct container {
    const char *state; /* NULL: there is none */
    bool old;          /* by its name */
    char id[65];
    char labels[512];
};

static struct {
    bool has_image;
    unsigned made;
    struct container containers[2];
} engine;

/* That with the name, or the one kept beside it; NULL: there is none. */
static struct container *find_named(bool old)
{
    for (size_t i = 0; i < 2; i++) {
        if (engine.containers[i].state && engine.containers[i].old == old)
            return &engine.containers[i];
    }
    return NULL;
}

static bool is_there(void)
{
    return find_named(false) || find_named(true);
}

static bool is_in_state(const struct container *container, const char *state)
{
    return container && strcmp(container->state, state) == 0;
}

static struct container *find_asked(const char *path)
{
    for (size_t i = 0; i < 2; i++) {
        if (engine.containers[i].state && strstr(path, engine.containers[i].id))
            return &engine.containers[i];
    }
    return strstr(path, "/panel-i1/") ? find_named(false) : NULL;
}

struct http_client *http_client_create(const char *unix_socket, struct timers *timers,
                                       struct err *err)
{
    (void)unix_socket;
    (void)timers;
    (void)err;
    return &http;
}

void http_client_destroy(struct http_client *client)
{
    (void)client;
}

struct http_call *http_client_start(struct http_client *client, const struct http_spec *spec,
                                    struct err *err)
{
    struct http_call *call = client->calls;
    if (torture_hit(TORTURE_MEMORY, "http_client_start")) {
        err_nomem(err);
        return NULL;
    }
    while (call->begun)
        if (++call == client->calls + CALLS_MAX)
            abort();
    *call = (struct http_call){.spec = *spec, .begun = true};
    snprintf(call->path, sizeof(call->path), "%s %s", spec->method, spec->path);
    const char *labels = spec->body ? strstr(spec->body, "\"Labels\":{") : NULL;
    if (labels)
        snprintf(call->labels, sizeof(call->labels), "%.*s",
                 (int)(strchr(labels, '}') + 1 - labels), labels);
    return call;
}

void http_call_cancel(struct http_call *call)
{
    call->begun = false;
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

static long become(const char *path, const char *state)
{
    struct container *container = find_asked(path);
    if (!container)
        return 404;
    bool same = state && is_in_state(container, state);
    container->state = state;
    return same ? 304 : 204;
}

static long create(const char *labels, char *out, size_t size)
{
    struct container *container =
        engine.containers[0].state ? &engine.containers[1] : &engine.containers[0];
    if (find_named(false))
        return 409;
    assert_null(container->state); /* no third one */
    *container = (struct container){.state = "created"};
    snprintf(container->id, sizeof(container->id), "%064x", ++engine.made);
    snprintf(container->labels, sizeof(container->labels), "%s", labels);
    snprintf(out, size, "{\"Id\":\"%s\"}", container->id);
    return 201;
}

static long rename_it(const char *path)
{
    struct container *container = find_asked(path);
    bool old = strstr(path, "-old") != NULL;
    if (!container)
        return 404;
    if (find_named(old))
        return 409;
    container->old = old;
    return 204;
}

static void list(char *out, size_t size)
{
    size_t len = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < 2; i++) {
        const struct container *container = &engine.containers[i];
        if (container->state)
            len += (size_t)snprintf(
                out + len, size - len,
                "%s{\"Id\":\"%s\",\"Names\":[\"/panel-i1%s\"],\"State\":\"%s\",%s}",
                len > 1 ? "," : "", container->id, container->old ? "-old" : "", container->state,
                container->labels);
    }
    snprintf(out + len, size - len, "]");
}

static long pull(struct http_call *call)
{
    static const char *const lines[] = {
        "{\"status\":\"Pulling from library/busybox\",\"id\":\"1\"}",
        "{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":1,\"total\":9}}",
        "{\"status\":\"Pull complete\",\"id\":\"a\"}"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && call->begun; i++)
        call->spec.line(call->spec.arg, lines[i], strlen(lines[i]));
    engine.has_image = true;
    return 200;
}

/* Does what it is asked for: the status, and the body to it. */
static long serve(struct http_call *call, char *out, size_t size)
{
    const char *path = call->path;
    snprintf(out, size, "{\"message\":\"no such container\"}");
    if (strcmp(path, "GET /version") == 0)
        return snprintf(out, size,
                        "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\","
                        "\"Version\":\"20.10\"}"),
               200;
    if (strstr(path, "/containers/json?")) {
        list(out, size);
        return 200;
    }
    if (strstr(path, "/images/create?"))
        return pull(call);
    if (strstr(path, "/images/"))
        return engine.has_image ? 200 : 404;
    if (strstr(path, "/containers/create?"))
        return create(call->labels, out, size);
    if (strstr(path, "/rename?"))
        return rename_it(path);
    if (strstr(path, "/start")) {
        /* Never two at once. */
        assert_false(is_in_state(find_named(false), "running") &&
                     is_in_state(find_named(true), "running"));
        return become(path, "running");
    }
    if (strstr(path, "/stop?"))
        return become(path, "exited");
    if (strncmp(path, "DELETE", 6) == 0)
        return become(path, NULL);
    const struct container *asked = find_asked(path);
    if (!asked)
        return 404;
    snprintf(out, size,
             "{\"Id\":\"%s\",\"Name\":\"/panel-i1%s\",\"Config\":{%s},"
             "\"State\":{\"Status\":\"%s\",\"ExitCode\":0}}",
             asked->id, asked->old ? "-old" : "", asked->labels, asked->state);
    return 200;
}

static void answer_call(struct http_call *call)
{
    static char body[4096];
    struct http_reply reply = {.body = body};
    body[0] = '\0';
    if (torture_hit(TORTURE_CALLS, "request"))
        err_set(&reply.err, ERR_OFFLINE, "docker_unavailable", "the connection broke");
    else
        reply.status = serve(call, body, sizeof(body));
    if (!call->begun)
        return;
    if (torture_hit(TORTURE_CALLS, "answer"))
        err_set(&reply.err, ERR_OFFLINE, "docker_unavailable", "the connection broke");
    else if (torture_hit(TORTURE_MEMORY, "answer"))
        err_nomem(&reply.err);
    if (reply.err.code != ERR_NONE || reply.status == 204 || reply.status == 304)
        body[0] = '\0';
    reply.len = strlen(body);
    call->begun = false;
    call->spec.done(call->spec.arg, &reply);
}

/* --- the volumes ----------------------------------------------------------------------------- */

static struct {
    bool is_there;
    void (*done)(void *arg, const struct err *err);
    void *arg;
} volume;

struct volumes *volumes_create(const char *state_dir, struct loop *loop, struct err *err)
{
    (void)state_dir;
    (void)loop;
    (void)err;
    return (struct volumes *)&volume;
}

void volumes_destroy(struct volumes *volumes)
{
    (void)volumes;
    volume.done = NULL;
}

char *volume_path(const struct volumes *volumes, const char *volume_id)
{
    (void)volumes;
    (void)volume_id;
    return strdup("/state/volumes/v1");
}

int volume_make(struct volumes *volumes, const char *volume_id, struct err *err)
{
    (void)volumes;
    (void)volume_id;
    if (torture_hit(TORTURE_CALLS, "volume_make"))
        return err_io(err, ENOSPC, "can't make the volume");
    volume.is_there = true;
    return 0;
}

int volume_remove(struct volumes *volumes, const char *volume_id,
                  void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
    (void)volumes;
    (void)volume_id;
    if (torture_hit(TORTURE_MEMORY, "volume_remove"))
        return err_nomem(err);
    volume.done = done;
    volume.arg = arg;
    return 0;
}

static void end_removal(void)
{
    struct err err = {0};
    void (*done)(void *arg, const struct err *err) = volume.done;
    if (!done)
        return;
    volume.done = NULL;
    if (torture_hit(TORTURE_CALLS, "removal"))
        err_io(&err, EIO, "can't remove the volume");
    else
        volume.is_there = false;
    done(volume.arg, &err);
}

/* --- installs: there are none ------------------------------------------------------------------
 */

static char no_installs;

struct installs *installs_create(const char *state_dir, struct loop *for_loop,
                                 const struct install_limits *limits, struct err *err)
{
    (void)state_dir;
    (void)for_loop;
    (void)limits;
    (void)err;
    return (struct installs *)&no_installs;
}

void installs_set_limits(struct installs *installs, const struct install_limits *limits)
{
    (void)installs;
    (void)limits;
}

void installs_destroy(struct installs *installs)
{
    (void)installs;
}

bool install_is_due(const struct installs *installs, const Wire__InstanceSpec *spec)
{
    (void)installs;
    (void)spec;
    return false;
}

struct install *install_start(struct installs *installs, const Wire__InstanceSpec *spec,
                              const char *volume_dir,
                              void (*done)(void *arg, const struct err *err), void *arg,
                              struct err *err)
{
    (void)installs;
    (void)spec;
    (void)volume_dir;
    (void)done;
    (void)arg;
    err_nomem(err);
    return NULL;
}

void install_cancel(struct install *install)
{
    (void)install;
}

uint32_t install_percent(const struct install *install)
{
    (void)install;
    return 0;
}

int install_log_read(const struct installs *installs, const char *volume_id, char **ret_text,
                     struct err *err)
{
    (void)installs;
    (void)volume_id;
    (void)ret_text;
    return err_set(err, ERR_NOT_FOUND, "no_file", "it is not there");
}

void install_forget(const struct installs *installs, const char *volume_id)
{
    (void)installs;
    (void)volume_id;
}

/* --- the panel ------------------------------------------------------------------------------- */

struct frame {
    uint8_t *data;
    size_t len;
};

struct rpc_call {
    bool answered;
    struct frame reply;
};

enum wish { WISH_RUN, WISH_STOP, WISH_OTHER, WISH_REMOVE, WISHES };

static struct loop loop;
static struct handlers agent;
static struct frame wishes[WISHES]; /* the first request for each */
static struct frame first_sync;
static enum wish wish;
static struct rpc_call request;
static struct rpc_call sync_call;
static uint8_t reply_bytes[2][8192];

static struct {
    uint64_t attempt;
    char boot_id[65];
    uint64_t cursor;
    bool listed; /* in the inventory under way */
    Wire__Observed observed;
    uint64_t generation;
    int64_t sent_ms;
} panel;

static int64_t longest_ms;

/* Looked at when nothing fails. */
void rpc_reply(struct rpc_call *call, const uint8_t *data, size_t len)
{
    uint8_t *room = reply_bytes[call == &sync_call];
    if (call->answered || len > sizeof(reply_bytes[0]))
        abort();
    if (len)
        memcpy(room, data, len);
    call->answered = true;
    call->reply = (struct frame){room, len};
}

int rpc_listen(struct rpc *rpc, const char *key, const char *cert, const char *ca, struct err *err)
{
    (void)rpc;
    (void)key;
    (void)cert;
    (void)ca;
    (void)err;
    return 0;
}

static struct frame pack(Wire__Envelope *envelope)
{
    struct frame frame;
    envelope->protocol_version = WIRE_PROTOCOL_VERSION;
    envelope->panel_id = "p1";
    envelope->node_id = "n1";
    assert_int_equal(envelope_pack(envelope, &frame.data, &frame.len, NULL), 0);
    return frame;
}

static struct frame pack_wish(enum wish of, uint64_t attempt)
{
    char hash[65];
    char *env[] = {"A=1"};
    Wire__InstanceSpec spec = WIRE__INSTANCE_SPEC__INIT;
    Wire__Apply apply = WIRE__APPLY__INIT;
    Wire__Remove remove = WIRE__REMOVE__INIT;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    if (of == WISH_REMOVE) {
        remove.instance_id = "i1";
        remove.volume_id = "v1";
        remove.generation = of + 1;
        remove.attempt = attempt;
        envelope.body_case = WIRE__ENVELOPE__BODY_REMOVE;
        envelope.remove = &remove;
        return pack(&envelope);
    }
    spec.image = of == WISH_OTHER ? "busybox:2" : "busybox:1";
    spec.memory_bytes = 64 << 20;
    spec.nano_cpus = 500000000;
    spec.volume_id = "v1";
    spec.mount_path = "/app/data";
    spec.env = env;
    spec.n_env = 1;
    assert_int_equal(envelope_spec_hash(&spec, hash, NULL), 0);
    apply.instance_id = "i1";
    apply.generation = of + 1;
    apply.attempt = attempt;
    apply.desired =
        of == WISH_STOP ? WIRE__DESIRED__DESIRED_STOPPED : WIRE__DESIRED__DESIRED_RUNNING;
    apply.spec = &spec;
    apply.spec_hash = hash;
    apply.node_address = "127.0.0.1";
    envelope.body_case = WIRE__ENVELOPE__BODY_APPLY;
    envelope.apply = &apply;
    return pack(&envelope);
}

static struct frame pack_sync(void)
{
    Wire__Sync sync = WIRE__SYNC__INIT;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    sync.boot_id = panel.boot_id;
    sync.cursor = panel.cursor;
    sync.wait_ms = 5000;
    envelope.body_case = WIRE__ENVELOPE__BODY_SYNC;
    envelope.sync = &sync;
    return pack(&envelope);
}

static void serve_frame(struct rpc_call *call, const struct frame *frame)
{
    *call = (struct rpc_call){0};
    handlers_serve(&agent, call, frame->data, frame->len);
}

static void serve_and_free(struct rpc_call *call, struct frame frame)
{
    serve_frame(call, &frame);
    free(frame.data);
}

static void read_statuses(const Wire__SyncReply *reply)
{
    snprintf(panel.boot_id, sizeof(panel.boot_id), "%s", reply->boot_id);
    for (size_t i = 0; i < reply->n_statuses; i++) {
        const Wire__InstanceStatus *status = reply->statuses[i];
        assert_string_equal(status->instance_id, "i1");
        panel.listed = true;
        panel.observed = status->observed;
        panel.generation = status->generation;
    }
    /* No inventory leaves out what is there. */
    if (reply->full && !reply->more && is_there())
        assert_true(panel.listed && panel.observed != WIRE__OBSERVED__OBSERVED_ABSENT);
    if (reply->full && !reply->more && !panel.listed)
        panel.observed = WIRE__OBSERVED__OBSERVED_ABSENT;
    panel.cursor = reply->cursor;
}

static void read_sync_reply(void)
{
    Wire__Envelope *envelope = NULL;
    if (envelope_unpack(sync_call.reply.data, sync_call.reply.len, &envelope, NULL) < 0)
        return; /* a broken answer: asked again */
    if (envelope->body_case == WIRE__ENVELOPE__BODY_SYNC_REPLY &&
        envelope->sync_reply->inventory_ready)
        read_statuses(envelope->sync_reply);
    envelope_free(envelope);
}

static bool is_acknowledged(const struct rpc_call *call)
{
    Wire__Envelope *envelope = NULL;
    if (envelope_unpack(call->reply.data, call->reply.len, &envelope, NULL) < 0)
        return false;
    bool is = envelope->body_case == WIRE__ENVELOPE__BODY_ACK;
    envelope_free(envelope);
    return is;
}

static bool is_at_work(void)
{
    return panel.observed != WIRE__OBSERVED__OBSERVED_FAILED &&
           panel.observed != WIRE__OBSERVED__OBSERVED_ABSENT &&
           panel.observed != WIRE__OBSERVED__OBSERVED_RUNNING &&
           panel.observed != WIRE__OBSERVED__OBSERVED_STOPPED;
}

/* The same thing once more, when the panel must. */
static void ask_again(void)
{
    if (fuzz_now_ms - panel.sent_ms < SEND_MS || (is_acknowledged(&request) && is_at_work()))
        return;
    panel.sent_ms = fuzz_now_ms;
    serve_and_free(&request, pack_wish(wish, ++panel.attempt));
}

static bool is_as_wished(void)
{
    bool of_this = panel.generation == (uint64_t)wish + 1;
    switch (wish) {
    case WISH_RUN:
    case WISH_OTHER:
        return of_this && panel.observed == WIRE__OBSERVED__OBSERVED_RUNNING &&
               is_in_state(find_named(false), "running") && !find_named(true) && volume.is_there;
    case WISH_STOP:
        return of_this && panel.observed == WIRE__OBSERVED__OBSERVED_STOPPED &&
               is_in_state(find_named(false), "exited");
    case WISH_REMOVE:
    case WISHES:
        break;
    }
    return of_this && panel.observed == WIRE__OBSERVED__OBSERVED_REMOVED && !is_there() &&
           !volume.is_there;
}

/* --- the story ------------------------------------------------------------------------------- */

static void play_round(void)
{
    for (int again = 0; again < 12; again++) {
        for (size_t i = 0; i < CALLS_MAX; i++) {
            if (http.calls[i].begun && !strstr(http.calls[i].path, "/events?"))
                answer_call(&http.calls[i]);
        }
        end_removal();
        sync_settle(agent.sync);
    }
    fuzz_now_ms += ROUND_MS;
    timers_run(&loop.timers, fuzz_now_ms);
    sync_settle(agent.sync);
}

static void on_changed(void *arg)
{
    sync_changed(((struct handlers *)arg)->sync);
}

static struct identity identity = {
    .dir = "/", .panel_id = "p1", .node_id = "n1", .address = "127.0.0.1", .port = "7400"};

static void stop_agent(void)
{
    if (agent.sync && agent.reconcile)
        sync_stop(agent.sync);
    reconcile_destroy(agent.reconcile);
    sync_destroy(agent.sync);
    mailbox_fini(&loop.box);
    memset(&http, 0, sizeof(http));
}

static int start_agent(struct err *err)
{
    static const struct install_limits limits = {1, 1, false};
    loop = (struct loop){.signal_fd = -1, .http = &http};
    agent = (struct handlers){.loop = &loop, .identity = &identity};
    mailbox_init(&loop.box, NULL, NULL);
    agent.sync = sync_create(&loop, &identity, err);
    if (!agent.sync || reconcile_create(&loop, "/", "p1", &limits, on_changed, &agent,
                                        &agent.reconcile, err) < 0) {
        stop_agent();
        return -1;
    }
    sync_set_reconcile(agent.sync, agent.reconcile);
    return 0;
}

static void hear_news(void)
{
    if (!sync_call.answered)
        return;
    read_sync_reply();
    serve_and_free(&sync_call, pack_sync());
}

/* Until the panel is told that it is so, and it is so. */
static void reach(enum wish next)
{
    int64_t begun_ms = fuzz_now_ms;
    wish = next;
    for (int i = 0; i < 30 && !is_as_wished(); i++) {
        hear_news();
        ask_again();
        play_round();
    }
    if (!is_as_wished())
        fail_msg("wish %d: told of %d, and there is %s", (int)next, (int)panel.observed,
                 find_named(false) ? find_named(false)->state : "nothing");
    if (fuzz_now_ms - begun_ms > longest_ms)
        longest_ms = fuzz_now_ms - begun_ms;
}

static void begin_story(void)
{
    struct err err = {0};
    memset(&panel, 0, sizeof(panel));
    memset(&engine, 0, sizeof(engine));
    volume.is_there = false;
    fuzz_now_ms = 1000000;
    if (start_agent(&err) < 0)
        fail_msg("%s", err.msg);
    serve_frame(&sync_call, &first_sync);
    for (int i = 0; i < 4; i++) {
        play_round();
        hear_news();
    }
}

static void new_instance(void)
{
    begin_story();
    wish = WISH_RUN;
}

static void one_that_runs(enum wish next)
{
    begin_story();
    reach(WISH_RUN);
    hear_news();
    wish = next;
}

static void to_be_stopped(void)
{
    one_that_runs(WISH_STOP);
}

static void to_be_changed(void)
{
    one_that_runs(WISH_OTHER);
    engine.has_image = false;
}

/* The new container is there and has not proved itself. */
static void halfway_and_no_agent(void)
{
    one_that_runs(WISH_OTHER);
    serve_frame(&request, &wishes[WISH_OTHER]);
    for (int i = 0; i < 4 && !(find_named(true) && find_named(false)); i++)
        play_round();
    assert_true(find_named(true) && find_named(false));
    stop_agent();
}

static void to_be_removed(void)
{
    one_that_runs(WISH_REMOVE);
}

static int ask_and_wait(struct err *err)
{
    (void)err;
    panel.sent_ms = fuzz_now_ms;
    serve_frame(&request, &wishes[wish]);
    for (int i = 0; i < 4; i++)
        play_round();
    return 0;
}

static void reached_and_removed(int rc)
{
    (void)rc;
    reach(wish);
    reach(WISH_REMOVE);
    stop_agent();
}

static void one_runs_and_no_agent(void)
{
    one_that_runs(WISH_RUN);
    stop_agent();
}

static void one_is_stopped_and_no_agent(void)
{
    one_that_runs(WISH_STOP);
    reach(WISH_STOP);
    stop_agent();
}

static int start_and_tell(struct err *err)
{
    if (start_agent(err) < 0)
        return -1;
    serve_frame(&sync_call, &first_sync);
    for (int i = 0; i < 4; i++)
        play_round();
    return 0;
}

static void is_found_and_removed(int rc)
{
    struct err err = {0};
    panel.observed = WIRE__OBSERVED__OBSERVED_UNSPECIFIED;
    if (rc < 0 && start_and_tell(&err) < 0)
        fail_msg("%s", err.msg);
    panel.sent_ms = fuzz_now_ms;
    reached_and_removed(rc);
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(NULL), 0);
    log_level_set(LOG_ERROR + 1); /* what fails here is asked for */
    for (enum wish of = 0; of < WISHES; of++)
        wishes[of] = pack_wish(of, 1);
    first_sync = pack_sync();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (enum wish of = 0; of < WISHES; of++)
        free(wishes[of].data);
    free(first_sync.data);
    return 0;
}

static void test_all(void **state)
{
    (void)state;
    torture(&(struct torture){"run", new_instance, ask_and_wait, reached_and_removed});
    torture(&(struct torture){"stop", to_be_stopped, ask_and_wait, reached_and_removed});
    torture(&(struct torture){"change", to_be_changed, ask_and_wait, reached_and_removed});
    torture(&(struct torture){"remove", to_be_removed, ask_and_wait, reached_and_removed});
    torture(
        &(struct torture){"start", one_runs_and_no_agent, start_and_tell, is_found_and_removed});
    torture(&(struct torture){"start beside a stopped one", one_is_stopped_and_no_agent,
                              start_and_tell, is_found_and_removed});
    torture(&(struct torture){"start halfway through a change", halfway_and_no_agent,
                              start_and_tell, is_found_and_removed});
    printf("the longest way to what was asked for: %lld ms\n", (long long)longest_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    torture_evidence("I8", "the agent's steps, its watch over Docker, its answers");
    return failed;
}
