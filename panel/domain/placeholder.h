/* {{Key}} in the texts of a template. Pure; any thread.
 *
 * A key begins with a letter or _ and goes on with those, digits, "." and "-"; blanks may stand
 * around it. Any other "{{" is text like any other. */
#ifndef PANEL_DOMAIN_PLACEHOLDER_H
#define PANEL_DOMAIN_PLACEHOLDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/strbuf.h"

/* What the kernel takes as one word of a command or of an environment. */
#define PLACEHOLDER_TEXT_MAX (128u * 1024u - 1)

struct placeholder {
    const char *begin; /* of its first brace */
    const char *end;   /* behind its last one */
    char key[65];      /* cut where it is longer: then nobody has it */
};

/* The first one in text. */
bool placeholder_next(const char *text, struct placeholder *ret);
/* Has text any? */
bool placeholder_any(const char *text);

/* Append text with each one replaced by its value, once: a value is never looked at again.
 * values: texts by key. ERR_INVALID "unknown_placeholder" names a key that has none; member: of
 * the template, whose text it is. */
int placeholder_expand(const char *member, const char *text, const json_t *values,
                       struct strbuf *out, struct err *err);

#endif
