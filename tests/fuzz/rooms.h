/* The rooms around the API, so that one request is one call on one thread: in the place of HTTP,
 * the fleet and the password workers stand a few lines each; the store is store.h's.
 * Linked in the place of panel/http/{request,server,stream}.c, the doors of fleet.c, logs.c and
 * command.c, and password.c's pool. */
#ifndef TESTS_FUZZ_ROOMS_H
#define TESTS_FUZZ_ROOMS_H

#include "common/strbuf.h"
#include "panel/api/api.h"
#include "panel/http/uri.h"
#include "tests/fuzz/fuzz.h"

#define HEADERS_MAX 32

enum circumstance {
    NO_KEY = 1,
    NODE_AWAY = 2,
    DOCKER_AWAY = 4,
    GOAL_REACHED = 8,
    PASSWORDS_BUSY = 16,
    GUESTS_KEY = 32,
};

struct http_req {
    char *method, *target, *body;
    size_t body_len;
    char *names[HEADERS_MAX], *values[HEADERS_MAX];
    size_t header_count;
    char *scratch; /* of uri, for uri_parse() */
    struct uri uri;
    unsigned circumstances;
    /* what became of it */
    bool refused; /* by its head, with refusal as the text */
    struct strbuf refusal;
    int status;
    unsigned answers;
    struct shared *answer;
    const char *type; /* of the answer; NULL: JSON */
    /* the API's */
    void *kept;
    void (*kept_free)(void *data);
};

/* Once, after fuzz_store_open(). */
void rooms_open(void);
void rooms_close(void);

/* Reads a byte of circumstances, then "METHOD TARGET", lines of headers, an empty line, the body.
 * In a join "mac":"right" becomes what it should be. False when HTTP would have refused it. */
bool request_read(struct http_req *req, struct fuzz_input *in);
/* From the head to the answer. */
void request_run(struct http_req *req);
void request_free(struct http_req *req);

#endif
