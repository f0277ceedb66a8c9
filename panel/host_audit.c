/* Commands on the host in the audit trail. See host_audit.h. */
#include "panel/host_audit.h"

#include <errno.h>
#include <semaphore.h>

struct note {
    struct store_change change;
    const char *command, *detail;
    struct err *err;
    int result;
    sem_t finished;
};

static int add(struct store_tx *tx, const char *command, const char *target, const char *detail,
               int status, struct err *err)
{
    int64_t seq;
    struct audit row = {.request_id = "",
                        .key_id = "host",
                        .key_name = "paneld on its host",
                        .method = "COMMAND",
                        .path = command,
                        .target = target,
                        .detail = detail,
                        .status = status,
                        .code = ""};
    return store_audit_add(tx, &row, &seq, err);
}

int host_audit_add(struct store_tx *tx, const char *command, const char *target, int status,
                   struct err *err)
{
    return add(tx, command, target, "", status, err);
}

static int apply(struct store_change *change, struct store_tx *tx, struct err *err)
{
    const struct note *note = (const struct note *)change;
    return add(tx, note->command, "", note->detail, 200, err);
}

static void done(struct store_change *change, const struct err *err)
{
    struct note *note = (struct note *)change;
    note->result = err ? -1 : 0;
    if (err && note->err)
        *note->err = *err;
    sem_post(&note->finished);
}

int host_audit_write(struct store *store, const char *command, const char *detail, struct err *err)
{
    struct note note = {
        .change = {.apply = apply, .done = done}, .command = command, .detail = detail, .err = err};
    sem_init(&note.finished, 0, 0);
    int rc = store_submit(store, &note.change, err);
    if (rc == 0) {
        while (sem_wait(&note.finished) < 0 && errno == EINTR)
            ;
        rc = note.result;
    }
    sem_destroy(&note.finished);
    return rc;
}
