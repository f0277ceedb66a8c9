/* Guesses at passwords, counted. Whoever compares one that a client sent does it so: begin, check,
 * compare, end. Any thread but for check(), which is the pool's. */
#ifndef PANEL_API_LOGIN_H
#define PANEL_API_LOGIN_H

#include "panel/api/internal.h"

struct attempt {
    uint64_t here, account, address;
    char client[HTTP_CLIENT_SIZE]; /* for the log */
};

/* account: a username, e-mail address or id, as the client sent it. */
void attempt_begin(struct attempt *attempt, struct call *call, const char *account);
/* ERR_BUSY "rate_limited", the same for accounts that there are and that there aren't. */
int attempt_check(const struct attempt *attempt, struct call *call, struct err *err);
/* user: whose password was compared, "" for nobody's: what was typed in the place of a name is not
 * for the log, for people type passwords there. A refusal is counted and logged. */
void attempt_end(const struct attempt *attempt, const struct call *call, const char *user,
                 bool right);

#endif
