/* Texts are UTF-8 wherever they are cut. */
#include <string.h>

#include "common/utf8.h"
#include "tests/unit/unit.h"

static void expect_copy(size_t size, const char *text, const char *expected)
{
    char out[64];
    memset(out, 'x', sizeof(out));
    utf8_copy(out, size, text);
    assert_string_equal(out, expected);
    assert_true(utf8_is_valid(out));
    assert_int_equal(out[size], 'x');
}

static void test_a_cut_falls_between_characters(void **state)
{
    (void)state;
    expect_copy(1, "a", "");
    expect_copy(4, "abc", "abc");
    expect_copy(4, "abcd", "abc");
    expect_copy(3, "a\xc3\xa9", "a"); /* é */
    expect_copy(4, "a\xc3\xa9", "a\xc3\xa9");
    expect_copy(4, "\xf0\x9f\x98\x80", ""); /* an emoji */
    expect_copy(5, "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
}

static void test_what_is_no_character_is_a_question_mark(void **state)
{
    (void)state;
    expect_copy(32, "a\xc3 b", "a? b"); /* cut by somebody else, in the middle */
    expect_copy(32, "\xc3", "?");
    expect_copy(32, "\xc0\x80\xff", "???");         /* overlong, and none */
    expect_copy(32, "\xed\xa0\x80", "???");         /* a surrogate */
    expect_copy(32, "\xf4\x90\x80\x80!", "???\?!"); /* past the last */
}

static void test_only_the_shortest_form_is_valid(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc1\x81",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xe2\x82",
                                      "a\xff"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(utf8_is_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(utf8_is_valid(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cut_falls_between_characters),
        cmocka_unit_test(test_only_the_shortest_form_is_valid),
        cmocka_unit_test(test_what_is_no_character_is_a_question_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
