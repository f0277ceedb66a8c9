/* Commands on the panel's host in the audit trail: they need no key, so the row names the host. */
#ifndef PANEL_HOST_AUDIT_H
#define PANEL_HOST_AUDIT_H

#include "common/err.h"
#include "panel/store/store.h"

/* Inside apply(): with the change itself. command: its words; target: an id, or "". */
int host_audit_add(struct store_tx *tx, const char *command, const char *target, int status,
                   struct err *err);
/* Of a change that the store has no part in, once it is done. detail: "" or what with. Waits until
 * it is committed, so not on the writer's thread. */
int host_audit_write(struct store *store, const char *command, const char *detail, struct err *err);

#endif
