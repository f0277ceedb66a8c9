/* Errors by value: the last argument of every call that can fail, which then returns -1.
 *
 * An error says what kind it is (code: mapped once to HTTP, once to the link), a stable
 * name that programs may test (reason), and one sentence for a person (msg). It owns
 * nothing and may be copied. Functions accept err == NULL from callers who don't care. */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdarg.h>

enum err_code {
    ERR_NONE = 0,
    ERR_INVALID,      /* the caller's input can't be used */
    ERR_NOT_FOUND,    /* what it names isn't there */
    ERR_CONFLICT,     /* it is taken */
    ERR_UNAUTHORIZED, /* no or a wrong proof of identity */
    ERR_TOO_LARGE,
    ERR_BUSY,     /* a queue is full or we are shutting down; try again */
    ERR_OFFLINE,  /* the node does not answer */
    ERR_TIMEOUT,  /* outcome unknown */
    ERR_PROTOCOL, /* the peer broke the rules */
    ERR_IO,       /* os_errno says more */
    ERR_NO_MEMORY,
    ERR_INTERNAL,
};

struct err {
    enum err_code code;
    int os_errno;
    char reason[40]; /* stable snake_case, e.g. "port_taken" */
    char field[32];  /* the input field at fault, or "" */
    char msg[320];   /* one sentence for a person */
};

/* Fill err and return -1. reason is a literal in snake_case. */
int err_set(struct err *err, enum err_code code, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for one input field. */
int err_field(struct err *err, enum err_code code, const char *reason, const char *field,
              const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* ERR_IO from an errno value, the message ended by ": <strerror>". */
int err_io(struct err *err, int os_errno, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ERR_NO_MEMORY. */
int err_nomem(struct err *err);

/* Put "context: " before the message; keeps code and reason. Returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
