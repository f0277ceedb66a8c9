/* How each kind of thing is shown: its columns, as a table, one by one, or as data. One thread. */
#ifndef PANEL_CTL_VIEW_H
#define PANEL_CTL_VIEW_H

#include "common/strbuf.h"
#include "panel/ctl/ctl.h"
#include "panel/ctl/table.h"

enum column_kind {
    COLUMN_TEXT,
    COLUMN_STATE, /* in its colour */
    COLUMN_MIB,
    COLUMN_BYTES,
    COLUMN_NUMBER,
    COLUMN_PERCENT,
    COLUMN_AGE,  /* of a time: how long ago */
    COLUMN_TIME, /* as it is */
    COLUMN_YES,  /* a boolean */
    COLUMN_LIST, /* an array, with commas; an object, its members */
    COLUMN_LINES /* the same; in details one a line */
};

/* Where it is shown: from there on, everywhere. */
enum column_reach { IN_TABLE, IN_WIDE, IN_DETAIL };

struct column {
    const char *title; /* in capitals */
    const char *path;  /* "Node.name" */
    enum column_kind kind;
    enum column_reach reach;
    unsigned flags; /* of table.h */
};

struct view {
    const char *noun;
    const char *id;   /* member that names it */
    const char *name; /* member by which people know it, or NULL */
    const struct column *columns;
    size_t count;
};

/* The member at "a.b"; NULL. */
json_t *view_member(const json_t *value, const char *path);
/* Its text, or "". */
const char *view_text(const json_t *value, const char *path);

/* Print a list as -o says. -1: memory is out, or nobody reads any more. */
int view_print_list(const struct ctl *ctl, const struct view *view, const json_t *array,
                    struct err *err);
/* The same into a buffer. */
int view_add_list(const struct ctl *ctl, const struct view *view, const json_t *array,
                  struct strbuf *out, struct err *err);
int view_add_one(const struct ctl *ctl, const struct view *view, const json_t *object,
                 struct strbuf *out, struct err *err);

/* What a change answered: as data where -o asks for it, else the sentence (made as printf does,
 * its texts made safe). view may be NULL: then -o name is nothing. */
int view_print_done(const struct ctl *ctl, const struct view *view, const json_t *object,
                    struct err *err, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Add a line of JSON as it is, or made safe for a terminal, where it stays the same JSON. */
void view_add_json_line(const struct ctl *ctl, const char *json, struct strbuf *out);

/* JSON or YAML, as -o says. */
int view_print_data(const struct ctl *ctl, const json_t *value, struct err *err);
bool view_is_data(const struct ctl *ctl);

/* All of it to stdout. */
int view_put(const struct strbuf *out, struct err *err);

enum tone view_tone(const char *state);

extern const struct view view_nodes, view_orphans, view_instances, view_access, view_users,
    view_images, view_keys, view_sessions, view_identity, view_audit, view_stats;

#endif
