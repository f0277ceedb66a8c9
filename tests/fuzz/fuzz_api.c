/* A whole request through the API: key, route, body, each handler's input, the transaction, the
 * answer. The store is a real one (store.h); in the place of the HTTP room, the fleet and the
 * password workers stand the few lines below, so that one request is one call on one thread.
 *
 * Input: a byte of circumstances, then "METHOD TARGET", lines of headers, an empty line, the body.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/strbuf.h"
#include "panel/api/api.h"
#include "panel/http/guard.h"
#include "panel/http/uri.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/store.h"

#define HEADERS_MAX 32

enum circumstance {
    NO_KEY = 1,
    NODE_AWAY = 2,
    DOCKER_AWAY = 4,
    GOAL_REACHED = 8,
    PASSWORDS_BUSY = 16,
};

/* --- the rooms around ------------------------------------------------------------------------ */

struct http_req {
    char *method, *target, *body;
    size_t body_len;
    char *names[HEADERS_MAX], *values[HEADERS_MAX];
    size_t header_count;
    char *scratch;
    struct uri uri;
    void *kept;
    void (*kept_free)(void *data);
    void *route;
    unsigned circumstances;
    int status;
    struct shared *answer;
    unsigned answers;
};

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
    return strcmp(name, "x-api-key") == 0 && !(req->circumstances & NO_KEY) ? FUZZ_KEY : NULL;
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

void *http_req_route(const struct http_req *req)
{
    return req->route;
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

/* The fleet: the board is real, waits end at once. */
static struct board *board;

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

static struct api *api;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct err err = {0};
    struct api_settings settings = {1.0, {20000, 20010}, NULL};
    fuzz_init();
    fuzz_store_open();
    CHECK(board_create(&board, &err) == 0);
    struct api_rooms rooms = {fuzz_store.store, (struct fleet *)board, fuzz_store.ca,
                              (struct password_pool *)board};
    CHECK(api_create(&rooms, &settings, &api, &err) == 0);
    return 0;
}

/* --- a request ------------------------------------------------------------------------------- */

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

/* False when the HTTP room would have refused it. */
static bool read_request(struct http_req *req, struct fuzz_input *in)
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
    return !uri_parse(req->target, len, req->scratch, &req->uri) && is_sound_head(req);
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

static void check_answer(const struct http_req *req, const char *text, size_t len)
{
    CHECK(req->status >= 200 && req->status <= 503);
    if (req->status == 304) {
        CHECK(!len);
        return;
    }
    CHECK(text && len);
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    CHECK(root); /* so it is UTF-8, too */
    const char *code = json_string_value(json_object_get(root, "code"));
    const char *sentence = json_string_value(json_object_get(root, "error"));
    if (req->status >= 400) {
        CHECK(code && code[0] && sentence && sentence[0]);
        CHECK(json_is_string(json_object_get(root, "requestId")));
        CHECK(strcmp(code, "internal_error") != 0 && strcmp(code, "out_of_memory") != 0);
        CHECK(strspn(code, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(code));
    }
    json_decref(root);
}

static void run(struct http_req *req)
{
    struct http_app app = api_http_app(api);
    struct http_verdict verdict = {0};
    struct strbuf refusal = {0};
    bool keyed = strcmp(req->uri.path, "/api") == 0 || strncmp(req->uri.path, "/api/", 5) == 0;
    const char *key = http_req_header(req, "x-api-key");
    unsigned changes = fuzz_store.changes;
    put_board(req->circumstances);
    app.admit(app.arg, req, &verdict, &refusal);
    if (verdict.refuse_status) {
        req->status = verdict.refuse_status;
        check_answer(req, refusal.data, refusal.len);
    } else {
        CHECK(!refusal.len && verdict.max_body && verdict.deadline_ms);
        CHECK(!keyed || (key && strcmp(key, FUZZ_KEY) == 0)); /* no key, no effect */
        req->route = verdict.route;
        if (req->body_len > verdict.max_body)
            req->body_len = verdict.max_body;
        app.handle(app.arg, req);
        CHECK(req->answers == 1);
        check_answer(req, req->answer ? shared_data(req->answer) : NULL,
                     req->answer ? shared_len(req->answer) : 0);
        CHECK(fuzz_store.changes == changes || http_req_method(req) != HTTP_GET);
    }
    strbuf_fini(&refusal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct http_req req = {0};
    current = &req;
    bool sound = read_request(&req, &in);
    if (sound) {
        if (strcmp(req.uri.path, "/join") == 0)
            prove_join(&req);
        run(&req);
    }
    if (req.kept)
        req.kept_free(req.kept);
    for (size_t i = 0; i < req.header_count; i++) {
        free(req.names[i]);
        free(req.values[i]);
    }
    free(req.method);
    free(req.target);
    free(req.body);
    free(req.scratch);
    shared_unref(req.answer);
    current = NULL;
    return sound ? 0 : -1;
}
