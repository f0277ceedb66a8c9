/* The control socket. See control.h.
 *
 * One thread, one connection at a time, each with a deadline; it ends when control_stop() shuts
 * the listening socket down. What is asked is small and rare, so this may block. */
#include "panel/control.h"

#include <errno.h>
#include <jansson.h>
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
#include "common/fs.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "panel/key_command.h"

#define SOCKET_NAME  "control.sock"
#define LINE_MAX_LEN 4096

struct control {
    struct store *store;
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

/* One line without its newline; -1 when none came whole. */
static int read_line(int fd, char *line, size_t size)
{
    size_t len = 0;
    while (len + 1 < size) {
        ssize_t n = recv(fd, line + len, size - 1 - len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        len += (size_t)n;
        char *end = memchr(line, '\n', len);
        if (end) {
            *end = '\0';
            return 0;
        }
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

static int answer(struct control *control, const char *line, struct strbuf *out, struct err *err)
{
    json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    const char *command = json_string_value(json_object_get(root, "command"));
    int rc;
    if (command && strcmp(command, "key.create") == 0) {
        const char *name = json_string_value(json_object_get(root, "name"));
        char key[API_KEY_LEN + 1];
        rc = key_create(control->store, name ? name : "", key, err);
        if (rc == 0) {
            jw_string(out, "key", key);
            log_info("api key created", "by=control");
        }
        crypto_wipe(key, sizeof(key));
    } else {
        rc = err_set(err, ERR_INVALID, "unknown_command", "this paneld doesn't know that command");
    }
    json_decref(root);
    return rc;
}

static void serve(struct control *control, int fd)
{
    char line[LINE_MAX_LEN];
    auto_strbuf struct strbuf out = {0};
    struct err err = {0};
    set_deadline(fd);
    if (read_line(fd, line, sizeof(line)) < 0)
        return;
    jw_object_begin(&out, NULL);
    if (answer(control, line, &out, &err) < 0)
        jw_string(&out, "error", err.msg);
    jw_object_end(&out);
    strbuf_char(&out, '\n');
    if (!out.failed)
        (void)send_text(fd, &out);
    if (out.data)
        crypto_wipe(out.data, out.len);
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

int control_start(const char *dir, struct store *store, struct control **ret_control,
                  struct err *err)
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
    control->store = store;
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

static int exchange(int fd, const char *name, char *out_key, struct err *err)
{
    auto_strbuf struct strbuf request = {0};
    char line[LINE_MAX_LEN];
    jw_object_begin(&request, NULL);
    jw_string(&request, "command", "key.create");
    jw_string(&request, "name", name);
    jw_object_end(&request);
    strbuf_char(&request, '\n');
    if (request.failed)
        return err_nomem(err);
    if (send_text(fd, &request) < 0 || read_line(fd, line, sizeof(line)) < 0)
        return err_set(err, ERR_TIMEOUT, "no_answer", "the running paneld did not answer");
    json_t *root = json_loads(line, 0, NULL);
    const char *key = json_string_value(json_object_get(root, "key"));
    const char *error = json_string_value(json_object_get(root, "error"));
    int rc = 0;
    if (key && strlen(key) == API_KEY_LEN)
        memcpy(out_key, key, API_KEY_LEN + 1);
    else
        rc = err_set(err, ERR_INTERNAL, "refused", "%s",
                     error ? error : "the running paneld gave no key");
    json_decref(root);
    crypto_wipe(line, sizeof(line));
    return rc;
}

int control_request_key(const char *dir, const char *name, char *out_key, struct err *err)
{
    struct sockaddr_un to;
    if (make_address(dir, &to, err) < 0)
        return -1;
    auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_io(err, errno, "can't make a socket");
    set_deadline(fd);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        return err_set(err, ERR_NOT_FOUND, "no_daemon", "no paneld listens on %s", to.sun_path);
    return exchange(fd, name, out_key, err);
}
