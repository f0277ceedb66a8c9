/* The control socket: DIR/control.sock, by which commands on the same host reach the running
 * daemon, whose writer is the only one that may touch the database.
 *
 * One JSON object and a newline each way, then close. Only the folder's owner can connect. What is
 * said is not looked at here. */
#ifndef PANEL_CONTROL_H
#define PANEL_CONTROL_H

#include "common/err.h"
#include "common/strbuf.h"

struct control;

/* Answers one request: appends the members of the answer's object. On the control thread, which
 * it may block. On -1 the error's sentence is the answer, and nothing may have been appended. */
typedef int (*control_answer_fn)(void *arg, const char *request, struct strbuf *out,
                                 struct err *err);

int control_start(const char *dir, control_answer_fn answer, void *arg,
                  struct control **ret_control, struct err *err);
void control_stop(struct control *control);

/* The other side: ask the daemon of DIR. The answer, a JSON object, is for the caller to free.
 * ERR_NOT_FOUND when no daemon answers there. */
int control_request(const char *dir, const char *request, char **ret_answer, struct err *err);

#endif
