/* A line as logfmt or JSON. See log_line.h.
 *
 * Strings are escaped the same way in both: as JSON does. A value that is a plain word stands in
 * logfmt without quotes. */
#include "common/log_line.h"

#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

#define TAIL     8  /* kept free for a quote, a bracket and the line's end */
#define LONGEST  8u /* of one character, escaped */
#define FIELD_AT 16 /* a field that has less room is left off */

static void put(struct log_line *line, const char *text, size_t len)
{
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static bool has_room(const struct log_line *line, size_t len)
{
    return line->len + len <= sizeof(line->text) - TAIL;
}

void log_line_begin(struct log_line *line, enum log_format format)
{
    line->len = 0;
    line->full = false;
    line->format = format;
    if (format == LOG_JSON)
        put(line, "{", 1);
}

/* False: there is no room for it. */
static bool begin_field(struct log_line *line, const char *key, size_t key_len)
{
    bool json = line->format == LOG_JSON;
    line->full |= !has_room(line, key_len + FIELD_AT);
    if (line->full)
        return false;
    if (line->len > (json ? 1u : 0u))
        put(line, json ? "," : " ", 1);
    if (json)
        put(line, "\"", 1);
    put(line, key, key_len);
    put(line, json ? "\":" : "=", json ? 2 : 1);
    return true;
}

/* Characters that are none to look at: of C1, line separators, and those that turn the order of
 * what is shown around them. */
static bool is_hidden(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x061c || point == 0x200e ||
           point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

static void put_character(struct log_line *line, const char *at, size_t len, uint32_t point)
{
    char escape[8];
    if (point == '"' || point == '\\')
        put(line, (const char[]){'\\', (char)point}, 2);
    else if (point == '\n')
        put(line, "\\n", 2);
    else if (is_hidden(point))
        put(line, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)point));
    else
        put(line, at, len);
}

static bool is_plain(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)value[i];
        if (byte <= ' ' || byte >= 0x7f || strchr("\"\\=", byte))
            return false;
    }
    return len > 0;
}

void log_line_string(struct log_line *line, const char *key, size_t key_len, const char *value,
                     size_t value_max)
{
    size_t len = strnlen(value, value_max);
    bool quotes = line->format == LOG_JSON || !is_plain(value, len);
    if (!begin_field(line, key, key_len))
        return;
    if (quotes)
        put(line, "\"", 1);
    for (size_t i = 0; i < len;) {
        uint32_t point;
        size_t step = utf8_read(value + i, len - i, &point);
        if (!has_room(line, LONGEST)) {
            line->full = true;
            break;
        }
        if (step)
            put_character(line, value + i, step, point);
        else
            put(line, "\xef\xbf\xbd", 3); /* a byte that is no character: U+FFFD */
        i += step ? step : 1;
    }
    if (quotes)
        put(line, "\"", 1);
}

void log_line_number(struct log_line *line, const char *key, size_t key_len, const char *digits)
{
    size_t len = strlen(digits);
    if (!has_room(line, key_len + FIELD_AT + len))
        line->full = true;
    else if (begin_field(line, key, key_len))
        put(line, digits, len);
}

void log_line_end(struct log_line *line)
{
    if (line->format == LOG_JSON)
        put(line, "}", 1);
    put(line, "\n", 1);
}
