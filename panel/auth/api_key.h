/* API keys as text: "panel_" + 30 random base62 + 6 base62 of checksum, 42 characters. The tokens
 * of sessions are the same but for their beginning, "psess_". The store keeps only their SHA-256.
 * Any thread. */
#ifndef PANEL_AUTH_API_KEY_H
#define PANEL_AUTH_API_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"

#define API_KEY_LEN 42

void api_key_generate(char out[API_KEY_LEN + 1]);
void api_key_generate_session(char out[API_KEY_LEN + 1]);
/* The key that this seed makes, the same each time. Who doesn't know all of it knows nothing. */
void api_key_derive(const uint8_t seed[CRYPTO_HASH_BYTES], char out[API_KEY_LEN + 1]);
/* Of a key or a session, by length, beginning and checksum: tells a typing error, proves nothing.
 */
bool api_key_is_well_formed(const char *text, size_t len);
void api_key_digest(const char *text, uint8_t out[CRYPTO_HASH_BYTES]);

#endif
