/* Another CA for the panel: `paneld ca status`, `rotate` and `retire`, asked of the running daemon,
 * since nodes are moved over their links. */
#ifndef PANEL_CA_COMMAND_H
#define PANEL_CA_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "common/err.h"
#include "common/strbuf.h"
#include "panel/fleet/fleet.h"
#include "panel/pki/ca.h"
#include "panel/store/store.h"

struct ca_rooms {
    struct ca *ca;
    struct store *store;
    struct fleet *fleet;
};

/* Is it one of these? Request: {"command": "ca.status" | "ca.rotate" | "ca.retire", "force"}. */
bool ca_command_is(const char *command);
/* Appends the answer's members. A change is durable before it is answered. Not on the writer's
 * thread. */
int ca_answer(const struct ca_rooms *rooms, const char *command, bool force, struct strbuf *out,
              struct err *err);

/* The other side, on the daemon of DIR. command as above; as_json: print the answer as it came. */
int ca_command_run(const char *dir, const char *command, bool force, bool as_json, FILE *to,
                   struct err *err);

#endif
