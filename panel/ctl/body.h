/* A request's body from the options that were given: as their rows in the table say. One thread. */
#ifndef PANEL_CTL_BODY_H
#define PANEL_CTL_BODY_H

#include "panel/ctl/ctl.h"

/* An object for the caller; without options that go into it, an empty one. */
int body_from_options(const struct args *args, json_t **ret, struct err *err);

/* Put a text into an object. */
int body_set(json_t *object, const char *member, const char *text, struct err *err);

#endif
