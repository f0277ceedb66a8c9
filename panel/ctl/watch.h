/* --watch: a list or a thing shown again whenever it changes. One thread. */
#ifndef PANEL_CTL_WATCH_H
#define PANEL_CTL_WATCH_H

#include "panel/ctl/ctl.h"
#include "panel/ctl/view.h"

/* Fetches what is to be shown, for the caller. */
typedef int (*watch_fetch)(struct ctl *ctl, const void *arg, json_t **ret, struct err *err);

/* Once, or with --watch until it is interrupted: on a terminal the screen is drawn anew, elsewhere
 * what changed is printed again. list: fetch() gives an array. The exit code, or -1. */
int watch_show(struct ctl *ctl, const struct view *view, bool list, watch_fetch fetch,
               const void *arg, struct err *err);

/* Draw text as the whole screen, cut at its height. */
int screen_draw(const struct strbuf *text, struct err *err);

#endif
