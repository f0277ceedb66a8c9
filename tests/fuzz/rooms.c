/* See rooms.h. */
#include "tests/fuzz/rooms.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/strbuf.h"
#include "panel/fleet/logs.h"
#include "panel/fleet/stats.h"
#include "panel/http/guard.h"
#include "tests/fuzz/store.h"

/* --- HTTP ------------------------------------------------------------------------------------ */

static struct http_req *current;

static enum http_method method_of(const char *name)
{
    static const char *const names[] = {"GET", "POST", "DELETE", "PATCH", "PUT"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum http_method)i;
    }
    return HTTP_OTHER;
}

enum http_method http_req_method(const struct http_req *req)
{
    return method_of(req->method);
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
        if (strcasecmp(req->names[i], name) == 0)
            return req->values[i];
    }
    if (strcmp(name, "x-api-key") != 0 || req->circumstances & NO_KEY)
        return NULL;
    return req->circumstances & GUESTS_KEY ? FUZZ_GUESTS_KEY : FUZZ_KEY;
}

const char *http_req_id(const struct http_req *req)
{
    (void)req;
    return "request-1";
}

const char *http_req_body(const struct http_req *req, size_t *ret_len)
{
    *ret_len = req->body_len;
    return req->body;
}

int64_t http_req_age_ms(const struct http_req *req)
{
    (void)req;
    return 1;
}

bool http_req_is_tls(const struct http_req *req)
{
    (void)req;
    return false;
}

/* From somewhere else each time, so that no input is refused for what others did. */
size_t http_req_peer(const struct http_req *req, uint8_t out[HTTP_PEER_MAX])
{
    static uint64_t last;
    (void)req;
    last++;
    memcpy(out, &last, sizeof(last));
    return sizeof(last);
}

void http_req_client(const struct http_req *req, char out[HTTP_CLIENT_SIZE])
{
    (void)req;
    memcpy(out, "192.0.2.1", sizeof("192.0.2.1"));
}

bool http_req_is_loopback(const struct http_req *req)
{
    (void)req;
    return false;
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

/* Nothing that a client sent may begin a header of its own. */
void http_req_add_header(struct http_req *req, const char *name, const char *value)
{
    (void)req;
    CHECK(name[0]);
    for (const unsigned char *p = (const unsigned char *)value; *p; p++)
        CHECK(*p >= 0x20 && *p != 0x7f);
}

void http_req_defer(struct http_req *req)
{
    (void)req;
}

void http_req_answer_shared(struct http_req *req, int status, struct shared *take_body)
{
    CHECK(!req->answers);
    req->answers++;
    req->status = status;
    req->answer = take_body;
}

void http_req_answer(struct http_req *req, int status, char *take_body, size_t len)
{
    http_req_answer_shared(req, status, take_body ? shared_create(take_body, len) : NULL);
}

void http_req_set_type(struct http_req *req, const char *type)
{
    req->type = type;
}

/* A stream: read to its end, or until it has nothing; the client goes then. */
static char a_stream;

struct http_stream *http_req_stream(struct http_req *req, const char *type,
                                    const struct http_source *source)
{
    struct strbuf all = {0};
    char piece[100];
    int len;
    req->type = type;
    strbuf_str(&all, "");
    while ((len = source->read(source->arg, piece, sizeof(piece))) > 0)
        strbuf_add(&all, piece, (size_t)len);
    size_t size = all.len;
    http_req_answer(req, 200, strbuf_steal(&all), size);
    source->close(source->arg);
    return NULL; /* it is closed */
}

void http_stream_wake(struct http_stream *stream)
{
    (void)stream;
}

void http_stream_unref(struct http_stream *stream)
{
    CHECK(!stream || stream == (struct http_stream *)&a_stream);
}

/* --- logs ------------------------------------------------------------------------------------ */

struct log_follower {
    struct live_listener listener;
    unsigned taken;
};

static void give_error(struct err *err)
{
    if (current->circumstances & NODE_AWAY)
        err_set(err, ERR_OFFLINE, "node_unreachable", "it does not answer");
    else
        err_set(err, ERR_NOT_FOUND, "no_container", "there is none");
}

int fleet_read_log(struct fleet *fleet, const char *instance_id, const struct log_query *query,
                   void (*fn)(void *arg, const Wire__HistoryReply *history, const struct err *err),
                   void *arg, struct err *err)
{
    (void)fleet;
    CHECK(instance_id[0] && query->lines_max <= 10000);
    if (current->circumstances & PASSWORDS_BUSY)
        return err_nomem(err);
    if (current->circumstances & (NODE_AWAY | DOCKER_AWAY)) {
        give_error(err);
        fn(arg, NULL, err);
        *err = (struct err){0};
        return 0;
    }
    Wire__LogLine line = WIRE__LOG_LINE__INIT;
    Wire__LogLine *lines[] = {&line};
    Wire__HistoryReply history = WIRE__HISTORY_REPLY__INIT;
    line.text = (ProtobufCBinaryData){3, (uint8_t *)"a\xff\0"};
    history.n_lines = 1;
    history.lines = lines;
    history.left_out = 7;
    fn(arg, &history, NULL);
    return 0;
}

struct log_follower *log_follower_create(struct fleet *fleet, const char *instance_id,
                                         const struct log_query *query,
                                         const struct live_listener *listener)
{
    (void)fleet;
    CHECK(instance_id[0] && query->lines_max <= 10000);
    struct log_follower *follower = calloc(1, sizeof(*follower));
    if (follower)
        follower->listener = *listener;
    return follower;
}

void log_follower_begin(struct log_follower *follower)
{
    (void)follower;
    CHECK(false); /* streams are over here before it */
}

enum feed_taken log_follower_take(struct log_follower *follower, struct shared **ret_piece,
                                  uint64_t *ret_lost)
{
    char *text;
    switch (follower->taken++) {
    case 0:
        text = strdup("data: {}\n\n");
        *ret_piece = text ? shared_create(text, 10) : NULL;
        return *ret_piece ? FEED_PIECE : FEED_END;
    case 1:
        *ret_lost = 3;
        return FEED_LOST;
    default:
        return current->circumstances & GOAL_REACHED ? FEED_END : FEED_NOTHING;
    }
}

void log_follower_leave(struct log_follower *follower)
{
    follower->listener.release(follower->listener.arg);
    free(follower);
}

/* --- stats ----------------------------------------------------------------------------------- */

struct stats_follower {
    struct live_listener listener;
    struct shared *(*render)(const struct stats_row *row);
    unsigned taken;
};

static const struct stats_row a_row = {.instance_id = "i1",
                                       .running = true,
                                       .at = 1767225600000,
                                       .cpu_milli = UINT64_MAX / 1000,
                                       .cpu_ns = UINT64_MAX,
                                       .memory_bytes = UINT64_MAX};
static const struct stats_row a_stopped_row = {.instance_id = "i2", .volume_known = true};

int fleet_read_stats(struct fleet *fleet, const char *instance_id, stats_fn fn, void *arg,
                     struct err *err)
{
    (void)fleet;
    CHECK(instance_id[0]);
    if (current->circumstances & PASSWORDS_BUSY)
        return err_nomem(err);
    if (current->circumstances & (NODE_AWAY | DOCKER_AWAY)) {
        give_error(err);
        fn(arg, NULL, err);
        *err = (struct err){0};
    } else {
        fn(arg, &a_row, NULL);
    }
    return 0;
}

int fleet_look_at_all_stats(struct fleet *fleet, void (*ready)(void *arg), void *arg,
                            struct err *err)
{
    (void)fleet;
    if (current->circumstances & PASSWORDS_BUSY)
        return err_nomem(err);
    if (current->circumstances & GOAL_REACHED)
        return 1;
    ready(arg);
    return 0;
}

int fleet_copy_stats(struct fleet *fleet, struct stats_row **ret_rows, size_t *ret_count,
                     struct err *err)
{
    (void)fleet;
    struct stats_row *rows = calloc(2, sizeof(*rows));
    if (!rows)
        return err_nomem(err);
    rows[0] = a_row;
    rows[1] = a_stopped_row;
    *ret_rows = rows;
    *ret_count = 2;
    return 0;
}

struct stats_follower *stats_follower_create(struct fleet *fleet, const char *instance_id,
                                             struct shared *(*render)(const struct stats_row *row),
                                             const struct live_listener *listener)
{
    (void)fleet;
    CHECK(instance_id[0]);
    struct stats_follower *follower = calloc(1, sizeof(*follower));
    if (follower) {
        follower->listener = *listener;
        follower->render = render;
    }
    return follower;
}

void stats_follower_begin(struct stats_follower *follower)
{
    (void)follower;
    CHECK(false); /* streams are over here before it */
}

enum feed_taken stats_follower_take(struct stats_follower *follower, struct shared **ret_piece,
                                    uint64_t *ret_lost)
{
    switch (follower->taken++) {
    case 0:
        *ret_piece = follower->render(&a_row);
        return *ret_piece ? FEED_PIECE : FEED_END;
    case 1:
        *ret_lost = 3;
        return FEED_LOST;
    default:
        return current->circumstances & GOAL_REACHED ? FEED_END : FEED_NOTHING;
    }
}

void stats_follower_leave(struct stats_follower *follower)
{
    follower->listener.release(follower->listener.arg);
    free(follower);
}

/* --- commands -------------------------------------------------------------------------------- */

int fleet_send_command(struct fleet *fleet, const char *instance_id, const char *text, size_t len,
                       void (*fn)(void *arg, const struct err *err), void *arg, struct err *err)
{
    (void)fleet;
    CHECK(instance_id[0] && len && len <= 4097 && memchr(text, '\n', len) == text + len - 1);
    if (current->circumstances & PASSWORDS_BUSY)
        return err_nomem(err);
    struct err told = {0};
    if (current->circumstances & NODE_AWAY)
        err_set(&told, ERR_OFFLINE, "node_unreachable", "it does not answer");
    else if (current->circumstances & DOCKER_AWAY)
        err_set(&told, ERR_TIMEOUT, "outcome_unknown", "nobody knows");
    fn(arg, told.code ? &told : NULL);
    return 0;
}

/* The fleet: the board is real, waits end at once. */
static struct board *board;

bool fleet_is_loaded(struct fleet *fleet)
{
    (void)fleet;
    return true;
}

struct board *fleet_board(struct fleet *fleet)
{
    (void)fleet;
    return board;
}

void fleet_notice_instance(struct fleet *fleet, const char *instance_id)
{
    (void)fleet;
    CHECK(instance_id[0]);
}

void fleet_notice_node(struct fleet *fleet, const char *node_id)
{
    (void)fleet;
    CHECK(node_id[0]);
}

int fleet_wait_instance(struct fleet *fleet, const char *instance_id, enum fleet_goal goal,
                        uint32_t timeout_ms, void (*fn)(void *arg, enum fleet_outcome outcome),
                        void *arg, struct err *err)
{
    (void)fleet;
    (void)goal;
    (void)err;
    CHECK(instance_id[0] && timeout_ms && timeout_ms <= 300000);
    fn(arg, current->circumstances & GOAL_REACHED ? FLEET_REACHED : FLEET_TIMED_OUT);
    return 0;
}

size_t password_pool_queued(struct password_pool *pool, size_t *ret_max)
{
    (void)pool;
    *ret_max = 1;
    return 0;
}

int password_pool_hash(struct password_pool *pool, const char *password, size_t len,
                       void (*done)(void *arg, const char *hash, const struct err *err), void *arg,
                       struct err *err)
{
    (void)pool;
    CHECK(len == strlen(password));
    if (current->circumstances & PASSWORDS_BUSY)
        return err_set(err, ERR_BUSY, "busy", "too many at once");
    done(arg, "$argon2id$of-a-password", NULL);
    return 0;
}

int password_pool_verify(struct password_pool *pool, const char *password, size_t len,
                         const char *against,
                         void (*done)(void *arg, bool right, const struct err *err), void *arg,
                         struct err *err)
{
    (void)pool;
    CHECK(len == strlen(password));
    if (current->circumstances & PASSWORDS_BUSY)
        return err_set(err, ERR_BUSY, "busy", "too many at once");
    done(arg, against && strcmp(password, "right") == 0, NULL);
    return 0;
}

/* --- reading a request ----------------------------------------------------------------------- */

/* "name: value" */
static void read_header(struct http_req *req, char *line)
{
    char *colon = strchr(line, ':');
    char *value = colon ? colon + 1 : line + strlen(line);
    if (colon)
        *colon = '\0';
    req->names[req->header_count] = strdup(line);
    req->values[req->header_count] = strdup(value + strspn(value, " "));
    CHECK(req->names[req->header_count] && req->values[req->header_count]);
    req->header_count++;
}

/* What the HTTP room would have looked at. */
static bool is_sound_head(const struct http_req *req)
{
    struct guard guard;
    guard_init(&guard, NULL);
    for (size_t i = 0; i < req->header_count; i++)
        guard_header(&guard, req->names[i], strlen(req->names[i]), req->values[i],
                     strlen(req->values[i]));
    if (!guard.has_host)
        guard_header(&guard, "Host", 4, "panel", 5);
    guard_end(&guard, true);
    return !guard.wrong;
}

/* A join that can prove itself: "mac":"right" becomes what it should be. */
static void prove_join(struct http_req *req)
{
    json_t *root = json_loadb(req->body, req->body_len, 0, NULL);
    const char *mac = json_string_value(json_object_get(root, "mac"));
    if (mac && strcmp(mac, "right") == 0) {
        static const char *const names[] = {"nodeId", "nonce", "agentVersion", "csr"};
        char right[CRYPTO_HEX_LEN + 1];
        auto_strbuf struct strbuf text = {0};
        strbuf_str(&text, "join request");
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            const char *value = json_string_value(json_object_get(root, names[i]));
            strbuf_fmt(&text, "\n%s", value ? value : "");
        }
        crypto_mac_hex(fuzz_store.join_key, text.data, text.len, right);
        json_object_set_new(root, "mac", json_string(right));
        char *body = json_dumps(root, JSON_COMPACT);
        CHECK(body);
        free(req->body);
        req->body = body;
        req->body_len = strlen(body);
    }
    json_decref(root);
}

bool request_read(struct http_req *req, struct fuzz_input *in)
{
    req->circumstances = fuzz_byte(in);
    struct fuzz_input head = *in;
    char *line = fuzz_text(in, '\n', NULL);
    head.size = strlen(line) < head.size ? strlen(line) : head.size;
    req->method = fuzz_text(&head, ' ', NULL);
    req->target = fuzz_text(&head, '\n', NULL);
    free(line);
    while (in->size) {
        line = fuzz_text(in, '\n', NULL);
        bool last = !line[0] || req->header_count == HEADERS_MAX;
        if (!last)
            read_header(req, line);
        free(line);
        if (last)
            break;
    }
    req->body = fuzz_rest(in, &req->body_len);
    size_t len = strlen(req->target);
    req->scratch = malloc(URI_SCRATCH_SIZE(len));
    CHECK(req->scratch);
    if (uri_parse(req->target, len, req->scratch, &req->uri) || !is_sound_head(req))
        return false;
    if (strcmp(req->uri.path, "/join") == 0)
        prove_join(req);
    return true;
}

/* --- the API in their midst ------------------------------------------------------------------- */

static struct api *api;

void rooms_open(void)
{
    struct err err = {0};
    struct api_settings settings = {1.0, {20000, 20010}, NULL, 0, 12, METRICS_KEYED};
    CHECK(board_create(&board, &err) == 0);
    struct api_rooms rooms = {fuzz_store.store, (struct fleet *)board, fuzz_store.ca,
                              (struct password_pool *)board};
    CHECK(api_create(&rooms, &settings, &api, &err) == 0);
}

void rooms_close(void)
{
    api_destroy(api);
    board_destroy(board);
}

static void put_board(unsigned circumstances)
{
    struct node_live live = {.status = circumstances & NODE_AWAY ? NODE_OFFLINE : NODE_ONLINE,
                             .last_seen = 1,
                             .agent_version = "0.1.0",
                             .docker_up = !(circumstances & DOCKER_AWAY),
                             .docker_version = "20.10",
                             .orphans = 1};
    for (size_t i = 0; i + 3 < sizeof(live.docker_error); i += 3)
        memcpy(live.docker_error + i, "\xe2\x82\xac", 3); /* cut anywhere, it is no UTF-8 */
    if (live.docker_up)
        live.docker_error[0] = '\0';
    CHECK(board_put(board, "n1", &live, NULL) == 0);
}

void request_run(struct http_req *req)
{
    struct http_app app = api_http_app(api);
    struct http_verdict verdict = {0};
    current = req;
    put_board(req->circumstances);
    app.admit(app.arg, req, &verdict, &req->refusal);
    req->refused = verdict.refuse_status != 0;
    if (req->refused) {
        req->status = verdict.refuse_status;
    } else {
        CHECK(verdict.max_body && verdict.deadline_ms);
        if (req->body_len > verdict.max_body)
            req->body_len = verdict.max_body;
        app.handle(app.arg, req);
        CHECK(req->answers == 1);
    }
    current = NULL;
}

void request_free(struct http_req *req)
{
    if (req->kept)
        req->kept_free(req->kept);
    for (size_t i = 0; i < req->header_count; i++) {
        free(req->names[i]);
        free(req->values[i]);
    }
    free(req->method);
    free(req->target);
    free(req->body);
    free(req->scratch);
    shared_unref(req->answer);
    strbuf_fini(&req->refusal);
}
