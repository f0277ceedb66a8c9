/* A heap of timers against the plainest model of one. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "common/timers.h"

#define COUNT 200

struct probe {
    struct timer timer;
    int fired;
};

static int64_t fired_last;
static struct timers heap;

static void fire(struct timer *timer)
{
    struct probe *probe = (struct probe *)timer;
    probe->fired++;
    assert_true(timer->due_mono_ms >= fired_last);
    fired_last = timer->due_mono_ms;
}

static int set_up(void **state)
{
    (void)state;
    heap = (struct timers){0};
    fired_last = 0;
    return 0;
}

static void test_empty(void **state)
{
    (void)state;
    assert_true(timers_next(&heap) == INT64_MAX);
    timers_run(&heap, INT64_MAX);
    struct probe idle = {.timer.fire = fire};
    timers_cancel(&heap, &idle.timer);
    assert_false(timer_is_set(&idle.timer));
}

static void test_fires_once_in_order_and_not_early(void **state)
{
    (void)state;
    struct probe probes[COUNT] = {0};
    srandom(1);
    for (int i = 0; i < COUNT; i++) {
        probes[i].timer.fire = fire;
        timers_set(&heap, &probes[i].timer, 1 + random() % 50);
    }
    timers_run(&heap, 25);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(probes[i].fired, probes[i].timer.due_mono_ms <= 25);
    assert_true(timers_next(&heap) > 25);
    timers_run(&heap, 50);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(probes[i].fired, 1);
    assert_true(timers_next(&heap) == INT64_MAX);
}

static void test_random_moves_and_cancels(void **state)
{
    (void)state;
    struct probe probes[COUNT] = {0};
    int64_t due[COUNT];
    srandom(2);
    for (int i = 0; i < COUNT; i++) {
        probes[i].timer.fire = fire;
        due[i] = INT64_MAX;
    }
    for (int step = 0; step < 20000; step++) {
        int i = (int)(random() % COUNT);
        if (random() % 3) {
            due[i] = 1 + random() % 1000;
            timers_set(&heap, &probes[i].timer, due[i]);
        } else {
            due[i] = INT64_MAX;
            timers_cancel(&heap, &probes[i].timer);
        }
        int64_t least = INT64_MAX;
        for (int k = 0; k < COUNT; k++)
            least = due[k] < least ? due[k] : least;
        assert_true(timers_next(&heap) == least);
    }
    timers_run(&heap, 1000);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(probes[i].fired, due[i] != INT64_MAX);
}

static struct probe other;

static void fire_and_meddle(struct timer *timer)
{
    struct probe *probe = (struct probe *)timer;
    probe->fired++;
    timers_cancel(&heap, &other.timer);
    if (probe->fired < 3)
        timers_set(&heap, timer, 10);
}

static void test_fire_may_set_and_cancel(void **state)
{
    (void)state;
    other = (struct probe){.timer.fire = fire};
    struct probe meddler = {.timer.fire = fire_and_meddle};
    timers_set(&heap, &meddler.timer, 5);
    timers_set(&heap, &other.timer, 6);
    timers_run(&heap, 10);
    assert_int_equal(meddler.fired, 3);
    assert_int_equal(other.fired, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, set_up),
        cmocka_unit_test_setup(test_fires_once_in_order_and_not_early, set_up),
        cmocka_unit_test_setup(test_random_moves_and_cancels, set_up),
        cmocka_unit_test_setup(test_fire_may_set_and_cancel, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
