/* One request: what was asked, and its answer. See http.h and internal.h.
 *
 * Invariant: answered exactly once, freed when both owners are done. The getters run on the pool
 * thread or, after a defer, on the thread that has the request; http_req_answer() and
 * request_expire() may race, and the loser only lets go. */
#include "panel/http/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/crypto.h"

struct http_req *request_create(struct http_server *server, const char *raw_uri)
{
    size_t len = raw_uri ? strlen(raw_uri) : 0;
    struct http_req *req = malloc(sizeof(*req) + URI_SCRATCH_SIZE(len));
    if (!req)
        return NULL;
    memset(req, 0, offsetof(struct http_req, few));
    atomic_init(&req->refs, 1);
    atomic_init(&req->state, REQ_OPEN);
    req->server = server;
    req->headers = req->few;
    req->raw_uri = raw_uri;
    req->raw_uri_len = len;
    req->uri = (struct uri){.path = "", .query = "", .params = ""};
    req->bad_uri = uri_parse(raw_uri ? raw_uri : "", len, req->scratch, &req->uri);
    return req;
}

void request_unref(struct http_req *req)
{
    if (atomic_fetch_sub(&req->refs, 1) != 1)
        return;
    if (req->kept_free)
        req->kept_free(req->kept);
    while (req->extras) {
        struct http_extra *extra = req->extras;
        req->extras = extra->next;
        free(extra);
    }
    if (req->headers != req->few)
        free(req->headers);
    strbuf_fini(&req->body);
    shared_unref(req->answer);
    if (req->stream) /* it never was sent */
        stream_close(req->stream);
    free(req);
}

bool request_add_header(struct http_req *req, const char *name, const char *value)
{
    if (req->header_count == HTTP_HEADERS_FEW) {
        struct http_header *more = malloc(HTTP_HEADERS_MAX * sizeof(*more));
        if (!more)
            return false;
        memcpy(more, req->few, sizeof(req->few));
        req->headers = more;
    }
    req->headers[req->header_count++] = (struct http_header){name, value};
    return true;
}

static bool is_sane_id(const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return len > 0 && len < HTTP_REQUEST_ID_SIZE && !id[len];
}

/* Unique per process by the counter, across processes by the random start. */
static void make_id(char out[HTTP_REQUEST_ID_SIZE])
{
    static _Atomic uint64_t base;
    static _Atomic uint64_t counter;
    uint64_t start = atomic_load_explicit(&base, memory_order_relaxed);
    if (!start) {
        uint64_t fresh;
        crypto_random(&fresh, sizeof(fresh));
        fresh |= 1;
        if (atomic_compare_exchange_strong(&base, &start, fresh))
            start = fresh;
    }
    uint64_t n = atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 12; i++)
        out[i] = hex[start >> (4 * i + 8) & 15];
    for (int i = 0; i < 10; i++)
        out[12 + i] = hex[n >> (4 * (9 - i)) & 15];
    out[22] = '\0';
}

void request_name(struct http_req *req)
{
    const char *theirs = http_req_header(req, "X-Request-Id");
    if (theirs && is_sane_id(theirs))
        memcpy(req->id, theirs, strlen(theirs) + 1);
    else
        make_id(req->id);
}

enum http_method http_req_method(const struct http_req *req)
{
    return req->method;
}

const char *http_req_path(const struct http_req *req)
{
    return req->uri.path;
}

const char *http_req_query(const struct http_req *req, const char *name)
{
    return uri_param(&req->uri, name);
}

const char *http_req_query_text(const struct http_req *req)
{
    return req->uri.query;
}

const char *http_req_header(const struct http_req *req, const char *name)
{
    for (size_t i = 0; i < req->header_count; i++) {
        if (strcasecmp(req->headers[i].name, name) == 0)
            return req->headers[i].value;
    }
    return NULL;
}

const char *http_req_id(const struct http_req *req)
{
    return req->id;
}

const char *http_req_body(const struct http_req *req, size_t *ret_len)
{
    *ret_len = req->body.len;
    return req->body.data ? req->body.data : "";
}

int64_t http_req_age_ms(const struct http_req *req)
{
    return clock_mono_ms() - req->started;
}

bool http_req_is_tls(const struct http_req *req)
{
    return server_is_tls(req->server);
}

/* The peer's address or, where that is a proxy of ours, the one that it tells. */
static struct http_address find_client(const struct http_req *req)
{
    const struct http_proxies *proxies = server_proxies(req->server);
    struct http_address peer = http_address_of(server_peer(req));
    struct http_address client;
    if (!http_proxies_have(proxies, &peer))
        return peer;
    /* A proxy may add a line of its own behind its client's. */
    for (size_t i = req->header_count; i-- > 0;) {
        if (strcasecmp(req->headers[i].name, "X-Forwarded-For") != 0)
            continue;
        enum http_forwarded told = http_proxies_follow(proxies, req->headers[i].value, &client);
        if (told != FORWARDED_OURS)
            return told == FORWARDED_FOUND ? client : peer;
    }
    return peer;
}

size_t http_req_peer(const struct http_req *req, uint8_t out[HTTP_PEER_MAX])
{
    struct http_address client = find_client(req);
    size_t len = client.len < HTTP_PEER_MAX ? client.len : HTTP_PEER_MAX;
    memcpy(out, client.bytes, len);
    return len;
}

void http_req_client(const struct http_req *req, char out[HTTP_CLIENT_SIZE])
{
    struct http_address client = find_client(req);
    http_address_put(&client, out);
}

bool http_req_is_loopback(const struct http_req *req)
{
    return server_is_loopback(req);
}

void http_req_keep(struct http_req *req, void *data, void (*free_fn)(void *data))
{
    req->kept = data;
    req->kept_free = free_fn;
}

void *http_req_kept(const struct http_req *req)
{
    return req->kept;
}

void http_req_set_type(struct http_req *req, const char *type)
{
    req->type = type;
}

void http_req_add_header(struct http_req *req, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    struct http_extra *extra = malloc(sizeof(*extra) + name_len + value_len + 2);
    if (!extra) {
        req->extras_failed = true;
        return;
    }
    memcpy(extra->name, name, name_len + 1);
    extra->value = extra->name + name_len + 1;
    memcpy(extra->value, value, value_len + 1);
    extra->next = req->extras;
    req->extras = extra;
}

void http_req_defer(struct http_req *req)
{
    req->deferred = true;
    atomic_fetch_add(&req->refs, 1);
    /* Suspended before anybody else can learn of it, so that no resume comes too early. */
    server_suspend(req);
    sweeper_wait(server_sweeper(req->server), req->conn, req,
                 clock_mono_ms() + req->verdict.deadline_ms);
}

void http_req_answer(struct http_req *req, int status, char *take_body, size_t len)
{
    http_req_answer_shared(req, status, take_body ? shared_create(take_body, len) : NULL);
}

void http_req_answer_shared(struct http_req *req, int status, struct shared *take_body)
{
    if (!req->deferred) { /* the pool thread sends it when the handler returns */
        shared_unref(req->answer);
        req->status = status;
        req->answer = take_body;
        atomic_store(&req->state, REQ_ANSWERED);
        return;
    }
    req->status = status;
    req->answer = take_body;
    int was = REQ_OPEN;
    if (atomic_compare_exchange_strong(&req->state, &was, REQ_ANSWERED)) {
        sweeper_unwait(server_sweeper(req->server), req->conn);
        server_resume(req);
    }
    request_unref(req);
}

void request_expire(struct http_req *req)
{
    int was = REQ_OPEN;
    if (atomic_compare_exchange_strong(&req->state, &was, REQ_EXPIRED))
        server_resume(req);
}
