/* Making API keys on the host: `paneld key create`. */
#ifndef PANEL_KEY_COMMAND_H
#define PANEL_KEY_COMMAND_H

#include "common/err.h"
#include "panel/auth/api_key.h"
#include "panel/store/store.h"

/* Makes a key and waits until its digest is committed. Not on the writer's thread. */
int key_create(struct store *store, const char *name, char out_key[API_KEY_LEN + 1],
               struct err *err);

/* The command: by the running daemon where there is one, else in the database itself. */
int key_command_create(const char *dir, const char *name, char out_key[API_KEY_LEN + 1],
                       struct err *err);

#endif
