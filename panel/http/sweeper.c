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
 * When connections run short, some are cut that carry no request of somebody with a key: by and
 * large those that have been silent for longest. So neither one client nor thousands can take all
 * the room with words that cost nothing, behind a proxy or not.
 *
 * A connection is in the list from its start until just before its descriptor is closed, so
 * shutdown() never meets a descriptor that has become another's. */
#include "panel/http/internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "common/clock.h"
#include "panel/metrics/metrics.h"

#define WALK_EVERY_MS 100 /* no two walks closer than that */
#define VICTIMS       64
#define GRACE_MS      100

static void cut(struct http_conn *conn)
{
    if (conn->cut)
        return;
    conn->cut = true;
    atomic_store(&conn->deadline, INT64_MAX);
    shutdown(conn->fd, SHUT_RDWR);
}

static void link_first(struct sweeper *sweeper, struct http_conn *conn)
{
    conn->prev = NULL;
    conn->next = sweeper->conns;
    if (conn->next)
        conn->next->prev = conn;
    else
        sweeper->last = conn;
    sweeper->conns = conn;
}

static void unlink_conn(struct sweeper *sweeper, struct http_conn *conn)
{
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        sweeper->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    else
        sweeper->last = conn->prev;
}

bool sweeper_has_hung_up(const struct http_conn *conn)
{
    char byte;
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static bool may_be_cut(struct http_conn *conn, int64_t now)
{
    if (!conn->waiting && sweeper_has_hung_up(conn))
        return true;
    bool used = atomic_exchange(&conn->used, false);
    return !used && !atomic_load(&conn->known) && conn->accepted + GRACE_MS <= now;
}

/* Cut some from the list's end, where a used one gets a second chance. What was accepted just now
 * stays, so that whoever asks at once is heard. True when more are to be cut soon. */
static bool make_room(struct sweeper *sweeper, int64_t now)
{
    if (sweeper->count <= sweeper->room)
        return false;
    size_t wanted = sweeper->count - sweeper->room + sweeper->room / 8;
    for (size_t looks = sweeper->count; looks && wanted; looks--) {
        struct http_conn *conn = sweeper->last;
        if (conn->cut || may_be_cut(conn, now)) { /* or is on its way out already */
            metric_add(METRIC_CONNECTIONS_CUT, conn->cut ? 0 : 1);
            cut(conn);
            wanted--;
        }
        unlink_conn(sweeper, conn);
        link_first(sweeper, conn);
    }
    return true;
}

/* One walk with the lock held. Fills victims with deferred requests to expire, a reference each;
 * returns when the next walk is due. */
static int64_t walk(struct sweeper *sweeper, int64_t now, struct http_req **victims, size_t *count)
{
    int64_t next = make_room(sweeper, now) ? now : INT64_MAX;
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

int sweeper_start(struct sweeper *sweeper, size_t room, struct err *err)
{
    *sweeper = (struct sweeper){.room = room};
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
    conn->accepted = clock_mono_ms();
    link_first(sweeper, conn);
    wake_by(sweeper, ++sweeper->count > sweeper->room ? conn->accepted : deadline);
    pthread_mutex_unlock(&sweeper->lock);
}

void sweeper_remove(struct sweeper *sweeper, struct http_conn *conn)
{
    pthread_mutex_lock(&sweeper->lock);
    sweeper->count--;
    unlink_conn(sweeper, conn);
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
