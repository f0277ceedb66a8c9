/* What the packaged service is given, read by commands that are typed by hand. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/service.h"
#include "common/fs.h"

static void write_text(const char *path, const char *text)
{
    assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, NULL), 0);
}

static void test_defaults(void **state)
{
    (void)state;
    char path[] = "/tmp/panel-service-test.XXXXXX";
    struct err err = {0};
    close(mkstemp(path));
    write_text(path, "# PANEL_AGENT_STATE=/comment\n"
                     "PANEL_AGENT_OPTIONS=\"--docker unix:///x y\"\n"
                     "PANEL_AGENT_LISTEN='1.2.3.4:5'\r\n"
                     "  PANEL_AGENT_LOG_LEVEL= warn \n"
                     "PANEL_AGENT_LOG_FORMAT=json\n"
                     "OTHERS_OPTIONS=/nowhere\nnonsense\n"
                     "PANEL_AGENT_DOCKER=\"unix:///last");
    setenv("PANEL_AGENT_LOG_FORMAT", "logfmt", 1);
    assert_int_equal(service_read_defaults(path, &err), 0);
    assert_string_equal(getenv("PANEL_AGENT_OPTIONS"), "--docker unix:///x y");
    assert_string_equal(getenv("PANEL_AGENT_LISTEN"), "1.2.3.4:5");
    assert_string_equal(getenv("PANEL_AGENT_LOG_LEVEL"), "warn");
    assert_string_equal(getenv("PANEL_AGENT_LOG_FORMAT"), "logfmt"); /* it was there */
    assert_string_equal(getenv("PANEL_AGENT_DOCKER"), "\"unix:///last");
    assert_null(getenv("PANEL_AGENT_STATE"));
    assert_null(getenv("OTHERS_OPTIONS"));
    unlink(path);
    assert_int_equal(service_read_defaults(path, &err), 0); /* no file */
    assert_int_equal(service_read_defaults("/tmp", &err), -1);
}

static void test_words(void **state)
{
    (void)state;
    char text[] = "  --docker unix:///x\t--install-allow-local ";
    char none[] = " ";
    char *words[3] = {0};
    assert_int_equal(service_split(text, words, 3), 3);
    assert_string_equal(words[0], "--docker");
    assert_string_equal(words[1], "unix:///x");
    assert_string_equal(words[2], "--install-allow-local");
    assert_int_equal(service_split(none, words, 3), 0);
    char many[] = "a b c";
    assert_int_equal(service_split(many, words, 2), 2);
    assert_string_equal(words[1], "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
