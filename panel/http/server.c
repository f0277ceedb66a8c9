/* libmicrohttpd behind the face of http.h; the only file that includes it.
 *
 * Invariant: nothing of a request is believed before its whole head has passed the guard, and every
 * request that got that far is answered in JSON. All callbacks run on a pool thread and don't
 * block.
 *
 * One request: on_uri() when its first line is there; on_request() once for the head (guard, admit;
 * a refusal is answered here and the connection closed when a body is still to come), again for
 * pieces of the body, and at last for the answer: the handler runs, and either has answered when it
 * returns or has deferred; then the connection is suspended and on_request() comes again after
 * server_resume(). on_completed() lets go of it.
 *
 * What libmicrohttpd answers by itself can't be changed here, is HTML, and closes the connection: a
 * request line or head beyond HEAD_MEMORY, a version that isn't HTTP/1.x, a header line without a
 * colon, a Content-Length that isn't a number, broken chunks. In chunk framing it takes a bare LF,
 * and a CR or NUL in what is behind a chunk's size. A proxy may see another end of such a body than
 * we do, so a body in chunks is the last thing its connection is read for. */
#include "panel/http/internal.h"

#include <arpa/inet.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "common/auto.h"
#include "common/clock.h"
#include "panel/http/guard.h"
#include "panel/http/tls.h"
#include "panel/metrics/metrics.h"

#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define HEAD_MEMORY                                                                                \
    (36u * 1024u)             /* a connection's buffer for its head; past 32 K it is a mapping     \
                               * of its own, which goes back to the system with it */
#define OVERFLOW_MAX    16u   /* times max_body that is read and thrown away */
#define SEND_BASE_MS    30000 /* for an answer to be read by its client, and … */
#define SEND_RATE       16u   /* … a millisecond more for so many bytes */
#define STREAM_END_MS   500   /* for one whose client doesn't read */
#define STREAM_STALL_MS 60000
#define STREAM_BLOCK    16384u
#define SENDING_MAX     (256u * 1024u * 1024u) /* bytes of answers on their way, all together … */
#define SENDING_SMALL   (64u * 1024u) /* … past which larger ones than this are refused */

struct http_server {
    struct http_app app;
    struct http_settings settings;
    struct MHD_Daemon *daemon;
    struct sweeper sweeper;
    struct linger_thread linger;
    int listener;
    uint16_t port;
    bool tls;
    bool lines_visible; /* see guard.c */
    _Atomic bool stopping;
    _Atomic bool closing;   /* no handler may begin */
    _Atomic size_t active;  /* requests whose head is complete */
    _Atomic size_t held;    /* requests in a handler, or deferred and not yet resumed */
    _Atomic size_t sending; /* bytes of answers that libmicrohttpd has */
    pthread_mutex_t streams_lock;
    struct http_stream *streams; /* that are being sent */
};

/* --- answering ------------------------------------------------------------------------------- */

static bool add_headers(struct http_req *req, struct MHD_Response *response, int status, bool close)
{
    bool ok = true;
    const char *type = "application/json; charset=utf-8";
    if (req->type && atomic_load(&req->state) == REQ_ANSWERED)
        type = req->type;
    if (status != 204 && status != 304)
        ok &= MHD_add_response_header(response, "Content-Type", type) == MHD_YES;
    ok &= MHD_add_response_header(response, "X-Request-Id", req->id) == MHD_YES;
    ok &= MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES;
    ok &= MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES;
    if (status == 503)
        ok &= MHD_add_response_header(response, "Retry-After", "1") == MHD_YES;
    if (close)
        ok &= MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    return ok;
}

static void let_go(void *body)
{
    shared_unref(body);
}

static bool add_extras(struct http_req *req, struct MHD_Response *response)
{
    bool ok = true;
    for (struct http_extra *extra = req->extras; extra; extra = extra->next)
        ok &= MHD_add_response_header(response, extra->name, extra->value) == MHD_YES;
    return ok;
}

/* Its answer is on its way, now, which is the monotonic clock's. */
static void count_answer(const struct http_req *req, int status, int64_t now_us)
{
    int64_t took = now_us - req->started_us;
    metric_request(req->verdict.metric, status, took > 0 ? (uint64_t)took : 0);
}

/* Send take_body; NULL: an empty one. */
static enum MHD_Result send_answer(struct http_req *req, int status, struct shared *take_body,
                                   bool close)
{
    size_t len = take_body ? shared_len(take_body) : 0;
    struct MHD_Response *response =
        len ? MHD_create_response_from_buffer_with_free_callback_cls(
                  len, (void *)(uintptr_t)shared_data(take_body), let_go, take_body)
            : MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (!response || !len)
        shared_unref(take_body);
    if (!response)
        return MHD_NO;
    enum MHD_Result sent = MHD_NO;
    bool ok = add_headers(req, response, status, close || req->chunked);
    if (atomic_load(&req->state) != REQ_EXPIRED)
        ok &= add_extras(req, response);
    if (ok)
        sent = MHD_queue_response(req->connection, (unsigned)status, response);
    MHD_destroy_response(response);
    req->sending = len;
    atomic_fetch_add(&req->server->sending, len);
    int64_t now_us = clock_mono_us();
    sweeper_set(&req->server->sweeper, req->conn,
                now_us / 1000 + SEND_BASE_MS + (int64_t)(len / SEND_RATE));
    count_answer(req, status, now_us);
    return sent;
}

/* --- streams --------------------------------------------------------------------------------- */

/* Each time that its client has taken what there was, it has so long to take the next. */
static void set_stream_deadline(struct http_stream *stream)
{
    sweeper_set(&stream->server->sweeper, stream->conn, clock_mono_ms() + STREAM_STALL_MS);
}

static ssize_t read_stream(void *arg, uint64_t at, char *to, size_t max)
{
    (void)at;
    struct http_stream *stream = arg;
    set_stream_deadline(stream);
    int len = stream_read(stream, to, max < INT_MAX ? max : INT_MAX);
    return len == HTTP_STREAM_END ? MHD_CONTENT_READER_END_OF_STREAM : len;
}

static void free_stream(void *arg)
{
    struct http_stream *stream = arg;
    struct http_server *server = stream->server;
    pthread_mutex_lock(&server->streams_lock);
    DL_DELETE(server->streams, stream);
    pthread_mutex_unlock(&server->streams_lock);
    metric_add(METRIC_STREAMS, -1);
    stream_close(stream);
}

void server_suspend_stream(struct http_stream *stream)
{
    MHD_suspend_connection(stream->connection);
}

bool server_is_stopping(const struct http_server *server)
{
    return atomic_load(&server->stopping);
}

void server_resume_stream(struct http_stream *stream)
{
    MHD_resume_connection(stream->connection);
}

static enum MHD_Result send_stream(struct http_req *req)
{
    struct http_stream *stream = steal_ptr(req->stream);
    struct http_server *server = req->server;
    pthread_mutex_lock(&server->streams_lock);
    DL_APPEND(server->streams, stream);
    pthread_mutex_unlock(&server->streams_lock);
    metric_add(METRIC_STREAMS, 1);
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, stream, free_stream);
    if (!response) {
        free_stream(stream);
        return MHD_NO;
    }
    enum MHD_Result sent = MHD_NO;
    if (add_headers(req, response, req->status, false) && add_extras(req, response))
        sent = MHD_queue_response(req->connection, (unsigned)req->status, response);
    MHD_destroy_response(response);
    count_answer(req, req->status, clock_mono_us());
    return sent;
}

/* They end: who follows comes back, to whoever is here then. */
static void end_streams(struct http_server *server)
{
    struct http_stream *stream;
    pthread_mutex_lock(&server->streams_lock);
    DL_FOREACH(server->streams, stream)
    {
        http_stream_wake(stream);
        sweeper_set(&server->sweeper, stream->conn, clock_mono_ms() + STREAM_END_MS);
    }
    pthread_mutex_unlock(&server->streams_lock);
}

/* --- errors and the app's answers ------------------------------------------------------------ */

/* NULL without memory. */
static struct shared *take_text(struct strbuf *from)
{
    size_t len = from->len;
    char *text = strbuf_steal(from);
    return text ? shared_create(text, len) : NULL;
}

/* An error that this room found. */
static enum MHD_Result send_error(struct http_req *req, int status, const char *code,
                                  const char *sentence, bool close)
{
    struct strbuf body = {0};
    req->server->app.describe(req->server->app.arg, req, status, code, sentence, &body);
    return send_answer(req, status, take_text(&body), close);
}

static enum MHD_Result send_app_answer(struct http_req *req)
{
    if (atomic_load(&req->state) == REQ_EXPIRED)
        return send_error(req, 503, "timeout",
                          "The panel did not finish this in time; it may still happen.", false);
    if (req->stream)
        return send_stream(req);
    int status = req->status;
    bool wants_body = status != 204 && status != 304;
    if (req->extras_failed || (wants_body && !req->answer))
        return send_error(req, 500, "internal_error", "The panel is out of memory.", false);
    struct shared *body = wants_body ? steal_ptr(req->answer) : NULL;
    if (body && shared_len(body) > SENDING_SMALL &&
        atomic_load(&req->server->sending) > SENDING_MAX) {
        shared_unref(body);
        return send_error(req, 503, "busy", "Too much is being sent at once; try again soon.",
                          false);
    }
    return send_answer(req, status, body, atomic_load(&req->server->stopping));
}

/* --- the head -------------------------------------------------------------------------------- */

static enum http_method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum http_method method;
    } known[] = {
        {"GET", HTTP_GET},   {"HEAD", HTTP_GET}, /* the body is left off when sending */
        {"POST", HTTP_POST}, {"DELETE", HTTP_DELETE}, {"PATCH", HTTP_PATCH}, {"PUT", HTTP_PUT},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(name, known[i].name) == 0)
            return known[i].method;
    }
    return HTTP_OTHER;
}

struct head_walk {
    struct http_req *req;
    struct guard guard;
    bool no_memory;
};

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    struct head_walk *walk = arg;
    struct http_req *req = walk->req;
    guard_header(&walk->guard, name, name_len, value ? value : "", value_len);
    if (req->header_count == HTTP_HEADERS_MAX) {
        walk->guard.wrong = "The request has too many headers.";
        return MHD_NO;
    }
    walk->no_memory |= !request_add_header(req, name, value ? value : "");
    return walk->no_memory ? MHD_NO : MHD_YES;
}

/* NULL where what lies behind libmicrohttpd's strings can't be told; see guard.c. */
static const char *request_line_end(const struct http_req *req, const char *method,
                                    const char *version, struct guard *guard)
{
    if (!req->server->lines_visible || !req->raw_uri)
        return NULL;
    if (req->raw_uri != method + strlen(method) + 1 ||
        version != req->raw_uri + req->raw_uri_len + 1)
        guard->wrong = "The request line has to be method, URL and version, one space between.";
    return version + strlen(version);
}

static enum MHD_Result refuse(struct http_req *req, int status, const char *code,
                              const char *sentence)
{
    req->handled = true;
    req->conn->linger = true;
    return send_error(req, status, code, sentence, true);
}

static enum MHD_Result refuse_by_app(struct http_req *req, struct strbuf *body, bool more_to_come)
{
    struct shared *text = take_text(body);
    req->handled = true;
    if (!more_to_come) { /* an answer this early would end the connection: send it at the end */
        req->status = req->verdict.refuse_status;
        req->answer = text;
        atomic_store(&req->state, REQ_ANSWERED);
        return MHD_YES;
    }
    req->conn->linger = true;
    return send_answer(req, req->verdict.refuse_status, text, true);
}

/* A NUL at the end of the last header looks like the line ends behind it, but libmicrohttpd knows
 * where it stopped reading. */
static bool head_ends_at(const struct http_req *req, const char *method, const char *head_end)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return !head_end || (info && head_end == method + info->header_size);
}

static enum MHD_Result begin(struct http_req *req, const char *method, const char *version)
{
    struct http_server *server = req->server;
    bool http_1_1 = strcmp(version, "HTTP/1.0") != 0;
    struct head_walk walk = {.req = req};
    const char *wrong_line = NULL;
    struct guard line = {0};
    guard_init(&walk.guard, request_line_end(req, method, version, &line));
    wrong_line = line.wrong;
    MHD_get_connection_values_n(req->connection, MHD_HEADER_KIND, on_header, &walk);
    guard_end(&walk.guard, http_1_1);
    request_name(req);
    req->method = method_of(method);
    if (!walk.guard.wrong && !head_ends_at(req, method, walk.guard.head_end))
        walk.guard.wrong = "The head of the request holds a NUL.";
    if (!guard_is_token(method, strlen(method)))
        wrong_line = "The method has a character that may not be there.";
    req->chunked = walk.guard.chunked;

    if (walk.no_memory)
        return refuse(req, 503, "busy", "The panel is short of memory; try again.");
    if (wrong_line)
        return refuse(req, 400, "bad_request", wrong_line);
    if (walk.guard.wrong)
        return refuse(req, 400, "bad_request", walk.guard.wrong);
    if (req->bad_uri)
        return refuse(req, 400, "bad_request", req->bad_uri);
    if (atomic_load_explicit(&server->stopping, memory_order_relaxed))
        return refuse(req, 503, "shutting_down", "The panel is shutting down; try again soon.");

    struct strbuf body = {0};
    bool more_to_come = walk.guard.chunked || walk.guard.length > 0;
    server->app.admit(server->app.arg, req, &req->verdict, &body);
    if (req->verdict.refuse_status)
        return refuse_by_app(req, &body, more_to_come);
    strbuf_fini(&body);
    atomic_store(&req->conn->used, req->verdict.known);
    atomic_store(&req->conn->known, req->verdict.known);
    if (walk.guard.length > req->verdict.max_body)
        return refuse(req, 413, "body_too_large", "The body is larger than this request may have.");
    if (more_to_come)
        sweeper_set(&server->sweeper, req->conn, req->started + server->settings.body_timeout_ms);
    return MHD_YES;
}

/* --- the body and the end -------------------------------------------------------------------- */

static enum MHD_Result take_piece(struct http_req *req, const char *data, size_t *len)
{
    req->received += *len;
    if (req->received > req->verdict.max_body) {
        req->overflow = true;
        strbuf_fini(&req->body);
        if (req->received / OVERFLOW_MAX > req->verdict.max_body)
            return MHD_NO;
    } else if (!req->handled) {
        strbuf_add(&req->body, data, *len);
    }
    *len = 0;
    return MHD_YES;
}

static enum MHD_Result finish(struct http_req *req)
{
    struct http_server *server = req->server;
    if (!req->handled) {
        req->handled = true;
        if (req->overflow)
            return send_error(req, 413, "body_too_large",
                              "The body is larger than this request may have.", true);
        if (req->body.failed)
            return send_error(req, 503, "busy", "The panel is short of memory; try again.", true);
        atomic_fetch_add(&server->held, 1);
        if (atomic_load(&server->closing)) {
            atomic_fetch_sub(&server->held, 1);
            return send_error(req, 503, "shutting_down",
                              "The panel is shutting down; try again soon.", true);
        }
        server->app.handle(server->app.arg, req);
        if (req->deferred)
            return MHD_YES; /* suspended, or on the way back already */
        atomic_fetch_sub(&server->held, 1);
    }
    if (atomic_load(&req->state) == REQ_OPEN)
        return send_error(req, 500, "internal_error", "The panel has no answer to this.", false);
    return send_app_answer(req);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **context)
{
    (void)arg;
    (void)connection;
    (void)url;
    struct http_req *req = *context;
    if (!req || !req->conn)
        return MHD_NO;
    if (!req->begun) {
        req->begun = true;
        atomic_fetch_add_explicit(&req->server->active, 1, memory_order_relaxed);
        metric_add(METRIC_REQUESTS_IN_FLIGHT, 1);
        return begin(req, method, version);
    }
    return *data_len ? take_piece(req, data, data_len) : finish(req);
}

/* --- connections ----------------------------------------------------------------------------- */

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = arg;
    struct http_req *req = request_create(server, uri);
    if (!req)
        return NULL;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    req->connection = connection;
    req->conn = info ? info->socket_context : NULL;
    req->started_us = clock_mono_us();
    req->started = req->started_us / 1000;
    if (req->conn)
        sweeper_set(&server->sweeper, req->conn, req->started + server->settings.head_timeout_ms);
    return req;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode why)
{
    (void)connection;
    (void)why;
    struct http_server *server = arg;
    struct http_req *req = *context;
    if (!req)
        return;
    *context = NULL;
    atomic_fetch_sub(&server->sending, req->sending);
    if (req->conn) {
        atomic_store(&req->conn->known, false);
        int64_t idle = sweeper_has_hung_up(req->conn) ? 0 : server->settings.idle_timeout_ms;
        sweeper_set(&server->sweeper, req->conn, clock_mono_ms() + idle);
    }
    bool begun = req->begun;
    request_unref(req);
    if (!begun)
        return;
    metric_add(METRIC_REQUESTS_IN_FLIGHT, -1);
    atomic_fetch_sub(&server->active, 1);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = arg;
    struct http_conn *conn = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        conn = info ? calloc(1, sizeof(*conn)) : NULL;
        *context = conn; /* without one its requests are dropped */
        if (!conn)
            return;
        conn->fd = info->connect_fd;
        metric_add(METRIC_CONNECTIONS_ACCEPTED, 1);
        metric_add(METRIC_CONNECTIONS, 1);
        sweeper_add(&server->sweeper, conn, clock_mono_ms() + server->settings.head_timeout_ms);
    } else if (conn) {
        sweeper_remove(&server->sweeper, conn);
        if (conn->linger)
            linger_add(&server->linger, conn->fd);
        free(conn);
        *context = NULL;
        metric_add(METRIC_CONNECTIONS, -1);
    }
}

void server_suspend(struct http_req *req)
{
    MHD_suspend_connection(req->connection);
}

void server_resume(struct http_req *req)
{
    struct http_server *server = req->server;
    MHD_resume_connection(req->connection);
    atomic_fetch_sub(&server->held, 1); /* the server may be gone from here on */
}

bool server_is_tls(const struct http_server *server)
{
    return server->tls;
}

const struct sockaddr *server_peer(const struct http_req *req)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}

const struct http_proxies *server_proxies(const struct http_server *server)
{
    return &server->settings.proxies;
}

bool server_is_loopback(const struct http_req *req)
{
    const struct sockaddr *peer = server_peer(req);
    if (peer && peer->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)peer;
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)peer;
    return v6 && v6->sin6_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) || /* or 127/8 at a socket of both families */
            (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET));
}

struct sweeper *server_sweeper(struct http_server *server)
{
    return &server->sweeper;
}

/* We decode what we need from the raw URI; what libmicrohttpd makes of it is not looked at. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *s)
{
    (void)arg;
    (void)connection;
    return strlen(s);
}

/* --- start and stop -------------------------------------------------------------------------- */

/* MHD_quiesce_daemon() is no way to do this: it and each thread of the pool take the listener out
 * of that thread's epoll, and whoever comes second aborts the process (libmicrohttpd 0.9.75). */
static enum MHD_Result may_come(void *arg, const struct sockaddr *from, socklen_t len)
{
    (void)from;
    (void)len;
    const struct http_server *server = arg;
    return atomic_load(&server->stopping) ? MHD_NO : MHD_YES;
}

static struct MHD_Daemon *start_daemon(struct http_server *server, unsigned limit)
{
    const struct http_settings *settings = &server->settings;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = settings->threads ? settings->threads : cores > 0 ? (unsigned)cores : 1;
    struct MHD_OptionItem options[8] = {
        {MHD_OPTION_CONNECTION_LIMIT, limit < threads ? threads : limit, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEAD_MEMORY, NULL},
        {MHD_OPTION_LISTEN_SOCKET, server->listener, NULL},
    };
    size_t count = 3;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    if (server->tls) {
        flags |= MHD_USE_TLS;
        options[count++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, tls_callback()};
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
                                                   (void *)(uintptr_t)TLS_PRIORITIES};
    }
    if (threads > 1) /* a pool of one is no pool */
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, threads, NULL};
    options[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return MHD_start_daemon(
        flags, 0, may_come, server, on_request, server, MHD_OPTION_URI_LOG_CALLBACK, on_uri, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_ARRAY,
        options, MHD_OPTION_END);
}

int http_server_start(const struct http_settings *settings, const struct http_app *app,
                      struct http_server **ret_server, struct err *err)
{
    auto_free struct http_server *server = calloc(1, sizeof(*server));
    if (!server)
        return err_nomem(err);
    server->app = *app;
    server->settings = *settings;
    server->tls = settings->tls;
    pthread_mutex_init(&server->streams_lock, NULL);
    server->lines_visible = strncmp(MHD_get_version(), "0.9.75", 6) == 0;
    auto_fd int listener = listener_open(settings->address, settings->port, &server->port, err);
    if (listener < 0)
        return -1;
    server->listener = listener;
    unsigned limit = settings->max_connections ? settings->max_connections : 1024;
    if (sweeper_start(&server->sweeper, limit - limit / 8, err) < 0)
        return -1;
    if (linger_start(&server->linger, err) < 0) {
        sweeper_stop(&server->sweeper);
        return -1;
    }
    server->daemon = start_daemon(server, limit);
    if (!server->daemon) {
        linger_stop(&server->linger);
        sweeper_stop(&server->sweeper);
        return err_set(err, ERR_INTERNAL, "http_start_failed", "the HTTP server can't be started");
    }
    server->settings.address = NULL; /* the caller's */
    (void)steal_fd(&listener);
    *ret_server = steal_ptr(server);
    return 0;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

static void nap(void)
{
    struct timespec ts = {.tv_nsec = 5 * 1000000};
    nanosleep(&ts, NULL);
}

void http_server_stop(struct http_server *server, uint32_t grace_ms)
{
    if (!server)
        return;
    atomic_store(&server->stopping, true); /* nobody comes in any more */
    end_streams(server);
    int64_t until = clock_mono_ms() + grace_ms;
    while (atomic_load(&server->active) && clock_mono_ms() < until)
        nap();
    /* What still waits is told so now. libmicrohttpd may not be stopped while any connection is
     * suspended, so every handler is out and every deferred request resumed before that. */
    atomic_store(&server->closing, true);
    sweeper_expire_all(&server->sweeper);
    until = clock_mono_ms() + 1000;
    while (atomic_load(&server->held) || (atomic_load(&server->active) && clock_mono_ms() < until))
        nap();
    MHD_stop_daemon(server->daemon);
    linger_stop(&server->linger);
    sweeper_stop(&server->sweeper);
    pthread_mutex_destroy(&server->streams_lock);
    free(server);
}
