/* Errors by value. See err.h. Nothing here allocates or fails. */
#include "common/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void err_fill(struct err *err, enum err_code code, const char *reason, const char *field)
{
    err->code = code;
    err->os_errno = 0;
    snprintf(err->reason, sizeof(err->reason), "%s", reason);
    snprintf(err->field, sizeof(err->field), "%s", field);
}

int err_set(struct err *err, enum err_code code, const char *reason, const char *fmt, ...)
{
    if (!err)
        return -1;
    err_fill(err, code, reason, "");
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    return -1;
}

int err_field(struct err *err, enum err_code code, const char *reason, const char *field,
              const char *fmt, ...)
{
    if (!err)
        return -1;
    err_fill(err, code, reason, field);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    return -1;
}

int err_io(struct err *err, int os_errno, const char *fmt, ...)
{
    if (!err)
        return -1;
    err_fill(err, ERR_IO, "io_error", "");
    err->os_errno = os_errno;
    va_list ap;
    va_start(ap, fmt);
    int used = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    if (used >= 0 && (size_t)used < sizeof(err->msg))
        snprintf(err->msg + used, sizeof(err->msg) - (size_t)used, ": %s", strerror(os_errno));
    return -1;
}

int err_nomem(struct err *err)
{
    return err_set(err, ERR_NO_MEMORY, "out_of_memory", "out of memory");
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    if (!err)
        return -1;
    char was[sizeof(err->msg)];
    memcpy(was, err->msg, sizeof(was));
    va_list ap;
    va_start(ap, fmt);
    int used = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    if (used >= 0 && (size_t)used < sizeof(err->msg))
        snprintf(err->msg + used, sizeof(err->msg) - (size_t)used, ": %s", was);
    return -1;
}
