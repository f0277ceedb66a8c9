/* Who a request comes from, where it comes through proxies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "panel/http/proxies.h"

static void lists_are_read(void **state)
{
    (void)state;
    struct http_proxies proxies;
    static const char *const bad[] = {
        "",           ",",         "10.0.0.1,",  ",10.0.0.1",   "10.0.0.1,,10.0.0.2", "10.0.0",
        "10.0.0.0/8", "localhost", "[::1]",      "10.0.0.1:80", "10.0.0.1 10.0.0.2",  " ",
        "::1%lo",     "256.1.1.1", "10.0.0.1;x", "1,2,3,4,5,6"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (http_proxies_read(bad[i], &proxies))
            fail_msg("\"%s\" was taken", bad[i]);
    }
    assert_true(http_proxies_read(NULL, &proxies));
    assert_int_equal(proxies.count, 0);
    assert_true(http_proxies_read("127.0.0.1, ::1 ,::ffff:10.0.0.7", &proxies));
    assert_int_equal(proxies.count, 3);
    assert_int_equal(proxies.at[1].len, 16);
    assert_int_equal(proxies.at[2].len, 4);
    char many[HTTP_PROXIES_MAX * 9 + 9] = "10.0.0.1";
    for (int i = 1; i < HTTP_PROXIES_MAX; i++)
        strcat(many, ",10.0.0.1");
    assert_true(http_proxies_read(many, &proxies));
    strcat(many, ",1.1.1.1");
    assert_false(http_proxies_read(many, &proxies));
}

static void a_line_is_followed_from_its_end(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum http_forwarded result;
        const char *client;
    } rows[] = {
        {"192.0.2.9", FORWARDED_FOUND, "192.0.2.9"},
        {" 192.0.2.9\t", FORWARDED_FOUND, "192.0.2.9"},
        {"1.1.1.1, 192.0.2.9", FORWARDED_FOUND, "192.0.2.9"},
        {"rubbish, 192.0.2.9", FORWARDED_FOUND, "192.0.2.9"},
        {"192.0.2.9, 10.0.0.2,127.0.0.1", FORWARDED_FOUND, "192.0.2.9"},
        {"2001:db8::1", FORWARDED_FOUND, "2001:db8::1"},
        {"::ffff:192.0.2.9", FORWARDED_FOUND, "192.0.2.9"},
        {"::ffff:127.0.0.1", FORWARDED_OURS, NULL},
        {"10.0.0.2, 127.0.0.1", FORWARDED_OURS, NULL},
        {"", FORWARDED_MALFORMED, NULL},
        {"192.0.2.9,", FORWARDED_MALFORMED, NULL},
        {", 127.0.0.1", FORWARDED_MALFORMED, NULL},
        {"192.0.2.9, unknown", FORWARDED_MALFORMED, NULL},
        {"192.0.2.9, unknown, 10.0.0.2", FORWARDED_MALFORMED, NULL},
        {"192.0.2.9:4711", FORWARDED_MALFORMED, NULL},
        {"192.0.2.9 10.0.0.2", FORWARDED_MALFORMED, NULL},
        {"1111111111111111111111111111111111111111111111111111", FORWARDED_MALFORMED, NULL},
    };
    struct http_proxies proxies;
    assert_true(http_proxies_read("127.0.0.1,10.0.0.2", &proxies));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_address found = {.len = 0};
        char text[HTTP_ADDRESS_TEXT];
        if (http_proxies_follow(&proxies, rows[i].line, &found) != rows[i].result)
            fail_msg("\"%s\"", rows[i].line);
        http_address_put(&found, text);
        assert_string_equal(text, rows[i].client ? rows[i].client : "");
    }
}

static void sockets_have_addresses(void **state)
{
    (void)state;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char text[HTTP_ADDRESS_TEXT];
    v4.sin_addr.s_addr = htonl(0xc0000209);
    struct http_address address = http_address_of((struct sockaddr *)&v4);
    http_address_put(&address, text);
    assert_string_equal(text, "192.0.2.9");
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.9", &v6.sin6_addr), 1);
    struct http_address mapped = http_address_of((struct sockaddr *)&v6);
    assert_memory_equal(&mapped, &address, sizeof(mapped));
    assert_int_equal(http_address_of(NULL).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(a_line_is_followed_from_its_end),
        cmocka_unit_test(sockets_have_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
