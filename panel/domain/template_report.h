/* What a template asks for and this panel doesn't do, told when it is imported. Pure; any thread.
 */
#ifndef PANEL_DOMAIN_TEMPLATE_REPORT_H
#define PANEL_DOMAIN_TEMPLATE_REPORT_H

#include <jansson.h>

#include "common/err.h"

/* tmpl: normalized. *ret_text is the JSON text of an array of {"member","message"}, "[]" when all
 * is done as asked; for the caller to free. */
int template_warnings(const json_t *tmpl, char **ret_text, struct err *err);

#endif
