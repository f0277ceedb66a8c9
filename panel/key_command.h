/* API keys on the host: `paneld key create`, `list` and `revoke`.
 *
 * Each command is one request, answered by key_answer(): in the running daemon, over its control
 * socket, or, when none runs, right here on the database. */
#ifndef PANEL_KEY_COMMAND_H
#define PANEL_KEY_COMMAND_H

#include <stdio.h>

#include "common/err.h"
#include "common/strbuf.h"
#include "panel/auth/api_key.h"

/* A control_answer_fn; arg is the struct store. A change is committed before it is answered. Not
 * on the writer's thread. */
int key_answer(void *arg, const char *request, struct strbuf *out, struct err *err);

/* The commands, on the panel of DIR. ERR_NOT_FOUND "no_panel" when there is none. */
/* What the key is to be. */
struct key_wish {
    const char *name;
    const char *scopes;  /* with blanks or commas between them; NULL: admin */
    const char *user_id; /* NULL: it is bound to nobody */
    const char *expires; /* 90m, 12h, 30d, or RFC 3339; NULL: never */
};
int key_command_create(const char *dir, const struct key_wish *wish, char out_key[API_KEY_LEN + 1],
                       struct err *err);
int key_command_list(const char *dir, FILE *to, struct err *err);
int key_command_revoke(const char *dir, const char *id_or_name, struct err *err);

/* Leave a row in the audit trail that backup, restore or import-skyport was done with that file; of
 * a backup only where the daemon runs. */
int key_command_note(const char *dir, const char *command, const char *file, struct err *err);

#endif
