/* A whole request through the API: key, route, body, each handler's input, the transaction, the
 * answer. One request is one call on one thread. Input: what request_read() of rooms.h reads. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/strbuf.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rooms.h"
#include "tests/fuzz/store.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    fuzz_store_open();
    rooms_open();
    return 0;
}

/* --- a request ------------------------------------------------------------------------------- */

static void check_answer(const struct http_req *req, const char *text, size_t len)
{
    CHECK(req->status >= 200 && req->status <= 504);
    if (req->status == 304) {
        CHECK(!len);
        return;
    }
    if (req->type && req->status == 200) { /* logs, which may be empty */
        CHECK(text && strncmp(req->type, "text/", 5) == 0);
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

/* What u2 reads has nothing of u1's. */
static void check_guest(const struct http_req *req)
{
    static const char *const others[] = {"ann@example.com", "\"i1\"", "\"i2\"", "\"n2\"",
                                         "\"fuzz\""};
    if (!(req->circumstances & GUESTS_KEY) || http_req_method(req) != HTTP_GET ||
        req->status != 200 || !req->answer)
        return;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(!memmem(shared_data(req->answer), shared_len(req->answer), others[i],
                      strlen(others[i])));
}

static void run(struct http_req *req)
{
    bool keyed = strcmp(req->uri.path, "/api") == 0 || strncmp(req->uri.path, "/api/", 5) == 0;
    bool login = http_req_method(req) == HTTP_POST && strcmp(req->uri.path, "/api/auth/login") == 0;
    const char *key = http_req_header(req, "x-api-key");
    const char *bearer = http_req_header(req, "Authorization");
    if (!key && bearer && strncasecmp(bearer, "Bearer ", 7) == 0)
        key = bearer + 7;
    unsigned changes = fuzz_store.changes;
    request_run(req);
    if (req->refused) {
        check_answer(req, req->refusal.data, req->refusal.len);
        CHECK(fuzz_store.changes == changes || req->status == 403); /* that is audited */
    } else {
        CHECK(!req->refusal.len);
        bool known = key && (strcmp(key, FUZZ_KEY) == 0 || strcmp(key, FUZZ_GUESTS_KEY) == 0);
        CHECK(!keyed || login || known); /* no key, no effect */
        check_answer(req, req->answer ? shared_data(req->answer) : NULL,
                     req->answer ? shared_len(req->answer) : 0);
        check_guest(req);
        CHECK(fuzz_store.changes == changes || http_req_method(req) != HTTP_GET);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct http_req req = {0};
    bool sound = request_read(&req, &in);
    if (sound)
        run(&req);
    request_free(&req);
    return sound ? 0 : -1;
}
