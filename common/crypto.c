/* Hashes, MACs, random names over libsodium. See crypto.h. */
#include "common/crypto.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

int crypto_init(struct err *err)
{
    if (sodium_init() < 0)
        return err_set(err, ERR_INTERNAL, "no_randomness", "libsodium can't be initialised");
    return 0;
}

void crypto_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

void crypto_digest(const void *data, size_t len, uint8_t out[CRYPTO_HASH_BYTES])
{
    crypto_hash_sha256(out, data, len);
}

void crypto_digest_hex(const void *data, size_t len, char out[CRYPTO_HEX_LEN + 1])
{
    uint8_t hash[CRYPTO_HASH_BYTES];
    crypto_digest(data, len, hash);
    sodium_bin2hex(out, CRYPTO_HEX_LEN + 1, hash, sizeof(hash));
}

void crypto_mac(const uint8_t key[CRYPTO_HASH_BYTES], const void *data, size_t len,
                uint8_t out[CRYPTO_HASH_BYTES])
{
    crypto_auth_hmacsha256(out, data, len, key);
}

void crypto_mac_hex(const uint8_t key[CRYPTO_HASH_BYTES], const void *data, size_t len,
                    char out[CRYPTO_HEX_LEN + 1])
{
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256(mac, data, len, key);
    sodium_bin2hex(out, CRYPTO_HEX_LEN + 1, mac, sizeof(mac));
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *p, size_t len)
{
    sodium_memzero(p, len);
}

void crypto_add_base64(struct strbuf *out, const void *data, size_t len)
{
    const uint8_t *at = data;
    char text[sodium_base64_ENCODED_LEN(48, sodium_base64_VARIANT_ORIGINAL)];
    while (len) {
        size_t part = len < 48 ? len : 48; /* of three: padding only at the end */
        sodium_bin2base64(text, sizeof(text), at, part, sodium_base64_VARIANT_ORIGINAL);
        strbuf_str(out, text);
        at += part;
        len -= part;
    }
}

void crypto_uuid(char out[CRYPTO_UUID_SIZE])
{
    uint8_t b[16];
    crypto_random(b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(out, CRYPTO_UUID_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

static void random_of(const char *alphabet, uint32_t size, char *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = alphabet[randombytes_uniform(size)];
    out[len] = '\0';
}

void crypto_random_base36(char *out, size_t len)
{
    random_of("0123456789abcdefghijklmnopqrstuvwxyz", 36, out, len);
}

void crypto_random_base62(char *out, size_t len)
{
    random_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 62, out, len);
}
