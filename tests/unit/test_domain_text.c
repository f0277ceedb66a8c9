/* Names, addresses, identifiers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "panel/domain/text.h"

typedef int (*check_fn)(const char *field, const char *s, struct err *err);

static void try_all(check_fn check, const char *const *texts, int want)
{
    for (; *texts; texts++) {
        struct err err = {0};
        if (check("f", *texts, &err) != want)
            fail_msg("wrong about: %s", *texts);
        if (want < 0)
            assert_string_equal(err.field, "f");
    }
}

static int check_name_8(const char *field, const char *s, struct err *err)
{
    return text_check_name(field, s, 8, err);
}

static void names_are_printable(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a", "ann", "12345678", "\xc3\xa9\xc3\xa9", " x", "a b", "\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
        NULL};
    static const char *const bad[] = {"",   " ",     "   ",       "123456789",     "a\nb", "a\x7f",
                                      "\t", "\x1b[", "a\xc2\x85", "a\xe2\x80\xae", NULL};
    try_all(check_name_8, good, 0);
    try_all(check_name_8, bad, -1);
}

static void emails_are_sane(void **state)
{
    (void)state;
    static const char *const good[] = {"a@b",           "ann@example.com", "a+b.c@x-y.org",
                                       "\xc3\xa9@b.fr", "o'neil@x.ie",     NULL};
    static const char *const bad[] = {"",      "a",    "@",    "a@",    "@b",    "a@b@c", "a b@c",
                                      "a@b c", "a@.b", "a@b.", "a@b\n", "a,b@c", NULL};
    try_all(text_check_email, good, 0);
    try_all(text_check_email, bad, -1);
}

static void ids_are_safe_everywhere(void **state)
{
    (void)state;
    static const char *const good[] = {
        "1", "a-b_c.D", "...", "0123456789012345678901234567890123456789012345678901234567890123",
        NULL};
    static const char *const bad[] = {
        "",    ".",   "..",
        "a/b", "a b", "\xc3\xa9",
        "a:b", "a\n", "01234567890123456789012345678901234567890123456789012345678901234",
        NULL};
    try_all(text_check_id, good, 0);
    try_all(text_check_id, bad, -1);
}

static void addresses_are_hosts(void **state)
{
    (void)state;
    static const char *const good[] = {
        "10.0.0.1", "node-1.example.com", "localhost", "::1", "2001:db8::1", "a_b", NULL};
    static const char *const bad[] = {"",     "http://x", "x:80", "a b",   "a/b",   "-a",  "a-.b",
                                      "a..b", ".a",       "a.",   "[::1]", "::1::", "a\n", NULL};
    try_all(text_check_address, good, 0);
    try_all(text_check_address, bad, -1);
}

static void ports_are_numbers(void **state)
{
    (void)state;
    static const char *const good[] = {"1", "80", "65535", NULL};
    static const char *const bad[] = {"",   "0",  "080", "65536",        "-1", "+1",
                                      " 1", "1 ", "1.0", "999999999999", NULL};
    try_all(text_check_port, good, 0);
    try_all(text_check_port, bad, -1);
}

static void mount_paths_stay_inside(void **state)
{
    (void)state;
    static const char *const good[] = {"/app/data", "/a", "/a/...", "/.hidden", NULL};
    static const char *const bad[] = {"",        "/",     "a",    "/..",  "/a/..", "/../a",
                                      "/a/../b", "/a//b", "/a:b", "/a\n", "/./a",  NULL};
    try_all(text_check_mount_path, good, 0);
    try_all(text_check_mount_path, bad, -1);
}

static void numbers_are_digits(void **state)
{
    (void)state;
    uint64_t n = 77;
    assert_true(text_parse_uint("0", 10, &n) && n == 0);
    assert_true(text_parse_uint("18446744073709551615", UINT64_MAX, &n) && n == UINT64_MAX);
    static const char *const bad[] = {"",   " 5",  "+5", "-1",
                                      "5 ", "0x5", "11", "18446744073709551616"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(text_parse_uint(bad[i], 10, &n));
    assert_false(text_parse_uint("18446744073709551616", UINT64_MAX, &n));
}

static void environment_names(void **state)
{
    (void)state;
    assert_true(text_is_env_name("A"));
    assert_true(text_is_env_name("_a9"));
    assert_false(text_is_env_name(""));
    assert_false(text_is_env_name("9a"));
    assert_false(text_is_env_name("a-b"));
    assert_false(text_is_env_name("a=b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_printable),     cmocka_unit_test(emails_are_sane),
        cmocka_unit_test(ids_are_safe_everywhere), cmocka_unit_test(addresses_are_hosts),
        cmocka_unit_test(ports_are_numbers),       cmocka_unit_test(mount_paths_stay_inside),
        cmocka_unit_test(numbers_are_digits),      cmocka_unit_test(environment_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
