/* Port mappings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "panel/domain/ports.h"

static void mappings_are_container_then_host(void **state)
{
    (void)state;
    struct port_mapping ports[PORTS_MAX];
    size_t count = 0;
    assert_int_equal(ports_parse("ports", "8080:18080, 9000:19000/udp,25565,53:0/TCP,80:auto",
                                 ports, &count, NULL),
                     0);
    assert_int_equal(count, 5);
    assert_int_equal(ports[0].container_port, 8080);
    assert_int_equal(ports[0].host_port, 18080);
    assert_true(ports[0].tcp && ports[0].udp);
    assert_true(!ports[1].tcp && ports[1].udp);
    assert_int_equal(ports[2].container_port, 25565);
    assert_int_equal(ports[2].host_port, 0);
    assert_true(ports[3].tcp && !ports[3].udp);
    assert_int_equal(ports[3].host_port, 0);
    assert_int_equal(ports[4].host_port, 0);
}

static void one_host_port_may_serve_two_protocols(void **state)
{
    (void)state;
    struct port_mapping ports[PORTS_MAX];
    size_t count = 0;
    assert_int_equal(ports_parse("ports", "53:1053/tcp,54:1053/udp", ports, &count, NULL), 0);
    assert_int_equal(ports_parse("ports", "53:0,54:0", ports, &count, NULL), 0);
    assert_int_equal(ports_parse("ports", "53:1053/tcp,54:1053", ports, &count, NULL), -1);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        ",",           "80,",
        "80:",     ":80",         "0:80",
        "65536:1", "80:65536",    "80:-1",
        "a:b",     "80:90:100",   "80/sctp",
        "80/",     "80:80,81:80", "+80:80",
        "80 :8 0", "0x50:80",     "80:80/tcp/udp",
        "auto:80", "80:80\n",     "80:800000000000000000000000000000000",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct port_mapping ports[PORTS_MAX];
        size_t count = 77;
        struct err err = {0};
        assert_int_equal(ports_parse("ports", bad[i], ports, &count, &err), -1);
        assert_string_equal(err.field, "ports");
        assert_int_equal(count, 77);
    }
}

static void at_most_a_hundred(void **state)
{
    (void)state;
    char text[2048] = "";
    struct port_mapping ports[PORTS_MAX];
    size_t count = 0, at = 0;
    for (int i = 0; i < PORTS_MAX; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d", i ? "," : "", 1000 + i);
    assert_int_equal(ports_parse("ports", text, ports, &count, NULL), 0);
    assert_int_equal(count, PORTS_MAX);
    strcpy(text + at, ",99");
    assert_int_equal(ports_parse("ports", text, ports, &count, NULL), -1);
}

static void primary_names_a_host_port(void **state)
{
    (void)state;
    struct port_mapping ports[PORTS_MAX];
    size_t count = 0;
    uint16_t port = 77;
    assert_int_equal(ports_parse("ports", "80:18080,81:18081,82", ports, &count, NULL), 0);
    assert_int_equal(ports_parse_primary("primary", "18081", ports, count, &port, NULL), 0);
    assert_int_equal(port, 18081);
    assert_int_equal(ports_parse_primary("primary", "80:18080", ports, count, &port, NULL), 0);
    assert_int_equal(port, 18080);
    assert_int_equal(ports_parse_primary("primary", "0", ports, count, &port, NULL), 0);
    assert_int_equal(port, 0);
    assert_int_equal(ports_parse_primary("primary", "auto", ports, count, &port, NULL), 0);
    assert_int_equal(port, 0);
    static const char *const bad[] = {"", "80", "18082", "x", "80:", "82:0", "99999", "1 8081"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        assert_int_equal(ports_parse_primary("primary", bad[i], ports, count, &port, &err), -1);
        assert_string_equal(err.field, "primary");
    }
}

static void ranges_have_a_lower_and_a_higher_end(void **state)
{
    (void)state;
    struct port_range range;
    assert_int_equal(ports_parse_range("portRange", " 25000 - 25999 ", &range, NULL), 0);
    assert_int_equal(range.first, 25000);
    assert_int_equal(range.last, 25999);
    assert_int_equal(ports_parse_range("portRange", "1-65535", &range, NULL), 0);
    assert_int_equal(ports_parse_range("portRange", "7-7", &range, NULL), 0);
    static const char *const bad[] = {"",
                                      "80",
                                      "80-",
                                      "-80",
                                      "0-80",
                                      "80-79",
                                      "1-2-3",
                                      "1-65536",
                                      "auto-80",
                                      "a-b",
                                      "00000000000000001-2"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        assert_int_equal(ports_parse_range("portRange", bad[i], &range, &err), -1);
        assert_string_equal(err.field, "portRange");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mappings_are_container_then_host),
        cmocka_unit_test(one_host_port_may_serve_two_protocols),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(at_most_a_hundred),
        cmocka_unit_test(primary_names_a_host_port),
        cmocka_unit_test(ranges_have_a_lower_and_a_higher_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
