/* One thread that owns everything. See loop.h.
 *
 * A round is: messages, timers, HTTP; then settle(), then sleep in curl_multi_poll until the
 * next timer, a byte from Docker, a post or a signal. Nothing here blocks but that poll.
 * Running out of memory in a round is the round's own business; the loop itself allocates
 * nothing. */
#include "agent/loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"

#define SLEEP_MAX_MS 60000

static void wake_loop(void *arg)
{
    http_client_wake(arg);
}

int loop_init(struct loop *loop, const char *docker_socket, struct err *err)
{
    memset(loop, 0, sizeof(*loop));
    loop->signal_fd = -1;
    loop->http = http_client_create(docker_socket, &loop->timers, err);
    if (!loop->http)
        return -1;
    mailbox_init(&loop->box, wake_loop, loop->http);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    loop->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (loop->signal_fd < 0) {
        err_io(err, errno, "can't watch for signals");
        loop_fini(loop);
        return -1;
    }
    return 0;
}

void loop_fini(struct loop *loop)
{
    if (!loop->http)
        return;
    mailbox_take(&loop->box, 0);
    mailbox_fini(&loop->box);
    http_client_destroy(loop->http);
    loop->http = NULL;
    if (loop->signal_fd >= 0)
        close(loop->signal_fd);
}

void loop_post(struct loop *loop, struct loop_task *task)
{
    mailbox_post(&loop->box, &task->mail);
}

static void run_tasks(struct loop *loop)
{
    struct mail *mail = mailbox_take(&loop->box, 0);
    while (mail) {
        struct loop_task *task = (struct loop_task *)mail;
        mail = mail->next;
        task->run(task);
    }
}

static void run_round(struct loop *loop)
{
    run_tasks(loop);
    timers_run(&loop->timers, clock_mono_ms());
    http_client_run(loop->http);
    if (loop->settle)
        loop->settle(loop->settle_arg);
}

static void take_one(struct loop *loop, int signal)
{
    if (signal != SIGHUP)
        loop->stopping = true;
    else if (loop->reload)
        loop->reload(loop->reload_arg);
}

static void take_signal(struct loop *loop)
{
    struct signalfd_siginfo info;
    while (read(loop->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        take_one(loop, (int)info.ssi_signo);
}

static void sleep_until(struct loop *loop, int64_t deadline_ms)
{
    int64_t next = timers_next(&loop->timers);
    if (deadline_ms < next)
        next = deadline_ms;
    int64_t now = clock_mono_ms();
    int64_t wait = next <= now ? 0 : next - now;
    if (wait > SLEEP_MAX_MS)
        wait = SLEEP_MAX_MS;
    if (http_client_poll(loop->http, loop->signal_fd, (int)wait))
        take_signal(loop);
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping) {
        run_round(loop);
        if (!loop->stopping)
            sleep_until(loop, INT64_MAX);
    }
}

void loop_run_for(struct loop *loop, int64_t ms, bool (*done)(void *arg), void *arg)
{
    int64_t deadline = clock_mono_ms() + ms;
    while (clock_mono_ms() < deadline) {
        run_round(loop);
        if (done && done(arg))
            return;
        sleep_until(loop, deadline);
    }
}
