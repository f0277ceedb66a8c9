/* paneld: the panel daemon. Reads its settings, opens the rooms from the store outward, serves
 * until a signal, and closes them from the outside in, so that no room is used after its end. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/notify.h"
#include "panel/api/api.h"
#include "panel/config.h"
#include "panel/control.h"
#include "panel/key_command.h"

#define STOP_GRACE_MS 5000

static const char usage_text[] =
    "paneld - the panel daemon: a REST API that places containers on nodes\n"
    "\n"
    "Usage:\n"
    "  paneld [options]                               serve until SIGTERM\n"
    "  paneld key create [--data DIR] --name NAME     print a new API key; the daemon may run\n"
    "\n"
    "Options:\n"
    "  --data DIR          where everything is kept (default /var/lib/panel)\n"
    "  --listen ADDR:PORT  IP address and port of the API (default 127.0.0.1:3001; port 0 picks a\n"
    "                      free one); use TLS, or a TLS proxy, on any other than loopback\n"
    "  --tls-cert FILE     serve HTTPS with this certificate chain (PEM) ...\n"
    "  --tls-key FILE      ... and its key\n"
    "  --config FILE       settings as a JSON object; options given here win over it\n"
    "  --check-config      say whether the settings are right, and exit\n"
    "  --log-level LEVEL   debug, info, warn or error (default info), to stderr\n"
    "  --version           print the version\n"
    "  --help              print this\n"
    "\n"
    "Settings in FILE: listen, tlsCert, tlsKey, logLevel, publicUrl, heartbeatMs,\n"
    "installTimeoutMs, stopTimeoutMs, autoPortFirst, autoPortLast, memoryOvercommit.\n";

static atomic_bool store_is_lost;

/* The store's outcome is unknown: nothing more may be acknowledged. */
static void on_store_fatal(const struct err *err)
{
    log_error("the store failed; stopping", "reason=\"%s\"", err->msg);
    atomic_store(&store_is_lost, true);
    kill(getpid(), SIGTERM);
}

static int fail_usage(const char *program, const struct err *err)
{
    fprintf(stderr, "%s: %s\nTry '%s --help'.\n", program, err->msg, program);
    return 2;
}

/* --- the rooms ------------------------------------------------------------------------------ */

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
    fleet_destroy(rooms->fleet);
    store_close(rooms->store);
    api_destroy(rooms->api);
    ca_close(rooms->ca);
    if (rooms->lock_fd >= 0)
        close(rooms->lock_fd);
}

static int serve_http(struct rooms *rooms, const struct config *config, struct err *err)
{
    auto_free char *cert = NULL;
    auto_free char *key = NULL;
    if (config->tls_cert && (fs_read(config->tls_cert, 1 << 20, &cert, NULL, err) < 0 ||
                             fs_read(config->tls_key, 1 << 20, &key, NULL, err) < 0))
        return -1;
    struct http_settings settings = {
        .address = config->address,
        .port = config->port,
        .tls_cert_pem = cert,
        .tls_key_pem = key,
        .max_connections = 8192,
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
    struct fleet_settings fleet = {
        .beat_ms = (uint32_t)config->heartbeat_ms,
        .install_timeout_ms = (uint32_t)config->install_timeout_ms,
        .stop_timeout_ms = (uint32_t)config->stop_timeout_ms,
    };
    struct api_settings api = {
        .memory_overcommit = config->memory_overcommit,
        .auto_port_first = (uint16_t)config->auto_port_first,
        .auto_port_last = (uint16_t)config->auto_port_last,
        .public_url = config->public_url,
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
        password_pool_create(1, 16, &rooms->passwords, err) < 0)
        return -1;
    struct api_rooms api_rooms = {rooms->store, rooms->fleet, rooms->ca, rooms->passwords};
    if (api_create(&api_rooms, &api, &rooms->api, err) < 0 ||
        control_start(config->data_dir, rooms->store, &rooms->control, err) < 0)
        return -1;
    return serve_http(rooms, config, err);
}

static int serve(const struct config *config)
{
    struct rooms rooms = {.lock_fd = -1};
    struct err err = {0};
    sigset_t stops;
    int caught = 0;
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
    notify_supervisor("READY=1");
    while (sigwait(&stops, &caught) != 0 || caught == SIGHUP)
        ;
    log_info("stopping", "signal=%d", caught);
    notify_supervisor("STOPPING=1");
    rooms_close(&rooms);
    return atomic_load(&store_is_lost) ? 1 : 0;
}

/* --- the command line ------------------------------------------------------------------------- */

enum {
    OPT_DATA = 256,
    OPT_LISTEN,
    OPT_CERT,
    OPT_KEY,
    OPT_CONFIG,
    OPT_CHECK,
    OPT_LEVEL,
    OPT_NAME,
    OPT_VERSION,
    OPT_HELP
};

static const struct option options[] = {
    {"data", required_argument, NULL, OPT_DATA},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"tls-cert", required_argument, NULL, OPT_CERT},
    {"tls-key", required_argument, NULL, OPT_KEY},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"check-config", no_argument, NULL, OPT_CHECK},
    {"log-level", required_argument, NULL, OPT_LEVEL},
    {"name", required_argument, NULL, OPT_NAME},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

struct arguments {
    const char *config_file;
    const char *key_name;
    bool check_only;
    bool done; /* --help or --version was answered */
};

/* The config file first, wherever it stands, so that the other options win over it. */
static int read_config_option(int argc, char **argv, struct config *config, struct err *err)
{
    int c;
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == OPT_CONFIG && config_read_file(config, optarg, err) < 0)
            return -1;
    }
    opterr = 1;
    optind = 1;
    return 0;
}

static int read_option(int c, struct config *config, struct arguments *args, struct err *err)
{
    switch (c) {
    case OPT_DATA:
        return config_set_text(&config->data_dir, optarg, err);
    case OPT_LISTEN:
        return config_set_text(&config->listen, optarg, err);
    case OPT_CERT:
        return config_set_text(&config->tls_cert, optarg, err);
    case OPT_KEY:
        return config_set_text(&config->tls_key, optarg, err);
    case OPT_LEVEL:
        return config_set_text(&config->log_level, optarg, err);
    case OPT_CONFIG:
        return 0;
    case OPT_NAME:
        args->key_name = optarg;
        return 0;
    case OPT_CHECK:
        args->check_only = true;
        return 0;
    case OPT_VERSION:
        puts("paneld " PANEL_VERSION);
        args->done = true;
        return 0;
    case OPT_HELP:
        fputs(usage_text, stdout);
        args->done = true;
        return 0;
    default:
        return err_set(err, ERR_INVALID, "bad_option", "an option is unknown or lacks its value");
    }
}

static int create_key(const struct config *config, const struct arguments *args)
{
    struct err err = {0};
    char key[API_KEY_LEN + 1];
    if (!args->key_name) {
        err_set(&err, ERR_INVALID, "no_name", "key create needs --name NAME");
        return fail_usage("paneld", &err);
    }
    if (key_command_create(config->data_dir, args->key_name, key, &err) < 0) {
        fprintf(stderr, "paneld: can't create a key: %s\n", err.msg);
        return 1;
    }
    puts(key);
    crypto_wipe(key, sizeof(key));
    return fflush(stdout) == 0 ? 0 : 1;
}

static int run(int argc, char **argv, struct config *config)
{
    struct err err = {0};
    struct arguments args = {0};
    int c;
    if (read_config_option(argc, argv, config, &err) < 0) {
        fprintf(stderr, "paneld: %s\n", err.msg);
        return 1;
    }
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (read_option(c, config, &args, &err) < 0)
            return fail_usage(argv[0], &err);
    }
    if (args.done)
        return 0;
    bool is_key = argc - optind == 2 && strcmp(argv[optind], "key") == 0 &&
                  strcmp(argv[optind + 1], "create") == 0;
    if (optind < argc && !is_key) {
        err_set(&err, ERR_INVALID, "bad_command", "there is no command \"%.64s\"", argv[optind]);
        return fail_usage(argv[0], &err);
    }
    if (args.key_name && !is_key) {
        err_set(&err, ERR_INVALID, "bad_option", "--name belongs to \"key create\"");
        return fail_usage(argv[0], &err);
    }
    if (config_check(config, &err) < 0) {
        fprintf(stderr, "paneld: %s\n", err.msg);
        return args.check_only || args.config_file ? 1 : 2;
    }
    log_level_set(config->level);
    if (is_key)
        return create_key(config, &args);
    if (args.check_only) {
        puts("the settings are right");
        return 0;
    }
    return serve(config);
}

int main(int argc, char **argv)
{
    struct config config;
    struct err err = {0};
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_ARENA_MAX, 2); /* few, so that freed memory can be given back */
    if (crypto_init(&err) < 0 || config_init(&config, &err) < 0) {
        fprintf(stderr, "paneld: %s\n", err.msg);
        return 1;
    }
    int status = run(argc, argv, &config);
    config_fini(&config);
    return status;
}
