/* Metrics as text. See expose.h. */
#include "panel/metrics/expose.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* --- which format ---------------------------------------------------------------------------- */

/* The weight (RFC 9110, 12.4.2) of one element, in thousandths: 1000 where it has none. */
static unsigned weight_of(const char *element, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (element[i] != ';')
            continue;
        const char *at = element + i + 1;
        at += strspn(at, " \t");
        if ((at[0] != 'q' && at[0] != 'Q') || at[1] != '=')
            continue;
        unsigned weight = at[2] == '1' ? 1000 : 0;
        at += at[2] ? 3 : 2;
        if (weight || *at != '.')
            return weight;
        unsigned place = 100;
        for (at++; *at >= '0' && *at <= '9' && place; at++, place /= 10)
            weight += (unsigned)(*at - '0') * place;
        return weight;
    }
    return 1000;
}

static bool is_of_type(const char *element, size_t len, const char *type)
{
    size_t end = 0;
    while (end < len && !strchr(" \t;", element[end]))
        end++;
    return end == strlen(type) && strncasecmp(element, type, end) == 0;
}

bool expose_wants_openmetrics(const char *accept)
{
    unsigned open = 0;
    unsigned plain = 0;
    bool plain_named = false;
    for (const char *at = accept ? accept : ""; *at;) {
        at += strspn(at, " \t,");
        size_t len = strcspn(at, ",");
        unsigned weight = weight_of(at, len);
        if (is_of_type(at, len, "application/openmetrics-text")) {
            open = weight > open ? weight : open;
        } else if (is_of_type(at, len, "text/plain")) {
            plain = weight > plain ? weight : plain;
            plain_named = true;
        }
        at += len;
    }
    return open && (!plain_named || open >= plain);
}

/* --- families -------------------------------------------------------------------------------- */

static const char *type_name(const struct exposition *to)
{
    switch (to->family->type) {
    case FAMILY_COUNTER:
        return "counter";
    case FAMILY_GAUGE:
        return "gauge";
    case FAMILY_HISTOGRAM:
        return "histogram";
    case FAMILY_INFO:
        return to->openmetrics ? "info" : "gauge";
    }
    return "unknown";
}

static const char *sample_suffix(const struct family *family)
{
    switch (family->type) {
    case FAMILY_COUNTER:
        return "_total";
    case FAMILY_INFO:
        return "_info";
    case FAMILY_GAUGE:
    case FAMILY_HISTOGRAM:
        break;
    }
    return "";
}

static void put_escaped(struct strbuf *out, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\n')
            strbuf_str(out, "\\n");
        else if (*text == '\\' || (quotes && *text == '"'))
            strbuf_add(out, (const char[]){'\\', *text}, 2);
        else
            strbuf_char(out, *text);
    }
}

/* In OpenMetrics it is the family that is described, in the older format the sample. */
static void put_about(struct exposition *to, const char *what)
{
    strbuf_str(to->out, what);
    strbuf_str(to->out, to->family->name);
    strbuf_str(to->out, to->openmetrics ? "" : sample_suffix(to->family));
    strbuf_char(to->out, ' ');
}

void expose_family(struct exposition *to, const struct family *family)
{
    to->family = family;
    put_about(to, "# HELP ");
    put_escaped(to->out, family->help, to->openmetrics);
    strbuf_char(to->out, '\n');
    put_about(to, "# TYPE ");
    strbuf_str(to->out, type_name(to));
    strbuf_char(to->out, '\n');
    if (!to->openmetrics || !family->unit[0])
        return;
    put_about(to, "# UNIT ");
    strbuf_str(to->out, family->unit);
    strbuf_char(to->out, '\n');
}

/* --- samples --------------------------------------------------------------------------------- */

static void put_labels(struct strbuf *out, const struct label *labels, size_t count, const char *le)
{
    if (!count && !le)
        return;
    strbuf_char(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            strbuf_char(out, ',');
        strbuf_str(out, labels[i].name);
        strbuf_str(out, "=\"");
        put_escaped(out, labels[i].value, true);
        strbuf_char(out, '"');
    }
    if (le) {
        strbuf_str(out, count ? ",le=\"" : "le=\"");
        strbuf_str(out, le);
        strbuf_char(out, '"');
    }
    strbuf_char(out, '}');
}

/* value / 10^decimals without an error of rounding; "1.0" rather than "1" where as_float says so,
 * which is how a bound is written. */
static void format(char out[48], int64_t value, unsigned decimals, bool as_float)
{
    char digits[24];
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t scale = 1;
    for (unsigned i = 0; i < decimals; i++)
        scale *= 10;
    int len = snprintf(digits, sizeof(digits), "%0*" PRIu64, (int)decimals, size % scale);
    while (decimals && len && digits[len - 1] == '0')
        digits[--len] = '\0';
    bool point = decimals && len;
    snprintf(out, 48, "%s%" PRIu64 "%s%s%s", value < 0 ? "-" : "", size / scale,
             point || as_float ? "." : "", point ? digits : "", !point && as_float ? "0" : "");
}

static void put_sample(struct exposition *to, const char *suffix, const struct label *labels,
                       size_t count, const char *le, const char *value)
{
    strbuf_str(to->out, to->family->name);
    strbuf_str(to->out, suffix);
    put_labels(to->out, labels, count, le);
    strbuf_char(to->out, ' ');
    strbuf_str(to->out, value);
    strbuf_char(to->out, '\n');
}

void expose_sample(struct exposition *to, const struct label *labels, size_t count, int64_t value,
                   unsigned decimals)
{
    char text[48];
    format(text, value, decimals, false);
    put_sample(to, sample_suffix(to->family), labels, count, NULL, text);
}

void expose_histogram(struct exposition *to, const struct label *labels, size_t count,
                      const struct histogram_view *view, unsigned decimals)
{
    char text[48];
    char bound[48];
    uint64_t below = 0;
    for (size_t i = 0; i <= view->count; i++) {
        below += view->counts[i];
        format(text, (int64_t)below, 0, false);
        if (i < view->count)
            format(bound, (int64_t)view->bounds[i], decimals, true);
        put_sample(to, "_bucket", labels, count, i < view->count ? bound : "+Inf", text);
    }
    put_sample(to, "_count", labels, count, NULL, text);
    format(text, (int64_t)view->sum, decimals, false);
    put_sample(to, "_sum", labels, count, NULL, text);
}

void expose_end(struct exposition *to)
{
    if (to->openmetrics)
        strbuf_str(to->out, "# EOF\n");
}
