/* Lingering close: a refused request's sender is listened to until it stops. See internal.h.
 *
 * Bytes that arrive at a closed socket make the kernel send a reset, which destroys an answer that
 * the client hasn't read yet; a client that is told 413 in the middle of its body would only see a
 * broken pipe. So the socket of such a request lives on, as a duplicate, in this thread, which
 * throws away what comes until the client closes, or for LINGER_MS, or LINGER_BYTES.
 *
 * Any thread may add; the thread sleeps while there is nothing. Past LINGER_SOCKETS the oldest
 * makes room: this is a courtesy, never a duty. */
#include "panel/http/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define LINGER_MS    2000
#define LINGER_BYTES (16u * 1024u * 1024u)

static void close_at(struct linger_thread *linger, size_t i)
{
    close(linger->sockets[i].fd);
    linger->count--;
    for (; i < linger->count; i++)
        linger->sockets[i] = linger->sockets[i + 1];
}

/* Throw away what has come; false when the socket is done. */
static bool drain(struct lingering *socket)
{
    char junk[16384];
    for (;;) {
        ssize_t got = recv(socket->fd, junk, sizeof(junk), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (got <= 0)
            return false;
        socket->taken += (size_t)got;
        if (socket->taken > LINGER_BYTES)
            return false;
    }
}

static void *linger_main(void *arg)
{
    struct linger_thread *linger = arg;
    struct pollfd polled[LINGER_SOCKETS + 1];
    pthread_mutex_lock(&linger->lock);
    while (!linger->ending) {
        size_t count = linger->count;
        polled[0] = (struct pollfd){.fd = linger->wake[0], .events = POLLIN};
        for (size_t i = 0; i < count; i++)
            polled[i + 1] = (struct pollfd){.fd = linger->sockets[i].fd, .events = POLLIN};
        int64_t wait = count ? linger->sockets[0].until - clock_mono_ms() : -1;
        pthread_mutex_unlock(&linger->lock);
        poll(polled, count + 1, count && wait < 0 ? 0 : (int)wait);
        char woken[64];
        if (polled[0].revents && read(linger->wake[0], woken, sizeof(woken)) < 0)
            polled[0].revents = 0;
        pthread_mutex_lock(&linger->lock);
        int64_t now = clock_mono_ms();
        for (size_t i = linger->count; i-- > 0;) {
            if (!drain(&linger->sockets[i]) || linger->sockets[i].until <= now)
                close_at(linger, i);
        }
    }
    while (linger->count)
        close_at(linger, 0);
    pthread_mutex_unlock(&linger->lock);
    return NULL;
}

int linger_start(struct linger_thread *linger, struct err *err)
{
    *linger = (struct linger_thread){0};
    if (pipe2(linger->wake, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_io(err, errno, "can't make a pipe");
    pthread_mutex_init(&linger->lock, NULL);
    int rc = pthread_create(&linger->thread, NULL, linger_main, linger);
    if (rc) {
        pthread_mutex_destroy(&linger->lock);
        close(linger->wake[0]);
        close(linger->wake[1]);
        return err_io(err, rc, "can't start the lingering thread");
    }
    pthread_setname_np(linger->thread, "http-linger");
    return 0;
}

static void wake(struct linger_thread *linger)
{
    ssize_t ignored = write(linger->wake[1], "w", 1); /* a full pipe wakes as well */
    (void)ignored;
}

void linger_stop(struct linger_thread *linger)
{
    pthread_mutex_lock(&linger->lock);
    linger->ending = true;
    pthread_mutex_unlock(&linger->lock);
    wake(linger);
    pthread_join(linger->thread, NULL);
    pthread_mutex_destroy(&linger->lock);
    close(linger->wake[0]);
    close(linger->wake[1]);
}

void linger_add(struct linger_thread *linger, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return;
    shutdown(copy, SHUT_WR); /* the answer has gone out; the client may see its end */
    pthread_mutex_lock(&linger->lock);
    if (linger->count == LINGER_SOCKETS)
        close_at(linger, 0);
    linger->sockets[linger->count++] =
        (struct lingering){.fd = copy, .until = clock_mono_ms() + LINGER_MS};
    pthread_mutex_unlock(&linger->lock);
    wake(linger);
}
