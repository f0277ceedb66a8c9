/* From the Engine's words to codes. See failure.h.
 *
 * The phrases are those of Docker 20.10 to 29 and of the registries; what none of them fits keeps
 * the code of its step, with the Engine's own words in the sentence. */
#include "agent/failure.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"

void failure_set(struct failure *failure, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(failure->message, sizeof(failure->message), fmt, ap);
    va_end(ap);
    failure->code = code;
}

static bool says(const char *text, const char *const *phrases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasestr(text, phrases[i]))
            return true;
    }
    return false;
}

/* Out of memory and out of time mean the same everywhere. */
static bool is_common(struct failure *failure, const char *code, const char *what,
                      const struct err *err)
{
    if (err->code == ERR_NO_MEMORY)
        failure_set(failure, "out_of_memory", "The node's agent has no memory left to %s.", what);
    else if (err->code == ERR_TIMEOUT)
        failure_set(failure, code, "Docker did not answer in time when asked to %s.", what);
    else if (strcasestr(err->msg, "no space left on device"))
        failure_set(failure, "disk_full", "The node's disk is full: can't %s.", what);
    else
        return false;
    return true;
}

void failure_of_pull(struct failure *failure, const char *image, const struct err *err)
{
    static const char *const unknown[] = {
        "manifest unknown",          "not found",      "pull access denied",
        "repository does not exist", "does not exist", "no matching manifest",
        "requested access",          "name unknown",   "unauthorized",
        "invalid reference",
    };
    if (err->code == ERR_TIMEOUT) {
        failure_set(failure, "registry_timeout",
                    "The registry of the image %.200s sent nothing for 120 seconds.", image);
    } else if (is_common(failure, "registry_unreachable", "pull the image", err)) {
        return;
    } else if (err->code == ERR_NOT_FOUND || says(err->msg, unknown, ARRAY_LEN(unknown))) {
        failure_set(failure, "image_not_found",
                    "The image %.160s was not found, or may not be pulled: %.200s", image,
                    err->msg);
    } else {
        failure_set(failure, "registry_unreachable",
                    "The image %.160s could not be pulled from its registry: %.200s", image,
                    err->msg);
    }
}

void failure_of_create(struct failure *failure, const Wire__InstanceSpec *spec,
                       const struct err *err)
{
    if (is_common(failure, "create_failed", "create the container", err))
        return;
    if (err->code == ERR_NOT_FOUND)
        failure_set(failure, "image_not_found",
                    "The image %.200s is not on the node any more: %.160s", spec->image, err->msg);
    else if (strcasestr(err->msg, "no command specified"))
        failure_set(failure, "bad_command",
                    "The image %.200s has no command of its own, and none was given.", spec->image);
    else
        failure_set(failure, "create_failed", "Docker refused to create the container: %.300s",
                    err->msg);
}

/* The host port that the message is about: one of the spec's that it names; 0 if none. */
static uint32_t find_port(const Wire__InstanceSpec *spec, const char *text)
{
    for (const char *p = strchr(text, ':'); p; p = strchr(p + 1, ':')) {
        unsigned long number = strtoul(p + 1, NULL, 10);
        for (size_t i = 0; i < spec->n_ports; i++) {
            if (number && spec->ports[i]->host_port == number)
                return spec->ports[i]->host_port;
        }
    }
    return 0;
}

/* An Engine that is being stopped misses files of its own as well: only what exec said counts. */
static bool is_of_command(const char *text)
{
    static const char *const plain[] = {"executable file not found", "exec format error"};
    static const char *const of_exec[] = {"no such file", "permission denied", "is a directory"};
    const char *exec = strstr(text, "exec: \"");
    return says(text, plain, ARRAY_LEN(plain)) || (exec && says(exec, of_exec, ARRAY_LEN(of_exec)));
}

void failure_of_start(struct failure *failure, const Wire__InstanceSpec *spec,
                      const struct err *err)
{
    static const char *const port[] = {"port is already allocated", "address already in use",
                                       "ports are not available"};
    if (is_common(failure, "start_failed", "start the container", err))
        return;
    uint32_t number = find_port(spec, err->msg);
    if (says(err->msg, port, ARRAY_LEN(port)) && number)
        failure_set(failure, "port_in_use",
                    "Port %u of the node is in use by something else: free it or choose another.",
                    number);
    else if (says(err->msg, port, ARRAY_LEN(port)))
        failure_set(failure, "port_in_use", "A port is in use on the node already: %.300s",
                    err->msg);
    else if (is_of_command(err->msg))
        failure_set(failure, "bad_command", "The container's command can't be run: %.300s",
                    err->msg);
    else
        failure_set(failure, "start_failed", "Docker could not start the container: %.300s",
                    err->msg);
}

void failure_of_other(struct failure *failure, const char *code, const char *what,
                      const struct err *err)
{
    if (!is_common(failure, code, what, err))
        failure_set(failure, code, "Docker could not %s: %.300s", what, err->msg);
}
