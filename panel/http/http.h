/* The HTTP face: libmicrohttpd, its traps, and one request at a time to a handler.
 *
 * This room knows sockets, headers, limits and deadlines; it doesn't know the API. A handler is
 * called when the whole body is there, on one of the pool's threads, and must not block. It
 * answers with http_req_answer(), at once or later from any thread: every request is answered
 * exactly once, and the server gives up on a request past its route's deadline with 503.
 * Only server.c includes microhttpd.h. */
#ifndef PANEL_HTTP_HTTP_H
#define PANEL_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/shared.h"
#include "common/strbuf.h"
#include "panel/http/proxies.h"

struct http_req;
struct http_server;

enum http_method { HTTP_GET, HTTP_POST, HTTP_DELETE, HTTP_PATCH, HTTP_PUT, HTTP_OTHER };

#define HTTP_REQUEST_ID_SIZE 65

/* What the API decides from the head of a request, before its body is read. */
struct http_verdict {
    int refuse_status;    /* 0: go on; else answer this now and close */
    size_t max_body;      /* bytes; more is 413 */
    uint32_t deadline_ms; /* from the end of the body to the answer */
    bool known;           /* who asks has shown a key: its connection isn't cut to make room */
    unsigned metric;      /* what it is counted under; see metric_request() */
};

struct http_app {
    /* Head is complete. When it refuses it has filled body with the answer's JSON. Pool thread. */
    void (*admit)(void *arg, struct http_req *req, struct http_verdict *verdict,
                  struct strbuf *body);
    /* Body is complete. Pool thread. */
    void (*handle)(void *arg, struct http_req *req);
    /* JSON for an error that the server itself found. Any thread. */
    void (*describe)(void *arg, struct http_req *req, int status, const char *code,
                     const char *sentence, struct strbuf *body);
    void *arg;
};

struct http_settings {
    const char *address; /* IP literal */
    uint16_t port;       /* 0: the system picks */
    bool tls;            /* with the pair of tls_use() */
    uint32_t threads;    /* 0: one a core */
    uint32_t max_connections;
    uint32_t head_timeout_ms; /* from the first byte (or accept) to the whole head */
    uint32_t body_timeout_ms; /* from the head to the whole body */
    uint32_t idle_timeout_ms;
    struct http_proxies proxies; /* whose X-Forwarded-For is believed */
};

int http_server_start(const struct http_settings *settings, const struct http_app *app,
                      struct http_server **ret_server, struct err *err);
uint16_t http_server_port(const struct http_server *server);
/* New requests get 503 from now on; waits for those under way up to grace_ms, then ends them. */
void http_server_stop(struct http_server *server, uint32_t grace_ms);

/* --- in admit and handle --------------------------------------------------------------------- */

enum http_method http_req_method(const struct http_req *req);
/* Path of the request line, percent-decoded by us, NUL-free; what can't be decoded was refused. */
const char *http_req_path(const struct http_req *req);
/* One query parameter, decoded; NULL when absent. first of duplicates. */
const char *http_req_query(const struct http_req *req, const char *name);
/* Raw query text after '?', "" when none. */
const char *http_req_query_text(const struct http_req *req);
/* A header, the first of duplicates; NULL when absent. Not after the request was answered or its
 * deadline has passed: what is needed later is to be copied. */
const char *http_req_header(const struct http_req *req, const char *name);
const char *http_req_id(const struct http_req *req);
const char *http_req_body(const struct http_req *req, size_t *ret_len);
/* Milliseconds since its head was complete. */
int64_t http_req_age_ms(const struct http_req *req);
/* Did it come over TLS? */
bool http_req_is_tls(const struct http_req *req);
/* What to know its sender's network by: the 4 bytes of an IPv4 address, the first 8 of an IPv6 one,
 * which are one household's; behind a proxy that isn't trusted, the proxy's. How many bytes; 0: it
 * isn't known. Not after the request was answered. */
#define HTTP_PEER_MAX 8
size_t http_req_peer(const struct http_req *req, uint8_t out[HTTP_PEER_MAX]);
/* Its sender's whole address as text, for the log; "" when it isn't known. As above. */
#define HTTP_CLIENT_SIZE HTTP_ADDRESS_TEXT
void http_req_client(const struct http_req *req, char out[HTTP_CLIENT_SIZE]);
/* Did it come from this machine, as far as its connection tells? A proxy here makes it so for all.
 * In admit only. */
bool http_req_is_loopback(const struct http_req *req);
/* A place for the API to keep what it made of the request; free_fn is called with the request. */
void http_req_keep(struct http_req *req, void *data, void (*free_fn)(void *data));
void *http_req_kept(const struct http_req *req);

/* --- answering ------------------------------------------------------------------------------- */

/* Add a header to the answer, before answering. Copies. Without memory the answer becomes 500. */
void http_req_add_header(struct http_req *req, const char *name, const char *value);

/* The handler will answer after it has returned: suspends the connection. Call before handing
 * the request to another thread; from then on the request stays valid until answered. */
void http_req_defer(struct http_req *req);

/* Answer. body (taken; malloc'ed, may be NULL when out of memory: then a plain 500 goes out) is
 * JSON text of len bytes. Any thread, once a request; after a deadline passed it is dropped. */
void http_req_answer(struct http_req *req, int status, char *take_body, size_t len);
/* The same with bytes that others may hold as well; takes a reference, or NULL. */
void http_req_answer_shared(struct http_req *req, int status, struct shared *take_body);

/* The answer's media type, instead of JSON; a literal. */
void http_req_set_type(struct http_req *req, const char *type);

/* --- streams --------------------------------------------------------------------------------- */

#define HTTP_STREAM_END (-1)

/* A body that is made while it is sent, for as long as both sides want it. Pool threads. */
struct http_source {
    /* Write up to max bytes; how many were written. 0: there are none now, and
     * http_stream_wake() will be called when there are. Or HTTP_STREAM_END. Must not block. */
    int (*read)(void *arg, char *to, size_t max);
    /* It has ended, by either side: no more read(). Called once. */
    void (*close)(void *arg);
    void *arg;
};

struct http_stream;

/* Answer with status 200 and what source gives; not after http_req_defer(). One reference for the
 * caller. NULL without memory: close() has been called then, and the answer is 500. */
struct http_stream *http_req_stream(struct http_req *req, const char *type,
                                    const struct http_source *source);
/* Any thread, any time until unref; takes only the stream's own lock. */
void http_stream_wake(struct http_stream *stream);
void http_stream_unref(struct http_stream *stream);

#endif
