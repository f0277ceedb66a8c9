/* HTTP with libcurl: many calls side by side over the Engine's unix socket, blocking requests to
 * the panel, and blocking downloads for installs. The only file that knows curl.
 *
 * Calls are asynchronous and end exactly once: by done(), or by http_call_cancel(), after which
 * nothing of theirs is called any more. Both are safe inside any callback. One thread, but for
 * http_client_wake(). */
#ifndef AGENT_HTTP_CLIENT_H
#define AGENT_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/strbuf.h"
#include "common/timers.h"

#define HTTP_BODY_MAX (8u * 1024u * 1024u) /* a gathered answer, unless its spec says more */
#define HTTP_LINE_MAX (256u * 1024u)       /* one line of a streamed one */

struct http_client;
struct http_call;

struct http_reply {
    long status;      /* 0 when none came */
    struct err err;   /* ERR_NONE: the answer is complete. ERR_OFFLINE: no or a broken connection.
                       * ERR_TIMEOUT: none in time. ERR_TOO_LARGE, ERR_NO_MEMORY: given up */
    const char *body; /* NUL-terminated; "" when streamed or empty. Valid during done() */
    size_t len;
};

struct http_spec {
    const char *method;
    const char *path; /* with the query, already escaped */
    const char *body; /* JSON, or NULL; copied */
    /* In the place of body: bytes for whom the Engine, having answered, connects us with; copied.
     * The call is done when they are sent, with the answer's head. */
    const char *late;
    size_t late_len;
    uint32_t timeout_ms; /* of the whole call; 0: none */
    uint32_t quiet_ms;   /* give up after so long without a byte; 0: never */
    uint32_t begin_ms;   /* with quiet_ms 0: give up when no answer has begun after so long */
    size_t body_max;     /* of a gathered answer; 0: HTTP_BODY_MAX */
    bool priority;       /* starts at once, whatever else is running */
    /* When set, a 2xx body is given line by line (NUL-terminated, without the newline), … */
    void (*line)(void *arg, const char *line, size_t len);
    /* … or, with this one instead, in the pieces that it comes in. */
    void (*piece)(void *arg, const char *data, size_t len);
    void (*done)(void *arg, const struct http_reply *reply);
    void *arg;
};

/* timers must outlive the client. */
struct http_client *http_client_create(const char *unix_socket, struct timers *timers,
                                       struct err *err);
/* Cancels what is left. NULL is fine. */
void http_client_destroy(struct http_client *client);

/* Begins at the next http_client_run(). NULL with err set when memory is out. */
struct http_call *http_client_start(struct http_client *client, const struct http_spec *spec,
                                    struct err *err);
void http_call_cancel(struct http_call *call);

/* Move every call on; calls line() and done(). Doesn't block. */
void http_client_run(struct http_client *client);
/* Sleep until there is something to do, wake() or ms have passed. True when fd is readable. */
bool http_client_poll(struct http_client *client, int fd, int ms);
/* Any thread. */
void http_client_wake(struct http_client *client);

/* POST a JSON text to an http:// or https:// address, redirects refused; blocks for up to
 * timeout_ms. ca: the certificates (PEM) that an https:// one's must come from; NULL: the system's.
 * 0 with *ret_status and the answer's body for the caller to free, whatever the status; -1 when
 * there was no answer, with the reason HTTP_UNTRUSTED when that is the certificate's fault. */
#define HTTP_UNTRUSTED "untrusted"
int http_post_json(const char *url, const char *ca, const char *json, uint32_t timeout_ms,
                   long *ret_status, char **ret_body, struct err *err);

/* GET it, likewise. *ret_date: the clock of who answered, seconds since 1970; -1 when not told. */
int http_get(const char *url, const char *ca, uint32_t timeout_ms, long *ret_status,
             int64_t *ret_date, char **ret_body, struct err *err);

struct sockaddr;

struct http_download {
    const char *url; /* http:// or https:// */
    uint64_t bytes_max;
    uint32_t timeout_ms; /* of all of it */
    uint32_t quiet_s;    /* give up after so long with next to nothing */
    /* Each with arg, on the calling thread; false: it is broken off. */
    bool (*may_connect)(void *arg, const struct sockaddr *to); /* before it is connected to */
    bool (*write)(void *arg, const char *data, size_t len);
    bool (*progress)(void *arg, uint64_t total,
                     uint64_t now); /* every second at least; total 0: unknown */
    void *arg;
};

/* GET it, over up to ten redirects, but none from https to http; blocks. 0, or -1 and why in a
 * sentence: ERR_OFFLINE when another try may do better, ERR_TIMEOUT, ERR_TOO_LARGE, ERR_BUSY broken
 * off by progress(), ERR_INVALID. Any thread. */
int http_download(const struct http_download *download, struct err *err);

#endif
