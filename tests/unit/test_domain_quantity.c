/* Memory and CPU amounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "panel/domain/quantity.h"

static void memory_is_read_in_binary_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t mib;
    } good[] = {
        {"512", 512},     {"512M", 512}, {"512MB", 512},    {"512MiB", 512},
        {"512mib", 512},  {"2g", 2048},  {"2GiB", 2048},    {"2 GB", 2048},
        {"1.5g", 1536},   {"0.5g", 512}, {"1t", 1048576},   {" 512 ", 512},
        {"512.0", 512},   {"6", 6},      {"16t", 16777216}, {"16777216", 16777216},
        {"1.25Gi", 1280},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t mib = 0;
        assert_int_equal(quantity_parse_mib("memory", good[i].text, 6, &mib, NULL), 0);
        assert_int_equal(mib, good[i].mib);
    }
}

static void memory_that_means_nothing_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      " ",          "5",     "0",        "-512",    "+512",
        "512X",  "512KB",      "1e3",   "0.3",      "M",       "512 5",
        ".5g",   "5.",         "17t",   "16777217", "512MiBs", "99999999999999999999",
        "0x200", "1.0000001g", "512\n", "１２",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t mib = 77;
        struct err err = {0};
        assert_int_equal(quantity_parse_mib("memory", bad[i], 6, &mib, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.reason, "invalid_field");
        assert_string_equal(err.field, "memory");
        assert_int_equal(mib, 77);
    }
}

static void cpu_is_read_in_thousandths(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t milli;
    } good[] = {
        {"1", 1000},   {"0.5", 500},   {"50%", 500},          {"150%", 1500},
        {"0.01", 10},  {"1%", 10},     {"1.0", 1000},         {"1024", 1024000},
        {" 2 ", 2000}, {"12.5%", 125}, {"0.3333333333", 333}, {"0.6666", 667},
        {"50 %", 500},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t milli = 0;
        assert_int_equal(quantity_parse_cpu("cpu", good[i].text, &milli, NULL), 0);
        assert_int_equal(milli, good[i].milli);
    }
}

static void cpu_that_means_nothing_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",  "0",    "-1",  "0.001",  "1025", "1e2",  "abc",
        "%", "50%%", "1,5", "1 core", "0%",   "1..2", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t milli = 77;
        struct err err = {0};
        assert_int_equal(quantity_parse_cpu("cpu", bad[i], &milli, &err), -1);
        assert_string_equal(err.field, "cpu");
        assert_int_equal(milli, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_read_in_binary_units),
        cmocka_unit_test(memory_that_means_nothing_is_refused),
        cmocka_unit_test(cpu_is_read_in_thousandths),
        cmocka_unit_test(cpu_that_means_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
