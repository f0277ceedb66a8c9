/* API keys as text. See api_key.h. Pure but for randomness; any thread. */
#include "panel/auth/api_key.h"

#include <string.h>

#define PREFIX      "panel_"
#define SESSION     "psess_"
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

static void generate(const char *prefix, char out[API_KEY_LEN + 1])
{
    memcpy(out, prefix, PREFIX_LEN);
    crypto_random_base62(out + PREFIX_LEN, SECRET_LEN);
    make_checksum(out, out + CHECKED_LEN);
    out[API_KEY_LEN] = '\0';
}

void api_key_generate(char out[API_KEY_LEN + 1])
{
    generate(PREFIX, out);
}

void api_key_generate_session(char out[API_KEY_LEN + 1])
{
    generate(SESSION, out);
}

/* The characters of a long number, taken from its end; 176 bits of the seed get into them. */
void api_key_derive(const uint8_t seed[CRYPTO_HASH_BYTES], char out[API_KEY_LEN + 1])
{
    uint8_t number[CRYPTO_HASH_BYTES];
    memcpy(number, seed, sizeof(number));
    memcpy(out, PREFIX, PREFIX_LEN);
    for (int i = 0; i < SECRET_LEN; i++) {
        unsigned rest = 0;
        for (size_t j = 0; j < sizeof(number); j++) {
            unsigned n = rest << 8 | number[j];
            number[j] = (uint8_t)(n / 62);
            rest = n % 62;
        }
        out[PREFIX_LEN + i] = base62[rest];
    }
    make_checksum(out, out + CHECKED_LEN);
    out[API_KEY_LEN] = '\0';
    crypto_wipe(number, sizeof(number));
}

bool api_key_is_well_formed(const char *text, size_t len)
{
    if (len != API_KEY_LEN ||
        (memcmp(text, PREFIX, PREFIX_LEN) != 0 && memcmp(text, SESSION, PREFIX_LEN) != 0))
        return false;
    char want[CHECK_LEN];
    make_checksum(text, want);
    return memcmp(text + CHECKED_LEN, want, CHECK_LEN) == 0;
}

void api_key_digest(const char *text, uint8_t out[CRYPTO_HASH_BYTES])
{
    crypto_digest(text, strlen(text), out);
}
