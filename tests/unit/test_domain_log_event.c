/* Lines as clients of an event stream see them. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/iso_time.h"
#include "panel/domain/log_event.h"

static void assert_event(struct log_event event, const char *wanted)
{
    auto_strbuf struct strbuf out = {0};
    log_event_add(&out, &event);
    assert_false(out.failed);
    assert_string_equal(out.data, wanted);
}

static void test_a_line(void **state)
{
    (void)state;
    assert_event((struct log_event){.at = {1767225600000000007u, 3}, .text = "a \"b\"\t", .len = 6},
                 "id: 1767225600000000007-3\n"
                 "data: {\"time\":\"2026-01-01T00:00:00.000000007Z\",\"stream\":\"stdout\","
                 "\"line\":\"a \\\"b\\\"\\u0009\"}\n\n");
    assert_event((struct log_event){.at = {1, 0}, .is_error = true, .is_cut = true, .text = ""},
                 "id: 1-0\n"
                 "data: {\"time\":\"1970-01-01T00:00:00.000000001Z\",\"stream\":\"stderr\","
                 "\"line\":\"\",\"cut\":true}\n\n");
}

static void test_what_is_no_text(void **state)
{
    (void)state;
    assert_event((struct log_event){.at = {1, 0}, .text = "a\xff\n", .len = 3},
                 "id: 1-0\n"
                 "data: {\"time\":\"1970-01-01T00:00:00.000000001Z\",\"stream\":\"stdout\","
                 "\"base64\":\"Yf8K\"}\n\n");
    assert_event((struct log_event){.at = {1, 0}, .text = "a\0b", .len = 3},
                 "id: 1-0\n"
                 "data: {\"time\":\"1970-01-01T00:00:00.000000001Z\",\"stream\":\"stdout\","
                 "\"base64\":\"YQBi\"}\n\n");
}

static void test_an_id_is_read_again(void **state)
{
    (void)state;
    struct log_point point;
    assert_true(log_point_parse("1767225600000000007-3", &point));
    assert_true(point.time_ns == 1767225600000000007u && point.index == 3);
    static const char *const wrong[] = {"",
                                        "-",
                                        "7",
                                        "7-",
                                        "-7",
                                        "7-8-9",
                                        "a-1",
                                        "1-a",
                                        "1 -1",
                                        "99999999999999999999999999-1",
                                        "1-4294967296"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(log_point_parse(wrong[i], &point));
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns; /* 0: none */
    } rows[] = {
        {"2026-01-01T00:00:00Z", 1767225600000000000u},
        {"2026-01-01T00:00:00.5Z", 1767225600500000000u},
        {"2026-01-01T00:00:00.000000007Z", 1767225600000000007u},
        {"2026-01-01T02:00:00+02:00", 1767225600000000000u},
        {"2025-12-31t22:30:00-01:30", 1767225600000000000u},
        {"2500-01-01T00:00:00Z", 16725225600000000000u},
        {"2600-01-01T00:00:00Z", UINT64_MAX},
        {"9999-12-31T23:59:59.999999999Z", UINT64_MAX},
        {"1969-12-31T23:59:59Z", 0},
        {"0001-01-01T00:00:00Z", 0},
        {"2026-01-01", 0},
        {"2026-01-01T00:00:00", 0},
        {"2026-01-01T00:00:00Zx", 0},
        {"2026-01-01 00:00:00Z", 0},
        {"2028-02-29T00:00:00Z", 1835395200000000000u},
        {"2026-02-29T00:00:00Z", 0},
        {"2026-13-01T00:00:00Z", 0},
        {"2026-01-00T00:00:00Z", 0},
        {"2026-01-01T24:00:00Z", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t ns = 0;
        assert_int_equal(iso_time_parse(rows[i].text, &ns), rows[i].ns != 0);
        assert_true(ns == rows[i].ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line),
        cmocka_unit_test(test_what_is_no_text),
        cmocka_unit_test(test_an_id_is_read_again),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
