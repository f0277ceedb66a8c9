/* What a template says a variable's value may be: its "type", "rules", "min", "max", "pattern" and
 * "options". Rules are those of Laravel that templates use: "required|string|max:20", or an array
 * of them. Pure; any thread.
 *
 * An empty value breaks "required" alone. What a rule of ours doesn't know is no reason to refuse a
 * value: it is reported when the template is imported. */
#ifndef PANEL_DOMAIN_RULES_H
#define PANEL_DOMAIN_RULES_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"

/* spec: the variable's object. */
bool rules_require(const json_t *spec);
/* ERR_INVALID "invalid_variable" names the variable, its value and the rule. */
int rules_check(const char *name, const json_t *spec, const char *value, struct err *err);
/* Calls found with each rule that isn't checked. */
void rules_unknown(const json_t *spec, void (*found)(void *arg, const char *rule), void *arg);

#endif
