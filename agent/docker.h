/* The Docker Engine API, as far as the agent needs it: typed calls, version negotiation.
 *
 * Every call is asynchronous and ends exactly once, by done() or by docker_call_cancel(). An
 * Engine may be as old as API 1.24; ours is never pinned: docker_probe() picks the newest that
 * both sides speak, and until it has, calls fail with ERR_OFFLINE. One thread. */
#ifndef AGENT_DOCKER_H
#define AGENT_DOCKER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/http_client.h"
#include "common/err.h"

struct docker;
struct docker_call;

struct docker_reply {
    long status;    /* HTTP; 0 when there was no answer */
    struct err err; /* ERR_NONE for 2xx and 304. ERR_NOT_FOUND 404, ERR_CONFLICT 409, ERR_INVALID
                     * 400, ERR_INTERNAL other refusals (msg: the Engine's own words); ERR_OFFLINE
                     * not reachable, ERR_TIMEOUT, ERR_TOO_LARGE, ERR_NO_MEMORY, ERR_PROTOCOL */
    json_t *json;   /* the answer, borrowed; NULL when it had none */
};

typedef void (*docker_done)(void *arg, const struct docker_reply *reply);
/* One JSON object of a stream, borrowed. */
typedef void (*docker_item)(void *arg, json_t *item);
/* Bytes of a stream that is no JSON. */
typedef void (*docker_piece)(void *arg, const char *data, size_t len);

/* http must outlive it. NULL when memory is out. */
struct docker *docker_create(struct http_client *http);
/* All calls must have ended. NULL is fine. */
void docker_destroy(struct docker *docker);

/* Learn the Engine's version and choose the API's. ERR_PROTOCOL when there is none in common. */
struct docker_call *docker_probe(struct docker *docker, docker_done done, void *arg,
                                 struct err *err);
/* Forget the choice: the Engine went away. */
void docker_forget(struct docker *docker);
bool docker_is_known(const struct docker *docker);
const char *docker_version(const struct docker *docker);     /* "" until probed */
const char *docker_api_version(const struct docker *docker); /* likewise */
/* "local", which keeps every byte as it was printed, where the Engine has it: since API 1.39. Else
 * "json-file", which makes text of all. */
const char *docker_log_driver(const struct docker *docker);

/* Below: NULL with err set when the call can't be started. ref is a container's id or name. */

struct docker_call *docker_list(struct docker *docker, const char *panel_id, docker_done done,
                                void *arg, struct err *err);
/* Container events of the panel since a wall-clock second; ends only when the Engine goes. */
struct docker_call *docker_events(struct docker *docker, const char *panel_id, int64_t since_s,
                                  docker_item item, docker_done done, void *arg, struct err *err);
struct docker_call *docker_inspect(struct docker *docker, const char *ref, docker_done done,
                                   void *arg, struct err *err);
struct docker_call *docker_create_container(struct docker *docker, const char *name,
                                            const char *body, docker_done done, void *arg,
                                            struct err *err);
struct docker_call *docker_start(struct docker *docker, const char *ref, docker_done done,
                                 void *arg, struct err *err);
struct docker_call *docker_unpause(struct docker *docker, const char *ref, docker_done done,
                                   void *arg, struct err *err);
struct docker_call *docker_stop(struct docker *docker, const char *ref, uint32_t grace_s,
                                docker_done done, void *arg, struct err *err);
/* SIGKILL; ERR_CONFLICT when it doesn't run. */
struct docker_call *docker_kill(struct docker *docker, const char *ref, docker_done done, void *arg,
                                struct err *err);
/* "unless-stopped", or "no". */
struct docker_call *docker_set_restart(struct docker *docker, const char *ref, bool restarts,
                                       docker_done done, void *arg, struct err *err);
/* body: container_spec_limits(). */
struct docker_call *docker_resize(struct docker *docker, const char *ref, const char *body,
                                  docker_done done, void *arg, struct err *err);
/* Write to the standard input of one that runs; done when the Engine has got it all. text is
 * copied. */
struct docker_call *docker_write_stdin(struct docker *docker, const char *ref, const char *text,
                                       size_t len, docker_done done, void *arg, struct err *err);
/* What it has printed, each line with its time, in the shape that log_stream.h takes apart. Both
 * times are since 1970 in nanoseconds and belong to the range; until 0: no end. tail 0: all lines,
 * else the last so many. With follow it goes on until the container ends. */
struct docker_log_range {
    uint64_t since_ns;
    uint64_t until_ns;
    uint32_t tail;
    bool follow;
};
struct docker_call *docker_logs(struct docker *docker, const char *ref,
                                const struct docker_log_range *range, docker_piece piece,
                                docker_done done, void *arg, struct err *err);
/* ERR_CONFLICT: another container has that name. */
struct docker_call *docker_rename(struct docker *docker, const char *ref, const char *name,
                                  docker_done done, void *arg, struct err *err);
/* Kills it if it runs; takes its anonymous volumes along. */
struct docker_call *docker_delete(struct docker *docker, const char *ref, docker_done done,
                                  void *arg, struct err *err);
struct docker_call *docker_inspect_image(struct docker *docker, const char *image, docker_done done,
                                         void *arg, struct err *err);
/* item() gets progress objects. An error told within the stream is ERR_INTERNAL in done(). */
struct docker_call *docker_pull(struct docker *docker, const char *image, docker_item item,
                                docker_done done, void *arg, struct err *err);

/* NULL is fine. */
void docker_call_cancel(struct docker_call *call);

/* Is this an image reference that may be put into a request: name, optional registry, optional
 * tag or digest? */
bool docker_image_is_sane(const char *image);

#endif
