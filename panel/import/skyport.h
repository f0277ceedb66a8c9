/* Moving in from a Skyport panel: its database becomes users, images, nodes and instances of ours.
 *
 * Two steps. skyport_read() makes of the file's rows what there was (source.c); skyport_import()
 * puts that into an open store in one transaction, so that either all of it is there or nothing
 * has changed (skyport.c, items.c). Ids stay what they were, so that programs which know them find
 * the same things, and so that what is there already is known: a second run adds what is missing
 * and changes nothing else. Blocking; one thread. */
#ifndef PANEL_IMPORT_SKYPORT_H
#define PANEL_IMPORT_SKYPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "panel/store/store.h"

/* What the database held, as JSON; owned. */
struct skyport {
    json_t *users; /* arrays of objects */
    json_t *images;
    json_t *nodes;     /* each with "id" */
    json_t *instances; /* each with "Id"; "notes": what was odd about it */
    json_t *broken;    /* rows that should be one of these and can't be read: {key, message} */
    json_t *left;      /* rows that have no place here: {key, message} */
};

/* ERR_NOT_FOUND "no_file", ERR_INVALID "no_keyv" as keyv_read(); "no_skyport" when there is nothing
 * in it that we know. */
int skyport_read(const char *file, struct skyport *ret, struct err *err);
void skyport_fini(struct skyport *skyport);

struct skyport_settings {
    bool dry_run; /* find out everything, change nothing */
    bool partial; /* what can't be taken is left out; else it is a reason to take nothing */
    const char *agent_port;
    const char *join_url;         /* what agents are told to join at */
    struct port_range auto_ports; /* for mappings without a host port */
};

/* *ret_report, an object for the caller to decref, tells of each item what became of it:
 *   {"imported": bool, "dryRun": bool, "counts": {kind: {outcome: n}}, "items": [{kind, id, name,
 *    outcome: "imported" | "present" | "refused" | "left", code?, message?, notes?, …}]}
 * It is given, with 0, also when nothing was imported because something was refused; -1 only when
 * the work itself failed, and nothing has changed. */
int skyport_import(struct store *store, const struct skyport *from,
                   const struct skyport_settings *settings, json_t **ret_report, struct err *err);

#endif
