/* The log: one call, one line, whatever the values hold. Time as text; word to a supervisor. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/log_limit.h"
#include "common/notify.h"

/* What fn wrote to stderr. */
static void capture(void (*fn)(void), char *out, size_t size)
{
    int kept = dup(STDERR_FILENO);
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    fn();
    dup2(kept, STDERR_FILENO);
    close(kept);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    ssize_t n = read(ends[0], out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    close(ends[0]);
}

static void write_odd_values(void)
{
    log_info("event", "a=\"%s\"", "x\ny\r\x1b[31m\x7f");
}

static void write_long_value(void)
{
    char text[10000];
    memset(text, '"', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_info("event", "a=%s b=\"%s\"", text, text);
}

static void write_hostile_values(void)
{
    log_info("event", "a=\"%s\" b=%s c=%s d=%s e=%s f=%.3s g=%s h=%s i=%s", "x\" status=200 \"",
             "two words", "x\ny=z", "back\\slash", "", "plainer", "w\xc3\xa9rd", "\xc2\x9b 31m",
             "\xff\xc3");
}

static void write_numbers(void)
{
    log_info("event", "a=%d b=%u c=%lld d=%" PRIu64 " e=%zu f=%" PRId64, -1, 4000000000u,
             -9000000000000000000ll, UINT64_MAX, (size_t)7, INT64_MIN);
}

static void write_debug(void)
{
    log_debug("event", "a=%d", 1);
}

static void write_null(void)
{
    static const char *volatile nothing; /* which the compiler doesn't see */
    log_info("event", "a=%s", nothing);
}

static void write_in_scopes(void)
{
    struct log_scope outer;
    struct log_scope inner;
    log_scope_begin(&outer, "req", "r1");
    log_scope_begin(&inner, "node", "n1");
    log_info("event", "a=%d node=%s", 1, "n2");
    log_scope_end(&inner);
    log_info("event", "a=%d", 2);
    log_scope_begin(&inner, "node", "");
    log_info("event", "a=%d", 3);
    log_scope_end(&inner);
    log_scope_begin(&inner, "node", NULL);
    log_info("event", "a=%d", 4);
    log_scope_end(&inner);
    log_scope_end(&outer);
    log_info("event", "a=%d", 5);
}

static void test_one_call_is_one_line(void **state)
{
    (void)state;
    char out[20000];
    capture(write_odd_values, out, sizeof(out));
    assert_non_null(strstr(out, " level=info msg=event a="));
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
    for (const char *p = out; p[1]; p++)
        assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
    capture(write_long_value, out, sizeof(out));
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
    assert_true(strlen(out) <= 2048);
    assert_string_equal(out + strlen(out) - 4, "\\\"\"\n"); /* no quote is left open */
    assert_null(strstr(out, " b="));
}

static void expect_values(void (*fn)(void), const char *before, const char *values)
{
    char out[2000];
    capture(fn, out, sizeof(out));
    const char *at = strstr(out, before);
    assert_non_null(at);
    out[strlen(out) - 1] = '\0';
    assert_string_equal(at + strlen(before), values);
}

static void test_no_value_passes_for_another(void **state)
{
    (void)state;
    expect_values(
        write_hostile_values, " msg=event ",
        "a=\"x\\\" status=200 \\\"\" b=\"two words\" c=\"x\\ny=z\" d=\"back\\\\slash\" e=\"\" "
        "f=pla g=\"w\xc3\xa9rd\" h=\"\\u009b 31m\" i=\"\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_values(write_null, " msg=event ", "a=\"\"");
}

static void test_numbers(void **state)
{
    (void)state;
    expect_values(write_numbers, " msg=event ",
                  "a=-1 b=4000000000 c=-9000000000000000000 d=18446744073709551615 "
                  "e=7 f=-9223372036854775808");
}

static void test_json(void **state)
{
    (void)state;
    char out[20000];
    log_format_set(LOG_JSON);
    expect_values(write_hostile_values, "\"msg\":\"event\",",
                  "\"a\":\"x\\\" status=200 \\\"\",\"b\":\"two words\",\"c\":\"x\\ny=z\","
                  "\"d\":\"back\\\\slash\",\"e\":\"\",\"f\":\"pla\",\"g\":\"w\xc3\xa9rd\","
                  "\"h\":\"\\u009b 31m\",\"i\":\"\xef\xbf\xbd\xef\xbf\xbd\"}");
    expect_values(write_numbers, "\"msg\":\"event\",",
                  "\"a\":-1,\"b\":4000000000,\"c\":-9000000000000000000,"
                  "\"d\":18446744073709551615,\"e\":7,\"f\":-9223372036854775808}");
    capture(write_long_value, out, sizeof(out));
    assert_string_equal(out + strlen(out) - 5, "\\\"\"}\n"); /* cut, and still whole */
    json_t *line = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "info");
    json_decref(line);
    log_format_set(LOG_LOGFMT);
}

static void test_scopes(void **state)
{
    (void)state;
    char out[2000];
    capture(write_in_scopes, out, sizeof(out));
    assert_non_null(strstr(out, " a=1 node=n2 req=r1\n")); /* a line's own field wins */
    assert_non_null(strstr(out, " a=2 req=r1\n"));
    assert_non_null(strstr(out, " a=3 req=r1\n")); /* what isn't known isn't told */
    assert_non_null(strstr(out, " a=4 req=r1\n"));
    assert_non_null(strstr(out, " a=5\n"));
}

static void flap(void)
{
    for (int i = 0; i < 1000; i++) {
        log_info("flaps", "node=%s i=%d", "n1", i);
        log_info("flaps", "node=%s i=%d req=%s", "n1", i, "r");
    }
    log_info("flaps", "node=%s i=%d", "n2", 0);
}

static void test_repetitions_are_limited(void **state)
{
    (void)state;
    static char out[200000];
    char path[] = "/tmp/panel-unit-log-XXXXXX";
    int kept = dup(STDERR_FILENO);
    int file = mkstemp(path); /* it is more than a pipe takes */
    uint64_t before = log_lines_suppressed();
    dup2(file, STDERR_FILENO);
    flap();
    dup2(kept, STDERR_FILENO);
    close(kept);
    ssize_t len = pread(file, out, sizeof(out) - 1, 0);
    close(file);
    unlink(path);
    assert_true(len > 0);
    out[len] = '\0';
    unsigned lines = 0;
    unsigned with_request = 0;
    for (char *at = out; (at = strstr(at, " msg=flaps ")); at++)
        lines++;
    for (char *at = out; (at = strstr(at, " req=r")); at++)
        with_request++;
    assert_int_equal(with_request, 1000); /* each is one of its kind */
    assert_int_equal(lines - with_request, LOG_BURST + 1);
    assert_non_null(strstr(out, " node=n2 "));
    assert_int_equal(log_lines_suppressed() - before, 1000 - LOG_BURST);
}

static void test_the_limit_forgives(void **state)
{
    (void)state;
    uint64_t suppressed;
    int64_t now = 1000000;
    for (int i = 0; i < LOG_BURST; i++)
        assert_true(log_limit_take(77, now, &suppressed));
    for (int i = 0; i < 5; i++)
        assert_false(log_limit_take(77, now + LOG_EVERY_MS - 1, &suppressed));
    assert_true(log_limit_take(77, now + LOG_EVERY_MS, &suppressed));
    assert_int_equal(suppressed, 5);
    assert_false(log_limit_take(77, now + LOG_EVERY_MS, &suppressed));
    now += (int64_t)LOG_EVERY_MS * 1000; /* long silent: as new */
    for (int i = 0; i < LOG_BURST; i++)
        assert_true(log_limit_take(77, now, &suppressed));
    assert_false(log_limit_take(77, now, &suppressed));
    for (uint64_t kind = 1; kind < 5000; kind++) /* more kinds than it holds */
        assert_true(log_limit_take(kind * 1000003, now, &suppressed));
}

static void test_levels(void **state)
{
    (void)state;
    char out[1000];
    log_level_set(LOG_INFO);
    capture(write_debug, out, sizeof(out));
    assert_string_equal(out, "");
    log_level_set(LOG_DEBUG);
    capture(write_debug, out, sizeof(out));
    assert_non_null(strstr(out, " level=debug "));
}

static void test_times(void **state)
{
    (void)state;
    char text[CLOCK_ISO_LEN];
    clock_format_iso(951782399999, text); /* the last moment of a 28 February before a 29th */
    assert_string_equal(text, "2000-02-28T23:59:59.999Z");
    clock_format_iso(951782400000, text);
    assert_string_equal(text, "2000-02-29T00:00:00.000Z");
    assert_true(clock_wall_ms() > 1700000000000);
    int64_t before = clock_mono_ms();
    assert_true(clock_mono_ms() >= before);
}

static void test_supervisor(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    notify_supervisor("READY=1"); /* nobody listens: nothing happens */
    setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
    notify_supervisor("READY=1");

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/panel-unit-notify-%d", getpid());
    int told = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(told, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    notify_supervisor("READY=1");
    char got[100] = "";
    assert_int_equal(recv(told, got, sizeof(got) - 1, 0), 7);
    assert_string_equal(got, "READY=1");
    close(told);
    unlink(address.sun_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_call_is_one_line),
        cmocka_unit_test(test_no_value_passes_for_another),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_repetitions_are_limited),
        cmocka_unit_test(test_the_limit_forgives),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_supervisor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
