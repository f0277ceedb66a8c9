/* Errors by value: filled, wrapped, cut short, and not wanted at all. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"

static void test_set_fills_all(void **state)
{
    (void)state;
    struct err err = {.os_errno = 7};
    assert_int_equal(err_set(&err, ERR_CONFLICT, "port_taken", "port %d is taken", 80), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(err.os_errno, 0);
    assert_string_equal(err.reason, "port_taken");
    assert_string_equal(err.field, "");
    assert_string_equal(err.msg, "port 80 is taken");
}

static void test_field_names_the_field(void **state)
{
    (void)state;
    struct err err;
    err_field(&err, ERR_INVALID, "bad_value", "memory", "must be a number");
    assert_string_equal(err.field, "memory");
}

static void test_io_ends_with_the_systems_words(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_io(&err, ENOENT, "can't open %s", "x"), -1);
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(err.os_errno, ENOENT);
    assert_string_equal(err.msg, "can't open x: No such file or directory");
}

static void test_wrap_keeps_what_kind_it_is(void **state)
{
    (void)state;
    struct err err;
    err_field(&err, ERR_NOT_FOUND, "no_file", "path", "x is not there");
    assert_int_equal(err_wrap(&err, "reading %s", "config"), -1);
    assert_string_equal(err.msg, "reading config: x is not there");
    assert_string_equal(err.reason, "no_file");
    assert_string_equal(err.field, "path");
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct err err;
    err_field(&err, ERR_INVALID, text, text, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    assert_int_equal(strlen(err.reason), sizeof(err.reason) - 1);
    assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
    err_io(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    err_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

static void test_nobody_may_care(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_INVALID, "x", "x"), -1);
    assert_int_equal(err_field(NULL, ERR_INVALID, "x", "x", "x"), -1);
    assert_int_equal(err_io(NULL, EIO, "x"), -1);
    assert_int_equal(err_nomem(NULL), -1);
    assert_int_equal(err_wrap(NULL, "x"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_fills_all),
        cmocka_unit_test(test_field_names_the_field),
        cmocka_unit_test(test_io_ends_with_the_systems_words),
        cmocka_unit_test(test_wrap_keeps_what_kind_it_is),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_nobody_may_care),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
