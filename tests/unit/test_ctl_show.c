/* What panelctl shows: safe texts, their widths, tables that fit, YAML that reads back. */
#include "tests/unit/unit.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "panel/ctl/table.h"
#include "panel/ctl/text.h"
#include "panel/ctl/yaml.h"

/* --- texts ----------------------------------------------------------------------------------- */

static void assert_safe(const char *text, const char *shown)
{
    auto_strbuf struct strbuf out = {0};
    text_add_safe(&out, text, strlen(text));
    assert_string_equal(out.data ? out.data : "", shown);
}

static void test_what_steers_a_terminal_is_escaped(void **state)
{
    (void)state;
    assert_safe("", "");
    assert_safe("größe 東京 🙂", "größe 東京 🙂");
    assert_safe("a\x1b[2Jb", "a\\u001b[2Jb");
    assert_safe("a\r\n\tb\x07", "a\\r\\n\\tb\\u0007");
    assert_safe("\x7f", "\\u007f");
    assert_safe("\xc2\x9b", "\\u009b");             /* CSI in one character */
    assert_safe("\xe2\x80\xae", "\\u202e");         /* right to left */
    assert_safe("\xff\xc3", "\\xff\\xc3");          /* no UTF-8 */
    assert_safe("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
}

static void assert_line(const char *text, bool colours, const char *shown)
{
    auto_strbuf struct strbuf out = {0};
    text_add_line(&out, text, strlen(text), colours);
    assert_string_equal(out.data ? out.data : "", shown);
}

static void test_of_a_log_only_colours_pass(void **state)
{
    (void)state;
    assert_line("\x1b[1;31mred\r", true, "\x1b[1;31mred\x1b[0m");
    assert_line("\x1b[31mred", false, "\\u001b[31mred");
    assert_line("a\tb", true, "a\tb");
    assert_line("\x1b[2J\x1b]0;t\x07\x1b[3", true, "\\u001b[2J\\u001b]0;t\\u0007\\u001b[3");
    assert_line("\x1b[?25l\x1b[31", true, "\\u001b[?25l\\u001b[31");
}

static void test_widths_and_cuts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t width;
        size_t columns;
        const char *cut;
    } rows[] = {
        {"", 0, 5, ""},
        {"abc", 3, 3, "abc"},
        {"abcd", 4, 3, "ab…"},
        {"abcd", 4, 1, "…"},
        {"abcd", 4, 0, ""},
        {"東京都", 6, 6, "東京都"},
        {"東京都", 6, 5, "東京…"},
        {"東京都", 6, 4, "東…"}, /* half a character is none */
        {"e\xcc\x81t", 2, 2, "e\xcc\x81t"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_strbuf struct strbuf out = {0};
        text_add_cut(&out, rows[i].text, rows[i].columns);
        assert_int_equal(text_width(rows[i].text), rows[i].width);
        assert_string_equal(out.data ? out.data : "", rows[i].cut);
    }
}

static void test_quantities(void **state)
{
    (void)state;
    auto_strbuf struct strbuf out = {0};
    text_add_mib(&out, 512);
    strbuf_char(&out, ' ');
    text_add_mib(&out, 1536);
    strbuf_char(&out, ' ');
    text_add_bytes(&out, 12345);
    for (int64_t seconds = -1; seconds < 1000000; seconds = seconds * 100 + 150) {
        strbuf_char(&out, ' ');
        text_add_duration(&out, seconds);
    }
    assert_string_equal(out.data, "512 MiB 1.5 GiB 12.1 KiB 0 s 50 s 85 min 5 d");
}

/* --- tables ---------------------------------------------------------------------------------- */

static const struct table_column columns[] = {
    {"ID", TABLE_SHRINKS}, {"NAME", TABLE_SHRINKS}, {"N", TABLE_RIGHT}, {"LAST", 0}};

static void assert_table(size_t width, bool colour, const char *shown)
{
    static const char *const cells[] = {
        "0123456789abcdef", "東京", "7", "x", "0123", "b", "100", ""};
    struct table table;
    auto_strbuf struct strbuf out = {0};
    table_init(&table, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < ARRAY_LEN(cells); i++)
        table_add(&table, cells[i], i == 3 ? TONE_GOOD : TONE_PLAIN);
    assert_int_equal(table_write(&table, width, colour, &out), 0);
    assert_string_equal(out.data, shown);
    table_fini(&table);
}

static void test_columns_line_up(void **state)
{
    (void)state;
    assert_table(0, false,
                 "ID                NAME    N  LAST\n"
                 "0123456789abcdef  東京    7  x\n"
                 "0123              b     100\n");
}

static void test_a_table_fits(void **state)
{
    (void)state;
    assert_table(27, false,
                 "ID          NAME    N  LAST\n"
                 "012345678…  東京    7  x\n"
                 "0123        b     100\n");
    /* No room any more: what is last is left out, and the others have theirs again. */
    assert_table(24, false,
                 "ID             NAME    N\n"
                 "0123456789ab…  東京    7\n"
                 "0123           b     100\n");
    assert_table(1, false, "ID\n0123456…\n0123\n");
}

static void test_colours_take_no_columns(void **state)
{
    (void)state;
    assert_table(0, true,
                 "\x1b[1mID\x1b[0m                \x1b[1mNAME\x1b[0m    \x1b[1mN\x1b[0m  "
                 "\x1b[1mLAST\x1b[0m\n"
                 "0123456789abcdef  東京    7  \x1b[32mx\x1b[0m\n"
                 "0123              b     100\n");
}

static void test_an_empty_table_is_its_head(void **state)
{
    (void)state;
    struct table table;
    auto_strbuf struct strbuf out = {0};
    table_init(&table, columns, ARRAY_LEN(columns));
    assert_int_equal(table_write(&table, 80, false, &out), 0);
    assert_string_equal(out.data, "ID  NAME  N  LAST\n");
    table_fini(&table);
}

/* --- YAML ------------------------------------------------------------------------------------ */

static void assert_yaml(const char *json, const char *yaml)
{
    auto_strbuf struct strbuf out = {0};
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    yaml_add(&out, value);
    json_decref(value);
    assert_string_equal(out.data, yaml);
}

static void test_yaml_shapes(void **state)
{
    (void)state;
    assert_yaml("[]", "[]\n");
    assert_yaml("{}", "{}\n");
    assert_yaml("null", "null\n");
    assert_yaml("{\"a\":1,\"b\":{\"c\":[],\"d\":[1,2.5,true]},\"e\":{}}",
                "a: 1\nb:\n  c: []\n  d:\n    - 1\n    - 2.5\n    - true\ne: {}\n");
    assert_yaml("[{\"a\":1,\"b\":{\"c\":2}},[3,[4]],{}]",
                "- a: 1\n  b:\n    c: 2\n- - 3\n  - - 4\n- {}\n");
}

static void test_yaml_texts_that_look_like_something_else(void **state)
{
    (void)state;
    static const char *const quoted[] = {
        "",           "null",  "True",       "no",           "y",    "1",     "0x1f", "1e5",
        "2026-01-01", "-",     "- a",        "a: b",         "a #b", "#a",    "a ",   " a",
        "*a",         "&a",    "!a",         "[a",           "{a",   "a\nb",  "@a",   "`a",
        "%a",         "'a",    "~",          "12:30",        "a:",   ".5",    "=",    "<<",
        "a\tb",       "größe", "a\xc2\x85z", "\xe2\x80\xa8", "?",    "a, [b]"};
    for (size_t i = 0; i < ARRAY_LEN(quoted); i++) {
        auto_strbuf struct strbuf out = {0};
        json_t *value = json_string(quoted[i]);
        yaml_add(&out, value);
        assert_int_equal(out.data[0], '"');
        json_decref(value);
    }
    assert_yaml("\"a\\\"b\\\\c\\n\\u0001\\u009b\"", "\"a\\\"b\\\\c\\n\\x01\\x9b\"\n");
    assert_yaml("\"a\\u2028b\\u2029c\\ufeffd\\uffff\"", "\"a\\u2028b\\u2029c\\ufeffd\\uffff\"\n");
    assert_yaml("{\"plain\":\"nginx:alpine\",\"no\":\"a sentence, with (words) in it\"}",
                "plain: nginx:alpine\n\"no\": a sentence, with (words) in it\n");
}

static void test_yaml_numbers_that_stay_numbers(void **state)
{
    (void)state;
    assert_yaml("[1, -2.5, 3.0, 0.0000001, 1e300, -1.5e-9]",
                "- 1\n- -2.5\n- 3.0\n- 1.0e-07\n- 1.0e+300\n- -1.5e-09\n");
}

static int set_up(void **state)
{
    (void)state;
    text_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_steers_a_terminal_is_escaped),
        cmocka_unit_test(test_of_a_log_only_colours_pass),
        cmocka_unit_test(test_widths_and_cuts),
        cmocka_unit_test(test_quantities),
        cmocka_unit_test(test_columns_line_up),
        cmocka_unit_test(test_a_table_fits),
        cmocka_unit_test(test_colours_take_no_columns),
        cmocka_unit_test(test_an_empty_table_is_its_head),
        cmocka_unit_test(test_yaml_shapes),
        cmocka_unit_test(test_yaml_texts_that_look_like_something_else),
        cmocka_unit_test(test_yaml_numbers_that_stay_numbers),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
