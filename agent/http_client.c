/* libcurl, made small. See http_client.h.
 *
 * Invariant: a call is on exactly one of the lists waiting (not yet given to curl), active, or
 * ended (to be reclaimed), and curl's handles are added and removed only in http_client_run(),
 * never inside one of curl's callbacks. So that a burst of work doesn't open hundreds of
 * connections to the Engine, at most ACTIVE_MAX calls run at once; streams don't count. */
#include "agent/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/auto.h"
#include "common/clock.h"

#define ACTIVE_MAX          64
#define KEEP_CONNS          4L
#define CONNECT_MS          5000L
#define JOIN_ANSWER_MAX     (256u * 1024u)
#define REDIRECTS_MAX       10L
#define DOWNLOAD_CONNECT_MS 15000L

struct http_call {
    struct http_call *prev;
    struct http_call *next;
    struct http_client *client;
    struct http_call **list;
    CURL *easy;
    char *body;
    size_t late_len; /* of body, when it is a late one */
    size_t late_given;
    bool late_begun;
    struct timer quiet;
    int64_t last_byte_ms;
    uint32_t quiet_ms; /* 0: only for the answer to begin */
    uint32_t begin_ms;
    size_t body_max;
    bool priority;
    bool added;
    void (*line)(void *arg, const char *line, size_t len);
    void (*piece)(void *arg, const char *data, size_t len);
    void (*done)(void *arg, const struct http_reply *reply);
    void *arg;
    struct strbuf buf;
    enum err_code stop; /* why we broke the transfer off ourselves */
};

struct http_client {
    CURLM *multi;
    struct curl_slist *headers;
    char *unix_socket;
    struct timers *timers;
    struct http_call *waiting;
    struct http_call *active;
    struct http_call *ended;
    size_t active_count;
    size_t late; /* calls with a late body */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void move_call(struct http_call *call, struct http_call **list)
{
    if (call->list == &call->client->active && !call->priority)
        call->client->active_count--;
    if (call->list)
        DL_DELETE(*call->list, call);
    call->list = list;
    if (list == &call->client->active && !call->priority)
        call->client->active_count++;
    DL_APPEND(*list, call);
}

static void free_call(struct http_call *call)
{
    timers_cancel(call->client->timers, &call->quiet);
    call->client->late -= call->late_len > 0;
    if (call->added)
        curl_multi_remove_handle(call->client->multi, call->easy);
    if (call->list)
        DL_DELETE(*call->list, call);
    curl_easy_cleanup(call->easy);
    strbuf_fini(&call->buf);
    free(call->body);
    free(call);
}

struct http_client *http_client_create(const char *unix_socket, struct timers *timers,
                                       struct err *err)
{
    pthread_once(&curl_once, init_curl);
    struct http_client *client = calloc(1, sizeof(*client));
    if (!client) {
        err_nomem(err);
        return NULL;
    }
    client->timers = timers;
    client->unix_socket = strdup(unix_socket);
    client->multi = curl_multi_init();
    client->headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct curl_slist *more =
        client->headers ? curl_slist_append(client->headers, "Expect:") : NULL;
    if (!client->unix_socket || !client->multi || !more) {
        http_client_destroy(client);
        err_nomem(err);
        return NULL;
    }
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, KEEP_CONNS);
    return client;
}

void http_client_destroy(struct http_client *client)
{
    if (!client)
        return;
    struct http_call **lists[] = {&client->waiting, &client->active, &client->ended};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        while (*lists[i])
            free_call(*lists[i]);
    curl_multi_cleanup(client->multi);
    curl_slist_free_all(client->headers);
    free(client->unix_socket);
    free(client);
}

/* One chunk of a streamed body: hand out the lines that are whole. */
static void give_lines(struct http_call *call)
{
    size_t from = 0;
    char *nl;
    while (call->stop == ERR_NONE &&
           (nl = memchr(call->buf.data + from, '\n', call->buf.len - from)) != NULL) {
        char *line = call->buf.data + from;
        size_t len = (size_t)(nl - line);
        from += len + 1;
        while (len && (line[len - 1] == '\r' || line[len - 1] == ' '))
            len--;
        line[len] = '\0';
        if (len && call->list != &call->client->ended)
            call->line(call->arg, line, len);
    }
    if (from) {
        memmove(call->buf.data, call->buf.data + from, call->buf.len - from + 1);
        call->buf.len -= from;
    }
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    size_t len = size * count;
    if (call->list == &call->client->ended)
        return 0;
    call->last_byte_ms = clock_mono_ms();
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (call->piece && status / 100 == 2) {
        call->piece(call->arg, data, len);
        return call->list == &call->client->ended ? 0 : len;
    }
    bool stream = call->line && status / 100 == 2;
    strbuf_add(&call->buf, data, len);
    if (call->buf.failed)
        call->stop = ERR_NO_MEMORY;
    else if (stream)
        give_lines(call);
    if (call->stop == ERR_NONE && call->buf.len > (stream ? HTTP_LINE_MAX : call->body_max))
        call->stop = ERR_TOO_LARGE;
    return call->stop == ERR_NONE ? len : 0;
}

static size_t give_late(char *to, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return CURL_READFUNC_PAUSE;
    size_t len = call->late_len - call->late_given;
    len = len < size * count ? len : size * count;
    memcpy(to, call->body + call->late_given, len);
    call->late_given += len;
    return len;
}

static void set_options(struct http_call *call, const struct http_spec *spec)
{
    CURL *easy = call->easy;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, call->client->unix_socket);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 16384L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->client->headers);
    if (spec->timeout_ms)
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)spec->timeout_ms);
    if (call->late_len) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_late);
        curl_easy_setopt(easy, CURLOPT_READDATA, call);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->late_len);
    } else if (call->body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(call->body));
    }
}

static void check_quiet(struct timer *timer);

struct http_call *http_client_start(struct http_client *client, const struct http_spec *spec,
                                    struct err *err)
{
    auto_free char *url = NULL;
    struct http_call *call = calloc(1, sizeof(*call));
    if (!call) {
        err_nomem(err);
        return NULL;
    }
    call->client = client;
    call->line = spec->line;
    call->piece = spec->piece;
    call->done = spec->done;
    call->arg = spec->arg;
    call->quiet_ms = spec->quiet_ms;
    call->begin_ms = spec->begin_ms;
    call->body_max = spec->body_max ? spec->body_max : HTTP_BODY_MAX;
    call->priority = spec->priority;
    call->quiet.fire = check_quiet;
    /* An Engine wants a length with every POST, so an absent body is sent as an empty one. */
    bool has_body = spec->body || spec->late_len || strcmp(spec->method, "POST") == 0;
    call->easy = curl_easy_init();
    call->late_len = spec->late_len;
    client->late += spec->late_len > 0;
    if (spec->late_len) {
        call->body = malloc(spec->late_len);
        if (call->body)
            memcpy(call->body, spec->late, spec->late_len);
    }
    if (has_body && !spec->late_len)
        call->body = strdup(spec->body ? spec->body : "");
    if (!call->easy || (has_body && !call->body) ||
        asprintf(&url, "http://docker%s", spec->path) < 0) {
        url = NULL;
        goto no_memory;
    }
    set_options(call, spec);
    if (curl_easy_setopt(call->easy, CURLOPT_URL, url) != CURLE_OK)
        goto no_memory;
    move_call(call, &client->waiting);
    http_client_wake(client);
    return call;
no_memory:
    free_call(call);
    err_nomem(err);
    return NULL;
}

void http_call_cancel(struct http_call *call)
{
    move_call(call, &call->client->ended);
}

/* The call is over: tell its owner, unless it was cancelled. */
static void finish_call(struct http_call *call, CURLcode rc)
{
    struct http_reply reply = {.body = "", .len = 0};
    bool cancelled = call->list == &call->client->ended;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &reply.status);
    if (call->stop == ERR_NO_MEMORY || rc == CURLE_OUT_OF_MEMORY)
        err_nomem(&reply.err);
    else if (call->stop == ERR_TOO_LARGE)
        err_set(&reply.err, ERR_TOO_LARGE, "answer_too_large",
                "the answer has a %s of more than %zu KiB", call->line ? "line" : "body",
                (call->line ? HTTP_LINE_MAX : call->body_max) / 1024);
    else if (call->stop == ERR_TIMEOUT || rc == CURLE_OPERATION_TIMEDOUT)
        err_set(&reply.err, ERR_TIMEOUT, "timeout", "no answer in time");
    else if (rc != CURLE_OK)
        err_set(&reply.err, ERR_OFFLINE, "no_connection", "%s", curl_easy_strerror(rc));
    if (call->buf.data && !call->buf.failed) {
        reply.body = call->buf.data;
        reply.len = call->buf.len;
    }
    move_call(call, &call->client->ended);
    if (!cancelled)
        call->done(call->arg, &reply);
}

/* The quiet timer runs outside of curl's callbacks, so the handle may be dropped here. */
static void check_quiet(struct timer *timer)
{
    struct http_call *call =
        (struct http_call *)((char *)timer - offsetof(struct http_call, quiet));
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (!call->quiet_ms && status)
        return;
    int64_t due = call->last_byte_ms + (call->quiet_ms ? call->quiet_ms : call->begin_ms);
    if (clock_mono_ms() < due) {
        timers_set(call->client->timers, timer, due);
        return;
    }
    call->stop = ERR_TIMEOUT;
    finish_call(call, CURLE_OPERATION_TIMEDOUT);
}

static void admit_waiting(struct http_client *client)
{
    struct http_call *call;
    struct http_call *next;
    DL_FOREACH_SAFE(client->waiting, call, next)
    {
        if (!call->priority && client->active_count >= ACTIVE_MAX)
            continue;
        move_call(call, &client->active);
        call->added = curl_multi_add_handle(client->multi, call->easy) == CURLM_OK;
        if (!call->added) {
            finish_call(call, CURLE_OUT_OF_MEMORY);
            return; /* done() may have changed the list: the next round goes on */
        }
        call->last_byte_ms = clock_mono_ms();
        uint32_t patience = call->quiet_ms ? call->quiet_ms : call->begin_ms;
        if (patience)
            timers_set(client->timers, &call->quiet, call->last_byte_ms + patience);
    }
}

/* Outside of curl's callbacks: go on with those that were answered, end those that are sent. */
static void run_late(struct http_client *client)
{
    struct http_call *call;
    struct http_call *next;
    DL_FOREACH_SAFE(client->active, call, next)
    {
        curl_off_t sent = 0;
        long status = 0;
        if (!call->late_len)
            continue;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
        if (status >= 200 && status < 300 && !call->late_begun) {
            call->late_begun = true;
            curl_easy_pause(call->easy, CURLPAUSE_CONT);
        } else if ((size_t)sent >= call->late_len) {
            finish_call(call, CURLE_OK);
        }
    }
}

static void collect_finished(struct http_client *client)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        struct http_call *call = NULL;
        CURLcode rc = msg->data.result;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        curl_multi_remove_handle(client->multi, call->easy);
        call->added = false;
        finish_call(call, rc);
    }
}

void http_client_run(struct http_client *client)
{
    int running;
    do {
        while (client->ended)
            free_call(client->ended);
        admit_waiting(client);
        curl_multi_perform(client->multi, &running);
        collect_finished(client);
        if (client->late)
            run_late(client);
    } while (client->ended || (client->waiting && client->active_count < ACTIVE_MAX));
}

bool http_client_poll(struct http_client *client, int fd, int ms)
{
    struct curl_waitfd extra = {.fd = fd, .events = CURL_WAIT_POLLIN};
    curl_multi_poll(client->multi, &extra, fd >= 0 ? 1 : 0, ms, NULL);
    return extra.revents != 0;
}

void http_client_wake(struct http_client *client)
{
    curl_multi_wakeup(client->multi);
}

static size_t take_answer(char *data, size_t size, size_t count, void *arg)
{
    struct strbuf *buf = arg;
    size_t len = size * count;
    if (buf->len + len > JOIN_ANSWER_MAX)
        return 0;
    strbuf_add(buf, data, len);
    return buf->failed ? 0 : len;
}

/* The header Date, as RFC 9110 has it. */
static size_t take_date(char *data, size_t size, size_t count, void *arg)
{
    int64_t *date = arg;
    char line[80];
    if (size * count > 5 && strncasecmp(data, "Date:", 5) == 0) {
        snprintf(line, sizeof(line), "%.*s", (int)(size * count - 5), data + 5);
        *date = curl_getdate(line, NULL);
    }
    return size * count;
}

/* As bytes, not as a file: the agent's user need not be able to read what root named. */
static int trust(CURL *easy, const char *ca, struct err *err)
{
    struct curl_blob blob = {
        .data = (void *)(uintptr_t)ca, .len = strlen(ca), .flags = CURL_BLOB_COPY};
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
    if (rc == CURLE_OK)
        return 0;
    return rc == CURLE_OUT_OF_MEMORY
               ? err_nomem(err)
               : err_set(err, ERR_INTERNAL, "no_own_ca",
                         "--ca-cert can't be had with this libcurl: %s", curl_easy_strerror(rc));
}

/* rc is why there was none. */
static int say_no_answer(CURLcode rc, const char *url, const char *ca, const char *why,
                         struct err *err)
{
    if (!why[0])
        why = curl_easy_strerror(rc);
    if (rc == CURLE_SSL_CACERT_BADFILE)
        return err_set(err, ERR_INVALID, HTTP_UNTRUSTED,
                       "what --ca-cert names is no certificate (PEM): %s", why);
    if (rc == CURLE_PEER_FAILED_VERIFICATION)
        return err_set(err, ERR_OFFLINE, HTTP_UNTRUSTED,
                       ca ? "%s is not trusted: %s; does its certificate come from the CA that "
                            "--ca-cert names, and is it for this name?"
                          : "%s is not trusted: %s; where its certificate comes from a CA of your "
                            "own, name that CA's: --ca-cert FILE",
                       url, why);
    return err_set(err, ERR_OFFLINE, "no_answer", "no answer from %s: %s", url, why);
}

/* One request that waits, with json POSTed or, where that is NULL, GET. */
static int ask(const char *url, const char *ca, const char *json, uint32_t timeout_ms,
               long *ret_status, int64_t *ret_date, char **ret_body, struct err *err)
{
    pthread_once(&curl_once, init_curl);
    auto_strbuf struct strbuf answer = {0};
    char why[CURL_ERROR_SIZE] = "";
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!easy || !headers) {
        curl_easy_cleanup(easy);
        curl_slist_free_all(headers);
        return err_nomem(err);
    }
    if (ca && trust(easy, ca, err) < 0) {
        curl_easy_cleanup(easy);
        curl_slist_free_all(headers);
        return -1;
    }
    *ret_date = -1;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    if (json) {
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, json);
    }
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_date);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, ret_date);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
    CURLcode rc = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, ret_status);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    if (rc != CURLE_OK)
        return say_no_answer(rc, url, ca, why, err);
    *ret_body = strbuf_steal(&answer);
    return *ret_body ? 0 : err_nomem(err);
}

int http_post_json(const char *url, const char *ca, const char *json, uint32_t timeout_ms,
                   long *ret_status, char **ret_body, struct err *err)
{
    int64_t date;
    return ask(url, ca, json, timeout_ms, ret_status, &date, ret_body, err);
}

int http_get(const char *url, const char *ca, uint32_t timeout_ms, long *ret_status,
             int64_t *ret_date, char **ret_body, struct err *err)
{
    return ask(url, ca, NULL, timeout_ms, ret_status, ret_date, ret_body, err);
}

/* ---- Downloads ---- */

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    const struct http_download *download = arg;
    if (purpose != CURLSOCKTYPE_IPCXN || !download->may_connect(download->arg, &to->addr))
        return CURL_SOCKET_BAD;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t take_download(char *data, size_t size, size_t count, void *arg)
{
    const struct http_download *download = arg;
    return download->write(download->arg, data, size * count) ? size * count : 0;
}

struct download_state {
    const struct http_download *download;
    bool too_large;
    bool broken_off;
};

static int see_download(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total,
                        curl_off_t up_now)
{
    (void)up_total;
    (void)up_now;
    struct download_state *state = arg;
    const struct http_download *download = state->download;
    state->too_large = now > 0 && (uint64_t)now > download->bytes_max;
    state->broken_off = !download->progress(download->arg, total > 0 ? (uint64_t)total : 0,
                                            now > 0 ? (uint64_t)now : 0);
    return state->too_large || state->broken_off;
}

static int download_failed(CURLcode rc, long status, const char *why,
                           const struct download_state *state, struct err *err)
{
    const char *text = *why ? why : curl_easy_strerror(rc);
    if (state->too_large || rc == CURLE_FILESIZE_EXCEEDED)
        return err_set(err, ERR_TOO_LARGE, "install_failed",
                       "it is larger than the %llu bytes that are left of what an install may have",
                       (unsigned long long)state->download->bytes_max);
    if (state->broken_off)
        return err_set(err, ERR_BUSY, "install_cancelled", "it was broken off");
    if (rc == CURLE_HTTP_RETURNED_ERROR)
        return err_set(err,
                       status >= 500 || status == 408 || status == 429 ? ERR_OFFLINE : ERR_INVALID,
                       "install_failed", "the server answered with status %ld", status);
    switch (rc) {
    case CURLE_OUT_OF_MEMORY:
        return err_nomem(err);
    case CURLE_TOO_MANY_REDIRECTS:
        return err_set(err, ERR_INVALID, "install_failed",
                       "it leads from one redirect to the next, more than %ld", REDIRECTS_MAX);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return err_set(err, ERR_OFFLINE, "install_failed", "%s", text);
    default:
        return err_set(err, ERR_INVALID, "install_failed", "%s", text);
    }
}

static void set_download(CURL *easy, const struct http_download *download,
                         struct download_state *state, char *why)
{
    bool secure = strncasecmp(download->url, "https:", 6) == 0;
    curl_easy_setopt(easy, CURLOPT_URL, download->url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* else the address would be the proxy's */
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "panel-agent/" PANEL_VERSION);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)download->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, DOWNLOAD_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)download->quiet_s);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 10L);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
                     (curl_off_t)(download->bytes_max ? download->bytes_max : 1));
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, download);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_download);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, download);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, see_download);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, state);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
}

int http_download(const struct http_download *download, struct err *err)
{
    struct download_state state = {.download = download};
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    pthread_once(&curl_once, init_curl);
    CURL *easy = curl_easy_init();
    if (!easy)
        return err_nomem(err);
    set_download(easy, download, &state, why);
    CURLcode rc = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    return rc == CURLE_OK ? 0 : download_failed(rc, status, why, &state, err);
}
