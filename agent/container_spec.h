/* From an InstanceSpec to the body that creates its container: a small schema, never raw Docker
 * options. Pure; any thread. */
#ifndef AGENT_CONTAINER_SPEC_H
#define AGENT_CONTAINER_SPEC_H

#include <stdint.h>

#include "common/err.h"
#include "panel.pb-c.h"

/* Is every field within bounds? ERR_INVALID "bad_spec" says which isn't. */
int container_spec_check(const Wire__InstanceSpec *spec, struct err *err);

/* The hash of what only a new container can change: all but its memory, its CPUs and how often
 * its image was pulled. */
int container_spec_base_hash(const Wire__InstanceSpec *spec, char out[65], struct err *err);

/* Seconds between asking it to stop and killing it; spec may be NULL. */
uint32_t container_spec_grace(const Wire__InstanceSpec *spec);

struct container_labels {
    const char *panel_id;
    const char *instance_id;
    uint64_t generation;
    const char *spec_hash;
    const char *base_hash;
};

/* What isn't in the spec. */
struct container_place {
    const char *volume_path; /* a folder on the host */
    const char *bind_ip;     /* that published ports bind to; "": all */
    const char *stop_signal; /* "": the image's */
    const char *log_driver;
};

/* The JSON body for the caller to free; NULL when memory is out. */
char *container_spec_body(const Wire__InstanceSpec *spec, const struct container_labels *labels,
                          const struct container_place *place);

/* The body of the request that gives a container these limits, likewise. */
char *container_spec_limits(const Wire__InstanceSpec *spec);

#endif
