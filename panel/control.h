/* The control socket: DIR/control.sock, by which commands on the same host reach the running
 * daemon, whose writer is the only one that may touch the database.
 *
 * One JSON object and a newline each way, then close. Only the folder's owner can connect. */
#ifndef PANEL_CONTROL_H
#define PANEL_CONTROL_H

#include "common/err.h"
#include "panel/store/store.h"

struct control;

int control_start(const char *dir, struct store *store, struct control **ret_control,
                  struct err *err);
void control_stop(struct control *control);

/* The other side: ask the daemon of DIR to make an API key; out holds API_KEY_LEN + 1 bytes.
 * ERR_NOT_FOUND when no daemon answers there. */
int control_request_key(const char *dir, const char *name, char *out_key, struct err *err);

#endif
