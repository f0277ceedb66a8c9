/* Calls of the REST API: JSON in and out, repeated where that is safe and of use. One thread.
 *
 * Every change carries an Idempotency-Key of its own, so that one whose answer was lost is sent
 * again and done once. 429 and 503 are waited for as Retry-After says, a few times. Errors carry
 * the panel's own sentence, and codes by which main.c knows its exit code. */
#ifndef PANEL_CTL_API_H
#define PANEL_CTL_API_H

#include "common/strbuf.h"
#include "panel/ctl/ctl.h"
#include "panel/ctl/http.h"

/* Add a path's or a query's part, percent-encoded. */
void api_add_escaped(struct strbuf *path, const char *text);
/* "/api/nodes/" + id + "/token", the id escaped; for the caller to free; NULL when memory is out.
 */
char *api_path(const char *before, const char *id, const char *after);

/* *ret is the answer's value, for the caller; ret may be NULL. body (or NULL) is the caller's. */
int api_get(struct ctl *ctl, const char *path, json_t **ret, struct err *err);
int api_change(struct ctl *ctl, const char *method, const char *path, const json_t *body,
               json_t **ret, struct err *err);

/* The one call that sends no key: a login. */
int api_login(struct ctl *ctl, const json_t *body, json_t **ret, struct err *err);

/* All pages of a list as one array; at most so many rows, 0: all. */
int api_list(struct ctl *ctl, const char *path, size_t most, json_t **ret, struct err *err);

/* The answer as it is, 2xx or 304; etag may be NULL. */
int api_get_raw(struct ctl *ctl, const char *path, const char *etag, struct http_answer *ret,
                struct err *err);

/* Does it pass by itself: the panel is away for a moment, or busy? */
bool api_may_pass(const struct err *err);

/* An error that was of no importance. */
void api_forget_failure(struct ctl *ctl);

/* What an answer of 400 and more says. Keeps it in ctl->failure. */
int api_fail(struct ctl *ctl, const struct http_answer *answer, struct err *err);

#endif
