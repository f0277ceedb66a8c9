/* From a request's head to its handler, and from the handler to the answer.
 *
 * Invariant: under /api nothing is told to who has no live key, not even which paths exist; the key
 * is looked up the same way whatever it is. admit() and handle() run on a pool thread, answers come
 * from any. Fails by answering: every way out of here is an answer. */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "panel/api/audit.h"
#include "panel/api/body.h"
#include "panel/metrics/metrics.h"

/* --- answering ------------------------------------------------------------------------------- */

const char *call_method_word(enum http_method method)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET",     [HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE",
        [HTTP_PATCH] = "PATCH", [HTTP_PUT] = "PUT",   [HTTP_OTHER] = "OTHER",
    };
    return names[method];
}

const char *call_method_name(const struct http_req *req)
{
    return call_method_word(http_req_method(req));
}

/* What the body names so, or the query of a DELETE; "" if nothing does. */
static const char *named(const struct call *call, const char *name)
{
    const char *id = json_string_value(json_object_get(call->body, name));
    if (!id && http_req_method(call->req) == HTTP_DELETE)
        id = http_req_query(call->req, name);
    return id && strlen(id) < ROUTE_PARAM_SIZE ? id : "";
}

/* A node's id in what is about something else says where that is to be. */
const char *call_target(const struct call *call)
{
    if (call->param[0] || call->made[0])
        return call->param[0] ? call->param : call->made;
    return named(call, strcmp(route_thing(call->route), "node") == 0 ? "nodeId" : "id");
}

void call_scope_begin(struct call_scope *scope, const struct call *call)
{
    log_scope_begin(&scope->req, "req", http_req_id(call->req));
    log_scope_begin(&scope->op, "op", route_op(call->route));
    const char *thing = route_thing(call->route);
    const char *target = call_target(call);
    if (!target[0]) { /* a deploy that has made nothing yet is about its node */
        thing = "node";
        target = named(call, "nodeId");
    }
    log_scope_begin(&scope->thing, thing, target);
}

void call_scope_end(struct call_scope *scope)
{
    log_scope_end(&scope->thing);
    log_scope_end(&scope->op);
    log_scope_end(&scope->req);
}

/* What is told of an answer. A failure of ours, which a person has to look into, more loudly than a
 * refusal; "come again" (503) not, for there may be many. */
static enum log_level answer_level(const struct call *call, int status)
{
    if (status >= 500 && status != 503)
        return LOG_WARN;
    return call && (call->route->mutates || status == 503) ? LOG_INFO : LOG_DEBUG;
}

/* call is NULL where the request was not admitted; code and reason where nothing is wrong. */
static void log_answer(const struct http_req *req, const struct call *call, int status,
                       const char *code, const char *reason)
{
    enum log_level level = answer_level(call, status);
    if (!log_is_on(level))
        return;
    auto_log_scope struct log_scope why;
    auto_log_scope struct log_scope what;
    log_scope_begin(&why, "reason", status >= 500 ? reason : NULL);
    log_scope_begin(&what, "code", code);
    if (!call) {
        log_write(level, "request", "req=%s status=%d ms=%lld method=%s path=\"%.512s\"",
                  http_req_id(req), status, (long long)http_req_age_ms(req), call_method_name(req),
                  http_req_path(req));
        return;
    }
    auto_call_scope struct call_scope scope;
    call_scope_begin(&scope, call);
    log_write(level, "request", "req=%s op=\"%s\" status=%d ms=%lld key=\"%s\" path=\"%.512s\"",
              http_req_id(req), route_op(call->route), status, (long long)http_req_age_ms(req),
              call->key.id[0] ? call->key.name : "-", http_req_path(req));
}

void call_defer(struct call *call)
{
    if (call->deferred)
        return;
    call->deferred = true;
    http_req_defer(call->req);
}

/* code: "" where only the body says it, if it is an error. */
static void answer(struct call *call, int status, struct strbuf *take_body, const char *code)
{
    json_t *error = NULL;
    if (status >= 500 || (status >= 400 && !code[0]))
        error = json_loadb(take_body->data, take_body->len, 0, NULL);
    const char *said = json_string_value(json_object_get(error, "code"));
    if (!code[0] && said)
        code = said;
    log_answer(call->req, call, status, code, json_string_value(json_object_get(error, "error")));
    audit_answered(call, status, code);
    json_decref(error);
    size_t len = take_body->len;
    char *text = strbuf_steal(take_body);
    http_req_answer(call->req, status, text, len);
}

void call_answer(struct call *call, int status, struct strbuf *take_body)
{
    answer(call, status, take_body, "");
}

struct http_stream *call_stream(struct call *call, const char *type,
                                const struct http_source *source)
{
    log_answer(call->req, call, 200, NULL, NULL);
    return http_req_stream(call->req, type, source);
}

void call_answer_shared(struct call *call, struct shared *take_body)
{
    log_answer(call->req, call, 200, NULL, NULL);
    http_req_answer_shared(call->req, 200, take_body);
}

void call_answer_err(struct call *call, const struct err *err)
{
    struct strbuf body = {0};
    call_render_err(call, err, &body);
    answer(call, error_status(err), &body, err->reason);
}

void call_replay(struct call *call, struct answer *take_answer)
{
    http_req_add_header(call->req, "Idempotent-Replayed", "true");
    call->audit.done = true;
    if (take_answer->waits_for[0] && call->route->resume) {
        free(call->first);
        call->first = steal_ptr(take_answer->body);
        call->route->resume(call, take_answer->waits_for);
        return;
    }
    char *text = steal_ptr(take_answer->body);
    if (take_answer->status >= 400)
        text = error_readdress(text, http_req_id(call->req));
    log_answer(call->req, call, take_answer->status, NULL, NULL);
    http_req_answer(call->req, take_answer->status, text, text ? strlen(text) : 0);
}

static void call_free(void *data)
{
    struct call *call = data;
    json_decref(call->body);
    free(call->first);
    free(call);
}

/* --- admission ------------------------------------------------------------------------------- */

static bool is_metrics(const struct http_req *req)
{
    return strcmp(http_req_path(req), "/metrics") == 0;
}

static void refuse(struct http_req *req, const struct err *err, struct http_verdict *verdict,
                   struct strbuf *body)
{
    verdict->refuse_status = error_status(err);
    error_render(err, http_req_id(req), body);
    log_answer(req, NULL, verdict->refuse_status, err->reason, NULL);
}

static bool metrics_are_open(const struct call *call)
{
    switch (call->api->settings.metrics_access) {
    case METRICS_OPEN:
        return true;
    case METRICS_LOOPBACK:
        return http_req_is_loopback(call->req);
    case METRICS_KEYED:
        break;
    }
    return false;
}

static void add_allowed(struct strbuf *allow, const char *name)
{
    if (allow->len)
        strbuf_str(allow, ", ");
    strbuf_str(allow, name);
}

/* The row for method and path; NULL, with the methods of others that the path has in allow. A path
 * that has a row of its own is nobody's id. */
static const struct route *find_route(const struct http_req *req, char param[ROUTE_PARAM_SIZE],
                                      struct strbuf *allow)
{
    const char *path = http_req_path(req);
    bool own = false;
    for (size_t i = 0; i < routes_count; i++) {
        if (!route_match(&routes[i], path, param))
            continue;
        bool by_id = strchr(routes[i].path, ':') != NULL;
        if (own && by_id)
            continue;
        own |= !by_id;
        if (routes[i].method == http_req_method(req))
            return &routes[i];
        add_allowed(allow, call_method_word(routes[i].method));
        if (routes[i].method == HTTP_GET)
            add_allowed(allow, "HEAD");
    }
    return NULL;
}

static void refuse_route(struct http_req *req, const struct strbuf *allow,
                         struct http_verdict *verdict, struct strbuf *body)
{
    int status = allow->len ? 405 : 404;
    if (status == 405)
        http_req_add_header(req, "Allow", allow->data);
    const char *code = status == 405 ? "method_not_allowed" : "not_found";
    verdict->refuse_status = status;
    error_write(body, code,
                status == 405
                    ? "This path exists, but not for this method; the Allow header lists its own."
                    : "There is nothing at this path: the API is under /api, and /docs is a page "
                      "about it.",
                http_req_id(req), NULL, NULL);
    log_answer(req, NULL, status, code, NULL);
}

static bool has_body(const struct http_req *req)
{
    const char *length = http_req_header(req, "Content-Length");
    return http_req_header(req, "Transfer-Encoding") || (length && length[strspn(length, "0")]);
}

static int check_media_type(const struct http_req *req, struct err *err)
{
    if (http_req_method(req) == HTTP_GET || !has_body(req) ||
        body_is_json_type(http_req_header(req, "Content-Type")))
        return 0;
    return err_set(err, ERR_INVALID, "unsupported_media_type",
                   "The body has to be JSON in UTF-8, with Content-Type: application/json.");
}

/* Everything under /api but what says that it is for everybody; metrics as they are set up. */
static bool needs_key(const struct call *call)
{
    const char *path = http_req_path(call->req);
    if (is_metrics(call->req))
        return !metrics_are_open(call);
    if (call->route)
        return call->route->permission != PERMISSION_PUBLIC;
    return strncmp(path, "/api", 4) == 0 && (!path[4] || path[4] == '/');
}

/* What is refused for want of a right has been tried all the same. */
static void refuse_forbidden(struct call *call, const struct err *err, struct http_verdict *verdict,
                             struct strbuf *body)
{
    refuse(call->req, err, verdict, body);
    audit_answered(call, verdict->refuse_status, err->reason);
}

static void admit(void *arg, struct http_req *req, struct http_verdict *verdict,
                  struct strbuf *body)
{
    struct api *api = arg;
    struct err err = {0};
    auto_strbuf struct strbuf allow = {0};
    auto_free struct call *call = calloc(1, sizeof(*call));
    if (!call) {
        err_set(&err, ERR_BUSY, "busy", "The panel is short of memory; try again.");
        refuse(req, &err, verdict, body);
        return;
    }
    call->api = api;
    call->req = req;
    call->route = find_route(req, call->param, &allow);
    bool keyed = needs_key(call);
    if (keyed && identity_take(call, &err) < 0) {
        refuse(req, &err, verdict, body);
        return;
    }
    if (!call->route && allow.failed) {
        err_set(&err, ERR_BUSY, "busy", "The panel is short of memory; try again.");
        refuse(req, &err, verdict, body);
        return;
    }
    if (!call->route) {
        refuse_route(req, &allow, verdict, body);
        return;
    }
    verdict->metric = route_metric(call->route);
    if (keyed && identity_count_change(call, &err) < 0) {
        refuse(req, &err, verdict, body);
        return;
    }
    if (keyed && identity_check(call, &err) < 0) {
        refuse_forbidden(call, &err, verdict, body);
        return;
    }
    if (check_media_type(req, &err) < 0) {
        refuse(req, &err, verdict, body);
        return;
    }
    verdict->max_body = call->route->max_body;
    verdict->deadline_ms = call->route->deadline_ms;
    verdict->known = call->key.id[0] != '\0';
    http_req_keep(req, steal_ptr(call), call_free);
}

/* --- handling -------------------------------------------------------------------------------- */

static void handle(void *arg, struct http_req *req)
{
    (void)arg;
    struct call *call = http_req_kept(req);
    auto_call_scope struct call_scope scope; /* on this thread the request outlives its answer */
    struct err err = {0};
    int rc;
    call_scope_begin(&scope, call);
    rc = identity_renew(call, &err);
    if (rc == 0 && http_req_method(req) != HTTP_GET) {
        size_t len;
        const char *text = http_req_body(req, &len);
        rc = body_parse(text, len, &call->body, &err);
    }
    if (rc < 0 || identity_check_bound(call, &err) < 0) {
        call_answer_err(call, &err);
        return;
    }
    if (call->route->mutates && !idempotency_begin(call))
        return;
    call->route->handle(call);
}

static void describe(void *arg, struct http_req *req, int status, const char *code,
                     const char *sentence, struct strbuf *body)
{
    (void)arg;
    error_write(body, code, sentence, http_req_id(req), NULL, NULL);
    log_answer(req, http_req_kept(req), status, code, sentence);
}

struct http_app api_http_app(struct api *api)
{
    return (struct http_app){.admit = admit, .handle = handle, .describe = describe, .arg = api};
}

/* --- the api itself -------------------------------------------------------------------------- */

int api_create(const struct api_rooms *rooms, const struct api_settings *settings,
               struct api **ret_api, struct err *err)
{
    struct api *api = calloc(1, sizeof(*api));
    if (!api)
        return err_nomem(err);
    api->rooms = *rooms;
    api->settings = *settings;
    if (settings->public_url && !(api->public_url = strdup(settings->public_url))) {
        free(api);
        return err_nomem(err);
    }
    api->settings.public_url = api->public_url;
    api_retune(api, settings->rate_limit, settings->session_hours);
    if (limiters_create(&api->limiters, err) < 0 || list_cache_create(&api->lists, err) < 0 ||
        lister_create(&api->lister, err) < 0 || event_memo_create(&api->events, err) < 0) {
        api_destroy(api);
        return -1;
    }
    crypto_random(api->dummy_key, sizeof(api->dummy_key));
    *ret_api = api;
    return 0;
}

void api_retune(struct api *api, uint32_t rate_limit, uint32_t session_hours)
{
    atomic_store(&api->rate_limit, rate_limit);
    atomic_store(&api->session_hours, session_hours);
}

void api_stop(struct api *api)
{
    lister_destroy(api->lister);
    api->lister = NULL;
}

void api_destroy(struct api *api)
{
    if (!api)
        return;
    lister_destroy(api->lister);
    list_cache_destroy(api->lists);
    event_memo_destroy(api->events);
    limiters_destroy(&api->limiters);
    free(api->public_url);
    free(api);
}
