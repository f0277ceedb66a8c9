/* The log: one call, one line, whatever the values hold. Time as text; word to a supervisor. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
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
    log_info("event", "a=\"%s\" b=%s c=%s d=%s e=%s f=%.3s g=%s", "x\" status=200 \"", "two words",
             "x\ny=z", "back\\slash", "", "plainer", "w\xc3\xa9rd");
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

static void test_one_call_is_one_line(void **state)
{
    (void)state;
    char out[20000];
    capture(write_odd_values, out, sizeof(out));
    assert_non_null(strstr(out, " info \"event\" a="));
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
    for (const char *p = out; p[1]; p++)
        assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
    capture(write_long_value, out, sizeof(out));
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
    assert_string_equal(out + strlen(out) - 5, "\"\\\"\"\n"); /* no quote is left open */
}

static void expect_values(void (*fn)(void), const char *values)
{
    char out[2000];
    capture(fn, out, sizeof(out));
    const char *at = strstr(out, "\"event\" ");
    assert_non_null(at);
    out[strlen(out) - 1] = '\0';
    assert_string_equal(at + strlen("\"event\" "), values);
}

static void test_no_value_passes_for_another(void **state)
{
    (void)state;
    expect_values(write_hostile_values, "a=\"x\\\" status=200 \\\"\" b=\"two words\" c=\"x\\ny=z\" "
                                        "d=\"back\\\\slash\" e=\"\" f=pla g=w\xc3\xa9rd");
}

static void test_numbers(void **state)
{
    (void)state;
    expect_values(write_numbers, "a=-1 b=4000000000 c=-9000000000000000000 d=18446744073709551615 "
                                 "e=7 f=-9223372036854775808");
}

static void test_levels(void **state)
{
    (void)state;
    char out[1000];
    enum log_level level = LOG_ERROR;
    log_level_set(LOG_INFO);
    capture(write_debug, out, sizeof(out));
    assert_string_equal(out, "");
    log_level_set(LOG_DEBUG);
    capture(write_debug, out, sizeof(out));
    assert_non_null(strstr(out, " debug "));
    assert_true(log_level_parse("warn", &level));
    assert_int_equal(level, LOG_WARN);
    assert_false(log_level_parse("loud", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_WARN);
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
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_supervisor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
