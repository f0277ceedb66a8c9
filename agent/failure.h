/* What the Engine's refusals mean: a stable code, and one sentence that a person can act on.
 *
 * The Engine tells most causes only in the words of its message, so these are looked through.
 * Pure; any thread. */
#ifndef AGENT_FAILURE_H
#define AGENT_FAILURE_H

#include "common/err.h"
#include "panel.pb-c.h"

struct failure {
    const char *code; /* a literal */
    char message[400];
};

void failure_set(struct failure *failure, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void failure_of_pull(struct failure *failure, const char *image, const struct err *err);
void failure_of_create(struct failure *failure, const Wire__InstanceSpec *spec,
                       const struct err *err);
void failure_of_start(struct failure *failure, const Wire__InstanceSpec *spec,
                      const struct err *err);
/* code for everything that memory or time doesn't explain; what: "stop the container". */
void failure_of_other(struct failure *failure, const char *code, const char *what,
                      const struct err *err);

#endif
