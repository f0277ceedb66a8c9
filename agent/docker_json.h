/* What the Engine's JSON says, in the agent's terms. Pure functions over jansson; any thread. */
#ifndef AGENT_DOCKER_JSON_H
#define AGENT_DOCKER_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTAINER_ID_SIZE 65 /* 64 hex digits and a NUL */
#define INSTANCE_ID_SIZE  65
#define HASH_SIZE         65

#define LABEL_PANEL      "panel.id"
#define LABEL_INSTANCE   "panel.instance"
#define LABEL_GENERATION "panel.generation"
#define LABEL_SPEC       "panel.spec"
#define LABEL_BASE       "panel.base"     /* container_spec_base_hash() */
#define LABEL_PULLED     "panel.pulled"   /* the spec's pull_round; absent: 0 */
#define LABEL_TERMINAL   "panel.terminal" /* "1", or absent */
#define LABEL_ADDRESS    "panel.address"  /* that its ports are bound to; absent: all */

enum container_state {
    CONTAINER_NONE, /* there is no container */
    CONTAINER_CREATED,
    CONTAINER_RUNNING,
    CONTAINER_PAUSED,
    CONTAINER_RESTARTING, /* between two tries of the Engine's own restart policy */
    CONTAINER_EXITED,
    CONTAINER_REMOVING,
    CONTAINER_DEAD,
};

struct docker_container {
    char id[CONTAINER_ID_SIZE];
    char instance_id[INSTANCE_ID_SIZE]; /* labels */
    char spec_hash[HASH_SIZE];
    char base_hash[HASH_SIZE]; /* "": an older agent made it */
    uint64_t generation;
    uint64_t pulled;  /* its spec's pull_round */
    bool terminal;    /* it has one: its output is one stream */
    char address[64]; /* "": none is said */
    bool spare;       /* by its name: kept while another is to take its place (sparing.c) */
    enum container_state state;
    uint32_t
        restarts; /* by the Engine's own doing; the list doesn't tell this and the next three */
    int32_t exit_code;
    bool oom_killed;
    int64_t finished_at_ms; /* since 1970, likewise; 0: it never has */
};

/* A member that is a string, or NULL. object may be NULL, or no object. */
const char *docker_json_text(const json_t *object, const char *key);
/* The Engine's "message", or NULL. */
const char *docker_json_message(const json_t *answer);
/* The error told in an object of a progress stream, or NULL. */
const char *docker_json_stream_error(const json_t *item);

/* The id of the container that was created, or NULL. */
const char *docker_json_created(const json_t *answer);
/* Are these what a success's answer should be? */
bool docker_json_is_container(const json_t *answer);
bool docker_json_is_list(const json_t *answer);
bool docker_json_is_update(const json_t *answer);

/* -1 when it isn't a container of that panel's with a usable instance id. */
int docker_json_inspected(const json_t *answer, const char *panel_id,
                          struct docker_container *ret_container);
/* The first process of an inspected container that runs, and when it was started. -1: it doesn't.
 */
int docker_json_process(const json_t *answer, pid_t *ret_pid, int64_t *ret_started_at_ms);
/* The same as docker_json_inspected() for one entry of the list. */
int docker_json_listed(const json_t *entry, const char *panel_id,
                       struct docker_container *ret_container);
/* Is that a name of the listed container's? */
bool docker_json_is_named(const json_t *entry, const char *name);
/* "panel-<instance id>", and of a spare one "panel-<instance id>-old". */
#define DOCKER_NAME_SIZE 80
void docker_json_name(const char *instance_id, bool spare, char out[DOCKER_NAME_SIZE]);

/* Does the event tell of a change of a container's state, rather than, say, of a health check?
 * ret_instance borrows the label, ret_container the id. */
bool docker_json_event(const json_t *item, const char **ret_instance, const char **ret_container);

/* Progress of a pull: bytes of all layers, summed. Zero-initialised is a fresh one. */
struct docker_progress {
    struct docker_layer *layers;
    size_t count;
    size_t cap;
    uint32_t percent; /* never falls, and reaches 99 at most: the end of the stream is the 100 */
};
void docker_progress_add(struct docker_progress *progress, const json_t *item);
void docker_progress_fini(struct docker_progress *progress);

#endif
