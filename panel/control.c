/* The control socket. See control.h.
 *
 * One thread, one connection at a time, each with a deadline; it ends when control_stop() shuts
 * the listening socket down. What is asked is small and rare, so this may block. */
#include "panel/control.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/json_writer.h"

#define SOCKET_NAME "control.sock"
#define REQUEST_MAX 4096u
#define ANSWER_MAX  (4u << 20)

struct control {
    control_answer_fn answer;
    void *arg;
    char *path;
    int fd;
    atomic_bool stopping;
    pthread_t thread;
};

static int make_address(const char *dir, struct sockaddr_un *to, struct err *err)
{
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(to->sun_path, sizeof(to->sun_path), "%s/%s", dir, SOCKET_NAME);
    if (len < 0 || (size_t)len >= sizeof(to->sun_path))
        return err_set(
            err, ERR_INVALID, "path_too_long",
            "the data folder's path \"%.80s\" is too long for a socket in it (%zu bytes)", dir,
            sizeof(to->sun_path) - sizeof(SOCKET_NAME) - 1);
    return 0;
}

static void set_deadline(int fd)
{
    struct timeval five = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &five, sizeof(five));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &five, sizeof(five));
}

/* One line without its newline, of at most max bytes; -1 when none came whole. */
static int read_line(int fd, size_t max, struct strbuf *line)
{
    char piece[4096];
    while (line->len <= max && !line->failed) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        char *end = memchr(piece, '\n', (size_t)n);
        strbuf_add(line, piece, end ? (size_t)(end - piece) : (size_t)n);
        crypto_wipe(piece, (size_t)n);
        if (end)
            return line->failed || line->len > max ? -1 : 0;
    }
    return -1;
}

static int send_text(int fd, const struct strbuf *text)
{
    for (size_t at = 0; at < text->len;) {
        ssize_t n = send(fd, text->data + at, text->len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += (size_t)n;
    }
    return 0;
}

static void wipe(struct strbuf *text)
{
    if (text->data)
        crypto_wipe(text->data, text->len);
}

static void serve(struct control *control, int fd)
{
    auto_strbuf struct strbuf request = {0};
    auto_strbuf struct strbuf out = {0};
    struct err err = {0};
    set_deadline(fd);
    if (read_line(fd, REQUEST_MAX, &request) < 0)
        return;
    jw_object_begin(&out, NULL);
    if (control->answer(control->arg, request.data ? request.data : "", &out, &err) < 0)
        jw_string(&out, "error", err.msg);
    jw_object_end(&out);
    strbuf_char(&out, '\n');
    if (!out.failed)
        (void)send_text(fd, &out);
    wipe(&out);
}

static void *control_main(void *arg)
{
    struct control *control = arg;
    while (!atomic_load(&control->stopping)) {
        auto_fd int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(control, fd);
        else if (errno != EINTR && errno != ECONNABORTED && !atomic_load(&control->stopping))
            sleep(1); /* out of descriptors: don't spin */
    }
    return NULL;
}

int control_start(const char *dir, control_answer_fn answer, void *arg,
                  struct control **ret_control, struct err *err)
{
    struct sockaddr_un at;
    if (make_address(dir, &at, err) < 0)
        return -1;
    auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(at.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0)
        return err_io(err, errno, "can't listen on %s", at.sun_path);
    struct control *control = calloc(1, sizeof(*control));
    if (!control)
        return err_nomem(err);
    control->answer = answer;
    control->arg = arg;
    control->fd = fd;
    control->path = strdup(at.sun_path);
    int rc = control->path ? pthread_create(&control->thread, NULL, control_main, control) : ENOMEM;
    if (rc != 0) {
        free(control->path);
        free(control);
        return err_io(err, rc, "can't start the control thread");
    }
    (void)steal_fd(&fd);
    *ret_control = control;
    return 0;
}

void control_stop(struct control *control)
{
    if (!control)
        return;
    atomic_store(&control->stopping, true);
    shutdown(control->fd, SHUT_RDWR);
    pthread_join(control->thread, NULL);
    close(control->fd);
    unlink(control->path);
    free(control->path);
    free(control);
}

int control_request(const char *dir, const char *request, char **ret_answer, struct err *err)
{
    struct sockaddr_un to;
    auto_strbuf struct strbuf line = {0};
    auto_strbuf struct strbuf answer = {0};
    if (make_address(dir, &to, err) < 0)
        return -1;
    auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_io(err, errno, "can't make a socket");
    set_deadline(fd);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        return err_set(err, ERR_NOT_FOUND, "no_daemon", "no paneld listens on %s", to.sun_path);
    strbuf_fmt(&line, "%s\n", request);
    if (line.failed)
        return err_nomem(err);
    if (send_text(fd, &line) < 0 || read_line(fd, ANSWER_MAX, &answer) < 0)
        return err_set(err, ERR_TIMEOUT, "no_answer", "the running paneld did not answer");
    *ret_answer = strbuf_steal(&answer);
    return *ret_answer ? 0 : err_nomem(err);
}
