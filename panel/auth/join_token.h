/* Join tokens: "pj1.<nodeId>.<secret>", secret 43 characters of base62, shown once.
 *
 * Neither side ever sends the secret: both prove it by HMAC under K = SHA-256("panel join 1\n"
 * + secret), over everything the message carries (design.md, Join). Any thread. */
#ifndef PANEL_AUTH_JOIN_TOKEN_H
#define PANEL_AUTH_JOIN_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"

#define JOIN_SECRET_LEN    43
#define JOIN_TOKEN_SIZE    128
#define JOIN_TOKEN_LIFE_MS (60LL * 60 * 1000)

/* A new token for the node and the key that the store keeps. */
void join_token_create(const char *node_id, char out_token[JOIN_TOKEN_SIZE],
                       uint8_t out_key[CRYPTO_HASH_BYTES]);

#endif
