/* JSON text into a strbuf. See json_writer.h.
 * The comma rule needs no state: a value follows another unless the last byte opens something. */
#include "common/json_writer.h"

#include <string.h>

#include "common/clock.h"

static void put_key(struct strbuf *sb, const char *key)
{
    if (sb->len) {
        char last = sb->data[sb->len - 1];
        if (last != '{' && last != '[' && last != ':')
            strbuf_char(sb, ',');
    }
    if (key) {
        strbuf_char(sb, '"');
        strbuf_str(sb, key);
        strbuf_add(sb, "\":", 2);
    }
}

static void put_escaped(struct strbuf *sb, const char *s)
{
    static const char hex[] = "0123456789abcdef";
    strbuf_char(sb, '"');
    const char *run = s;
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        strbuf_add(sb, run, (size_t)(s - run));
        run = s + 1;
        if (c == '"' || c == '\\') {
            char two[2] = {'\\', (char)c};
            strbuf_add(sb, two, 2);
        } else {
            char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            strbuf_add(sb, six, 6);
        }
    }
    strbuf_add(sb, run, (size_t)(s - run));
    strbuf_char(sb, '"');
}

void jw_object_begin(struct strbuf *sb, const char *key)
{
    put_key(sb, key);
    strbuf_char(sb, '{');
}

void jw_object_end(struct strbuf *sb)
{
    strbuf_char(sb, '}');
}

void jw_array_begin(struct strbuf *sb, const char *key)
{
    put_key(sb, key);
    strbuf_char(sb, '[');
}

void jw_array_end(struct strbuf *sb)
{
    strbuf_char(sb, ']');
}

void jw_string(struct strbuf *sb, const char *key, const char *s)
{
    put_key(sb, key);
    if (s)
        put_escaped(sb, s);
    else
        strbuf_str(sb, "null");
}

void jw_int(struct strbuf *sb, const char *key, int64_t n)
{
    put_key(sb, key);
    if (n < 0)
        strbuf_char(sb, '-');
    strbuf_u64(sb, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void jw_milli(struct strbuf *sb, const char *key, int64_t milli)
{
    jw_int(sb, key, milli / 1000);
    int64_t rest = milli % 1000;
    if (rest <= 0)
        return;
    char digits[5] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                      (char)('0' + rest % 10), '\0'};
    size_t len = 4;
    while (digits[len - 1] == '0')
        len--;
    strbuf_add(sb, digits, len);
}

void jw_bool(struct strbuf *sb, const char *key, bool b)
{
    put_key(sb, key);
    strbuf_str(sb, b ? "true" : "false");
}

void jw_null(struct strbuf *sb, const char *key)
{
    put_key(sb, key);
    strbuf_str(sb, "null");
}

void jw_raw(struct strbuf *sb, const char *key, const char *text)
{
    put_key(sb, key);
    strbuf_str(sb, text ? text : "null");
}

void jw_time(struct strbuf *sb, const char *key, int64_t wall_ms)
{
    if (!wall_ms) {
        jw_null(sb, key);
        return;
    }
    char text[CLOCK_ISO_LEN];
    clock_format_iso(wall_ms, text);
    jw_string(sb, key, text);
}
