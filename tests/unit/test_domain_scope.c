/* Scopes as words and as what they mean. */
#include "panel/domain/scope.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static scope_set parsed(const char *text, const char *kept)
{
    scope_set scopes = 0;
    char out[SCOPES_TEXT_SIZE];
    struct err err;
    assert_int_equal(scopes_parse("scopes", text, &scopes, out, &err), 0);
    assert_string_equal(out, kept);
    assert_int_equal(scopes_of(out), scopes);
    return scopes;
}

static void words_mean_what_they_say(void **state)
{
    (void)state;
    scope_set all = 0;
    scope_set reading = 0;
    for (unsigned i = SCOPE_NONE + 1; i < SCOPE_COUNT; i++) {
        const char *name = scope_name((enum scope)i);
        assert_int_equal(parsed(name, name), SCOPE_BIT(i));
        all |= SCOPE_BIT(i);
        if (strstr(name, ":read"))
            reading |= SCOPE_BIT(i);
        else
            assert_non_null(strstr(name, ":write"));
    }
    assert_int_equal(parsed("admin", "admin"), all);
    assert_int_equal(all, SCOPES_ADMIN);
    assert_int_equal(parsed("read", "read"), reading);
}

static void several_are_kept_once_each(void **state)
{
    (void)state;
    scope_set two = SCOPE_BIT(SCOPE_USERS_READ) | SCOPE_BIT(SCOPE_NODES_WRITE);
    assert_int_equal(parsed("users:read,nodes:write", "users:read nodes:write"), two);
    assert_int_equal(parsed(" users:read  nodes:write users:read ", "users:read nodes:write"), two);
}

static void all_of_them_fit(void **state)
{
    (void)state;
    char text[2 * SCOPES_TEXT_SIZE] = "admin read";
    for (unsigned i = SCOPE_NONE + 1; i < SCOPE_COUNT; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, " %s", scope_name((enum scope)i));
    }
    assert_true(strlen(text) < SCOPES_TEXT_SIZE);
    assert_int_equal(parsed(text, text), SCOPES_ADMIN);
}

static void others_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       " ",          ",",           "users",
        "users:", "Users:read", "users:reads", "users:read;nodes:read",
        "none",   "*",          "events:write"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        scope_set scopes = 42;
        char out[SCOPES_TEXT_SIZE];
        struct err err = {0};
        assert_int_equal(scopes_parse("scopes", bad[i], &scopes, out, &err), -1);
        assert_int_equal(scopes, 42);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.field, "scopes");
    }
}

static void kept_words_of_another_version_mean_nothing(void **state)
{
    (void)state;
    assert_int_equal(scopes_of(""), 0);
    assert_int_equal(scopes_of("volumes:read"), 0);
    assert_int_equal(scopes_of("volumes:read users:read"), SCOPE_BIT(SCOPE_USERS_READ));
}

static void what_is_missing_is_found(void **state)
{
    (void)state;
    assert_int_equal(scopes_missing(SCOPES_ADMIN, SCOPES_ADMIN), SCOPE_NONE);
    assert_int_equal(scopes_missing(0, 0), SCOPE_NONE);
    assert_int_equal(scopes_missing(SCOPES_ADMIN, SCOPES_ADMIN & ~SCOPE_BIT(SCOPE_KEYS_WRITE)),
                     SCOPE_KEYS_WRITE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_mean_what_they_say),
        cmocka_unit_test(several_are_kept_once_each),
        cmocka_unit_test(all_of_them_fit),
        cmocka_unit_test(others_are_refused_by_name),
        cmocka_unit_test(kept_words_of_another_version_mean_nothing),
        cmocka_unit_test(what_is_missing_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
