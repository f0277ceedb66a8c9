/* Memory and CPU amounts. See quantity.h.
 *
 * Decimals are read as an integer count of millionths, so no amount depends on binary fractions. */
#include "panel/domain/quantity.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define MILLIONTHS 1000000u

/* Digits with at most one point, as millionths; *ret_rest is what follows. Digits past the sixth
 * decimal are dropped when they are zeros or drop_fine, else refused. */
static bool read_decimal(const char *s, bool drop_fine, uint64_t *ret_n, const char **ret_rest)
{
    uint64_t n = 0;
    bool digits = false;
    for (; *s >= '0' && *s <= '9'; s++, digits = true) {
        n = n * 10 + (uint64_t)(*s - '0');
        if (n > 100000000000u)
            return false;
    }
    n *= MILLIONTHS;
    if (*s == '.') {
        uint64_t unit = MILLIONTHS / 10;
        bool decimals = false;
        for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10, decimals = true) {
            n += unit * (uint64_t)(*s - '0');
            if (!unit && *s != '0' && !drop_fine)
                return false;
        }
        if (!decimals)
            return false;
    }
    *ret_n = n;
    *ret_rest = s;
    return digits;
}

/* How many MiB a unit is; 0: it is none. */
static uint64_t unit_mib(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t mib;
    } units[] = {
        {"", 1},         {"m", 1},         {"mb", 1},       {"mib", 1},   {"mi", 1},
        {"g", 1024},     {"gb", 1024},     {"gib", 1024},   {"gi", 1024}, {"t", 1048576},
        {"tb", 1048576}, {"tib", 1048576}, {"ti", 1048576},
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(unit, units[i].name) == 0)
            return units[i].mib;
    }
    return 0;
}

static const char *trim_left(const char *s)
{
    return s + strspn(s, " ");
}

int quantity_parse_mib(const char *field, const char *s, uint64_t min, uint64_t *ret_mib,
                       struct err *err)
{
    uint64_t n, unit = 0;
    const char *rest = "";
    if (read_decimal(trim_left(s), false, &n, &rest)) {
        char name[8] = "";
        rest = trim_left(rest);
        size_t len = strlen(rest);
        while (len && rest[len - 1] == ' ')
            len--;
        if (len < sizeof(name)) {
            memcpy(name, rest, len);
            unit = unit_mib(name);
        }
    }
    if (!unit || __builtin_mul_overflow(n, unit, &n) || n % MILLIONTHS)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be an amount such as 512 (MiB), 512M or 2g.",
                         field);
    n /= MILLIONTHS;
    if (n < min || n > QUANTITY_MIB_MAX)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be at least %u MiB and at most %u MiB.", field,
                         (unsigned)min, QUANTITY_MIB_MAX);
    *ret_mib = n;
    return 0;
}

bool quantity_parse_ratio(const char *s, uint32_t *ret_milli)
{
    uint64_t n;
    const char *rest;
    if (!read_decimal(s, true, &n, &rest) || *rest)
        return false;
    uint64_t milli = (n + 500) / 1000;
    if (milli < QUANTITY_RATIO_MIN_MILLI || milli > QUANTITY_RATIO_MAX_MILLI)
        return false;
    *ret_milli = (uint32_t)milli;
    return true;
}

int quantity_parse_cpu(const char *field, const char *s, int64_t *ret_milli, struct err *err)
{
    uint64_t n;
    const char *rest;
    s = trim_left(s);
    bool fine = read_decimal(s, true, &n, &rest);
    if (fine) {
        rest = trim_left(rest);
        if (*rest == '%') {
            n /= 100;
            rest = trim_left(rest + 1);
        }
        fine = !*rest;
    }
    if (!fine)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be a number of cores such as 1, 0.5 or 50%%.",
                         field);
    int64_t milli = (int64_t)((n + 500) / 1000);
    if (milli < QUANTITY_CPU_MIN_MILLI || milli > QUANTITY_CPU_MAX_MILLI)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to be at least 0.01 and at most 1024 cores.", field);
    *ret_milli = milli;
    return 0;
}
