/* What the rest of the API tells the audit trail; see audit.c and audit_detail.c. */
#ifndef PANEL_API_AUDIT_H
#define PANEL_API_AUDIT_H

#include "panel/api/internal.h"

/* Inside apply(): what the call did. made: the id of what it made, or "". status 0: it isn't known
 * yet. code: of the refusal, or "". */
int audit_change(const struct call *call, struct store_tx *tx, const char *made, int status,
                 const char *code, int64_t *ret_seq, struct err *err);
/* What it asked for, in a few words that hold no secret: "action=stop", "memory cpu". */
#define AUDIT_DETAIL_SIZE 160
void audit_describe(const struct call *call, char out[AUDIT_DETAIL_SIZE]);
/* The call is being answered so; code of the error, or "". Any thread. */
void audit_answered(struct call *call, int status, const char *code);

#endif
