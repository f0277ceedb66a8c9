/* A growing buffer: what goes in comes out, and failure sticks. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/strbuf.h"

static void test_empty_is_usable(void **state)
{
    (void)state;
    struct strbuf sb = {0};
    strbuf_reset(&sb);
    char *text = strbuf_steal(&sb);
    assert_string_equal(text, "");
    free(text);
    strbuf_fini(&sb);
    strbuf_fini(&sb);
}

static void test_appends_in_order(void **state)
{
    (void)state;
    auto_strbuf struct strbuf sb = {0};
    strbuf_str(&sb, "a");
    strbuf_char(&sb, 'b');
    strbuf_add(&sb, "c\0d", 3);
    strbuf_u64(&sb, 0);
    strbuf_u64(&sb, UINT64_MAX);
    strbuf_fmt(&sb, "[%s %d]", "x", -5);
    assert_false(sb.failed);
    static const char want[] = "abc\0d018446744073709551615[x -5]";
    assert_int_equal(sb.len, sizeof(want) - 1);
    assert_memory_equal(sb.data, want, sizeof(want));
}

static void test_grows_over_any_size(void **state)
{
    (void)state;
    auto_strbuf struct strbuf sb = {0};
    for (int i = 0; i < 100000; i++) {
        strbuf_char(&sb, (char)('a' + i % 26));
        assert_int_equal(sb.data[sb.len], '\0');
    }
    for (int i = 0; i < 100000; i++)
        assert_int_equal(sb.data[i], 'a' + i % 26);
}

static void test_long_formats(void **state)
{
    (void)state;
    auto_strbuf struct strbuf sb = {0};
    strbuf_fmt(&sb, "%*d", 5000, 7);
    assert_int_equal(sb.len, 5000);
    assert_int_equal(sb.data[4999], '7');
}

static void test_too_large_fails_and_sticks(void **state)
{
    (void)state;
    struct strbuf sb = {0};
    strbuf_str(&sb, "kept");
    strbuf_add(&sb, "x", SIZE_MAX);
    assert_true(sb.failed);
    strbuf_str(&sb, "more");
    assert_true(sb.failed);
    assert_null(strbuf_steal(&sb));
    assert_null(sb.data);
}

static void test_steal_leaves_it_empty(void **state)
{
    (void)state;
    struct strbuf sb = {0};
    strbuf_str(&sb, "first");
    char *first = strbuf_steal(&sb);
    assert_null(sb.data);
    assert_int_equal(sb.len, 0);
    strbuf_str(&sb, "second");
    assert_string_equal(first, "first");
    assert_string_equal(sb.data, "second");
    free(first);
    strbuf_fini(&sb);
}

static void test_reset_keeps_the_memory(void **state)
{
    (void)state;
    auto_strbuf struct strbuf sb = {0};
    strbuf_str(&sb, "something");
    size_t cap = sb.cap;
    strbuf_reset(&sb);
    assert_int_equal(sb.len, 0);
    assert_int_equal(sb.cap, cap);
    assert_string_equal(sb.data, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_is_usable),
        cmocka_unit_test(test_appends_in_order),
        cmocka_unit_test(test_grows_over_any_size),
        cmocka_unit_test(test_long_formats),
        cmocka_unit_test(test_too_large_fails_and_sticks),
        cmocka_unit_test(test_steal_leaves_it_empty),
        cmocka_unit_test(test_reset_keeps_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
