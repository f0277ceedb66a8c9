/* Request targets: decoded by us, since libmicrohttpd drops what follows a %00. Pure; any thread.
 */
#ifndef PANEL_HTTP_URI_H
#define PANEL_HTTP_URI_H

#include <stdbool.h>
#include <stddef.h>

/* A split target. All point into the scratch that uri_parse() was given. */
struct uri {
    const char *path;   /* decoded, begins with '/' */
    const char *query;  /* raw, after '?'; "" when there is none */
    const char *params; /* name NUL value NUL …, decoded */
    size_t param_count;
};

/* Room that uri_parse() needs for a target of len bytes: for the path, the raw query, and the
 * parameters, of which one letter and its '&' become three bytes. */
#define URI_SCRATCH_SIZE(len) (3 * (len) + 4)

/* Split and decode the target of a request line. NULL when it is fine, else a sentence that says
 * what is wrong with it. scratch holds URI_SCRATCH_SIZE(len) bytes and outlives *ret_uri. */
const char *uri_parse(const char *target, size_t len, char *scratch, struct uri *ret_uri);

/* The first parameter of that name, or NULL. */
const char *uri_param(const struct uri *uri, const char *name);

#endif
