/* Keys and certificates: the roles that tell an agent from the panel. */
#include "tests/unit/unit.h"

#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/pki.h"

static char *ca_key;
static char *ca_cert;

static int set_up(void **state)
{
    (void)state;
    if (crypto_init(NULL) < 0 || pki_key_create(&ca_key, NULL) < 0)
        return -1;
    return pki_ca_create(ca_key, "panel test", 3650, &ca_cert, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    free(ca_key);
    free(ca_cert);
    return 0;
}

static void parse(const char *pem, mbedtls_x509_crt *ret)
{
    mbedtls_x509_crt_init(ret);
    assert_int_equal(mbedtls_x509_crt_parse(ret, (const unsigned char *)pem, strlen(pem) + 1), 0);
}

static int may(const mbedtls_x509_crt *cert, const char *oid, size_t len)
{
    return mbedtls_x509_crt_check_extended_key_usage(cert, oid, len) == 0;
}

/* A certificate for name in role; its key too. */
static void issue(const char *name, enum pki_role role, uint32_t days, char **ret_key,
                  char **ret_cert)
{
    auto_free char *csr = NULL;
    assert_int_equal(pki_key_create(ret_key, NULL), 0);
    assert_int_equal(pki_csr_create(*ret_key, "subject of the request", &csr, NULL), 0);
    assert_int_equal(pki_sign(ca_key, ca_cert, csr, name, role, days, ret_cert, NULL), 0);
}

static void test_roles_are_kept_apart(void **state)
{
    (void)state;
    static const struct {
        enum pki_role role;
        int server, client;
    } rows[] = {{PKI_SERVER, 1, 0}, {PKI_CLIENT, 0, 1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_free char *key = NULL;
        auto_free char *pem = NULL;
        issue("node-1", rows[i].role, 90, &key, &pem);
        mbedtls_x509_crt cert;
        parse(pem, &cert);
        assert_int_equal(
            may(&cert, MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)),
            rows[i].server);
        assert_int_equal(
            may(&cert, MBEDTLS_OID_CLIENT_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)),
            rows[i].client);
        assert_int_equal(cert.ca_istrue, 0);
        mbedtls_x509_crt_free(&cert);
    }
}

static void test_the_name_is_ours_and_not_the_requests(void **state)
{
    (void)state;
    auto_free char *key = NULL;
    auto_free char *pem = NULL;
    issue("node-1", PKI_SERVER, 90, &key, &pem);
    mbedtls_x509_crt cert;
    mbedtls_x509_crt ca;
    uint32_t flags = 0;
    parse(pem, &cert);
    parse(ca_cert, &ca);
    assert_int_equal(mbedtls_x509_crt_verify(&cert, &ca, NULL, "node-1", &flags, NULL, NULL), 0);
    assert_int_not_equal(mbedtls_x509_crt_verify(&cert, &ca, NULL, "node-2", &flags, NULL, NULL),
                         0);
    char subject[256];
    mbedtls_x509_dn_gets(subject, sizeof(subject), &cert.subject);
    assert_non_null(strstr(subject, "node-1"));
    assert_null(strstr(subject, "subject of the request"));
    mbedtls_x509_crt_free(&cert);
    mbedtls_x509_crt_free(&ca);
}

static void test_another_ca_is_not_believed(void **state)
{
    (void)state;
    auto_free char *other_key = NULL;
    auto_free char *other_ca = NULL;
    auto_free char *key = NULL;
    auto_free char *pem = NULL;
    assert_int_equal(pki_key_create(&other_key, NULL), 0);
    assert_int_equal(pki_ca_create(other_key, "panel test", 3650, &other_ca, NULL), 0);
    issue("node-1", PKI_SERVER, 90, &key, &pem);
    mbedtls_x509_crt cert;
    mbedtls_x509_crt ca;
    uint32_t flags = 0;
    parse(pem, &cert);
    parse(other_ca, &ca);
    assert_int_not_equal(mbedtls_x509_crt_verify(&cert, &ca, NULL, NULL, &flags, NULL, NULL), 0);
    mbedtls_x509_crt_free(&cert);
    mbedtls_x509_crt_free(&ca);
}

static void test_days_are_counted_from_now(void **state)
{
    (void)state;
    auto_free char *key = NULL;
    auto_free char *pem = NULL;
    issue("node-1", PKI_SERVER, 90, &key, &pem);
    int64_t end = pki_not_after(pem, NULL);
    int64_t want = (int64_t)time(NULL) + 90LL * 86400;
    assert_true(llabs(end - want) < 2LL * 86400);
    mbedtls_x509_crt cert;
    parse(pem, &cert);
    assert_int_equal(mbedtls_x509_time_is_past(&cert.valid_from), 1);
    assert_int_equal(mbedtls_x509_time_is_past(&cert.valid_to), 0);
    mbedtls_x509_crt_free(&cert);
}

static void test_a_pair_belongs_together(void **state)
{
    (void)state;
    auto_free char *key = NULL;
    auto_free char *pem = NULL;
    struct err err = {0};
    issue("node-1", PKI_SERVER, 90, &key, &pem);
    assert_int_equal(pki_check_pair(key, pem, NULL), 0);
    assert_int_equal(pki_check_pair(ca_key, pem, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
}

static void test_bad_requests_are_refused(void **state)
{
    (void)state;
    auto_free char *good = NULL;
    auto_free char *key = NULL;
    assert_int_equal(pki_key_create(&key, NULL), 0);
    assert_int_equal(pki_csr_create(key, "x", &good, NULL), 0);
    /* One letter of the signature, near the end, is another. */
    char *at = strstr(good, "-----END") - 12;
    *at = *at == 'A' ? 'B' : 'A';
    const char *bad[] = {"", "x", "-----BEGIN CERTIFICATE REQUEST-----\n", ca_cert, key, good};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *out = NULL;
        struct err err = {0};
        assert_int_equal(pki_sign(ca_key, ca_cert, bad[i], "n", PKI_SERVER, 1, &out, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.reason, "bad_csr");
        assert_null(out);
    }
}

static void test_what_is_no_certificate_has_no_end(void **state)
{
    (void)state;
    struct err err = {0};
    assert_true(pki_not_after("nothing", &err) == -1);
    assert_int_not_equal(err.code, ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles_are_kept_apart),
        cmocka_unit_test(test_the_name_is_ours_and_not_the_requests),
        cmocka_unit_test(test_another_ca_is_not_believed),
        cmocka_unit_test(test_days_are_counted_from_now),
        cmocka_unit_test(test_a_pair_belongs_together),
        cmocka_unit_test(test_bad_requests_are_refused),
        cmocka_unit_test(test_what_is_no_certificate_has_no_end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
