/* What a request asked for, in a few words, for the audit trail. See audit.h.
 *
 * The names of the members that were sent, and of some the values: of those that say which of
 * several things was to be done, or to whom. Any other value may be a secret (a password, a
 * variable, a line for a console), so none is told that isn't in the list. Any thread. */
#include "panel/api/audit.h"

#include <stdio.h>
#include <string.h>

#include "common/auto.h"

#define LETTERS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_MAX  32
#define VALUE_MAX 64

static const char *const told[] = {"action",      "userId",       "user",      "nodeId",
                                   "instanceId",  "admin",        "force",     "wipe",
                                   "maintenance", "drain",        "expiresIn", "expiresAt",
                                   "rateLimit",   "graceSeconds", "type"};

static bool is_told(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        if (strcmp(told[i], name) == 0)
            return true;
    }
    return false;
}

static bool is_word(const char *text, size_t max, const char *of)
{
    size_t len = strlen(text);
    return len > 0 && len <= max && strspn(text, of) == len;
}

struct detail {
    char *text;
    size_t len;
};

/* Values are ids, times, words and numbers; of what looks like none of these the name is told. What
 * doesn't fit is left out whole. */
static void add(struct detail *detail, const char *name, const char *value)
{
    char word[NAME_MAX + VALUE_MAX + 3];
    bool shown = value && is_word(value, VALUE_MAX, LETTERS "0123456789._:+-");
    if (!is_word(name, NAME_MAX, LETTERS))
        return;
    size_t len = (size_t)snprintf(word, sizeof(word), "%s%s%s%s", detail->len ? " " : "", name,
                                  shown ? "=" : "", shown ? value : "");
    if (detail->len + len >= AUDIT_DETAIL_SIZE)
        return;
    memcpy(detail->text + detail->len, word, len + 1);
    detail->len += len;
}

static void add_member(struct detail *detail, const char *name, const json_t *value)
{
    char number[24];
    snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
    add(detail, name,
        !is_told(name)           ? NULL
        : json_is_true(value)    ? "true"
        : json_is_false(value)   ? "false"
        : json_is_integer(value) ? number
                                 : json_string_value(value));
}

void audit_describe(const struct call *call, char out[AUDIT_DETAIL_SIZE])
{
    struct detail detail = {.text = out};
    const char *name;
    json_t *value;
    out[0] = '\0';
    json_object_foreach(call->body, name, value)
    {
        if (strcmp(name, "id") != 0) /* that is the target */
            add_member(&detail, name, value);
    }
    /* where the body was dropped on its way */
    for (size_t i = 0; http_req_method(call->req) == HTTP_DELETE && i < ARRAY_LEN(told); i++) {
        const char *text = http_req_query(call->req, told[i]);
        if (text && !json_object_get(call->body, told[i]))
            add(&detail, told[i], text);
    }
}
