/* Request targets, and the checks of a request's head. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "panel/http/guard.h"
#include "panel/http/uri.h"

static const char *parse(const char *target, struct uri *uri)
{
    static char scratch[URI_SCRATCH_SIZE(256)];
    return uri_parse(target, strlen(target), scratch, uri);
}

static void paths_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *target, *path, *query;
    } rows[] = {
        {"/", "/", ""},
        {"/api/users", "/api/users", ""},
        {"/a%20b%C3%A9", "/a b\xc3\xa9", ""},
        {"/a+b", "/a+b", ""},
        {"/a?b=c?d", "/a", "b=c?d"},
        {"/a?", "/a", ""},
        {"http://host:80/a?x", "/a", "x"},
        {"HTTPS://host/a", "/a", ""},
        {"/%2e%2E/a", "/../a", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct uri uri;
        assert_null(parse(rows[i].target, &uri));
        assert_string_equal(uri.path, rows[i].path);
        assert_string_equal(uri.query, rows[i].query);
    }
}

static void parameters_are_decoded(void **state)
{
    (void)state;
    struct uri uri;
    assert_null(parse("/a?x=1&y=a+b%26c&x=2&&z&=q&w=", &uri));
    assert_string_equal(uri_param(&uri, "x"), "1");
    assert_string_equal(uri_param(&uri, "y"), "a b&c");
    assert_string_equal(uri_param(&uri, "z"), "");
    assert_string_equal(uri_param(&uri, "w"), "");
    assert_string_equal(uri_param(&uri, ""), "q");
    assert_null(uri_param(&uri, "v"));
    assert_null(parse("/a", &uri));
    assert_null(uri_param(&uri, "x"));
}

/* The scratch is as large as a request's, and the sanitizer sees what goes past it. */
static void many_parameters_fit_the_scratch(void **state)
{
    (void)state;
    static const char *const patterns[] = {"a&", "&", "a=&", "=&", "aa&", "%41&", "=", "a=b&"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        char target[256] = "/?";
        for (size_t len = 2; len < sizeof(target); len++) {
            struct uri uri;
            char *scratch = malloc(URI_SCRATCH_SIZE(len));
            (void)uri_parse(target, len, scratch, &uri);
            free(scratch);
            target[len] = patterns[i][(len - 2) % strlen(patterns[i])];
        }
    }
}

static void what_cant_be_decoded_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "*",
        "a",
        "/%",
        "/%2",
        "/%zz",
        "/%00",
        "/a%00/../b",
        "/a?b=%00",
        "/a?%",
        "/a b",
        "/a\tb",
        "/a#b",
        "/a%2fb",
        "/a%0ab",
        "/%ff",
        "/a?b=%c3",
        "/\xff",
        "/%ed%a0%80",
        "/%c0%80",
        "http://host",
        "ftp://host/a",
        "http://host?/a",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct uri uri;
        if (!parse(bad[i], &uri))
            fail_msg("taken: %s", bad[i]);
    }
}

/* --- the guard ------------------------------------------------------------------------------- */

/* A head of "Name: value" lines, fed without looking at line ends. */
static const char *guard_lines(const char *const *lines, bool http_1_1)
{
    struct guard guard;
    guard_init(&guard, NULL);
    for (; *lines; lines++) {
        const char *colon = strchr(*lines, ':');
        const char *value = colon + 1 + strspn(colon + 1, " ");
        guard_header(&guard, *lines, (size_t)(colon - *lines), value, strlen(value));
    }
    guard_end(&guard, http_1_1);
    return guard.wrong;
}
#define HEAD(...) ((const char *const[]){__VA_ARGS__, NULL})

static void sound_heads_pass(void **state)
{
    (void)state;
    assert_null(guard_lines(HEAD("Host: x"), true));
    assert_null(guard_lines(HEAD("Host: [::1]:80", "Content-Length: 5"), true));
    assert_null(guard_lines(HEAD("host: x ", "TRANSFER-ENCODING: Chunked"), true));
    assert_null(guard_lines(HEAD("X: "), false));
}

static void heads_read_in_two_ways_are_refused(void **state)
{
    (void)state;
    assert_non_null(guard_lines(HEAD("X: y"), true));
    assert_non_null(guard_lines(HEAD("Host: x", "Host: x"), true));
    assert_non_null(guard_lines(HEAD("Host: a b"), true));
    assert_non_null(guard_lines(HEAD("Host: x", "Content-Length: 5", "Content-Length: 5"), true));
    assert_non_null(guard_lines(HEAD("Host: x", "Content-Length : 5"), true));
    assert_non_null(guard_lines(HEAD("Host: x", "Content-Length: +5"), true));
    assert_non_null(guard_lines(HEAD("Host: x", "Content-Length: "), true));
    assert_non_null(guard_lines(HEAD("Host: x", "Content-Length: 99999999999999999999"), true));
    assert_non_null(
        guard_lines(HEAD("Host: x", "Content-Length: 5", "Transfer-Encoding: chunked"), true));
    assert_non_null(guard_lines(HEAD("Host: x", "Transfer-Encoding: gzip, chunked"), true));
    assert_non_null(guard_lines(HEAD("Host: x", "Transfer-Encoding: chunked "), true));
    assert_non_null(guard_lines(
        HEAD("Host: x", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), true));
    assert_non_null(guard_lines(HEAD("Transfer-Encoding: chunked"), false));
    assert_non_null(guard_lines(HEAD("Host: x", "X: a\rb"), true));
    assert_non_null(guard_lines(HEAD("Host: x", " X: b"), true));
}

/* The buffer as libmicrohttpd leaves it: line ends become NULs. */
static const char *guard_buffer(char *buffer, size_t x_at, size_t x_value_at)
{
    struct guard guard;
    guard_init(&guard, buffer);
    guard_header(&guard, buffer + 2, 4, buffer + 8, 1); /* Host: h */
    if (x_at)
        guard_header(&guard, buffer + x_at, 1, buffer + x_value_at, 1);
    guard_end(&guard, true);
    return guard.wrong;
}

static void line_ends_are_seen(void **state)
{
    (void)state;
    assert_null(guard_buffer((char[]){"\0\0Host\0 h\0\0\0\0"}, 0, 0));
    assert_null(guard_buffer((char[]){"\0\0Host\0 h\0\0X\0 v\0\0\0\0"}, 11, 14));
    /* bare LF between, bare LF at the end, a fold, a NUL inside */
    assert_non_null(guard_buffer((char[]){"\0\0Host\0 h\0X\0 v\0\0\0\0"}, 10, 13));
    assert_non_null(guard_buffer((char[]){"\0\0Host\0 h\0\0\0{"}, 0, 0));
    assert_non_null(guard_buffer((char[]){"\0\0Host\0 h\0\0 f\0\0X\0 v\0\0\0\0"}, 15, 18));
    assert_non_null(guard_buffer((char[]){"\0\0Host\0 h\0\0X\0 q\0\0\0\0   v"}, 11, 21));
    assert_non_null(guard_buffer((char[]){"\0\0Host\0 h\0zz\0\0\0\0"}, 0, 0));
}

static void methods_are_tokens(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "G\tT", "G/T", "G\xc3\xa4T", "G(T", "G\x7fT"};
    assert_true(guard_is_token("GET", 3));
    assert_true(guard_is_token("M-SEARCH", 8));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(guard_is_token(bad[i], strlen(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_decoded),
        cmocka_unit_test(parameters_are_decoded),
        cmocka_unit_test(many_parameters_fit_the_scratch),
        cmocka_unit_test(what_cant_be_decoded_is_refused),
        cmocka_unit_test(sound_heads_pass),
        cmocka_unit_test(heads_read_in_two_ways_are_refused),
        cmocka_unit_test(line_ends_are_seen),
        cmocka_unit_test(methods_are_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
