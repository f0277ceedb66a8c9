/* Templates ("images" on the wire): how a document that a client imports becomes one we keep, and
 * what a deploy takes from it. Pure; any thread. JSON is jansson's. */
#ifndef PANEL_DOMAIN_TEMPLATE_H
#define PANEL_DOMAIN_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

/* What an answer shows besides: what template_warnings() says. No template has such a member. */
#define TEMPLATE_WARNINGS "warnings"

/* Is it one that we know? All others are kept and do nothing. */
bool template_is_member(const char *key);

/* Check the document and complete it: known members first and all there, then the unknown ones as
 * they came. new_id is used when it has none. The result is the caller's to decref. ERR_INVALID. */
int template_normalize(const json_t *document, const char *new_id, json_t **ret_template,
                       struct err *err);

/* --- of a normalized template ---------------------------------------------------------------- */

/* The array of {"Uri","Path","Sha256"?} that it wants downloaded before the first start; tmpl may
 * be NULL. */
const json_t *template_install(const json_t *tmpl);
/* Its command as a new JSON array; "[]" when the image's own is to run. NULL: out of memory. */
json_t *template_command(const json_t *tmpl);
/* A text member, or otherwise. */
const char *template_text(const json_t *tmpl, const char *key, const char *otherwise);
/* Its StopTimeout, seconds; 0 when it has none. */
uint32_t template_stop_timeout(const json_t *tmpl);
/* Its Tty. */
bool template_wants_terminal(const json_t *tmpl);
/* Put the defaults of its variables into variables where nothing was given, and hold all against
 * their rules. ERR_INVALID "missing_variable" names a required one that has neither,
 * "invalid_variable" one that breaks a rule (rules.h). */
int template_fill_variables(const json_t *tmpl, json_t *variables, struct err *err);

#endif
