/* JSON made without a tree: commas, escapes, numbers; read back by jansson. */
#include "tests/unit/unit.h"

#include <jansson.h>
#include <string.h>

#include "common/json_writer.h"

static void test_commas(void **state)
{
    (void)state;
    auto_strbuf struct strbuf sb = {0};
    jw_object_begin(&sb, NULL);
    jw_string(&sb, "a", "x");
    jw_object_begin(&sb, "b");
    jw_object_end(&sb);
    jw_array_begin(&sb, "c");
    jw_int(&sb, NULL, 1);
    jw_array_begin(&sb, NULL);
    jw_array_end(&sb);
    jw_object_begin(&sb, NULL);
    jw_bool(&sb, "d", true);
    jw_bool(&sb, "e", false);
    jw_object_end(&sb);
    jw_null(&sb, NULL);
    jw_array_end(&sb);
    jw_raw(&sb, "f", "[1]");
    jw_raw(&sb, "g", NULL);
    jw_string(&sb, "h", NULL);
    jw_object_end(&sb);
    assert_string_equal(sb.data, "{\"a\":\"x\",\"b\":{},\"c\":[1,[],{\"d\":true,\"e\":false},null],"
                                 "\"f\":[1],\"g\":null,\"h\":null}");
}

static void test_texts_that_look_like_structure(void **state)
{
    (void)state;
    static const char *const texts[] = {"{", "[", ":", ",", "\"", "\\", "{\"a\":", "]", ""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        auto_strbuf struct strbuf sb = {0};
        jw_array_begin(&sb, NULL);
        jw_string(&sb, NULL, texts[i]);
        jw_string(&sb, NULL, texts[i]);
        jw_array_end(&sb);
        json_t *read = json_loads(sb.data, 0, NULL);
        assert_non_null(read);
        assert_int_equal(json_array_size(read), 2);
        assert_string_equal(json_string_value(json_array_get(read, 1)), texts[i]);
        json_decref(read);
    }
}

static void test_every_byte_comes_back(void **state)
{
    (void)state;
    char text[128];
    for (int i = 1; i < 128; i++)
        text[i - 1] = (char)i;
    text[127] = '\0';
    auto_strbuf struct strbuf sb = {0};
    jw_array_begin(&sb, NULL);
    jw_string(&sb, NULL, text);
    jw_string(&sb, NULL, "häß€😀");
    jw_array_end(&sb);
    for (size_t i = 0; i < sb.len; i++)
        assert_true((unsigned char)sb.data[i] >= 0x20);
    json_t *read = json_loads(sb.data, 0, NULL);
    assert_non_null(read);
    assert_string_equal(json_string_value(json_array_get(read, 0)), text);
    assert_string_equal(json_string_value(json_array_get(read, 1)), "häß€😀");
    json_decref(read);
}

static void expect_int(int64_t n, const char *want)
{
    auto_strbuf struct strbuf sb = {0};
    jw_int(&sb, NULL, n);
    assert_string_equal(sb.data, want);
}

static void test_integers(void **state)
{
    (void)state;
    expect_int(0, "0");
    expect_int(-1, "-1");
    expect_int(INT64_MAX, "9223372036854775807");
    expect_int(INT64_MIN, "-9223372036854775808");
}

static void expect_milli(int64_t n, const char *want)
{
    auto_strbuf struct strbuf sb = {0};
    jw_milli(&sb, NULL, n);
    assert_string_equal(sb.data, want);
}

static void test_thousandths(void **state)
{
    (void)state;
    expect_milli(0, "0");
    expect_milli(1, "0.001");
    expect_milli(10, "0.01");
    expect_milli(500, "0.5");
    expect_milli(1000, "1");
    expect_milli(1500, "1.5");
    expect_milli(1234, "1.234");
    expect_milli(1204, "1.204");
}

static void test_times(void **state)
{
    (void)state;
    auto_strbuf struct strbuf sb = {0};
    jw_array_begin(&sb, NULL);
    jw_time(&sb, NULL, 0);
    jw_time(&sb, NULL, 1);
    jw_time(&sb, NULL, 1767322984678);
    jw_array_end(&sb);
    assert_string_equal(sb.data,
                        "[null,\"1970-01-01T00:00:00.001Z\",\"2026-01-02T03:03:04.678Z\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commas),
        cmocka_unit_test(test_texts_that_look_like_structure),
        cmocka_unit_test(test_every_byte_comes_back),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_thousandths),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
