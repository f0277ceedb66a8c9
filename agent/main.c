/* panel-agent: the program.
 *
 * Sets the process up, builds the rooms from the bottom (reconcile, sync, rpc), runs the loop and
 * takes everything down in the opposite order. Errors before the loop runs are fatal and said in
 * one sentence; from then on the agent stays up whatever is away. */
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/doctor.h"
#include "agent/handlers.h"
#include "agent/identity.h"
#include "agent/join.h"
#include "agent/loop.h"
#include "agent/options.h"
#include "agent/reconcile.h"
#include "agent/rpc.h"
#include "agent/sync.h"
#include "agent/trim.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/owner.h"
#include "common/watchdog.h"

#define FLUSH_MS      500
#define LINGER_MS     50 /* "sent" means handed to the link; this is for its leaving */
#define TRIM_FIRST_MS 5000
#define TRIM_EVERY_MS 60000

struct agent {
    struct options *options;
    const struct settings_given *given;
    struct loop loop;
    struct identity identity;
    struct reconcile *reconcile;
    struct sync *sync;
    struct watch *watch;
    struct histories *histories;
    struct commands *commands;
    struct rpc *rpc;
    struct handlers handlers;
    struct timer trim;
    struct watchdog
        watchdog; /* without hearts: the loop that would be asked is the one that ticks */
    struct timer tick;
    bool announced;
};

static void on_changed(void *arg)
{
    struct agent *agent = arg;
    sync_changed(agent->sync);
    if (agent->watch)
        watch_changed(agent->watch);
}

static void on_settle(void *arg)
{
    struct agent *agent = arg;
    sync_settle(agent->sync);
    watch_settle(agent->watch);
}

static void on_serve(void *arg, struct rpc_call *call, const uint8_t *data, size_t len)
{
    struct agent *agent = arg;
    handlers_serve(&agent->handlers, call, data, len);
}

static void on_listening(void *arg)
{
    struct agent *agent = arg;
    log_info("listening", "address=%s", agent->identity.listen);
    if (agent->announced)
        return;
    agent->announced = true;
    printf("listening on %s\n", agent->identity.listen);
    fflush(stdout);
    notify_supervisor("READY=1");
}

static void fire_trim(struct timer *timer)
{
    struct agent *agent = (struct agent *)((char *)timer - offsetof(struct agent, trim));
    trim_memory();
    timers_set(&agent->loop.timers, timer, clock_mono_ms() + TRIM_EVERY_MS);
}

static void fire_tick(struct timer *timer)
{
    struct agent *agent = (struct agent *)((char *)timer - offsetof(struct agent, tick));
    watchdog_tick(&agent->watchdog);
    timers_set(&agent->loop.timers, timer, clock_mono_ms() + agent->watchdog.tick_ms);
}

static void begin_ticks(struct agent *agent)
{
    watchdog_init(&agent->watchdog);
    agent->tick.fire = fire_tick;
    if (agent->watchdog.tick_ms)
        timers_set(&agent->loop.timers, &agent->tick, clock_mono_ms());
}

/* Before it listens it isn't ready, and doesn't say so. */
static void on_reload(void *arg)
{
    struct agent *agent = arg;
    unsigned parts;
    if (agent->announced)
        notify_supervisor("RELOADING=1");
    if (options_reload(agent->options, agent->given, &parts) == 0) {
        struct install_limits limits = options_install_limits(agent->options);
        if (parts & OPTIONS_LOG) {
            log_level_set(agent->options->log_level);
            log_format_set(agent->options->log_format);
        }
        if (parts & OPTIONS_INSTALL)
            reconcile_set_install_limits(agent->reconcile, &limits);
    }
    if (agent->announced)
        notify_supervisor("READY=1");
}

static int build(struct agent *agent, struct err *err)
{
    const struct install_limits limits = options_install_limits(agent->options);
    struct identity *id = &agent->identity;
    if (loop_init(&agent->loop, options_docker_socket(agent->options), err) < 0)
        return -1;
    agent->sync = sync_create(&agent->loop, id, err);
    if (!agent->sync)
        return -1;
    if (reconcile_create(&agent->loop, id->dir, id->panel_id, &limits, on_changed, agent,
                         &agent->reconcile, err) < 0)
        return -1;
    sync_set_reconcile(agent->sync, agent->reconcile);
    agent->watch = watch_create(&agent->loop, id, agent->reconcile, err);
    if (!agent->watch)
        return -1;
    agent->histories = histories_create(id, agent->reconcile);
    agent->commands = commands_create(id, agent->reconcile, sync_boot_id(agent->sync));
    if (!agent->histories || !agent->commands)
        return err_nomem(err);
    struct rpc_events events = {.serve = on_serve, .listening = on_listening, .arg = agent};
    if (rpc_create(&agent->loop, id->listen, WIRE_FRAME_MAX, &events, &agent->rpc, err) < 0)
        return -1;
    agent->handlers = (struct handlers){.loop = &agent->loop,
                                        .identity = id,
                                        .reconcile = agent->reconcile,
                                        .sync = agent->sync,
                                        .watch = agent->watch,
                                        .histories = agent->histories,
                                        .commands = agent->commands,
                                        .rpc = agent->rpc};
    agent->loop.settle = on_settle;
    agent->loop.settle_arg = agent;
    agent->loop.reload = on_reload;
    agent->loop.reload_arg = agent;
    agent->trim.fire = fire_trim;
    timers_set(&agent->loop.timers, &agent->trim, clock_mono_ms() + TRIM_FIRST_MS);
    begin_ticks(agent);
    return rpc_listen(agent->rpc, id->key, id->cert, id->ca, err);
}

static bool is_flushed(void *arg)
{
    return rpc_is_flushed(arg);
}

/* Answer what is held, so that the panel needn't wait for a silent link. */
static void wind_down(struct agent *agent)
{
    notify_supervisor("STOPPING=1");
    sync_stop(agent->sync);
    watch_stop(agent->watch);
    loop_run_for(&agent->loop, FLUSH_MS, is_flushed, agent->rpc);
    loop_run_for(&agent->loop, LINGER_MS, NULL, NULL);
}

static void tear_down(struct agent *agent)
{
    rpc_destroy(agent->rpc);
    commands_destroy(agent->commands);
    histories_destroy(agent->histories);
    watch_destroy(agent->watch);
    reconcile_destroy(agent->reconcile);
    sync_destroy(agent->sync);
    loop_fini(&agent->loop);
    identity_fini(&agent->identity);
}

/* Before any thread starts, so that the loop alone hears of them. A join just ends by them. */
static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* As root it would leave files there that the service can't read, and without root it would lack
 * what the service's unit lets it do. */
static int check_user(const char *state_dir, struct err *err)
{
    char name[64];
    if (!owner_is_other(state_dir))
        return 0;
    owner_name(state_dir, name, sizeof(name));
    return err_set(err, ERR_INVALID, "other_user",
                   "%s belongs to the user %s, so the agent has to run as a service of that user: "
                   "systemctl start panel-agent",
                   state_dir, name);
}

static int serve(struct options *options, const struct settings_given *given, struct err *err)
{
    struct agent agent = {.options = options, .given = given};
    auto_fd int lock = -1;
    block_signals();
    if (check_user(options->state, err) < 0)
        return -1;
    int rc = identity_load(options->state, &agent.identity, err);
    if (rc < 0 && err->code == ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND, "not_joined",
                       "this machine has not joined a panel yet (no identity in %s). Run:\n"
                       "  panel-agent join --panel URL --token TOKEN --state %s",
                       options->state, options->state);
    if (rc < 0)
        return -1;
    log_node_set(agent.identity.node_id);
    rc = fs_lock(agent.identity.dir, "agent.lock", &lock, err);
    if (rc == 0)
        rc = options_choose_listen(options, &agent.identity.listen, err);
    if (rc == 0)
        rc = build(&agent, err);
    if (rc == 0) {
        log_info("agent started", "version=%s panel=%s", PANEL_VERSION, agent.identity.panel_id);
        loop_run(&agent.loop);
        wind_down(&agent);
        log_info("agent stopped", "version=%s", PANEL_VERSION);
    }
    tear_down(&agent);
    return rc;
}

static void set_up_process(void)
{
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    /* A dozen threads of the link's, all mostly asleep, need no heap each. */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct options_command command;
    struct err err = {0};
    int status;
    if (options_parse(argc, argv, &options, &command, &status) < 0) {
        options_fini(&options);
        return status;
    }
    log_level_set(options.log_level);
    log_format_set(options.log_format);
    set_up_process();
    int rc = crypto_init(&err);
    if (rc == 0 && command.action == OPTIONS_DOCTOR) {
        status = (int)doctor_run(&options, &command);
        options_fini(&options);
        return status;
    }
    if (rc == 0)
        rc = command.action == OPTIONS_JOIN ? join_run(&options, &command, &err)
                                            : serve(&options, &command.given, &err);
    if (rc < 0)
        fprintf(stderr, "panel-agent: %s\n", err.msg);
    options_fini(&options);
    return rc < 0 ? 1 : 0;
}
