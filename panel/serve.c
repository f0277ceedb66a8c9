/* The daemon's life. See serve.h. The rooms are opened from the store outward and closed from the
 * outside in, so that none is used after its end. */
#include "panel/serve.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/watchdog.h"
#include "panel/api/api.h"
#include "panel/control.h"
#include "panel/key_command.h"

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

static int read_tls(const struct config *config, char **ret_cert, char **ret_key, struct err *err)
{
    if (!config->tls_cert)
        return 0;
    return fs_read(config->tls_cert, 1 << 20, ret_cert, NULL, err) < 0 ||
                   fs_read(config->tls_key, 1 << 20, ret_key, NULL, err) < 0
               ? -1
               : 0;
}

int serve_check(const struct config *config, struct err *err)
{
    auto_free char *cert = NULL;
    auto_free char *key = NULL;
    int rc = read_tls(config, &cert, &key, err);
    if (rc == 0 && cert && http_check_tls(cert, key, err) < 0)
        rc = err_wrap(err, "tlsCert %s, tlsKey %s", config->tls_cert, config->tls_key);
    if (key)
        crypto_wipe(key, strlen(key));
    return rc;
}

static int serve_http(struct rooms *rooms, const struct config *config, struct err *err)
{
    auto_free char *cert = NULL;
    auto_free char *key = NULL;
    if (read_tls(config, &cert, &key, err) < 0)
        return -1;
    struct http_settings settings = {
        .address = config->address,
        .port = config->port,
        .tls_cert_pem = cert,
        .tls_key_pem = key,
        .max_connections = connection_limit(),
        .head_timeout_ms = 15000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 60000,
    };
    struct http_app app = api_http_app(rooms->api);
    int rc = http_server_start(&settings, &app, &rooms->server, err);
    if (key)
        crypto_wipe(key, strlen(key));
    return rc;
}

static int rooms_open(struct rooms *rooms, const struct config *config, struct err *err)
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
        .metrics_access = config->metrics,
    };
    if (fs_make_dir(config->data_dir, 0700, err) < 0)
        return -1;
    if (fs_lock(config->data_dir, "panel.lock", &rooms->lock_fd, err) < 0)
        return err->code == ERR_CONFLICT
                   ? err_set(err, ERR_CONFLICT, "already_running",
                             "another paneld already runs on %s", config->data_dir)
                   : -1;
    if (store_open(config->data_dir, on_store_fatal, &rooms->store, err) < 0 ||
        ca_open(config->data_dir, store_identity(rooms->store)->panel_id, &rooms->ca, err) < 0 ||
        fleet_create(rooms->store, rooms->ca, &fleet, &rooms->fleet, err) < 0 ||
        password_pool_create(1, 64, &rooms->passwords, err) < 0)
        return -1;
    store_keep_audit(rooms->store, (uint32_t)config->audit_days);
    struct api_rooms api_rooms = {rooms->store, rooms->fleet, rooms->ca, rooms->passwords};
    if (api_create(&api_rooms, &api, &rooms->api, err) < 0 ||
        control_start(config->data_dir, key_answer, rooms->store, &rooms->control, err) < 0)
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

/* Until one comes that ends us; meanwhile the supervisor sees that we live. */
static int wait_for_stop(const struct rooms *rooms, const sigset_t *stops)
{
    struct watchdog watchdog;
    watchdog_init(&watchdog);
    watchdog_add(&watchdog, store_heart(rooms->store));
    watchdog_add(&watchdog, fleet_heart(rooms->fleet));
    const struct timespec tick = {.tv_sec = watchdog.tick_ms / 1000,
                                  .tv_nsec = watchdog.tick_ms % 1000 * 1000000};
    for (;;) {
        watchdog_tick(&watchdog);
        int caught = sigtimedwait(stops, NULL, watchdog.tick_ms ? &tick : NULL);
        if (caught > 0 && caught != SIGHUP)
            return caught;
    }
}

int serve(const struct config *config)
{
    struct rooms rooms = {.lock_fd = -1};
    struct err err = {0};
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &stops, NULL); /* inherited by every thread */
    if (rooms_open(&rooms, config, &err) < 0) {
        fprintf(stderr, "paneld: %s\n", err.msg);
        rooms_close(&rooms);
        return 1;
    }
    bool v6 = strchr(config->address, ':') != NULL;
    printf("listening on %s://%s%s%s:%u\n", config->tls_cert ? "https" : "http", v6 ? "[" : "",
           config->address, v6 ? "]" : "", http_server_port(rooms.server));
    fflush(stdout);
    warn_if_open(config);
    notify_supervisor("READY=1");
    log_info("stopping", "signal=%d", wait_for_stop(&rooms, &stops));
    notify_supervisor("STOPPING=1");
    rooms_close(&rooms);
    return atomic_load(&store_is_lost) ? 1 : 0;
}
