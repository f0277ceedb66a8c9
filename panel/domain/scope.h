/* Scopes: what an API key is for. "users:read" lets it read users, "users:write" change them, and
 * so on for each resource; "read" is all reading there is, "admin" all there is. Pure; any thread.
 */
#ifndef PANEL_DOMAIN_SCOPE_H
#define PANEL_DOMAIN_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

/* One thing that a key may be let do. None is no permission at all. */
enum scope {
    SCOPE_NONE = 0,
    SCOPE_USERS_READ,
    SCOPE_USERS_WRITE,
    SCOPE_NODES_READ,
    SCOPE_NODES_WRITE,
    SCOPE_IMAGES_READ,
    SCOPE_IMAGES_WRITE,
    SCOPE_INSTANCES_READ,
    SCOPE_INSTANCES_WRITE,
    SCOPE_KEYS_READ,
    SCOPE_KEYS_WRITE,
    SCOPE_EVENTS_READ,
    SCOPE_AUDIT_READ,
    SCOPE_METRICS_READ,
    SCOPE_COUNT,
};

typedef uint32_t scope_set;

#define SCOPE_BIT(scope) ((scope_set)1 << (scope))
#define SCOPES_ADMIN     ((SCOPE_BIT(SCOPE_COUNT) - 1) & ~SCOPE_BIT(SCOPE_NONE))
#define SCOPES_TEXT_SIZE 256 /* of all their names, a blank between them, and the NUL */

/* "users:read" */
const char *scope_name(enum scope scope);

/* Add what one word means: the name of a scope, "read" or "admin". ERR_INVALID "invalid_field"
 * names the field and all words there are. */
int scope_add(const char *field, const char *word, scope_set *scopes, struct err *err);

/* The same for words with blanks or commas between them; at least one. ret_text: each word once,
 * in the order given, a blank between them; what is kept and read again. */
int scopes_parse(const char *field, const char *text, scope_set *ret_scopes,
                 char ret_text[SCOPES_TEXT_SIZE], struct err *err);

/* What such a kept text means. Words that this program doesn't know (any more) mean nothing. */
scope_set scopes_of(const char *text);

/* The first of wanted that isn't in had; SCOPE_NONE: none is missing. */
enum scope scopes_missing(scope_set wanted, scope_set had);

#endif
