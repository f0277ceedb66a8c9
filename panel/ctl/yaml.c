/* YAML. See yaml.h.
 *
 * Block style for what has members, flow style for what is empty. A text stands plain only where no
 * reader could take it for anything else; otherwise in double quotes, in which JSON's escapes
 * mean the same. Long texts aren't folded: a line of YAML is a line of the value. */
#include "panel/ctl/yaml.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/auto.h"

#define INDENT 2

static void add_value(struct strbuf *out, const json_t *value, int depth, bool in_list);

/* Words that some reader takes for a boolean, a null or a number. */
static bool is_taken_word(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",   "on",
                                        "off",  "y",    "n",     "~",   ".inf", ".nan"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasecmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

/* Letters, then what is harmless inside; so neither numbers, dates nor anything with ": " or " #".
 */
static bool is_plain(const char *text)
{
    if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || *text == '/' ||
          *text == '_'))
        return false;
    for (const char *p = text; *p; p++) {
        bool word = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                    (*p >= '0' && *p <= '9') || strchr("_./@+-", *p);
        bool inner = p[1] && strchr(" :=,()", *p) && !(*p == ':' && p[1] == ' ');
        if (!word && !inner)
            return false;
    }
    return !is_taken_word(text);
}

/* U+2028 and U+2029 are line ends to YAML 1.1, and byte order marks and non-characters are refused
 * by some readers: which of them begins here, or 0. */
static unsigned special_at(const unsigned char *p)
{
    static const unsigned codes[] = {0x2028, 0x2029, 0xfeff, 0xfffe, 0xffff};
    if ((p[0] & 0xf0) != 0xe0)
        return 0;
    unsigned code = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i] == code)
            return code;
    }
    return 0;
}

static void add_quoted(struct strbuf *out, const char *text)
{
    strbuf_char(out, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        unsigned special = special_at(p);
        if (*p == '"' || *p == '\\')
            strbuf_fmt(out, "\\%c", *p);
        else if (*p == '\n' || *p == '\t' || *p == '\r')
            strbuf_fmt(out, "\\%c", *p == '\n' ? 'n' : *p == '\t' ? 't' : 'r');
        else if (*p < 0x20 || *p == 0x7f)
            strbuf_fmt(out, "\\x%02x", *p);
        else if (c1)
            strbuf_fmt(out, "\\x%02x", *++p);
        else if (special) {
            strbuf_fmt(out, "\\u%04x", special);
            p += 2;
        } else
            strbuf_char(out, (char)*p);
    }
    strbuf_char(out, '"');
}

static void add_text(struct strbuf *out, const char *text)
{
    if (is_plain(text))
        strbuf_str(out, text);
    else
        add_quoted(out, text);
}

static void add_indent(struct strbuf *out, int depth)
{
    for (int i = 0; i < depth * INDENT; i++)
        strbuf_char(out, ' ');
}

/* in_list: the first member stands behind the dash. */
static void add_object(struct strbuf *out, const json_t *object, int depth, bool in_list)
{
    const char *key;
    json_t *member;
    bool first = in_list;
    json_object_foreach((json_t *)object, key, member)
    {
        if (!first)
            add_indent(out, depth);
        first = false;
        add_text(out, key);
        strbuf_char(out, ':');
        add_value(out, member, depth, false);
    }
}

static void add_array(struct strbuf *out, const json_t *array, int depth, bool in_list)
{
    size_t i;
    json_t *item;
    bool first = in_list;
    json_array_foreach(array, i, item)
    {
        if (!first)
            add_indent(out, depth);
        first = false;
        strbuf_char(out, '-');
        add_value(out, item, depth, true);
    }
}

/* 1e-07 is a number to YAML 1.2 alone, 1.0e-07 to both. */
static void add_real(struct strbuf *out, double value)
{
    char text[40];
    snprintf(text, sizeof(text), "%.15g", value);
    size_t digits = strspn(text, "-0123456789");
    strbuf_add(out, text, digits);
    strbuf_str(out, text[digits] == '.' ? "" : ".0");
    strbuf_str(out, text + digits);
}

static void add_scalar(struct strbuf *out, const json_t *value)
{
    if (json_is_string(value)) {
        add_text(out, json_string_value(value));
        return;
    }
    if (json_is_real(value)) {
        add_real(out, json_real_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text)
        strbuf_str(out, text);
    else
        out->failed = true;
    free(text);
}

/* Behind a "key:" or a "-". */
static void add_value(struct strbuf *out, const json_t *value, int depth, bool in_list)
{
    bool object = json_is_object(value) && json_object_size(value) > 0;
    bool array = json_is_array(value) && json_array_size(value) > 0;
    if (!object && !array) {
        strbuf_char(out, ' ');
        add_scalar(out, value);
        strbuf_char(out, '\n');
        return;
    }
    strbuf_char(out, in_list ? ' ' : '\n');
    if (object)
        add_object(out, value, depth + 1, in_list);
    else
        add_array(out, value, depth + 1, in_list);
}

void yaml_add(struct strbuf *out, const json_t *value)
{
    if (json_is_object(value) && json_object_size(value) > 0)
        add_object(out, value, 0, false);
    else if (json_is_array(value) && json_array_size(value) > 0)
        add_array(out, value, 0, false);
    else {
        add_scalar(out, value);
        strbuf_char(out, '\n');
    }
}
