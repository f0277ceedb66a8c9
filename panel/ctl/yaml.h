/* JSON values as YAML 1.2, which a YAML 1.1 reader reads alike. Pure; any thread. */
#ifndef PANEL_CTL_YAML_H
#define PANEL_CTL_YAML_H

#include <jansson.h>

#include "common/strbuf.h"

/* Add one document's text, ended by a newline. */
void yaml_add(struct strbuf *out, const json_t *value);

#endif
