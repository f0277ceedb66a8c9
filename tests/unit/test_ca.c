/* The panel's CA: made once, and another in its place, whatever was left half done. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/pki.h"
#include "panel/pki/ca.h"

static char dir[] = "/tmp/test_ca.XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return crypto_init(NULL) == 0 && mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

/* A folder of its own for each test. */
static int empty(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "%s/pki", dir);
    return fs_remove_tree(path, NULL);
}

static struct ca *reopen(struct ca *ca)
{
    ca_close(ca);
    assert_int_equal(ca_open(dir, "p1", &ca, NULL), 0);
    return ca;
}

static void rename_file(const char *from, const char *to)
{
    char a[64];
    char b[64];
    snprintf(a, sizeof(a), "%s/pki/%s", dir, from);
    snprintf(b, sizeof(b), "%s/pki/%s", dir, to);
    assert_int_equal(rename(a, b), 0);
}

static bool is_there(const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/pki/%s", dir, name);
    return access(path, F_OK) == 0;
}

static void mark(void)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/pki/retire", dir);
    assert_int_equal(fs_write_atomic(path, "", 0, 0600, NULL), 0);
}

static void expect_signed_by(struct ca *ca, const char *name)
{
    auto_free char *key = NULL;
    auto_free char *csr = NULL;
    auto_free char *cert = NULL;
    char issuer[CA_NAME_SIZE];
    assert_int_equal(pki_key_create(&key, NULL), 0);
    assert_int_equal(pki_csr_create(key, "n1", &csr, NULL), 0);
    assert_int_equal(ca_sign_agent(ca, csr, "n1", &cert, NULL), 0);
    assert_int_equal(pki_issuer(cert, issuer, sizeof(issuer), NULL), 0);
    assert_string_equal(issuer, name);
}

static void expect_panel_of(struct ca *ca, const char *name)
{
    auto_free char *key = NULL;
    auto_free char *cert = NULL;
    char issuer[CA_NAME_SIZE];
    assert_int_equal(ca_issue_panel(ca, &key, &cert, NULL), 0);
    assert_int_equal(pki_issuer(cert, issuer, sizeof(issuer), NULL), 0);
    assert_string_equal(issuer, name);
}

/* The digest that nodes report is that of the bundle which they are told. */
static void expect_bundle(struct ca *ca, unsigned count)
{
    struct ca_state state;
    auto_free char *bundle = ca_bundle(ca);
    char digest[CRYPTO_HEX_LEN + 1];
    unsigned found = 0;
    for (const char *p = bundle; (p = strstr(p, "BEGIN CERTIFICATE")); p++)
        found++;
    assert_int_equal(found, count);
    assert_int_equal(pki_check_bundle(bundle, NULL), 0);
    ca_look(ca, &state);
    crypto_digest_hex(bundle, strlen(bundle), digest);
    assert_string_equal(state.bundle_digest, digest);
    assert_int_equal(state.rotating, count == 2);
}

static void test_from_one_to_the_other(void **unused)
{
    (void)unused;
    struct ca *ca = reopen(NULL);
    struct ca_state old;
    struct ca_state both;
    struct err err;
    ca_look(ca, &old);
    assert_string_equal(old.signer, "panel-p1");
    expect_bundle(ca, 1);
    assert_int_equal(ca_retire(ca, &err), -1);
    assert_string_equal(err.reason, "not_rotating");
    assert_int_equal(ca_rotate(ca, NULL), 0);
    assert_int_equal(ca_rotate(ca, &err), -1);
    assert_string_equal(err.reason, "rotating");
    for (int i = 0; i < 2; i++) {
        ca_look(ca, &both);
        assert_string_not_equal(both.signer, old.signer);
        expect_bundle(ca, 2);
        expect_signed_by(ca, both.signer);
        expect_panel_of(ca, old.signer);
        ca = reopen(ca);
    }
    assert_int_equal(ca_retire(ca, NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct ca_state now;
        ca_look(ca, &now);
        assert_string_equal(now.signer, both.signer);
        expect_bundle(ca, 1);
        expect_signed_by(ca, both.signer);
        expect_panel_of(ca, both.signer);
        ca = reopen(ca);
    }
    assert_int_equal(ca_rotate(ca, NULL), 0); /* and once more */
    expect_bundle(ca, 2);
    ca_close(ca);
}

static void test_a_key_alone_is_no_rotation(void **unused)
{
    (void)unused;
    struct ca *ca = reopen(NULL);
    assert_int_equal(ca_rotate(ca, NULL), 0);
    rename_file("next.crt", "elsewhere");
    ca = reopen(ca);
    expect_bundle(ca, 1);
    expect_signed_by(ca, "panel-p1");
    assert_int_equal(ca_rotate(ca, NULL), 0);
    expect_bundle(ca, 2);
    ca_close(ca);
}

/* Cut off behind each of retire's steps: the mark, the key's rename, the certificate's. */
static void test_an_end_that_was_broken_off_is_finished(void **unused)
{
    (void)unused;
    for (int steps = 0; steps < 3; steps++) {
        struct ca *ca = reopen(NULL);
        struct ca_state state;
        assert_int_equal(ca_rotate(ca, NULL), 0);
        ca_look(ca, &state);
        char name[CA_NAME_SIZE];
        memcpy(name, state.signer, sizeof(name));
        mark();
        if (steps > 0)
            rename_file("next.key", "ca.key");
        if (steps > 1)
            rename_file("next.crt", "ca.crt");
        ca = reopen(ca);
        expect_bundle(ca, 1);
        expect_signed_by(ca, name);
        expect_panel_of(ca, name);
        assert_false(is_there("retire") || is_there("next.key") || is_there("next.crt"));
        ca_close(ca);
    }
}

static void test_halves_that_do_not_fit_are_refused(void **unused)
{
    (void)unused;
    struct ca *ca = reopen(NULL);
    struct err err;
    assert_int_equal(ca_rotate(ca, NULL), 0);
    ca_close(ca);
    rename_file("next.key", "elsewhere");
    assert_int_equal(ca_open(dir, "p1", &ca, &err), -1);
    rename_file("ca.key", "next.key");
    rename_file("elsewhere", "ca.key");
    assert_int_equal(ca_open(dir, "p1", &ca, &err), -1);
    assert_non_null(strstr(err.msg, "ca.crt"));
}

static void test_bundles(void **unused)
{
    (void)unused;
    struct ca *ca = reopen(NULL);
    auto_free char *one = ca_bundle(ca);
    auto_free char *key = NULL;
    auto_free char *csr = NULL;
    auto_free char *leaf = NULL;
    auto_free char *mixed = NULL;
    auto_free char *many = NULL;
    assert_int_equal(pki_key_create(&key, NULL), 0);
    assert_int_equal(pki_csr_create(key, "n1", &csr, NULL), 0);
    assert_int_equal(ca_sign_agent(ca, csr, "n1", &leaf, NULL), 0);
    assert_true(asprintf(&mixed, "%s%s", one, leaf) > 0);
    assert_true(asprintf(&many, "%s%s%s%s%s", one, one, one, one, one) > 0);
    const char *const bad[] = {"", "x", leaf, mixed, many, key, csr};
    assert_int_equal(pki_check_bundle(one, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err;
        assert_int_equal(pki_check_bundle(bad[i], &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
    }
    ca_close(ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_from_one_to_the_other, empty),
        cmocka_unit_test_setup(test_a_key_alone_is_no_rotation, empty),
        cmocka_unit_test_setup(test_an_end_that_was_broken_off_is_finished, empty),
        cmocka_unit_test_setup(test_halves_that_do_not_fit_are_refused, empty),
        cmocka_unit_test_setup(test_bundles, empty),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
