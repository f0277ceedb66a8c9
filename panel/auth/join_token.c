/* Join tokens. See join_token.h. Any thread. */
#include "panel/auth/join_token.h"

#include <stdio.h>
#include <string.h>

#include "common/crypto.h"

#define KEY_CONTEXT "panel join 1\n"

void join_token_create(const char *node_id, char out_token[JOIN_TOKEN_SIZE],
                       uint8_t out_key[CRYPTO_HASH_BYTES])
{
    char secret[JOIN_SECRET_LEN + 1];
    crypto_random_base62(secret, JOIN_SECRET_LEN);
    char keyed[sizeof(KEY_CONTEXT) + JOIN_SECRET_LEN];
    int len = snprintf(keyed, sizeof(keyed), "%s%s", KEY_CONTEXT, secret);
    crypto_digest(keyed, (size_t)len, out_key);
    snprintf(out_token, JOIN_TOKEN_SIZE, "pj1.%s.%s", node_id, secret);
    crypto_wipe(secret, sizeof(secret));
    crypto_wipe(keyed, sizeof(keyed));
}
