/* Names of things by their ids, for tables: read when the first is asked for. What the key may not
 * read, or what is gone, has none. The owner calls names_fini(). One thread. */
#ifndef PANEL_CTL_NAMES_H
#define PANEL_CTL_NAMES_H

#include "panel/ctl/ctl.h"
#include "panel/ctl/resolve.h"

struct names {
    struct ctl *ctl;
    json_t *of[THING_COUNT]; /* id: name; NULL: not read yet */
};

void names_init(struct names *names, struct ctl *ctl);
void names_fini(struct names *names);

/* "": nobody knows. Valid until the next call. */
const char *names_find(struct names *names, enum thing thing, const char *id);
/* One that has turned up since, or is called otherwise. */
void names_set(struct names *names, enum thing thing, const char *id, const char *name);
void names_ask(struct names *names, enum thing thing, const char *id);

/* Where people read it: in a thing the member that is a user's id becomes the name with the id
 * behind it, in a list of things the name. Data stays what the API answered. */
void names_show_users(struct ctl *ctl, json_t *value, const char *member);

#endif
