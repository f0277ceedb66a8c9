/* What keeps a node from doing at once what it was told, in words to be put behind a sentence. One
 * thread. */
#ifndef PANEL_CTL_HINDRANCE_H
#define PANEL_CTL_HINDRANCE_H

#include "common/strbuf.h"
#include "panel/ctl/ctl.h"

/* Add why the instance's node doesn't do it now, or nothing: it doesn't answer, or its Docker
 * doesn't. Asks the panel once; a key that may not read nodes isn't told of Docker. */
void hindrance_add(struct ctl *ctl, const json_t *instance, struct strbuf *out);

/* The same by what is in the instance alone. Nothing is asked. True: something was added. */
bool hindrance_add_known(const json_t *instance, struct strbuf *out);

/* Add that its node's Docker doesn't answer, where that is so and the key may know it. */
void hindrance_add_docker(struct ctl *ctl, const json_t *instance, struct strbuf *out);

/* The node's Docker Engine is known not to answer. */
bool hindrance_no_docker(const json_t *node);

#endif
