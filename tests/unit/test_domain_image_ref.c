/* Docker image references. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/docker.h"
#include "panel/domain/image_ref.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* What the panel takes its agents take as well, or a deploy would end in "bad_spec". */
static void assert_taken(const char *image)
{
    if (image_ref_check("image", image, NULL) < 0)
        fail_msg("refused: %s", image);
    if (!docker_image_is_sane(image))
        fail_msg("refused by the agent: %s", image);
}

static void what_docker_takes_is_taken(void **state)
{
    (void)state;
    static const char *const good[] = {
        "nginx",
        "nginx:1.25",
        "library/nginx:latest",
        "ghcr.io/owner/name:tag",
        "localhost/x",
        "localhost:5000/x/y:1",
        "127.0.0.1:5000/x",
        "registry.example.com:443/a/b/c:v1.0-rc_1",
        "a__b/c-d.e",
        "a---b",
        "nginx@sha256:" HEX64,
        "nginx:1@sha256:" HEX64,
        "nginx@sha512:" HEX64 HEX64,
        "REGISTRY.example.com/x",
        "x:TAG",
        "x:_1",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_taken(good[i]);
}

static void what_docker_refuses_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "Nginx",
        "nginx:",
        "nginx: 1",
        ":tag",
        "/nginx",
        "nginx/",
        "a//b",
        "-a",
        "a-",
        "a.",
        "a..b",
        "a___b",
        "a_-b",
        "nginx:.1",
        "nginx:-1",
        "nginx@",
        "nginx@sha256:",
        "nginx@sha256:abc",
        HEX64,
        "a b",
        "a?b=c",
        "a#b",
        "a%20b",
        "../x",
        "a/../b",
        "-x.io/a",
        "x.io:/a",
        "x.io:999999/a",
        "nginx\n",
        "a\tb",
        "nginx:1:2",
        "ngin\xc3\xa9",
        ".io/a",
        "x..io/a",
        "nginx@md5:" HEX64,
        "nginx@sha512+b64:" HEX64,
        "nginx@sha512:" HEX64,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        if (image_ref_check("image", bad[i], &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(err.field, "image");
    }
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    char text[600];
    memset(text, 'a', sizeof(text));
    text[256] = '\0';
    assert_int_equal(image_ref_check("image", text, NULL), -1);
    text[255] = '\0';
    assert_int_equal(image_ref_check("image", text, NULL), 0);
    memset(text, 'a', sizeof(text));
    text[1] = ':';
    text[2 + 128] = '\0';
    assert_int_equal(image_ref_check("image", text, NULL), 0);
    text[2 + 128] = 'a';
    text[2 + 129] = '\0';
    assert_int_equal(image_ref_check("image", text, NULL), -1);
    memset(text, 'a', sizeof(text));
    text[255] = ':';
    snprintf(text + 256 + 128, sizeof(text) - 256 - 128, "@sha512:%s%s", HEX64, HEX64);
    assert_taken(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_docker_takes_is_taken),
        cmocka_unit_test(what_docker_refuses_is_refused),
        cmocka_unit_test(lengths_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
