/* See iso_time.h. */
#include "common/iso_time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The nanoseconds behind a full stop at *at, which moves past them. */
static uint64_t read_fraction(const char **at)
{
    uint64_t ns = 0;
    if (**at != '.')
        return 0;
    (*at)++;
    for (uint64_t unit = 100000000; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
        ns += (uint64_t)(**at - '0') * unit;
    return ns;
}

/* Seconds east of UTC; false when it is neither Z nor ±hh:mm. */
static bool read_zone(const char *at, int64_t *ret_offset)
{
    unsigned hours;
    unsigned minutes;
    char sign;
    char rest;
    *ret_offset = 0;
    if (strcmp(at, "Z") == 0 || strcmp(at, "z") == 0)
        return true;
    if (sscanf(at, "%c%2u:%2u%c", &sign, &hours, &minutes, &rest) != 3 ||
        (sign != '+' && sign != '-'))
        return false;
    *ret_offset = (int64_t)(hours * 3600 + minutes * 60) * (sign == '+' ? 1 : -1);
    return true;
}

/* timegm() makes the 2nd of March of the 30th of February. */
static bool is_in_calendar(const struct tm *read, const struct tm *made)
{
    return read->tm_mon == made->tm_mon && read->tm_mday == made->tm_mday &&
           read->tm_hour == made->tm_hour && read->tm_min == made->tm_min &&
           read->tm_sec == made->tm_sec;
}

bool iso_time_parse(const char *text, uint64_t *ret_ns)
{
    struct tm tm = {0};
    int read = 0;
    int64_t offset;
    if (sscanf(text, "%4d-%2d-%2d%*1[Tt]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &read) != 6)
        return false;
    const char *at = text + read;
    uint64_t ns = read_fraction(&at);
    if (!read_zone(at, &offset))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    struct tm made = tm;
    int64_t seconds = (int64_t)timegm(&made) - offset;
    if (seconds <= 0 || !is_in_calendar(&tm, &made))
        return false;
    if ((uint64_t)seconds >= UINT64_MAX / 1000000000u) {
        *ret_ns = UINT64_MAX;
        return true;
    }
    *ret_ns = (uint64_t)seconds * 1000000000u + ns;
    return true;
}
