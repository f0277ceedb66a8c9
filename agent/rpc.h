/* The link's listening end: nng REP over mutual TLS. The only file that knows nng.
 *
 * Requests arrive on nng's threads, are handed to the loop, and are served there one by one; an
 * answer may be given at once or later, so a request can be held. Bytes only: what they mean is
 * handlers.c's. All functions are for the loop's thread. */
#ifndef AGENT_RPC_H
#define AGENT_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/loop.h"
#include "common/err.h"

struct rpc;
struct rpc_call;

struct rpc_events {
    /* A request; data is valid during the call. Must lead to rpc_reply() once, sooner or later. */
    void (*serve)(void *arg, struct rpc_call *call, const uint8_t *data, size_t len);
    /* The listener is up, each time that it is. */
    void (*listening)(void *arg);
    void *arg;
};

/* listen: ADDR:PORT. The loop must outlive it. */
int rpc_create(struct loop *loop, const char *listen, size_t frame_max,
               const struct rpc_events *events, struct rpc **ret_rpc, struct err *err);
/* Requests still held end without an answer. NULL is fine. */
void rpc_destroy(struct rpc *rpc);

/* Listen with this key, certificate and CA (PEM, copied) from now on; links of before are dropped.
 * A port in use is tried again until it is free. */
int rpc_listen(struct rpc *rpc, const char *key, const char *cert, const char *ca, struct err *err);

/* The answer, copied. The call is over. */
void rpc_reply(struct rpc_call *call, const uint8_t *data, size_t len);
/* Has every answer given been handed to its link? */
bool rpc_is_flushed(struct rpc *rpc);

#endif
