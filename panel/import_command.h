/* `paneld import-skyport FILE`: moving in from a Skyport panel, on the host.
 *
 * The daemon must not run meanwhile, as with a restore: the import is one transaction over
 * everything, and a panel that already drives nodes is not to find it under its feet. */
#ifndef PANEL_IMPORT_COMMAND_H
#define PANEL_IMPORT_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "common/err.h"
#include "panel/config.h"

struct import_options {
    bool dry_run, partial;
    bool json;              /* the report for a program */
    const char *agent_port; /* NULL: 7400 */
};

enum import_result {
    IMPORT_DONE = 0,    /* or, in a dry run, it would be */
    IMPORT_REFUSED = 1, /* something can't be taken, so nothing was */
    IMPORT_PARTLY = 3,  /* with what can't be taken left out */
};

/* Imports and writes the report to `to`. ERR_CONFLICT "running" while a daemon runs, ERR_NOT_FOUND
 * "no_panel" when there is no panel in the data folder, and as skyport_read(): then nothing has
 * changed. */
int import_command(const struct config *config, const char *file,
                   const struct import_options *options, FILE *to, enum import_result *ret_result,
                   struct err *err);

#endif
