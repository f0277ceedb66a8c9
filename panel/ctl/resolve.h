/* From what a person types to the one thing that is meant. One thread. */
#ifndef PANEL_CTL_RESOLVE_H
#define PANEL_CTL_RESOLVE_H

#include "panel/ctl/ctl.h"

enum thing { THING_NODE, THING_INSTANCE, THING_USER, THING_IMAGE, THING_KEY, THING_COUNT };

#define RESOLVE_PREFIX_LEAST 3

/* By id, by name, or by the beginning of an id; the thing as the API shows it, for the caller.
 * ERR_NOT_FOUND: there is none, or several, which the message lists. */
int resolve(struct ctl *ctl, enum thing thing, const char *typed, json_t **ret, struct err *err);

/* By its whole id alone, in one request. */
int resolve_by_id(struct ctl *ctl, enum thing thing, const char *id, json_t **ret, struct err *err);

/* The same for who needs no more than its id: where the key may not read such things, what was
 * typed is taken for it, and is its name, too; so is a user's whole id that no list has. */
int resolve_target(struct ctl *ctl, enum thing thing, const char *typed, json_t **ret,
                   struct err *err);

/* Likewise, and its id alone for the caller to free. */
int resolve_id(struct ctl *ctl, enum thing thing, const char *word, char **ret_id, struct err *err);

/* All of them. */
int resolve_list(struct ctl *ctl, enum thing thing, json_t **ret, struct err *err);

/* "instance" */
const char *thing_noun(enum thing thing);
/* The members by which things are known: its id; a name, or "". */
const char *thing_id(enum thing thing, const json_t *value);
const char *thing_name(enum thing thing, const json_t *value);
/* Is it no more than remembered: a revoked key? */
bool thing_is_over(enum thing thing, const json_t *value);

#endif
