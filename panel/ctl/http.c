/* HTTP. See http.h.
 *
 * One easy handle for requests, so that they share a connection; one of its own, and a multi
 * handle to wait with, for each stream. */
#include "panel/ctl/http.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/auto.h"

#define CONNECT_MS     10000L
#define ANSWER_MAX     (512u * 1024u * 1024u)
#define STREAM_QUIET_S 45L /* the panel says something every 15 s */

struct http {
    struct http_options options;
    CURL *easy;
    char why[CURL_ERROR_SIZE];
};

struct transfer {
    struct http_answer answer;
    struct curl_slist *headers;
    bool too_large;
    bool failed;
    CURL *easy;
    http_stream_take take; /* of a stream */
    void *arg;
};

struct http_stream {
    struct http *http;
    CURLM *multi;
    CURL *easy;
    char why[CURL_ERROR_SIZE];
    struct transfer transfer;
    bool added;
};

struct http *http_create(const struct http_options *options, struct err *err)
{
    struct http *http = calloc(1, sizeof(*http));
    if (!http || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        free(http);
        err_nomem(err);
        return NULL;
    }
    http->options = *options;
    http->easy = curl_easy_init();
    if (!http->easy) {
        http_destroy(http);
        err_nomem(err);
        return NULL;
    }
    return http;
}

void http_destroy(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->easy);
    curl_global_cleanup();
    free(http);
}

void http_answer_fini(struct http_answer *answer)
{
    strbuf_fini(&answer->body);
    *answer = (struct http_answer){0};
}

/* --- the answer's head ----------------------------------------------------------------------- */

static void keep(char *out, size_t size, const char *value, size_t len)
{
    if (len >= size)
        return; /* nothing of ours is that long */
    memcpy(out, value, len);
    out[len] = '\0';
}

static int64_t number_of(const char *text)
{
    int64_t n = 0;
    if (*text < '0' || *text > '9')
        return -1;
    for (; *text >= '0' && *text <= '9' && n < INT32_MAX; text++)
        n = n * 10 + (*text - '0');
    return n;
}

/* </api/users?cursor=x&limit=y>; rel="next" */
static void keep_next(struct http_answer *answer, const char *value)
{
    const char *end = strchr(value, '>');
    if (*value == '<' && value[1] == '/' && end && strstr(end, "rel=\"next\""))
        keep(answer->next, sizeof(answer->next), value + 1, (size_t)(end - value - 1));
}

static void take_field(struct http_answer *answer, const char *name, const char *value)
{
    if (strcasecmp(name, "ETag") == 0)
        keep(answer->etag, sizeof(answer->etag), value, strlen(value));
    else if (strcasecmp(name, "X-Request-Id") == 0)
        keep(answer->request_id, sizeof(answer->request_id), value, strlen(value));
    else if (strcasecmp(name, "Retry-After") == 0)
        answer->retry_after_s = (int)number_of(value);
    else if (strcasecmp(name, "X-Lines-Left-Out") == 0)
        answer->lines_left_out = number_of(value);
    else if (strcasecmp(name, "Date") == 0)
        answer->date_s = curl_getdate(value, NULL) > 0 ? curl_getdate(value, NULL) : 0;
    else if (strcasecmp(name, "Link") == 0)
        keep_next(answer, value);
}

static size_t take_header(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t len = size * count;
    char line[1024];
    if (len >= sizeof(line))
        return len;
    memcpy(line, data, len);
    line[len] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    if (strncmp(line, "HTTP/", 5) == 0) {
        long status = 0;
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        transfer->answer.status = (int)status; /* a stream is open from here on */
        return len;
    }
    char *colon = strchr(line, ':');
    if (colon) {
        *colon++ = '\0';
        take_field(&transfer->answer, line, colon + strspn(colon, " \t"));
    }
    return len;
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t len = size * count;
    long status = 0;
    if (transfer->take)
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200) {
        transfer->take(transfer->arg, data, len);
        return len;
    }
    transfer->too_large = transfer->answer.body.len + len > ANSWER_MAX;
    if (transfer->too_large)
        return 0;
    strbuf_add(&transfer->answer.body, data, len);
    return transfer->answer.body.failed ? 0 : len;
}

/* --- asking ---------------------------------------------------------------------------------- */

static bool add_header(struct transfer *transfer, const char *name, const char *value)
{
    auto_strbuf struct strbuf line = {0};
    if (!value)
        return true;
    strbuf_fmt(&line, "%s: %s", name, value);
    if (line.failed)
        return false;
    struct curl_slist *longer = curl_slist_append(transfer->headers, line.data);
    if (longer)
        transfer->headers = longer;
    return longer != NULL;
}

/* Proxies are as the environment says, as for every tool, but never for this machine itself. */
static void set_no_proxy(CURL *easy)
{
    auto_strbuf struct strbuf list = {0};
    const char *given = getenv("no_proxy") ? getenv("no_proxy") : getenv("NO_PROXY");
    strbuf_fmt(&list, "localhost,127.0.0.1,::1%s%s", given ? "," : "", given ? given : "");
    if (list.data)
        curl_easy_setopt(easy, CURLOPT_NOPROXY, list.data);
}

static int set_up(struct http *http, CURL *easy, char *why, struct transfer *transfer,
                  const struct http_request *request, struct err *err)
{
    auto_strbuf struct strbuf url = {0};
    const struct http_options *options = &http->options;
    strbuf_fmt(&url, "%s%s", options->url, request->path);
    bool ok = !url.failed &&
              add_header(transfer, "x-api-key", request->keyless ? NULL : options->key) &&
              add_header(transfer, "Idempotency-Key", request->idempotency_key) &&
              add_header(transfer, "Last-Event-ID", request->last_event_id) &&
              add_header(transfer, "If-None-Match", request->etag) &&
              add_header(transfer, "Content-Type", request->body ? "application/json" : NULL) &&
              add_header(transfer, "Expect", "");
    if (!ok || curl_easy_setopt(easy, CURLOPT_URL, url.data) != CURLE_OK)
        return err_nomem(err);
    transfer->easy = easy;
    transfer->answer.retry_after_s = -1;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "panelctl/" PANEL_VERSION);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
    set_no_proxy(easy);
    if (options->ca_cert)
        curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_cert);
    if (request->body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(request->body));
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body);
    }
    return 0;
}

static int fail(const struct http *http, const struct transfer *transfer, CURLcode code,
                const char *why, struct err *err)
{
    const char *url = http->options.url;
    const char *reason = *why ? why : curl_easy_strerror(code);
    long sent = 0;
    /* A connection that was kept may have died under the request: curl makes another by itself. */
    curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
    if (sent && (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST))
        code = CURLE_GOT_NOTHING;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return err_set(err, ERR_OFFLINE, "unresolved", "can't reach the panel at %.120s: %.150s",
                       url, reason);
    case CURLE_COULDNT_CONNECT:
        return err_set(err, ERR_OFFLINE, "refused", "can't reach the panel at %.120s: %.150s", url,
                       reason);
    case CURLE_SSL_CACERT_BADFILE:
        return err_set(err, ERR_INVALID, "usage", "can't use the CA file %.120s: %.150s",
                       http->options.ca_cert ? http->options.ca_cert : "of the system", reason);
    case CURLE_UNSUPPORTED_PROTOCOL: /* an answer without a head */
    case CURLE_WEIRD_SERVER_REPLY:
        return err_set(err, ERR_OFFLINE, "not_http", "what answers at %.120s doesn't speak HTTP%s",
                       url, strncmp(url, "http:", 5) == 0 ? "; is it https:// perhaps?" : "");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
        return err_set(err, ERR_OFFLINE, "untrusted", "no safe connection to %.120s: %.150s", url,
                       reason);
    case CURLE_OPERATION_TIMEDOUT: {
        curl_off_t connected = 0;
        curl_easy_getinfo(transfer->easy, CURLINFO_CONNECT_TIME_T, &connected);
        if (!connected)
            return err_set(err, ERR_OFFLINE, "unreachable",
                           "can't reach the panel at %.120s: %.150s", url, reason);
        return err_set(err, ERR_TIMEOUT, "timed_out", "no answer from %.120s in time", url);
    }
    default:
        if (transfer->too_large)
            return err_set(err, ERR_TOO_LARGE, "too_large", "the answer is larger than 512 MiB");
        return err_set(err, ERR_TIMEOUT, "answer_lost",
                       "the connection to %.120s broke before the answer came: %.150s", url,
                       reason);
    }
}

/* The soonest end in the chain, of what the TLS library tells as "Expire date:…". */
static int64_t certificate_end(CURL *easy)
{
    struct curl_certinfo *chain = NULL;
    int64_t soonest = 0;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || !chain)
        return 0;
    for (int i = 0; i < chain->num_of_certs; i++) {
        for (struct curl_slist *item = chain->certinfo[i]; item; item = item->next) {
            static const char name[] = "Expire date:";
            if (strncasecmp(item->data, name, sizeof(name) - 1) != 0)
                continue;
            int64_t end = curl_getdate(item->data + sizeof(name) - 1, NULL);
            if (end > 0 && (!soonest || end < soonest))
                soonest = end;
        }
    }
    return soonest;
}

static void finish_head(struct transfer *transfer)
{
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    transfer->answer.status = (int)status;
    transfer->answer.cert_ends_s = certificate_end(transfer->easy);
}

int http_send(struct http *http, const struct http_request *request, struct http_answer *answer,
              struct err *err)
{
    struct transfer transfer = {0};
    http->why[0] = '\0';
    curl_easy_reset(http->easy);
    int rc = set_up(http, http->easy, http->why, &transfer, request, err);
    if (rc == 0) {
        curl_easy_setopt(http->easy, CURLOPT_TIMEOUT_MS,
                         (long)http->options.timeout_ms + (long)request->patience_ms);
        CURLcode code = curl_easy_perform(http->easy);
        rc = code == CURLE_OK ? 0 : fail(http, &transfer, code, http->why, err);
    }
    curl_slist_free_all(transfer.headers);
    if (rc < 0) {
        http_answer_fini(&transfer.answer);
        return -1;
    }
    finish_head(&transfer);
    *answer = transfer.answer;
    return 0;
}

/* --- streams --------------------------------------------------------------------------------- */

struct http_stream *http_stream_open(struct http *http, const struct http_request *request,
                                     http_stream_take take, void *arg, struct err *err)
{
    struct http_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        err_nomem(err);
        return NULL;
    }
    stream->http = http;
    stream->transfer.take = take;
    stream->transfer.arg = arg;
    stream->easy = curl_easy_init();
    stream->multi = curl_multi_init();
    if (!stream->easy || !stream->multi) {
        err_nomem(err);
        http_stream_close(stream);
        return NULL;
    }
    if (set_up(http, stream->easy, stream->why, &stream->transfer, request, err) < 0) {
        http_stream_close(stream);
        return NULL;
    }
    curl_easy_setopt(stream->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(stream->easy, CURLOPT_LOW_SPEED_TIME, STREAM_QUIET_S);
    stream->added = curl_multi_add_handle(stream->multi, stream->easy) == CURLM_OK;
    if (!stream->added) {
        err_nomem(err);
        http_stream_close(stream);
        return NULL;
    }
    return stream;
}

/* 1: under way; 0: done; -1: broken. */
static int look(struct http_stream *stream, struct err *err)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(stream->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        finish_head(&stream->transfer);
        return code == CURLE_OK ? 0 : fail(stream->http, &stream->transfer, code, stream->why, err);
    }
    return 1;
}

int http_stream_poll(struct http_stream *stream, int fd, int ms, bool *ret_readable,
                     struct err *err)
{
    int running = 0;
    struct curl_waitfd also = {.fd = fd, .events = CURL_WAIT_POLLIN};
    if (curl_multi_perform(stream->multi, &running) != CURLM_OK)
        return err_nomem(err);
    int state = look(stream, err);
    if (state <= 0)
        return state;
    curl_multi_poll(stream->multi, &also, fd >= 0, ms, NULL);
    /* What curl fills in doesn't tell of the other end's having gone. */
    struct pollfd again = {.fd = fd, .events = POLLIN};
    *ret_readable = fd >= 0 && poll(&again, 1, 0) > 0;
    return 1;
}

const struct http_answer *http_stream_answer(const struct http_stream *stream)
{
    return &stream->transfer.answer;
}

void http_stream_close(struct http_stream *stream)
{
    if (!stream)
        return;
    if (stream->added)
        curl_multi_remove_handle(stream->multi, stream->easy);
    curl_easy_cleanup(stream->easy);
    curl_multi_cleanup(stream->multi);
    curl_slist_free_all(stream->transfer.headers);
    http_answer_fini(&stream->transfer.answer);
    free(stream);
}
