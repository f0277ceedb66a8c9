/* Counting in windows: right counts, over their ends, for many things, from many threads. */
#include "panel/auth/limiter.h"

#include <pthread.h>

#include "common/crypto.h"
#include "tests/unit/unit.h"

#define WINDOW 60000

static struct limiter *limiter;

static int set_up(void **state)
{
    (void)state;
    return limiter_create(64, WINDOW, &limiter, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    limiter_destroy(limiter);
    return 0;
}

static void counts_each_thing_by_itself(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(limiter_add(limiter, 7, 0).count, i);
    assert_int_equal(limiter_add(limiter, 8, 0).count, 1);
    assert_int_equal(limiter_look(limiter, 7, 0).count, 5);
    assert_int_equal(limiter_look(limiter, 9, 0).count, 0);
}

static void begins_anew_when_its_window_ends(void **state)
{
    (void)state;
    int64_t now = 1234567;
    for (uint64_t thing = 1; thing < 20; thing++) {
        struct limiter_count first = limiter_add(limiter, thing, now);
        assert_in_range(first.left_ms, 1, WINDOW);
        assert_int_equal(limiter_add(limiter, thing, now + first.left_ms - 1).count, 2);
        struct limiter_count next = limiter_add(limiter, thing, now + first.left_ms);
        assert_int_equal(next.count, 1);
        assert_int_equal(next.left_ms, WINDOW);
    }
}

static void windows_do_not_end_all_at_once(void **state)
{
    (void)state;
    uint32_t least = WINDOW;
    uint32_t most = 0;
    for (uint64_t thing = 1; thing <= 50; thing++) {
        uint32_t left = limiter_look(limiter, thing, 0).left_ms;
        least = left < least ? left : least;
        most = left > most ? left : most;
    }
    assert_true(most - least > WINDOW / 2);
}

static void is_forgotten_when_asked(void **state)
{
    (void)state;
    limiter_add(limiter, 7, 0);
    limiter_forget(limiter, 7);
    limiter_forget(limiter, 8);
    assert_int_equal(limiter_look(limiter, 7, 0).count, 0);
    assert_int_equal(limiter_add(limiter, 7, 0).count, 1);
}

/* A flood of strangers takes no place from who has done much. */
static void many_things_push_out_those_that_did_least(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        limiter_add(limiter, 7, 0);
    for (uint64_t thing = 1000; thing < 20000; thing++)
        assert_true(limiter_add(limiter, thing, 0).count >= 1);
    assert_int_equal(limiter_look(limiter, 7, 0).count, 100);
}

/* What is over makes room, too, however much it was. */
static void old_windows_make_room(void **state)
{
    (void)state;
    for (uint64_t thing = 1; thing <= 1000; thing++) {
        for (int i = 0; i < 10; i++)
            limiter_add(limiter, thing, 0);
    }
    assert_int_equal(limiter_add(limiter, 5000, 3 * WINDOW).count, 1);
    assert_int_equal(limiter_add(limiter, 5000, 3 * WINDOW).count, 2);
}

static void bytes_become_things(void **state)
{
    (void)state;
    struct limiter *other;
    assert_int_equal(limiter_create(64, WINDOW, &other, NULL), 0);
    uint64_t thing = limiter_thing(limiter, "abc", 3);
    assert_true(thing != 0);
    assert_true(thing == limiter_thing(limiter, "abc", 3));
    assert_true(thing != limiter_thing(limiter, "abd", 3));
    assert_true(thing != limiter_thing(other, "abc", 3)); /* it has a secret of its own */
    limiter_destroy(other);
}

#define THREADS 4
#define TIMES   20000

static void *add_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < TIMES; i++)
        limiter_add(limiter, 7, 0);
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    limiter_add(limiter, 7, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_often, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(limiter_look(limiter, 7, 0).count, 1 + THREADS * TIMES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_each_thing_by_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(begins_anew_when_its_window_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(windows_do_not_end_all_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_forgotten_when_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_things_push_out_those_that_did_least, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(old_windows_make_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_become_things, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_lose_nothing, set_up, tear_down),
    };
    struct err err;
    return crypto_init(&err) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
