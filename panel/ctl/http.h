/* HTTP with libcurl: one request and its answer, and answers that go on (event streams). The only
 * file that knows curl. One thread.
 *
 * The key goes out in its header and nowhere else: redirects aren't followed, messages don't hold
 * it. */
#ifndef PANEL_CTL_HTTP_H
#define PANEL_CTL_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/strbuf.h"

struct http;

struct http_options {
    const char *url;     /* scheme, host, and what stands before the paths */
    const char *key;     /* NULL: none is sent */
    const char *ca_cert; /* a file; NULL: the system's */
    unsigned timeout_ms; /* of a request that doesn't wait for anything */
};

struct http_request {
    const char *method;
    const char *path; /* with the query, escaped */
    const char *body; /* JSON, or NULL */
    const char *idempotency_key;
    const char *last_event_id;
    const char *etag;     /* If-None-Match */
    bool keyless;         /* the key isn't sent */
    unsigned patience_ms; /* more than the timeout, where the panel is asked to wait */
};

/* Owned by whom it is given to; http_answer_fini(). */
struct http_answer {
    int status;
    struct strbuf body;
    char etag[80];
    char next[512]; /* path and query of the next page, or "" */
    char request_id[80];
    int retry_after_s; /* -1: not said */
    int64_t date_s;    /* by the panel's clock; 0: not said */
    int64_t lines_left_out;
    int64_t cert_ends_s; /* of the panel's certificate; 0: none, or unknown */
};

struct http *http_create(const struct http_options *options, struct err *err);
void http_destroy(struct http *http);

/* 0: there is an answer, whatever its status. ERR_OFFLINE: nothing was done, the reason says why:
 * "refused", "unresolved", "untrusted", "unreachable", "not_http". ERR_TIMEOUT "answer_lost": it
 * may have been.
 */
int http_send(struct http *http, const struct http_request *request, struct http_answer *answer,
              struct err *err);
void http_answer_fini(struct http_answer *answer);

/* --- streams --------------------------------------------------------------------------------- */

struct http_stream;

/* The bytes of the body, as they come; not called for others than 200. */
typedef void (*http_stream_take)(void *arg, const char *bytes, size_t len);

struct http_stream *http_stream_open(struct http *http, const struct http_request *request,
                                     http_stream_take take, void *arg, struct err *err);
/* Move it on; sleep until something came, fd (or -1) can be read, or ms are over. 1: it goes on;
 * 0: it has ended, http_stream_answer() tells how; -1: it broke, as http_send() does. */
int http_stream_poll(struct http_stream *stream, int fd, int ms, bool *ret_readable,
                     struct err *err);
/* The answer's head, and the body of others than 200. Status 0: none yet. */
const struct http_answer *http_stream_answer(const struct http_stream *stream);
void http_stream_close(struct http_stream *stream);

#endif
