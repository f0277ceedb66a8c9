/* Texts for a terminal. See text.h.
 *
 * Names, log lines and messages come from users, containers and nodes. Written as they are, one of
 * them could hide a row, answer for the person at the keyboard, or retitle the window; so what
 * isn't plainly printable is shown as an escape. */
#include "panel/ctl/text.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

#include "common/auto.h"

void text_init(void)
{
    /* Of this thread and of characters alone: numbers stay written the C way. */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8)
        uselocale(utf8);
}

/* One character at text: its length in bytes and its code; length 0: these bytes are no UTF-8. */
static size_t take_char(const char *text, size_t len, wchar_t *ret)
{
    mbstate_t state = {0};
    size_t took = mbrtowc(ret, text, len, &state);
    if (took == 0)
        return 1; /* a NUL */
    if (took > len || *ret > 0x10ffff || (*ret >= 0xd800 && *ret <= 0xdfff))
        return 0; /* the library is more generous than RFC 3629 */
    return took;
}

size_t text_width(const char *text)
{
    size_t len = strlen(text);
    size_t columns = 0;
    while (len) {
        wchar_t c = 0;
        size_t took = take_char(text, len, &c);
        int width = took ? wcwidth(c) : 1;
        columns += width < 0 ? 1u : (size_t)width;
        took = took ? took : 1;
        text += took;
        len -= took;
    }
    return columns;
}

/* --- what a terminal must not be told -------------------------------------------------------- */

/* Marks that turn the direction of writing: a name with one reads as another. */
static bool is_direction(wchar_t c)
{
    return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static bool is_plain(wchar_t c)
{
    return c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && c != 0x2028 && c != 0x2029 &&
           c != 0xfeff && !is_direction(c);
}

static void add_escape(struct strbuf *out, wchar_t c)
{
    static const char known[][3] = {"\nn", "\tt", "\rr"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (c == (wchar_t)known[i][0]) {
            strbuf_fmt(out, "\\%c", known[i][1]);
            return;
        }
    }
    strbuf_fmt(out, "\\u%04x", (unsigned)c); /* as JSON and YAML have it, too */
}

/* Bytes of the colour sequence (SGR) that begins here: ESC [ digits and ; m. 0: there is none. */
static size_t colour_length(const char *text, size_t len)
{
    if (len < 3 || text[0] != '\x1b' || text[1] != '[')
        return 0;
    size_t at = 2;
    while (at < len && ((text[at] >= '0' && text[at] <= '9') || text[at] == ';'))
        at++;
    return at < len && text[at] == 'm' ? at + 1 : 0;
}

static void add(struct strbuf *out, const char *text, size_t len, bool tabs, bool colours)
{
    bool coloured = false;
    while (len) {
        wchar_t c = 0;
        size_t colour = colours ? colour_length(text, len) : 0;
        size_t took = colour ? colour : take_char(text, len, &c);
        if (colour || (took && (is_plain(c) || (tabs && c == '\t'))))
            strbuf_add(out, text, took);
        else if (took)
            add_escape(out, c);
        else
            strbuf_fmt(out, "\\x%02x", (unsigned char)*text);
        coloured |= colour > 0;
        took = took ? took : 1;
        text += took;
        len -= took;
    }
    if (coloured)
        strbuf_str(out, "\x1b[0m");
}

void text_add_safe(struct strbuf *out, const char *text, size_t len)
{
    add(out, text, len, false, false);
}

void text_add_line(struct strbuf *out, const char *text, size_t len, bool colours)
{
    if (len && text[len - 1] == '\r') /* a terminal's line end */
        len--;
    add(out, text, len, true, colours);
}

void text_add_document(struct strbuf *out, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        add(out, text, len, true, false);
        text += len;
        if (*text == '\n') {
            strbuf_char(out, '\n');
            text++;
        }
    }
}

/* --- cut ------------------------------------------------------------------------------------- */

void text_add_cut(struct strbuf *out, const char *text, size_t columns)
{
    if (text_width(text) <= columns) {
        strbuf_str(out, text);
        return;
    }
    size_t len = strlen(text);
    size_t used = 0;
    while (len && columns) {
        wchar_t c = 0;
        size_t took = take_char(text, len, &c);
        int width = took ? wcwidth(c) : 1;
        width = width < 0 ? 1 : width;
        if (used + (size_t)width > columns - 1)
            break;
        took = took ? took : 1;
        strbuf_add(out, text, took);
        used += (size_t)width;
        text += took;
        len -= took;
    }
    if (columns)
        strbuf_str(out, "…");
}

/* --- quantities ------------------------------------------------------------------------------ */

static void add_scaled(struct strbuf *out, double n, double step, const char *const *units,
                       size_t count)
{
    size_t unit = 0;
    while (n >= step && unit + 1 < count) {
        n /= step;
        unit++;
    }
    bool whole = n >= 100 || n == (double)(int64_t)n;
    strbuf_fmt(out, whole ? "%.0f %s" : "%.1f %s", n, units[unit]);
}

void text_add_mib(struct strbuf *out, double mib)
{
    static const char *const units[] = {"MiB", "GiB", "TiB"};
    add_scaled(out, mib, 1024, units, ARRAY_LEN(units));
}

void text_add_bytes(struct strbuf *out, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    add_scaled(out, bytes, 1024, units, ARRAY_LEN(units));
}

void text_add_duration(struct strbuf *out, int64_t seconds)
{
    if (seconds < 0)
        seconds = 0;
    if (seconds < 120)
        strbuf_fmt(out, "%lld s", (long long)seconds);
    else if (seconds < 120 * 60)
        strbuf_fmt(out, "%lld min", (long long)(seconds / 60));
    else if (seconds < 48 * 3600)
        strbuf_fmt(out, "%lld h", (long long)(seconds / 3600));
    else
        strbuf_fmt(out, "%lld d", (long long)(seconds / 86400));
}
