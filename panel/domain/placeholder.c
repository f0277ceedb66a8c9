/* See placeholder.h. */
#include "panel/domain/placeholder.h"

#include <stdio.h>
#include <string.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static size_t key_length(const char *s)
{
    static const char others[] = "0123456789.-";
    size_t len = 0;
    if (!is_letter(s[0]))
        return 0;
    while (s[len] && (is_letter(s[len]) || strchr(others, s[len])))
        len++;
    return len;
}

/* Does one begin here? */
static bool read_one(const char *begin, struct placeholder *ret)
{
    const char *key = begin + 2 + strspn(begin + 2, " ");
    size_t len = key_length(key);
    const char *end = key + len + strspn(key + len, " ");
    if (!len || strncmp(end, "}}", 2) != 0)
        return false;
    ret->begin = begin;
    ret->end = end + 2;
    snprintf(ret->key, sizeof(ret->key), "%.*s", (int)(len < sizeof(ret->key) ? len : 0), key);
    return true;
}

bool placeholder_next(const char *text, struct placeholder *ret)
{
    for (const char *at = strstr(text, "{{"); at; at = strstr(at + 1, "{{")) {
        if (read_one(at, ret))
            return true;
    }
    return false;
}

bool placeholder_any(const char *text)
{
    struct placeholder found;
    return placeholder_next(text, &found);
}

static int too_long(const char *member, struct err *err)
{
    return err_field(err, ERR_INVALID, "text_too_long", "variables",
                     "With these values a text of the template's %s is longer than 128 KiB.",
                     member);
}

int placeholder_expand(const char *member, const char *text, const json_t *values,
                       struct strbuf *out, struct err *err)
{
    struct placeholder found;
    size_t before = out->len;
    while (placeholder_next(text, &found)) {
        const char *value = json_string_value(json_object_get(values, found.key));
        if (!value)
            return err_field(err, ERR_INVALID, "unknown_placeholder", "variables",
                             "The template's %s names {{%s}}, for which there is no value: it has"
                             " no such variable or that has no default, and none was given in"
                             " \"variables\".",
                             member, found.key[0] ? found.key : "…");
        strbuf_add(out, text, (size_t)(found.begin - text));
        strbuf_str(out, value);
        if (out->len - before > PLACEHOLDER_TEXT_MAX)
            return too_long(member, err);
        text = found.end;
    }
    strbuf_str(out, text);
    if (out->failed)
        return err_nomem(err);
    return out->len - before > PLACEHOLDER_TEXT_MAX ? too_long(member, err) : 0;
}
