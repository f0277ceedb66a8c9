/* The daemon's life. See serve.h. The rooms are opened from the store outward and closed from the
 * outside in, so that none is used after its end. */
#include "panel/serve.h"

#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/watchdog.h"
#include "panel/api/api.h"
#include "panel/ca_command.h"
#include "panel/control.h"
#include "panel/http/tls.h"
#include "panel/key_command.h"
#include "panel/reload.h"

#define STOP_GRACE_MS   5000
#define CONNECTIONS_MAX 8192u

static atomic_bool store_is_lost;

/* The store's outcome is unknown: nothing more may be acknowledged. */
static void on_store_fatal(const struct err *err)
{
    log_error("the store failed; stopping", "reason=\"%s\"", err->msg);
    atomic_store(&store_is_lost, true);
    kill(getpid(), SIGTERM);
}

struct rooms {
    int lock_fd;
    struct store *store;
    struct ca *ca;
    struct fleet *fleet;
    struct password_pool *passwords;
    struct api *api;
    struct reload *reload;
    struct control *control;
    struct http_server *server;
};

static void rooms_close(struct rooms *rooms)
{
    if (rooms->fleet)
        fleet_end_waits(rooms->fleet);
    if (rooms->server)
        http_server_stop(rooms->server, STOP_GRACE_MS);
    control_stop(rooms->control);
    reload_destroy(rooms->reload);
    password_pool_destroy(rooms->passwords);
    if (rooms->api)
        api_stop(rooms->api);
    /* What is queued still tells the fleet when it is committed, even after its client was told
     * that it took too long. */
    if (rooms->store)
        store_drain(rooms->store);
    fleet_destroy(rooms->fleet);
    store_close(rooms->store);
    api_destroy(rooms->api);
    ca_close(rooms->ca);
    if (rooms->lock_fd >= 0)
        close(rooms->lock_fd);
}

/* As many descriptors as we may have. Half of them are for clients: nodes, files and the database
 * never find them used up, and accept() never fails for want of one, which would make a thread of
 * libmicrohttpd spin. */
static uint32_t connection_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 512;
    struct rlimit most = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &most) == 0)
        limit = most;
    return limit.rlim_cur / 2 < CONNECTIONS_MAX ? (uint32_t)(limit.rlim_cur / 2) : CONNECTIONS_MAX;
}

static int serve_http(struct rooms *rooms, const struct config *config, struct err *err)
{
    struct http_settings settings = {
        .address = config->address,
        .port = config->port,
        .tls = config->tls_cert,
        .max_connections = connection_limit(),
        .head_timeout_ms = 15000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 60000,
        .proxies = config->proxies,
    };
    struct http_app app = api_http_app(rooms->api);
    return http_server_start(&settings, &app, &rooms->server, err);
}

/* What is asked over the control socket, by its command. */
static int answer(void *arg, const char *request, struct strbuf *out, struct err *err)
{
    struct rooms *rooms = arg;
    json_t *root = json_loads(request, JSON_REJECT_DUPLICATES, NULL);
    const char *command = json_string_value(json_object_get(root, "command"));
    bool force = json_is_true(json_object_get(root, "force"));
    struct ca_rooms ca = {rooms->ca, rooms->store, rooms->fleet};
    int rc = 0;
    if (command && strcmp(command, "config") == 0)
        reload_answer(rooms->reload, out);
    else if (command && ca_command_is(command))
        rc = ca_answer(&ca, command, force, out, err);
    else
        rc = key_answer(rooms->store, request, out, err);
    json_decref(root);
    return rc;
}

static int rooms_open(struct rooms *rooms, struct config *config,
                      const struct settings_given *given, struct err *err)
{
    struct port_range auto_ports = {(uint16_t)config->auto_port_first,
                                    (uint16_t)config->auto_port_last};
    struct fleet_settings fleet = {
        .beat_ms = (uint32_t)config->heartbeat_ms,
        .install_timeout_ms = (uint32_t)config->install_timeout_ms,
        .stop_timeout_ms = (uint32_t)config->stop_timeout_ms,
        .auto_ports = auto_ports,
    };
    struct api_settings api = {
        .memory_overcommit = config->memory_overcommit,
        .auto_ports = auto_ports,
        .public_url = config->public_url,
        .rate_limit = (uint32_t)config->rate_limit,
        .session_hours = (uint32_t)config->session_hours,
        .metrics_access = config->metrics_access,
    };
    if (fs_make_dir(config->data, 0700, err) < 0)
        return -1;
    if (fs_lock(config->data, "panel.lock", &rooms->lock_fd, err) < 0)
        return err->code == ERR_CONFLICT
                   ? err_set(err, ERR_CONFLICT, "already_running",
                             "another paneld already runs on %s", config->data)
                   : -1;
    if (store_open(config->data, on_store_fatal, &rooms->store, err) < 0 ||
        ca_open(config->data, store_identity(rooms->store)->panel_id, &rooms->ca, err) < 0 ||
        fleet_create(rooms->store, rooms->ca, &fleet, &rooms->fleet, err) < 0 ||
        password_pool_create(1, 64, &rooms->passwords, err) < 0)
        return -1;
    store_keep_audit(rooms->store, (uint32_t)config->audit_days);
    struct api_rooms api_rooms = {rooms->store, rooms->fleet, rooms->ca, rooms->passwords};
    if (api_create(&api_rooms, &api, &rooms->api, err) < 0 ||
        reload_create(config, given, &(struct reload_rooms){rooms->store, rooms->fleet, rooms->api},
                      &rooms->reload, err) < 0 ||
        control_start(config->data, answer, rooms, &rooms->control, err) < 0)
        return -1;
    return serve_http(rooms, config, err);
}

/* Keys and everything else would pass in the clear. */
static void warn_if_open(const struct config *config)
{
    bool loopback = strncmp(config->address, "127.", 4) == 0 || strcmp(config->address, "::1") == 0;
    if (!loopback && !config->tls_cert)
        log_warn("no TLS, and not on loopback: API keys pass in the clear", "listen=%s",
                 config->listen);
}

/* Start serving with the pair that tlsCert and tlsKey name. */
static int open_tls(const struct config *config)
{
    struct tls_pair *pair;
    auto_strbuf struct strbuf faults = {0};
    if (config_load_tls(config, &pair, &faults) < 0) {
        settings_print_faults(&faults, "paneld");
        return -1;
    }
    if (pair)
        config_judge_tls(config, pair, &faults);
    settings_log_faults(&faults, "the certificate isn't valid now");
    (void)tls_use(pair);
    return 0;
}

static void take_settings(const struct rooms *rooms)
{
    notify_supervisor("RELOADING=1");
    reload_take(rooms->reload);
    notify_supervisor("READY=1");
}

/* -1: for ever, where neither is wanted. */
static int64_t earlier(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

/* The signal that came by then, mono ms (-1: whenever it does); -1 when none has. */
static int wait_until(const sigset_t *signals, int64_t at)
{
    if (at < 0)
        return sigwaitinfo(signals, NULL);
    int64_t now = clock_mono_ms();
    int64_t left = at > now ? at - now : 0;
    const struct timespec most = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
    return sigtimedwait(signals, NULL, &most);
}

/* Until one comes that ends us; meanwhile the supervisor sees that we live, SIGHUP and the TLS
 * files are heeded. */
static int wait_for_stop(const struct rooms *rooms, const sigset_t *signals)
{
    struct watchdog watchdog;
    watchdog_init(&watchdog);
    watchdog_add(&watchdog, store_heart(rooms->store));
    watchdog_add(&watchdog, fleet_heart(rooms->fleet));
    int64_t ticked = clock_mono_ms();
    int64_t looked = ticked;
    watchdog_tick(&watchdog);
    for (;;) {
        int64_t pause = reload_pause_ms(rooms->reload);
        int64_t tick_at = watchdog.tick_ms ? ticked + watchdog.tick_ms : -1;
        int64_t look_at = pause < 0 ? -1 : looked + pause;
        int caught = wait_until(signals, earlier(tick_at, look_at));
        int64_t now = clock_mono_ms();
        if (caught == SIGHUP)
            take_settings(rooms);
        else if (caught > 0)
            return caught;
        if (tick_at >= 0 && now >= tick_at) {
            ticked = now;
            watchdog_tick(&watchdog);
        }
        if (look_at >= 0 && now >= look_at) {
            looked = now;
            reload_look(rooms->reload);
        }
    }
}

int serve(struct config *config, const struct settings_given *given)
{
    struct rooms rooms = {.lock_fd = -1};
    struct err err = {0};
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &stops, NULL); /* inherited by every thread */
    if (open_tls(config) < 0)
        return 1;
    if (rooms_open(&rooms, config, given, &err) < 0) {
        fprintf(stderr, "paneld: %s\n", err.msg);
        rooms_close(&rooms);
        (void)tls_use(NULL);
        return 1;
    }
    bool v6 = strchr(config->address, ':') != NULL;
    printf("listening on %s://%s%s%s:%u\n", config->tls_cert ? "https" : "http", v6 ? "[" : "",
           config->address, v6 ? "]" : "", http_server_port(rooms.server));
    fflush(stdout);
    log_info("panel started", "version=%s address=%s port=%u tls=%s", PANEL_VERSION,
             config->address, http_server_port(rooms.server), config->tls_cert ? "yes" : "no");
    warn_if_open(config);
    notify_supervisor("READY=1");
    log_info("stopping", "signal=%d", wait_for_stop(&rooms, &stops));
    notify_supervisor("STOPPING=1");
    rooms_close(&rooms);
    (void)tls_use(NULL);
    return atomic_load(&store_is_lost) ? 1 : 0;
}
