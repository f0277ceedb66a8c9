/* What skyport.c and items.c share; nobody else includes it. */
#ifndef PANEL_IMPORT_INTERNAL_H
#define PANEL_IMPORT_INTERNAL_H

#include "panel/import/skyport.h"

/* The texts of an object's members, for as long as they are needed. */
struct texts {
    const json_t *from;
    json_t *kept; /* private */
    bool failed;  /* private */
};
int texts_begin(struct texts *texts, const json_t *from, struct err *err);
/* rc, or -1 when memory was short for one of them. */
int texts_end(struct texts *texts, int rc, struct err *err);
/* That of a member; otherwise, where it has none. */
const char *texts_get(struct texts *texts, const char *key, const char *otherwise);
/* One that has to be there; else NULL, and err says so if it says nothing yet. */
const char *texts_need(struct texts *texts, const char *key, struct err *err);

/* The text of a member, numbers and booleans included, as a new reference; NULL when it has none
 * that could be one. */
json_t *member_text(const json_t *object, const char *key);
/* A member that says yes: true, or "true". */
bool member_is_true(const json_t *object, const char *key);
/* The id that an instance has with us. Skyport's own are ours, too; another is replaced by one
 * that is made from it, always the same. ERR_INVALID when it has none. */
#define IMPORT_ID_SIZE 37
int instance_id_of(const char *theirs, char out[IMPORT_ID_SIZE], struct err *err);

/* One thing that is being taken over. */
struct item {
    struct store_tx *tx;
    const struct skyport_settings *settings;
    const json_t *from;
    json_t *report;     /* its object in the report: notes and what is to be done go here */
    const json_t *made; /* ids of instances that this run has made, as members */
};

/* Put it into the store. 1: it is there already; -1: it can't be taken (ERR_INVALID, ERR_NOT_FOUND,
 * ERR_CONFLICT), or the work failed (any other). */
int item_user(const struct item *item, struct err *err);
int item_image(const struct item *item, struct err *err);
int item_node(const struct item *item, struct err *err);
int item_instance(const struct item *item, struct err *err);
/* The instances of others that a user may use; those that there are none of are noted. Where both
 * were there before this run, it stays as it is here. */
int item_access(const struct item *item, struct err *err);

/* A sentence for people about the item. */
int item_note(const json_t *report, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
