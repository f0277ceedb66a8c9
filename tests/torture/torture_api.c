/* Each request of the fuzzers' named inputs, answered while everything fails in turn: one answer,
 * the usual one or a 5xx that is JSON, and no change that is told as done but wasn't. */
#include "tests/torture/torture.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "common/fs.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rooms.h"
#include "tests/fuzz/store.h"

static char *input;
static size_t input_len;
static struct http_req req;
static bool commits;     /* it did when nothing failed */
static int usual_status; /* then; 0: not known yet */
static unsigned long commits_before;

static unsigned long count_commits(void)
{
    unsigned long sum = 0;
    for (enum store_table table = 0; table < STORE_TABLES; table++)
        sum += store_version(fuzz_store.store, table);
    return sum;
}

static bool store_fails(const char *what)
{
    return torture_hit(TORTURE_CALLS, what);
}

/* Some of the inputs HTTP would refuse. */
static bool is_readable(void)
{
    struct fuzz_input in = {(const uint8_t *)input, input_len};
    memset(&req, 0, sizeof(req));
    bool sound = request_read(&req, &in);
    request_free(&req);
    return sound;
}

static void make_request(void)
{
    struct fuzz_input in = {(const uint8_t *)input, input_len};
    fuzz_store.fails = NULL;
    fuzz_store_reset();
    fuzz_store.fails = store_fails;
    memset(&req, 0, sizeof(req));
    assert_true(request_read(&req, &in));
    commits_before = count_commits();
}

static int answer_it(struct err *err)
{
    (void)err;
    request_run(&req);
    return 0;
}

static void check_text(const char *text, size_t len)
{
    if (req.status == 304 || !text) /* without memory HTTP sends a 500 of its own */
        return;
    if (req.type && req.status == 200) /* logs */
        return;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (!root)
        fail_msg("no JSON: %.*s", (int)len, text);
    if (req.status >= 400)
        assert_true(json_is_string(json_object_get(root, "code")));
    json_decref(root);
}

static void is_answered(int rc)
{
    (void)rc;
    bool committed = count_commits() != commits_before;
    if (!usual_status) {
        usual_status = req.status;
        commits = committed;
    }
    if (req.status != usual_status && req.status < 500)
        fail_msg("%d instead of %d", req.status, usual_status);
    if (req.status == usual_status && committed != commits)
        fail_msg("%d, and %s", req.status, committed ? "something changed" : "nothing changed");
    if (committed && !commits)
        fail_msg("%d, and something changed", req.status);
    if (req.refused)
        check_text(req.refusal.failed ? NULL : req.refusal.data, req.refusal.len);
    else if (req.answer)
        check_text(shared_data(req.answer), shared_len(req.answer));
    request_free(&req);
}

static int set_up(void **state)
{
    (void)state;
    fuzz_init();
    log_level_set(LOG_ERROR + 1); /* what fails here is asked for */
    fuzz_store_open();
    fuzz_store.keeping = true;
    rooms_open();
    struct node_join join; /* this thread's connection to the store is kept from now on */
    return store_node_join_get(fuzz_store.store, "n2", &join, NULL) == 1 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    rooms_close();
    store_close(fuzz_store.store);
    ca_close(fuzz_store.ca);
    return 0;
}

/* What a fuzzer found has a name of 40 digits. */
static int is_named(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strlen(entry->d_name) < 40;
}

static void test_all(void **state)
{
    (void)state;
    struct err err = {0};
    struct dirent **names;
    int count = scandir(INPUTS, &names, is_named, alphasort);
    assert_true(count > 20);
    for (int i = 0; i < count; i++) {
        auto_free char *path = fs_join(INPUTS, names[i]->d_name);
        if (fs_read(path, 1 << 20, &input, &input_len, &err) < 0)
            fail_msg("%s", err.msg);
        usual_status = 0;
        if (is_readable())
            torture(&(struct torture){names[i]->d_name, make_request, answer_it, is_answered});
        free(input);
        free(names[i]);
    }
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    torture_evidence("I5", "each request of the API");
    return failed;
}
