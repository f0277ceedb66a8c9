/* API keys as text. See api_key.h. Pure but for randomness; any thread. */
#include "panel/auth/api_key.h"

#include <string.h>

#define PREFIX      "panel_"
#define PREFIX_LEN  6
#define SECRET_LEN  30
#define CHECK_LEN   6
#define CHECKED_LEN (PREFIX_LEN + SECRET_LEN)

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void make_checksum(const char *checked, char out[CHECK_LEN])
{
    uint8_t hash[CRYPTO_HASH_BYTES];
    crypto_digest(checked, CHECKED_LEN, hash);
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | hash[i];
    for (int i = 0; i < CHECK_LEN; i++) {
        out[i] = base62[n % 62];
        n /= 62;
    }
}

void api_key_generate(char out[API_KEY_LEN + 1])
{
    memcpy(out, PREFIX, PREFIX_LEN);
    crypto_random_base62(out + PREFIX_LEN, SECRET_LEN);
    make_checksum(out, out + CHECKED_LEN);
    out[API_KEY_LEN] = '\0';
}

bool api_key_is_well_formed(const char *text)
{
    if (strlen(text) != API_KEY_LEN || memcmp(text, PREFIX, PREFIX_LEN) != 0 ||
        strspn(text + PREFIX_LEN, base62) != SECRET_LEN + CHECK_LEN)
        return false;
    char want[CHECK_LEN];
    make_checksum(text, want);
    return memcmp(text + CHECKED_LEN, want, CHECK_LEN) == 0;
}

void api_key_digest(const char *text, uint8_t out[CRYPTO_HASH_BYTES])
{
    crypto_digest(text, strlen(text), out);
}
