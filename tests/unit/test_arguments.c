/* A command line: options in any form and order, words between them. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/arguments.h"
#include "common/auto.h"

static const struct setting rows[] = {
    {.name = "logLevel", .kind = SETTING_TEXT},
    {.name = "listen", .kind = SETTING_TEXT},
    {.name = "on", .kind = SETTING_SWITCH},
};
static const struct settings_table table = {.prefix = "X_", .rows = rows, .count = 3};

static struct settings_given given;
static struct arguments_words words;
static const char *output;
static struct strbuf scopes;
static bool replace;
static struct err err;

static int read_line(int argc, char **argv)
{
    const struct argument own[] = {
        {.name = "output", .letter = 'o', .value = &output},
        {.name = "replace", .given = &replace},
        {.name = "scope", .values = &scopes},
    };
    given = (struct settings_given){0};
    words = (struct arguments_words){0};
    output = NULL;
    replace = false;
    err = (struct err){0};
    return arguments_read(own, ARRAY_LEN(own), &table, argc, argv, &given, &words, &err);
}

#define READ(...)                                                                                  \
    read_line((int)ARRAY_LEN(((char *[]){"x", __VA_ARGS__})), (char *[]){"x", __VA_ARGS__, NULL})

static void test_every_form(void **state)
{
    (void)state;
    assert_int_equal(READ("a", "--log-level", "debug", "b", "--listen=here=there", "--on", "-o",
                          "json", "--replace", "--", "--on"),
                     0);
    assert_string_equal(given.flags[0], "debug");
    assert_string_equal(given.flags[1], "here=there");
    assert_string_equal(given.flags[2], "true");
    assert_string_equal(output, "json");
    assert_true(replace);
    assert_int_equal(words.count, 3);
    assert_string_equal(words.at[2], "--on");
    assert_int_equal(READ("-ojson", "--on=false", "-", "--log-level="), 0);
    assert_string_equal(output, "json");
    assert_string_equal(given.flags[2], "false");
    assert_string_equal(given.flags[0], "");
    assert_string_equal(words.at[0], "-");
}

static void test_all_of_several(void **state)
{
    (void)state;
    assert_int_equal(READ("--scope", "read", "--on", "--scope=keys:write", "--scope", "a b"), 0);
    assert_string_equal(scopes.data, "read keys:write a b");
    assert_int_equal(READ("--scope"), -1);
    assert_string_equal(err.msg, "--scope needs a value");
    strbuf_fini(&scopes);
}

static void test_the_last_one_counts(void **state)
{
    (void)state;
    assert_int_equal(READ("--listen", "a", "--listen=b"), 0);
    assert_string_equal(given.flags[1], "b");
}

static void expect(int rc, const char *message)
{
    assert_int_equal(rc, -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.msg, message);
}

static void test_what_is_wrong_is_named(void **state)
{
    (void)state;
    expect(READ("--nonsense"), "there is no option --nonsense");
    expect(READ("--logLevel", "debug"), "there is no option --logLevel");
    expect(READ("--log", "debug"), "there is no option --log");
    expect(READ("-x"), "there is no option -x");
    expect(READ("--=x"), "there is no option --");
    expect(READ("--listen"), "--listen needs a value");
    expect(READ("-o"), "-o needs a value");
    expect(READ("--replace=yes"), "--replace takes no value");
    expect(READ("1", "2", "3", "4", "5", "6", "7", "8", "9"), "\"9\" is a word too many");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form),
        cmocka_unit_test(test_all_of_several),
        cmocka_unit_test(test_the_last_one_counts),
        cmocka_unit_test(test_what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
