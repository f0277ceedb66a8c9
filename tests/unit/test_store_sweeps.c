/* What the store keeps for a while only: events by their count, audit rows by their age. Runs what
 * the writer does once a minute, on its thread, and looks at what is left. */
#include "tests/unit/unit.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "panel/store/internal.h"

static char folder[64];
static struct store *store;

static int set_up(void **state)
{
    (void)state;
    struct err err = {0};
    snprintf(folder, sizeof(folder), "/tmp/panel-sweeps-test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    if (store_open(folder, NULL, &store, &err) < 0)
        fail_msg("%s", err.msg);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(store);
    return fs_remove_tree(folder, NULL);
}

struct job {
    struct store_change change;
    int (*work)(struct store_tx *tx, struct err *err);
    struct err err;
    sem_t finished;
};

static int apply(struct store_change *change, struct store_tx *tx, struct err *err)
{
    return ((struct job *)change)->work(tx, err);
}

static void done(struct store_change *change, const struct err *err)
{
    struct job *job = (struct job *)change;
    if (err)
        job->err = *err;
    sem_post(&job->finished);
}

static void run(int (*work)(struct store_tx *tx, struct err *err))
{
    struct job job = {.change = {.apply = apply, .done = done}, .work = work};
    sem_init(&job.finished, 0, 0);
    assert_int_equal(store_submit(store, &job.change, &job.err), 0);
    sem_wait(&job.finished);
    sem_destroy(&job.finished);
    if (job.err.code)
        fail_msg("%s", job.err.msg);
}

static int sweep_events(struct store_tx *tx, struct err *err)
{
    (void)err;
    events_sweep(tx->db);
    return 0;
}

static int make_events(struct store_tx *tx, struct err *err)
{
    _Static_assert(EVENTS_KEPT == 100000, "the number below says so");
    return db_exec(tx->db,
                   "INSERT INTO events(at, kind) WITH RECURSIVE n(i) AS"
                   " (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 99999)"
                   " SELECT 0, 'user.created' FROM n",
                   err);
}

/* As a restore leaves them. */
static int make_two_behind_a_gap(struct store_tx *tx, struct err *err)
{
    return db_exec(tx->db,
                   "UPDATE sqlite_sequence SET seq = 1000000000000 WHERE name = 'events';"
                   "INSERT INTO events(at, kind) VALUES(0, 'user.created'), (0, 'user.created')",
                   err);
}

static void assert_bounds(int64_t first, int64_t last)
{
    struct err err = {0};
    int64_t is_first;
    int64_t is_last;
    assert_int_equal(store_event_bounds(store, &is_first, &is_last, &err), 0);
    assert_int_equal(is_first, first);
    assert_int_equal(is_last, last);
}

static void test_the_newest_events_are_kept_over_a_gap(void **state)
{
    (void)state;
    struct err err = {0};
    run(make_events);
    run(sweep_events);
    assert_bounds(1, 99999);
    run(make_two_behind_a_gap);
    run(sweep_events);
    assert_bounds(2, 1000000000002);
    assert_int_equal(store_event_exists(store, 1, &err), 0);
    assert_int_equal(store_event_exists(store, 99999, &err), 1);
    assert_int_equal(store_event_exists(store, 100000, &err), 0);
}

static int sweep_audit(struct store_tx *tx, struct err *err)
{
    (void)tx;
    (void)err;
    audit_sweep(store);
    return 0;
}

static int add_audit(struct store_tx *tx, int64_t at, struct err *err)
{
    int64_t seq;
    struct audit row = {.request_id = "r",
                        .detail = "",
                        .key_id = "k",
                        .key_name = "k",
                        .method = "POST",
                        .path = "/",
                        .target = "",
                        .code = ""};
    tx->now = at;
    return store_audit_add(tx, &row, &seq, err);
}

static int make_old_audit(struct store_tx *tx, struct err *err)
{
    return add_audit(tx, 1000, err);
}

static int make_new_audit(struct store_tx *tx, struct err *err)
{
    return add_audit(tx, clock_wall_ms(), err);
}

static int count_row(const struct audit *audit, void *arg, struct err *err)
{
    (void)audit;
    (void)err;
    ++*(unsigned *)arg;
    return 0;
}

static unsigned count_audit(void)
{
    struct err err = {0};
    struct audit_filter all = {.key = "", .target = ""};
    int64_t next;
    unsigned count = 0;
    assert_int_equal(store_audit_list(store, &all, 100, &next, count_row, &count, &err), 0);
    return count;
}

static void test_old_audit_rows_go(void **state)
{
    (void)state;
    run(make_old_audit);
    run(sweep_audit);
    assert_int_equal(count_audit(), 1); /* nobody said for how long */
    store_keep_audit(store, 90);
    run(make_old_audit);
    run(make_new_audit);
    run(sweep_audit);
    assert_int_equal(count_audit(), 1);
}

static void test_audit_rows_that_are_all_old(void **state)
{
    (void)state;
    store_keep_audit(store, 90);
    run(make_old_audit);
    run(make_old_audit);
    run(sweep_audit);
    assert_int_equal(count_audit(), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_newest_events_are_kept_over_a_gap),
        TEST(test_old_audit_rows_go),
        TEST(test_audit_rows_that_are_all_old),
    };
    if (crypto_init(NULL) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
