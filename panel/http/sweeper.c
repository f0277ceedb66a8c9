/* Deadlines of connections and of deferred requests. See internal.h.
 *
 * libmicrohttpd only knows inactivity, so a client that drips a byte a second would stay for ever,
 * and a suspended request has no timeout at all. One thread walks the connections when the next
 * deadline is due: it shuts down the socket of one that is late with a head, a body or its reading,
 * and expires a deferred request. It sleeps while nothing is due.
 *
 * Pool threads move deadlines by an atomic store: on the hot path no lock is taken. They wake the
 * thread only when a deadline lies before what it sleeps until. The walk first sets next_due to
 * "never", so a deadline stored during the walk is either seen by it or wakes it again.
 *
 * A connection is in the list from its start until just before its descriptor is closed, so
 * shutdown() never meets a descriptor that has become another's. */
#include "panel/http/internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "common/clock.h"

#define WALK_EVERY_MS 100 /* no two walks closer than that */
#define VICTIMS       64

static void cut(struct http_conn *conn)
{
    if (conn->cut)
        return;
    conn->cut = true;
    atomic_store(&conn->deadline, INT64_MAX);
    shutdown(conn->fd, SHUT_RDWR);
}

/* One walk with the lock held. Fills victims with deferred requests to expire, a reference each;
 * returns when the next walk is due. */
static int64_t walk(struct sweeper *sweeper, int64_t now, struct http_req **victims, size_t *count)
{
    int64_t next = INT64_MAX;
    for (struct http_conn *conn = sweeper->conns; conn; conn = conn->next) {
        int64_t due = atomic_load(&conn->deadline);
        if (conn->waiting) {
            if (due > now && !sweeper->expiring) {
                next = due < next ? due : next;
            } else if (*count == VICTIMS) {
                next = now; /* the rest at once after these */
            } else {
                atomic_fetch_add(&conn->waiting->refs, 1);
                victims[(*count)++] = conn->waiting;
                conn->waiting = NULL;
                atomic_store(&conn->deadline, INT64_MAX);
            }
        } else if (due <= now) {
            cut(conn);
        } else if (due < next) {
            next = due;
        }
    }
    return next;
}

static void sleep_until(struct sweeper *sweeper, int64_t due)
{
    if (due == INT64_MAX) {
        pthread_cond_wait(&sweeper->poked, &sweeper->lock);
        return;
    }
    struct timespec ts = {.tv_sec = due / 1000, .tv_nsec = due % 1000 * 1000000};
    pthread_cond_timedwait(&sweeper->poked, &sweeper->lock, &ts);
}

static void *sweeper_main(void *arg)
{
    struct sweeper *sweeper = arg;
    pthread_mutex_lock(&sweeper->lock);
    while (!sweeper->ending) {
        struct http_req *victims[VICTIMS];
        size_t count = 0;
        atomic_store(&sweeper->next_due, INT64_MAX);
        int64_t now = clock_mono_ms();
        int64_t next = walk(sweeper, now, victims, &count);
        if (count) { /* resumed without our lock, so that no lock is taken inside another */
            pthread_mutex_unlock(&sweeper->lock);
            for (size_t i = 0; i < count; i++) {
                request_expire(victims[i]);
                request_unref(victims[i]);
            }
            pthread_mutex_lock(&sweeper->lock);
            continue;
        }
        if (next != INT64_MAX && next < now + WALK_EVERY_MS)
            next = now + WALK_EVERY_MS;
        atomic_store(&sweeper->next_due, next);
        while (!sweeper->ending) {
            int64_t due = atomic_load(&sweeper->next_due);
            if (clock_mono_ms() >= due)
                break;
            sleep_until(sweeper, due);
        }
    }
    pthread_mutex_unlock(&sweeper->lock);
    return NULL;
}

/* With the lock held. */
static void wake_by(struct sweeper *sweeper, int64_t deadline)
{
    if (deadline < atomic_load(&sweeper->next_due)) {
        atomic_store(&sweeper->next_due, deadline);
        pthread_cond_signal(&sweeper->poked);
    }
}

int sweeper_start(struct sweeper *sweeper, struct err *err)
{
    *sweeper = (struct sweeper){0};
    atomic_init(&sweeper->next_due, INT64_MAX);
    pthread_mutex_init(&sweeper->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&sweeper->poked, &attr);
    pthread_condattr_destroy(&attr);
    int rc = pthread_create(&sweeper->thread, NULL, sweeper_main, sweeper);
    if (rc) {
        pthread_cond_destroy(&sweeper->poked);
        pthread_mutex_destroy(&sweeper->lock);
        return err_io(err, rc, "can't start the deadline thread");
    }
    pthread_setname_np(sweeper->thread, "http-deadlines");
    return 0;
}

void sweeper_stop(struct sweeper *sweeper)
{
    pthread_mutex_lock(&sweeper->lock);
    sweeper->ending = true;
    pthread_cond_signal(&sweeper->poked);
    pthread_mutex_unlock(&sweeper->lock);
    pthread_join(sweeper->thread, NULL);
    pthread_cond_destroy(&sweeper->poked);
    pthread_mutex_destroy(&sweeper->lock);
}

void sweeper_add(struct sweeper *sweeper, struct http_conn *conn, int64_t deadline)
{
    atomic_init(&conn->deadline, deadline);
    pthread_mutex_lock(&sweeper->lock);
    conn->prev = NULL;
    conn->next = sweeper->conns;
    if (conn->next)
        conn->next->prev = conn;
    sweeper->conns = conn;
    wake_by(sweeper, deadline);
    pthread_mutex_unlock(&sweeper->lock);
}

void sweeper_remove(struct sweeper *sweeper, struct http_conn *conn)
{
    pthread_mutex_lock(&sweeper->lock);
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        sweeper->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    pthread_mutex_unlock(&sweeper->lock);
}

void sweeper_set(struct sweeper *sweeper, struct http_conn *conn, int64_t deadline)
{
    atomic_store(&conn->deadline, deadline);
    if (deadline >= atomic_load(&sweeper->next_due))
        return;
    pthread_mutex_lock(&sweeper->lock);
    wake_by(sweeper, deadline);
    pthread_mutex_unlock(&sweeper->lock);
}

void sweeper_wait(struct sweeper *sweeper, struct http_conn *conn, struct http_req *req,
                  int64_t deadline)
{
    pthread_mutex_lock(&sweeper->lock);
    conn->waiting = req;
    atomic_store(&conn->deadline, deadline);
    wake_by(sweeper, sweeper->expiring ? 0 : deadline);
    pthread_mutex_unlock(&sweeper->lock);
}

void sweeper_unwait(struct sweeper *sweeper, struct http_conn *conn)
{
    pthread_mutex_lock(&sweeper->lock);
    conn->waiting = NULL;
    atomic_store(&conn->deadline, INT64_MAX); /* whoever sends the answer sets the next */
    pthread_mutex_unlock(&sweeper->lock);
}

void sweeper_expire_all(struct sweeper *sweeper)
{
    pthread_mutex_lock(&sweeper->lock);
    sweeper->expiring = true;
    wake_by(sweeper, 0);
    pthread_mutex_unlock(&sweeper->lock);
}
