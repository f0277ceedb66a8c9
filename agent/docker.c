/* Requests to the Engine and what its answers mean. See docker.h.
 *
 * The Engine's words are kept in err.msg; what they mean for an instance is told by whoever asked.
 * A call's memory is freed right after done() or in cancel. Bodies are parsed only here. */
#include "agent/docker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/docker_json.h"
#include "common/auto.h"
#include "common/failpoint.h"
#include "common/strbuf.h"
#include "common/utf8.h"

#define OURS_OLDEST 1024 /* 1.24, as major * 1000 + minor */
#define OURS_NEWEST 1047
#define LOCAL_LOGS  1039

#define IMAGE_MAX 520 /* a name of 255, a tag of 128, the longest digest, : and @ */

#define SHORT_MS      HURRIED(30000u)
#define START_MS      HURRIED(60000u)
#define PULL_QUIET_MS HURRIED(120000u)

#define LIST_MAX (64u * 1024u * 1024u) /* hundreds of containers whose images have large labels */

struct docker {
    struct http_client *http;
    char prefix[16]; /* "/v1.41"; "" until probed */
    char version[64];
};

struct docker_call {
    struct docker *docker;
    struct http_call *http;
    docker_item item;
    docker_piece piece;
    bool (*makes_sense)(const json_t *answer); /* of a success; NULL: any does */
    bool no_content;                           /* a success has status 204 */
    docker_done done;
    void *arg;
    struct err stream_err; /* told inside a 200 stream */
};

struct docker *docker_create(struct http_client *http)
{
    struct docker *docker = calloc(1, sizeof(*docker));
    if (docker)
        docker->http = http;
    return docker;
}

void docker_destroy(struct docker *docker)
{
    free(docker);
}

void docker_forget(struct docker *docker)
{
    docker->prefix[0] = '\0';
}

bool docker_is_known(const struct docker *docker)
{
    return docker->prefix[0] != '\0';
}

const char *docker_version(const struct docker *docker)
{
    return docker->version;
}

const char *docker_api_version(const struct docker *docker)
{
    return docker->prefix[0] ? docker->prefix + 2 : "";
}

/* "1.41" as 1041; -1 for anything else. */
static int parse_api_version(const char *text)
{
    unsigned major;
    unsigned minor;
    char rest;
    if (!text || sscanf(text, "%2u.%3u%c", &major, &minor, &rest) != 2)
        return -1;
    return (int)(major * 1000 + minor);
}

const char *docker_log_driver(const struct docker *docker)
{
    return parse_api_version(docker_api_version(docker)) >= LOCAL_LOGS ? "local" : "json-file";
}

/* What an answer that isn't a success means. */
static void set_refusal(struct docker_reply *reply)
{
    const char *text = docker_json_message(reply->json);
    enum err_code code = reply->status == 404   ? ERR_NOT_FOUND
                         : reply->status == 409 ? ERR_CONFLICT
                         : reply->status == 400 ? ERR_INVALID
                                                : ERR_INTERNAL;
    if (text)
        err_set(&reply->err, code, "refused", "%s", text);
    else
        err_set(&reply->err, code, "refused", "Docker answered with status %ld", reply->status);
}

/* The answer's JSON; NULL when it has none. A success that can't be read for lack of memory is no
 * nonsense, and worth another try. */
static json_t *parse(const struct http_reply *http, size_t flags, struct err *err)
{
    json_error_t why;
    json_t *json = http->len ? json_loadb(http->body, http->len, flags, &why) : NULL;
    if (http->len && !json && json_error_code(&why) == json_error_out_of_memory &&
        http->status / 100 == 2 && err->code == ERR_NONE)
        err_nomem(err);
    return json;
}

static void finish(void *arg, const struct http_reply *http)
{
    struct docker_call *call = arg;
    struct docker_reply reply = {.status = http->status, .err = http->err};
    bool stream = (call->item || call->piece) && http->status / 100 == 2;
    if (http->len && !stream)
        reply.json = parse(http, JSON_DECODE_ANY, &reply.err);
    if (reply.err.code == ERR_NONE) {
        if (reply.status / 100 != 2 && reply.status != 304)
            set_refusal(&reply);
        else if (call->stream_err.code != ERR_NONE)
            reply.err = call->stream_err;
        else if ((call->makes_sense && !call->makes_sense(reply.json)) ||
                 (call->no_content && reply.status / 100 == 2 && reply.status != 204))
            err_set(&reply.err, ERR_PROTOCOL, "docker_nonsense",
                    "Docker's answer is not what it should be");
    }
    call->done(call->arg, &reply);
    json_decref(reply.json);
    free(call);
}

static void take_line(void *arg, const char *line, size_t len)
{
    struct docker_call *call = arg;
    json_t *item = json_loadb(line, len, 0, NULL);
    if (!item)
        return; /* not ours to judge: the end of the stream tells how it went */
    const char *text = docker_json_stream_error(item);
    if (text)
        err_set(&call->stream_err, ERR_INTERNAL, "refused", "%s", text);
    call->item(call->arg, item);
    json_decref(item);
}

static void take_piece(void *arg, const char *data, size_t len)
{
    struct docker_call *call = arg;
    call->piece(call->arg, data, len);
}

static struct docker_call *start_call(struct docker *docker, struct http_spec *spec,
                                      struct strbuf *path, docker_item item, docker_done done,
                                      void *arg, struct err *err)
{
    struct docker_call *call = path->failed ? NULL : calloc(1, sizeof(*call));
    if (!call) {
        err_nomem(err);
        return NULL;
    }
    *call = (struct docker_call){.docker = docker, .item = item, .done = done, .arg = arg};
    spec->path = path->data;
    spec->line = item ? take_line : NULL;
    spec->done = finish;
    spec->arg = call;
    call->http = http_client_start(docker->http, spec, err);
    if (!call->http) {
        free(call);
        return NULL;
    }
    return call;
}

static struct docker_call *expect(struct docker_call *call, bool (*makes_sense)(const json_t *))
{
    if (call)
        call->makes_sense = makes_sense;
    return call;
}

void docker_call_cancel(struct docker_call *call)
{
    if (!call)
        return;
    http_call_cancel(call->http);
    free(call);
}

/* The path's start; false with err set while no version has been agreed on. */
static bool begin_path(const struct docker *docker, struct strbuf *path, struct err *err)
{
    if (!docker_is_known(docker)) {
        err_set(err, ERR_OFFLINE, "docker_unavailable", "Docker is not reachable");
        return false;
    }
    strbuf_str(path, docker->prefix);
    return true;
}

static void add_escaped(struct strbuf *path, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            strchr("-._~", c))
            strbuf_char(path, (char)c);
        else
            strbuf_fmt(path, "%%%02X", c);
    }
}

static void choose_version(struct docker *docker, struct docker_reply *reply)
{
    const char *newest = docker_json_text(reply->json, "ApiVersion");
    const char *oldest = docker_json_text(reply->json, "MinAPIVersion");
    const char *version = docker_json_text(reply->json, "Version");
    int theirs_newest = parse_api_version(newest);
    int theirs_oldest = parse_api_version(oldest);
    if (theirs_newest < 0) {
        err_set(&reply->err, ERR_PROTOCOL, "docker_version",
                "what answers at Docker's socket doesn't tell a Docker API version");
    } else if (theirs_newest < OURS_OLDEST) {
        err_set(&reply->err, ERR_PROTOCOL, "docker_too_old",
                "this Docker speaks API %s at most; version 1.24 (Docker 1.12) or newer is needed",
                newest);
    } else if (theirs_oldest > OURS_NEWEST) {
        err_set(&reply->err, ERR_PROTOCOL, "docker_too_new",
                "this Docker wants API %s or newer, and this agent speaks 1.47 at most: "
                "update the agent",
                oldest);
    } else {
        int use = theirs_newest < OURS_NEWEST ? theirs_newest : OURS_NEWEST;
        snprintf(docker->prefix, sizeof(docker->prefix), "/v%d.%d", use / 1000, use % 1000);
        utf8_copy(docker->version, sizeof(docker->version), version ? version : "unknown");
    }
}

static void finish_probe(void *arg, const struct http_reply *http)
{
    struct docker_call *call = arg;
    struct docker_reply reply = {.status = http->status, .err = http->err};
    reply.json = parse(http, 0, &reply.err);
    docker_forget(call->docker);
    if (reply.err.code == ERR_NONE && reply.status != 200)
        set_refusal(&reply);
    if (reply.err.code == ERR_NONE)
        choose_version(call->docker, &reply);
    call->done(call->arg, &reply);
    json_decref(reply.json);
    free(call);
}

struct docker_call *docker_probe(struct docker *docker, docker_done done, void *arg,
                                 struct err *err)
{
    struct docker_call *call = calloc(1, sizeof(*call));
    if (!call) {
        err_nomem(err);
        return NULL;
    }
    *call = (struct docker_call){.docker = docker, .done = done, .arg = arg};
    /* Answers whatever the Engine's least version is, and tells all that _ping would. */
    struct http_spec spec = {.method = "GET",
                             .path = "/version",
                             .timeout_ms = SHORT_MS,
                             .priority = true,
                             .done = finish_probe,
                             .arg = call};
    call->http = http_client_start(docker->http, &spec, err);
    if (!call->http) {
        free(call);
        return NULL;
    }
    return call;
}

struct docker_call *docker_list(struct docker *docker, const char *panel_id, docker_done done,
                                void *arg, struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    if (!begin_path(docker, &path, err))
        return NULL;
    strbuf_str(&path, "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22panel.id%3D");
    add_escaped(&path, panel_id);
    strbuf_str(&path, "%22%5D%7D");
    struct http_spec spec = {
        .method = "GET", .timeout_ms = SHORT_MS, .body_max = LIST_MAX, .priority = true};
    return expect(start_call(docker, &spec, &path, NULL, done, arg, err), docker_json_is_list);
}

struct docker_call *docker_events(struct docker *docker, const char *panel_id, int64_t since_s,
                                  docker_item item, docker_done done, void *arg, struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    if (!begin_path(docker, &path, err))
        return NULL;
    strbuf_fmt(&path, "/events?since=%lld&filters=", (long long)since_s);
    strbuf_str(&path, "%7B%22type%22%3A%5B%22container%22%5D%2C%22label%22%3A%5B%22panel.id%3D");
    add_escaped(&path, panel_id);
    strbuf_str(&path, "%22%5D%7D");
    /* It is told at once that events will come. */
    struct http_spec spec = {.method = "GET", .begin_ms = SHORT_MS, .priority = true};
    return start_call(docker, &spec, &path, item, done, arg, err);
}

/* To /containers/REF SUFFIX; the spec says all but the path. */
static struct docker_call *call_container(struct docker *docker, struct http_spec *spec,
                                          const char *ref, const char *suffix, docker_done done,
                                          void *arg, struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    if (!begin_path(docker, &path, err))
        return NULL;
    strbuf_str(&path, "/containers/");
    add_escaped(&path, ref);
    strbuf_str(&path, suffix);
    return start_call(docker, spec, &path, NULL, done, arg, err);
}

/* One that the Engine does without a word: anything else isn't it who answers. */
static struct docker_call *order_container(struct docker *docker, const char *method,
                                           const char *ref, const char *suffix, uint32_t timeout_ms,
                                           docker_done done, void *arg, struct err *err)
{
    struct http_spec spec = {.method = method, .timeout_ms = timeout_ms};
    struct docker_call *call = call_container(docker, &spec, ref, suffix, done, arg, err);
    if (call)
        call->no_content = true;
    return call;
}

struct docker_call *docker_inspect(struct docker *docker, const char *ref, docker_done done,
                                   void *arg, struct err *err)
{
    struct http_spec spec = {.method = "GET", .timeout_ms = SHORT_MS};
    return expect(call_container(docker, &spec, ref, "/json", done, arg, err),
                  docker_json_is_container);
}

struct docker_call *docker_start(struct docker *docker, const char *ref, docker_done done,
                                 void *arg, struct err *err)
{
    return order_container(docker, "POST", ref, "/start", START_MS, done, arg, err);
}

struct docker_call *docker_unpause(struct docker *docker, const char *ref, docker_done done,
                                   void *arg, struct err *err)
{
    return order_container(docker, "POST", ref, "/unpause", START_MS, done, arg, err);
}

struct docker_call *docker_stop(struct docker *docker, const char *ref, uint32_t grace_s,
                                docker_done done, void *arg, struct err *err)
{
    char suffix[32];
    snprintf(suffix, sizeof(suffix), "/stop?t=%u", grace_s);
    return order_container(docker, "POST", ref, suffix, grace_s * 1000 + SHORT_MS, done, arg, err);
}

struct docker_call *docker_kill(struct docker *docker, const char *ref, docker_done done, void *arg,
                                struct err *err)
{
    return order_container(docker, "POST", ref, "/kill?signal=SIGKILL", START_MS, done, arg, err);
}

struct docker_call *docker_set_restart(struct docker *docker, const char *ref, bool restarts,
                                       docker_done done, void *arg, struct err *err)
{
    struct http_spec spec = {.method = "POST",
                             .body = restarts ? "{\"RestartPolicy\":{\"Name\":\"unless-stopped\"}}"
                                              : "{\"RestartPolicy\":{\"Name\":\"no\"}}",
                             .timeout_ms = SHORT_MS};
    return call_container(docker, &spec, ref, "/update", done, arg, err);
}

struct docker_call *docker_resize(struct docker *docker, const char *ref, const char *body,
                                  docker_done done, void *arg, struct err *err)
{
    struct http_spec spec = {.method = "POST", .body = body, .timeout_ms = START_MS};
    return expect(call_container(docker, &spec, ref, "/update", done, arg, err),
                  docker_json_is_update);
}

struct docker_call *docker_write_stdin(struct docker *docker, const char *ref, const char *text,
                                       size_t len, docker_done done, void *arg, struct err *err)
{
    struct http_spec spec = {
        .method = "POST", .late = text, .late_len = len, .timeout_ms = SHORT_MS};
    return call_container(docker, &spec, ref, "/attach?stream=1&stdin=1", done, arg, err);
}

/* "since" and "until" are seconds with a fraction of nine digits. */
static void add_time(struct strbuf *path, const char *name, uint64_t ns)
{
    strbuf_fmt(path, "&%s=%" PRIu64 ".%09" PRIu64, name, ns / 1000000000u, ns % 1000000000u);
}

struct docker_call *docker_logs(struct docker *docker, const char *ref,
                                const struct docker_log_range *range, docker_piece piece,
                                docker_done done, void *arg, struct err *err)
{
    auto_strbuf struct strbuf suffix = {0};
    strbuf_str(&suffix, "/logs?stdout=1&stderr=1&timestamps=1");
    add_time(&suffix, "since", range->since_ns);
    if (range->until_ns)
        add_time(&suffix, "until", range->until_ns);
    if (range->tail)
        strbuf_fmt(&suffix, "&tail=%u", range->tail);
    if (range->follow)
        strbuf_str(&suffix, "&follow=1");
    if (suffix.failed) {
        err_nomem(err);
        return NULL;
    }
    /* A container that has printed nothing yet doesn't even get the head of an answer. */
    struct http_spec spec = {.method = "GET",
                             .piece = take_piece,
                             .timeout_ms = range->follow ? 0 : SHORT_MS,
                             .priority = true};
    struct docker_call *call = call_container(docker, &spec, ref, suffix.data, done, arg, err);
    if (call)
        call->piece = piece;
    return call;
}

struct docker_call *docker_rename(struct docker *docker, const char *ref, const char *name,
                                  docker_done done, void *arg, struct err *err)
{
    char suffix[DOCKER_NAME_SIZE + 16];
    snprintf(suffix, sizeof(suffix), "/rename?name=%s", name);
    return order_container(docker, "POST", ref, suffix, SHORT_MS, done, arg, err);
}

struct docker_call *docker_delete(struct docker *docker, const char *ref, docker_done done,
                                  void *arg, struct err *err)
{
    return order_container(docker, "DELETE", ref, "?force=1&v=1", START_MS, done, arg, err);
}

struct docker_call *docker_create_container(struct docker *docker, const char *name,
                                            const char *body, docker_done done, void *arg,
                                            struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    if (!begin_path(docker, &path, err))
        return NULL;
    strbuf_str(&path, "/containers/create?name=");
    add_escaped(&path, name);
    struct http_spec spec = {.method = "POST", .body = body, .timeout_ms = START_MS};
    return start_call(docker, &spec, &path, NULL, done, arg, err);
}

struct docker_call *docker_inspect_image(struct docker *docker, const char *image, docker_done done,
                                         void *arg, struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    if (!begin_path(docker, &path, err))
        return NULL;
    /* Slashes, colons and @ stand unescaped here; docker_image_is_sane() lets no more through. */
    strbuf_fmt(&path, "/images/%s/json", image);
    struct http_spec spec = {.method = "GET", .timeout_ms = SHORT_MS};
    return start_call(docker, &spec, &path, NULL, done, arg, err);
}

struct docker_call *docker_pull(struct docker *docker, const char *image, docker_item item,
                                docker_done done, void *arg, struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    auto_free char *name = strdup(image);
    if (!name) {
        err_nomem(err);
        return NULL;
    }
    if (!begin_path(docker, &path, err))
        return NULL;
    /* Without a tag the Engine would pull every one there is. */
    const char *tag = "latest";
    char *at = strchr(name, '@');
    char *slash = strrchr(name, '/');
    char *colon = strrchr(slash ? slash : name, ':');
    char *cut = at ? at : colon;
    if (cut) {
        *cut = '\0';
        tag = cut + 1;
    }
    strbuf_str(&path, "/images/create?fromImage=");
    add_escaped(&path, name);
    strbuf_str(&path, "&tag=");
    add_escaped(&path, tag);
    struct http_spec spec = {.method = "POST", .quiet_ms = PULL_QUIET_MS, .priority = true};
    return start_call(docker, &spec, &path, item, done, arg, err);
}

bool docker_image_is_sane(const char *image)
{
    size_t len = strlen(image);
    if (len < 1 || len > IMAGE_MAX)
        return false;
    char before = '/';
    for (const char *p = image; *p; p++) {
        char c = *p;
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool joint = c != '\0' && strchr("._-:/@", c) != NULL;
        if (!word && !joint)
            return false;
        /* No empty parts, no "." or ".." parts: nothing that could climb out of the path. */
        if (before == '/' && !word)
            return false;
        before = c;
    }
    return before != '/' && before != ':' && before != '@';
}
