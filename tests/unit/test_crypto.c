/* Hashes against published vectors; names made at random. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/crypto.h"

static int set_up(void **state)
{
    (void)state;
    return crypto_init(NULL);
}

static void test_sha256(void **state)
{
    (void)state;
    char hex[CRYPTO_HEX_LEN + 1];
    crypto_digest_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_digest_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231, test case 1 with its 20-byte key padded by zeroes, which HMAC treats as the same. */
static void test_hmac_sha256(void **state)
{
    (void)state;
    uint8_t key[CRYPTO_HASH_BYTES] = {0};
    memset(key, 0x0b, 20);
    char hex[CRYPTO_HEX_LEN + 1];
    crypto_mac_hex(key, "Hi There", 8, hex);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(crypto_equal("abc", "abd", 2));
    assert_false(crypto_equal("abc", "abd", 3));
    assert_true(crypto_equal("", "x", 0));
}

static void test_wipe(void **state)
{
    (void)state;
    char secret[8] = "secret";
    crypto_wipe(secret, sizeof(secret));
    for (size_t i = 0; i < sizeof(secret); i++)
        assert_int_equal(secret[i], 0);
}

static void test_uuids(void **state)
{
    (void)state;
    char a[CRYPTO_UUID_SIZE];
    char b[CRYPTO_UUID_SIZE];
    for (int i = 0; i < 1000; i++) {
        crypto_uuid(a);
        crypto_uuid(b);
        assert_string_not_equal(a, b);
        assert_int_equal(strlen(a), 36);
        assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
        assert_int_equal(a[14], '4');
        assert_non_null(strchr("89ab", a[19]));
        assert_true(a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-');
    }
}

static void check_alphabet(void (*make)(char *, size_t), const char *alphabet)
{
    size_t letters = strlen(alphabet);
    size_t seen[128] = {0};
    char text[101];
    for (int i = 0; i < 1000; i++) {
        memset(text, '#', sizeof(text));
        make(text, 100);
        assert_int_equal(strlen(text), 100);
        assert_int_equal(strspn(text, alphabet), 100);
        for (int k = 0; k < 100; k++)
            seen[(unsigned char)text[k]]++;
    }
    /* 100,000 letters: each comes about as often as any other. */
    for (size_t i = 0; i < letters; i++) {
        size_t fair = 100000 / letters;
        assert_in_range(seen[(unsigned char)alphabet[i]], fair * 8 / 10, fair * 12 / 10);
    }
}

static void test_random_texts(void **state)
{
    (void)state;
    check_alphabet(crypto_random_base36, "0123456789abcdefghijklmnopqrstuvwxyz");
    check_alphabet(crypto_random_base62,
                   "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    char empty[1] = {'#'};
    crypto_random_base36(empty, 0);
    assert_string_equal(empty, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256), cmocka_unit_test(test_hmac_sha256),
        cmocka_unit_test(test_equal),  cmocka_unit_test(test_wipe),
        cmocka_unit_test(test_uuids),  cmocka_unit_test(test_random_texts),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
