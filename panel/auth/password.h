/* Password hashes: argon2id (libsodium, INTERACTIVE) made and compared on worker threads of their
 * own, since one costs some 60 ms and 64 MiB. The queue is short: past it callers are told to come
 * back. */
#ifndef PANEL_AUTH_PASSWORD_H
#define PANEL_AUTH_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define PASSWORD_HASH_SIZE 128

struct password_pool;

int password_pool_create(unsigned threads, size_t queue, struct password_pool **ret_pool,
                         struct err *err);
/* Jobs under way end first; queued ones get done() with ERR_BUSY. */
void password_pool_destroy(struct password_pool *pool);

/* Copies the password and wipes the copy. done runs on a worker's thread with the encoded hash,
 * or with err set. ERR_BUSY "busy" when the queue is full: then done is not called. Any thread. */
int password_pool_hash(struct password_pool *pool, const char *password, size_t len,
                       void (*done)(void *arg, const char *hash, const struct err *err), void *arg,
                       struct err *err);

/* Is it the password that the hash was made of? Likewise, but these may fill no more than half of
 * the queue. against is copied; NULL is nobody's, as is what isn't a hash of password_pool_hash():
 * the work is the same, the answer no. */
int password_pool_verify(struct password_pool *pool, const char *password, size_t len,
                         const char *against,
                         void (*done)(void *arg, bool right, const struct err *err), void *arg,
                         struct err *err);

/* How many wait for a worker, and how many may. Any thread. */
size_t password_pool_queued(struct password_pool *pool, size_t *ret_max);

#endif
