/* What the files of this room share; nobody else includes it.
 *
 * A request belongs to two at once: to libmicrohttpd, until it says that the request is completed,
 * and, once deferred, to whoever will answer it. refs counts them; the last one frees it. Which of
 * answer and deadline comes first is settled by one compare-and-swap on state, and only the winner
 * touches the connection: it resumes it, exactly once. */
#ifndef PANEL_HTTP_INTERNAL_H
#define PANEL_HTTP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/shared.h"
#include "common/strbuf.h"
#include "panel/http/http.h"
#include "panel/http/uri.h"

struct MHD_Connection;
struct sockaddr;

#define HTTP_HEADERS_MAX 64
#define HTTP_HEADERS_FEW                                                                           \
    16 /* that a request has room for in itself: malloc() is quick up to 1 KiB */

enum req_state {
    REQ_OPEN,
    REQ_ANSWERED, /* by the app */
    REQ_EXPIRED,  /* its deadline passed first */
};

struct http_header {
    const char *name;
    const char *value;
};

/* A header of the answer. */
struct http_extra {
    struct http_extra *next;
    char *value;
    char name[]; /* NUL, then the value */
};

/* One TCP connection, as the sweeper sees it. */
struct http_conn {
    struct http_conn *prev, *next;
    int fd;
    int64_t accepted;         /* monotonic ms */
    bool cut;                 /* shut down already; sweeper's lock */
    _Atomic bool known;       /* a request of somebody with a key is under way */
    _Atomic bool used;        /* such a one was, since its place in the list was last looked at */
    bool linger;              /* its client may still be sending what was refused; pool thread */
    struct http_req *waiting; /* deferred request on it; sweeper's lock */
    _Atomic int64_t deadline; /* monotonic ms */
};

struct sweeper {
    pthread_mutex_t lock;
    pthread_cond_t poked;
    pthread_t thread;
    bool ending;
    bool expiring;                  /* everything deferred ends at once */
    struct http_conn *conns, *last; /* newest first */
    size_t count;
    size_t room;              /* past it, a newcomer costs somebody else the connection */
    _Atomic int64_t next_due; /* what the thread sleeps until */
};

int sweeper_start(struct sweeper *sweeper, size_t room, struct err *err);
void sweeper_stop(struct sweeper *sweeper);
void sweeper_add(struct sweeper *sweeper, struct http_conn *conn, int64_t deadline);
void sweeper_remove(struct sweeper *sweeper, struct http_conn *conn);
/* Has its client closed it, with nothing more to be read? libmicrohttpd doesn't see an end that
 * came in one packet with what it has read, and would keep such a connection until its time is up.
 */
bool sweeper_has_hung_up(const struct http_conn *conn);
/* Move the connection's deadline; from the thread that works on it. Takes no lock as a rule. */
void sweeper_set(struct sweeper *sweeper, struct http_conn *conn, int64_t deadline);
/* The request is suspended; the sweeper will call request_expire() on it at its deadline. */
void sweeper_wait(struct sweeper *sweeper, struct http_conn *conn, struct http_req *req,
                  int64_t deadline);
/* It is answered: no more to be expired. */
void sweeper_unwait(struct sweeper *sweeper, struct http_conn *conn);
/* Expire all that wait, and all that will. */
void sweeper_expire_all(struct sweeper *sweeper);

#define LINGER_SOCKETS 64

struct linger_thread {
    pthread_mutex_t lock;
    pthread_t thread;
    int wake[2]; /* a pipe */
    bool ending;
    size_t count;
    struct lingering {
        int fd;
        int64_t until;
        size_t taken;
    } sockets[LINGER_SOCKETS]; /* oldest first */
};

int linger_start(struct linger_thread *linger, struct err *err);
void linger_stop(struct linger_thread *linger);
/* Keep a duplicate of fd open for a while, and throw away what comes. */
void linger_add(struct linger_thread *linger, int fd);

struct http_req {
    _Atomic int refs;
    _Atomic int state; /* enum req_state */
    struct http_server *server;
    struct MHD_Connection *connection;
    struct http_conn *conn;
    int64_t started; /* monotonic ms */
    int64_t started_us;

    /* how far libmicrohttpd's side has come; the pool thread's alone */
    bool begun;
    bool handled;
    bool deferred;
    bool overflow;
    bool chunked;

    enum http_method method;
    struct http_verdict verdict;
    struct uri uri;
    const char *bad_uri; /* what is wrong with it */
    const char *raw_uri; /* libmicrohttpd's buffer */
    size_t raw_uri_len;
    char id[HTTP_REQUEST_ID_SIZE];

    struct strbuf body;
    uint64_t received;

    /* the answer; written by whoever answers, before state moves */
    int status;
    struct shared *answer;
    size_t sending; /* bytes on their way */
    struct http_extra *extras;
    bool extras_failed;
    const char *type;           /* NULL: JSON */
    struct http_stream *stream; /* in the place of answer */

    void *kept;
    void (*kept_free)(void *data);

    size_t header_count;
    struct http_header *headers; /* few, or an array of HTTP_HEADERS_MAX */
    struct http_header few[HTTP_HEADERS_FEW];
    char scratch[]; /* the decoded URI */
};

/* A body that is made while it is sent. Referenced by libmicrohttpd's answer and by whoever wakes
 * it. waiting, under the lock, says that its connection is suspended: whoever clears it resumes. */
struct http_stream {
    _Atomic int refs;
    pthread_mutex_t lock;
    bool woken;   /* since read() last began */
    bool waiting; /* the connection is suspended */
    bool over;    /* the connection is gone */
    struct http_server *server;
    struct http_conn *conn;
    struct MHD_Connection *connection;
    struct http_stream *prev, *next; /* among the server's; its lock */
    struct http_source source;
};

/* A non-blocking listener on an IP literal; port 0: the system picks. */
int listener_open(const char *address, uint16_t port, uint16_t *ret_port, struct err *err);

struct http_req *request_create(struct http_server *server, const char *raw_uri);
void request_unref(struct http_req *req);
/* Borrows both. At most HTTP_HEADERS_MAX times; false without memory. */
bool request_add_header(struct http_req *req, const char *name, const char *value);
/* Its deadline passed: take the answer away from the app, if it has not answered. Any thread. */
void request_expire(struct http_req *req);
/* A client's X-Request-Id, or one of ours where it is none that may be echoed. */
void request_name(struct http_req *req);

/* server.c, for it alone may know libmicrohttpd */
void server_suspend(struct http_req *req);
void server_resume(struct http_req *req);
/* stream.c: libmicrohttpd wants more, has let go */
int stream_read(struct http_stream *stream, char *to, size_t max);
void stream_close(struct http_stream *stream);

bool server_is_stopping(const struct http_server *server);
void server_resume_stream(struct http_stream *stream);
void server_suspend_stream(struct http_stream *stream);
bool server_is_tls(const struct http_server *server);
/* Its address as a struct sockaddr; NULL when it isn't known. */
const struct sockaddr *server_peer(const struct http_req *req);
const struct http_proxies *server_proxies(const struct http_server *server);
bool server_is_loopback(const struct http_req *req);
struct sweeper *server_sweeper(struct http_server *server);

#endif
