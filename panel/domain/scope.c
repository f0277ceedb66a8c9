/* Scopes. See scope.h. */
#include "panel/domain/scope.h"

#include <stdio.h>
#include <string.h>

#include "common/auto.h"

static const char *const names[SCOPE_COUNT] = {
    [SCOPE_NONE] = "none",
    [SCOPE_USERS_READ] = "users:read",
    [SCOPE_USERS_WRITE] = "users:write",
    [SCOPE_NODES_READ] = "nodes:read",
    [SCOPE_NODES_WRITE] = "nodes:write",
    [SCOPE_IMAGES_READ] = "images:read",
    [SCOPE_IMAGES_WRITE] = "images:write",
    [SCOPE_INSTANCES_READ] = "instances:read",
    [SCOPE_INSTANCES_WRITE] = "instances:write",
    [SCOPE_KEYS_READ] = "keys:read",
    [SCOPE_KEYS_WRITE] = "keys:write",
    [SCOPE_EVENTS_READ] = "events:read",
    [SCOPE_AUDIT_READ] = "audit:read",
    [SCOPE_METRICS_READ] = "metrics:read",
};

const char *scope_name(enum scope scope)
{
    return names[scope];
}

static bool is_word(const char *word, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(word, name, len) == 0;
}

static scope_set all_reading(void)
{
    scope_set scopes = 0;
    for (unsigned i = SCOPE_NONE + 1; i < SCOPE_COUNT; i++) {
        if (strstr(names[i], ":read"))
            scopes |= SCOPE_BIT(i);
    }
    return scopes;
}

/* 0: it is no such word. */
static scope_set meaning(const char *word, size_t len)
{
    if (is_word(word, len, "admin"))
        return SCOPES_ADMIN;
    if (is_word(word, len, "read"))
        return all_reading();
    for (unsigned i = SCOPE_NONE + 1; i < SCOPE_COUNT; i++) {
        if (is_word(word, len, names[i]))
            return SCOPE_BIT(i);
    }
    return 0;
}

int scope_add(const char *field, const char *word, scope_set *scopes, struct err *err)
{
    scope_set means = meaning(word, strlen(word));
    if (!means)
        return err_field(
            err, ERR_INVALID, "invalid_field", field,
            "a scope has to be admin, read, or users, nodes, images, instances or keys"
            " followed by :read or :write, or events:read, audit:read or metrics:read, not"
            " \"%.32s\"",
            word);
    *scopes |= means;
    return 0;
}

#define BETWEEN " ,\t"

static bool has_word(const char *text, const char *word, size_t len)
{
    for (size_t n; *text; text += n + (text[n] == ' ')) {
        n = strcspn(text, " ");
        if (n == len && memcmp(text, word, n) == 0)
            return true;
    }
    return false;
}

int scopes_parse(const char *field, const char *text, scope_set *ret_scopes,
                 char ret_text[SCOPES_TEXT_SIZE], struct err *err)
{
    scope_set scopes = 0;
    char word[64];
    size_t at = 0;
    ret_text[0] = '\0';
    for (text += strspn(text, BETWEEN); *text; text += strspn(text, BETWEEN)) {
        size_t len = strcspn(text, BETWEEN);
        snprintf(word, sizeof(word), "%.*s", len < sizeof(word) ? (int)len : 63, text);
        if (scope_add(field, word, &scopes, err) < 0)
            return -1;
        /* each fits, for there are no more words than names and the two */
        if (!has_word(ret_text, word, strlen(word)))
            at +=
                (size_t)snprintf(ret_text + at, SCOPES_TEXT_SIZE - at, "%s%s", at ? " " : "", word);
        text += len;
    }
    if (!scopes)
        return err_field(err, ERR_INVALID, "invalid_field", field,
                         "The field \"%s\" has to name one scope at least, such as \"read\".",
                         field);
    *ret_scopes = scopes;
    return 0;
}

scope_set scopes_of(const char *text)
{
    scope_set scopes = 0;
    for (size_t n; *text; text += n + (text[n] == ' ')) {
        n = strcspn(text, " ");
        scopes |= meaning(text, n);
    }
    return scopes;
}

enum scope scopes_missing(scope_set wanted, scope_set had)
{
    for (unsigned i = SCOPE_NONE + 1; i < SCOPE_COUNT; i++) {
        if (wanted & ~had & SCOPE_BIT(i))
            return (enum scope)i;
    }
    return SCOPE_NONE;
}
