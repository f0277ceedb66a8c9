/* What a StopCommand means. */
#include "tests/unit/unit.h"

#include "common/auto.h"
#include "common/stop_command.h"

static void test_signals_and_lines(void **state)
{
    (void)state;
    static const struct {
        const char *command, *signal;
        bool is_signal, is_line;
    } rows[] = {
        {"^C", "SIGINT", true, false},
        {"^c", "SIGINT", true, false},
        {"^\\", "SIGQUIT", true, false},
        {"^SIGTERM", "SIGTERM", true, false},
        {"^SIGWINCH", "SIGWINCH", true, false},
        {"^sigkill", "SIGKILL", true, false},
        {"^INT", "SIGINT", true, false},
        {"^Q", NULL, true, false},
        {"^", NULL, true, false},
        {"^SIG", NULL, true, false},
        {"^SIGSTOP", NULL, true, false},
        {"^^C", NULL, true, false},
        {"^C ", NULL, true, false},
        {"stop", NULL, false, true},
        {"C", NULL, false, true},
        {"SIGTERM", NULL, false, true},
        {"", NULL, false, false},
        {NULL, NULL, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *signal = stop_command_signal(rows[i].command);
        assert_int_equal(stop_command_is_signal(rows[i].command), rows[i].is_signal);
        assert_int_equal(stop_command_is_line(rows[i].command), rows[i].is_line);
        if (rows[i].signal)
            assert_string_equal(signal, rows[i].signal);
        else
            assert_null(signal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_and_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
