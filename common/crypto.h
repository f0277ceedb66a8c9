/* Hashes, MACs, random names. A thin face over libsodium; crypto_init() comes first. Any thread. */
#ifndef COMMON_CRYPTO_H
#define COMMON_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/strbuf.h"

#define CRYPTO_HASH_BYTES 32
#define CRYPTO_HEX_LEN    (CRYPTO_HASH_BYTES * 2)
#define CRYPTO_UUID_SIZE  37 /* with the NUL */

/* Once at start of the program; opens the source of randomness. */
int crypto_init(struct err *err);

void crypto_random(void *out, size_t len);

/* SHA-256. */
void crypto_digest(const void *data, size_t len, uint8_t out[CRYPTO_HASH_BYTES]);
/* The same as lower-case hex with a NUL. */
void crypto_digest_hex(const void *data, size_t len, char out[CRYPTO_HEX_LEN + 1]);
/* HMAC-SHA-256. */
void crypto_mac(const uint8_t key[CRYPTO_HASH_BYTES], const void *data, size_t len,
                uint8_t out[CRYPTO_HASH_BYTES]);
/* The same as lower-case hex with a NUL. */
void crypto_mac_hex(const uint8_t key[CRYPTO_HASH_BYTES], const void *data, size_t len,
                    char out[CRYPTO_HEX_LEN + 1]);
/* Compares len bytes in constant time. */
bool crypto_equal(const void *a, const void *b, size_t len);
void crypto_wipe(void *p, size_t len);

/* Append the bytes in base64 with padding (RFC 4648, 4). */
void crypto_add_base64(struct strbuf *out, const void *data, size_t len);

/* A random UUIDv4 (RFC 9562), lower case. */
void crypto_uuid(char out[CRYPTO_UUID_SIZE]);
/* len random characters of [0-9a-z] (base36) or [0-9A-Za-z] (base62) and a NUL; uniform. */
void crypto_random_base36(char *out, size_t len);
void crypto_random_base62(char *out, size_t len);

#endif
