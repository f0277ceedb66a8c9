/* Metrics: nothing counted is lost between threads, and the text says what was counted. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "panel/metrics/expose.h"
#include "panel/metrics/metrics.h"
#include "panel/metrics/process.h"
#include "panel/metrics/pulse.h"

#define THREADS 20
#define ROUNDS  5000

static void *report(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(METRIC_BEATS, 2);
        metric_add(METRIC_CONNECTIONS, i % 2 ? -1 : 1);
        histogram_add(HISTOGRAM_COMMIT_CHANGES, 3);
        metric_request(7, 204, 700);
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct histogram_view changes;
    struct route_view route;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, report, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metric_read(METRIC_BEATS), 2 * THREADS * ROUNDS);
    assert_int_equal(metric_read(METRIC_CONNECTIONS), 0);
    histogram_read(HISTOGRAM_COMMIT_CHANGES, &changes);
    assert_int_equal(changes.counts[2], THREADS * ROUNDS); /* 2 < 3 <= 4 */
    assert_int_equal(changes.sum, 3 * THREADS * ROUNDS);
    metric_route_read(7, &route);
    assert_int_equal(route.by_class[1], THREADS * ROUNDS);
    assert_int_equal(route.took_us.counts[1], THREADS * ROUNDS);
}

static void bounds_are_inclusive_and_nothing_is_out_of_them(void **state)
{
    (void)state;
    struct route_view route;
    metric_request(9, 200, 500);
    metric_request(9, 404, 501);
    metric_request(9, 503, UINT64_C(1) << 40);
    metric_request(9, 700, 0); /* no status that there is */
    metric_route_read(9, &route);
    assert_int_equal(route.by_class[1], 1);
    assert_int_equal(route.by_class[3], 1);
    assert_int_equal(route.by_class[4], 2);
    assert_int_equal(route.took_us.counts[0], 2);
    assert_int_equal(route.took_us.counts[1], 1);
    assert_int_equal(route.took_us.counts[route.took_us.count], 1);
    metric_request(METRIC_ROUTES_MAX + 5, 200, 1); /* counted as of no route */
    metric_route_read(0, &route);
    assert_int_equal(route.by_class[1], 1);
}

static void a_gauge_is_never_below_zero(void **state)
{
    (void)state;
    metric_add(METRIC_STREAMS, -1);
    assert_int_equal(metric_read(METRIC_STREAMS), 0);
    metric_add(METRIC_STREAMS, 2);
    assert_int_equal(metric_read(METRIC_STREAMS), 1);
}

static const struct family counter = {"panel_things", FAMILY_COUNTER, "", "Things\n\\ \"done\"."};
static const struct family took = {"panel_took_seconds", FAMILY_HISTOGRAM, "seconds", "Time."};
static const struct family about = {"panel_about", FAMILY_INFO, "", "About."};

static void expose_all(struct strbuf *out, bool openmetrics)
{
    struct exposition to = {.out = out, .openmetrics = openmetrics};
    static const uint64_t bounds[] = {2500, 1000000};
    struct histogram_view view = {bounds, 2, {1, 2, 3}, 7000001};
    const struct label labels[] = {{"a", "x\"y\\z\n"}, {"b", ""}};
    expose_family(&to, &counter);
    expose_sample(&to, labels, 2, 5, 0);
    expose_sample(&to, NULL, 0, 1234567, 6);
    expose_sample(&to, NULL, 0, -1500, 3);
    expose_sample(&to, NULL, 0, 2000, 3);
    expose_sample(&to, NULL, 0, INT64_MIN, 0);
    expose_family(&to, &took);
    expose_histogram(&to, labels + 1, 1, &view, 6);
    expose_family(&to, &about);
    expose_sample(&to, labels + 1, 1, 1, 0);
    expose_end(&to);
    strbuf_char(out, '\0');
}

#define HISTOGRAM_TEXT                                                                             \
    "panel_took_seconds_bucket{b=\"\",le=\"0.0025\"} 1\n"                                          \
    "panel_took_seconds_bucket{b=\"\",le=\"1.0\"} 3\n"                                             \
    "panel_took_seconds_bucket{b=\"\",le=\"+Inf\"} 6\n"                                            \
    "panel_took_seconds_count{b=\"\"} 6\n"                                                         \
    "panel_took_seconds_sum{b=\"\"} 7.000001\n"
#define COUNTER_TEXT                                                                               \
    "panel_things_total{a=\"x\\\"y\\\\z\\n\",b=\"\"} 5\n"                                          \
    "panel_things_total 1.234567\n"                                                                \
    "panel_things_total -1.5\n"                                                                    \
    "panel_things_total 2\n"                                                                       \
    "panel_things_total -9223372036854775808\n"

static void both_formats(void **state)
{
    (void)state;
    auto_strbuf struct strbuf plain = {0};
    auto_strbuf struct strbuf open = {0};
    expose_all(&plain, false);
    assert_string_equal(plain.data, "# HELP panel_things_total Things\\n\\\\ \"done\".\n"
                                    "# TYPE panel_things_total counter\n" COUNTER_TEXT
                                    "# HELP panel_took_seconds Time.\n"
                                    "# TYPE panel_took_seconds histogram\n" HISTOGRAM_TEXT
                                    "# HELP panel_about_info About.\n"
                                    "# TYPE panel_about_info gauge\n"
                                    "panel_about_info{b=\"\"} 1\n");
    expose_all(&open, true);
    assert_string_equal(open.data, "# HELP panel_things Things\\n\\\\ \\\"done\\\".\n"
                                   "# TYPE panel_things counter\n" COUNTER_TEXT
                                   "# HELP panel_took_seconds Time.\n"
                                   "# TYPE panel_took_seconds histogram\n"
                                   "# UNIT panel_took_seconds seconds\n" HISTOGRAM_TEXT
                                   "# HELP panel_about About.\n"
                                   "# TYPE panel_about info\n"
                                   "panel_about_info{b=\"\"} 1\n"
                                   "# EOF\n");
}

static void what_a_client_would_rather_have(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool openmetrics;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"*/*", false},
        {"text/plain", false},
        {"application/openmetrics-text", true},
        {"Application/OpenMetrics-Text; version=1.0.0", true},
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         true},
        {"application/openmetrics-text;q=0.3, text/plain;q=0.5", false},
        {"text/plain;q=0.5;version=0.0.4 , application/openmetrics-text;q=0.51", true},
        {"application/openmetrics-text;q=0", false},
        {"application/openmetrics-text;q=0.000,text/plain", false},
        {"application/openmetrics-textual", false},
        {"application/openmetrics-text;q=", false},
        {",,;q=1,", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(expose_wants_openmetrics(cases[i].accept), cases[i].openmetrics);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *wait_at_gate(void *arg)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return arg;
}

static void the_process_as_the_system_has_it(void **state)
{
    (void)state;
    struct process first;
    struct process second;
    struct err err;
    pthread_t thread;
    /* A sanitizer's own thread begins with the first of ours. */
    assert_int_equal(pthread_create(&thread, NULL, wait_at_gate, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(process_read(&first, &err), 0);
    pthread_mutex_lock(&gate);
    assert_int_equal(pthread_create(&thread, NULL, wait_at_gate, NULL), 0);
    int fds[10];
    for (int i = 0; i < 10; i++)
        fds[i] = dup(0);
    assert_int_equal(process_read(&second, &err), 0);
    pthread_mutex_unlock(&gate);
    pthread_join(thread, NULL);
    for (int i = 0; i < 10; i++)
        close(fds[i]);
    assert_int_equal(second.fds, first.fds + 10);
    assert_true(first.fds >= 1 && first.fds_max > first.fds);
    assert_true(first.resident > 100000 && first.virtual >= first.resident);
    assert_int_equal(second.threads, first.threads + 1);
    assert_true(second.cpu_us >= first.cpu_us);
    assert_int_equal(second.started_ms, first.started_ms);
    assert_true(first.started_ms <= clock_wall_ms() + 1000 &&
                first.started_ms > clock_wall_ms() - 600000);
}

static void a_pulse_tells_how_long_a_round_has_lasted(void **state)
{
    (void)state;
    assert_int_equal(pulse_round_ms(PULSE_LISTS), 0);
    pulse_rest(PULSE_LISTS); /* of one that never worked */
    assert_int_equal(pulse_busy_us(PULSE_LISTS), 0);
    pulse_work(PULSE_LISTS);
    int64_t until = clock_mono_ms() + 20;
    while (clock_mono_ms() < until)
        ;
    assert_true(pulse_round_ms(PULSE_LISTS) >= 19);
    assert_int_equal(pulse_busy_us(PULSE_LISTS), 0);
    pulse_rest(PULSE_LISTS);
    assert_int_equal(pulse_round_ms(PULSE_LISTS), 0);
    assert_true(pulse_busy_us(PULSE_LISTS) >= 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_process_as_the_system_has_it),
        cmocka_unit_test(nothing_is_lost_between_threads),
        cmocka_unit_test(bounds_are_inclusive_and_nothing_is_out_of_them),
        cmocka_unit_test(a_gauge_is_never_below_zero),
        cmocka_unit_test(both_formats),
        cmocka_unit_test(what_a_client_would_rather_have),
        cmocka_unit_test(a_pulse_tells_how_long_a_round_has_lasted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
