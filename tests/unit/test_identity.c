/* The state folder's identity: renewal, and what a failure in the middle of it leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/identity.h"
#include "agent/tree.h"
#include "common/fs.h"
#include "common/pki.h"
#include "tests/unit/unit.h"

struct node {
    char dir[32];
    char *ca_key;
    struct identity identity;
};

static char *copy(const char *text)
{
    char *out = strdup(text);
    assert_non_null(out);
    return out;
}

static void join(struct node *node)
{
    struct err err = {0};
    struct identity *id = &node->identity;
    char *csr = NULL;
    strcpy(node->dir, "/tmp/test-identity-XXXXXX");
    assert_non_null(mkdtemp(node->dir));
    id->dir = copy(node->dir);
    id->panel_id = copy("p");
    id->node_id = copy("n");
    id->address = copy("127.0.0.1");
    id->port = copy("7400");
    id->listen = copy("127.0.0.1:7400");
    assert_int_equal(pki_key_create(&node->ca_key, &err), 0);
    assert_int_equal(pki_ca_create(node->ca_key, "ca", 10, &id->ca, &err), 0);
    assert_int_equal(pki_key_create(&id->key, &err), 0);
    assert_int_equal(pki_csr_create(id->key, "n", &csr, &err), 0);
    assert_int_equal(pki_sign(node->ca_key, id->ca, csr, "n", PKI_SERVER, 10, &id->cert, &err), 0);
    assert_int_equal(identity_store(id, &err), 0);
    free(csr);
}

static void load_again(struct node *node)
{
    struct err err = {0};
    identity_fini(&node->identity);
    assert_int_equal(identity_load(node->dir, &node->identity, &err), 0);
}

static void leave(struct node *node)
{
    struct err err = {0};
    identity_fini(&node->identity);
    free(node->ca_key);
    assert_int_equal(tree_remove(node->dir, &err), 0);
}

/* The certificate for what the node asks for now. */
static char *sign_request(struct node *node)
{
    struct err err = {0};
    char *csr = NULL;
    char *cert = NULL;
    assert_int_equal(identity_begin_renewal(&node->identity, &csr, &err), 0);
    assert_int_equal(
        pki_sign(node->ca_key, node->identity.ca, csr, "n", PKI_SERVER, 10, &cert, &err), 0);
    free(csr);
    return cert;
}

static void test_a_renewed_pair_is_loaded(void **state)
{
    (void)state;
    struct node node = {0};
    struct err err = {0};
    bool changed = false;
    join(&node);
    char *cert = sign_request(&node);
    assert_int_equal(identity_install(&node.identity, cert, &changed, &err), 0);
    assert_true(changed);
    load_again(&node);
    assert_string_equal(node.identity.cert, cert);
    free(cert);
    leave(&node);
}

/* The key in use then lies in agent.key.next alone: the next renewal must not write over it. */
static void test_a_key_that_could_not_be_renamed_is_kept(void **state)
{
    (void)state;
    struct node node = {0};
    struct err err = {0};
    bool changed = false;
    char key_path[64];
    char *csr = NULL;
    join(&node);
    snprintf(key_path, sizeof(key_path), "%s/agent.key", node.dir);
    char *cert = sign_request(&node);
    assert_int_equal(unlink(key_path), 0);
    assert_int_equal(mkdir(key_path, 0700), 0); /* nothing can be renamed to it */
    assert_int_equal(identity_install(&node.identity, cert, &changed, &err), 0);
    assert_int_equal(identity_begin_renewal(&node.identity, &csr, &err), -1);
    assert_int_equal(rmdir(key_path), 0);
    load_again(&node);
    assert_string_equal(node.identity.cert, cert);
    free(cert);

    /* And it goes on by itself when the folder takes it again. */
    cert = sign_request(&node);
    assert_int_equal(unlink(key_path), 0);
    assert_int_equal(mkdir(key_path, 0700), 0);
    assert_int_equal(identity_install(&node.identity, cert, &changed, &err), 0);
    assert_int_equal(rmdir(key_path), 0);
    free(cert);
    cert = sign_request(&node);
    assert_int_equal(access(key_path, F_OK), 0);
    assert_int_equal(identity_install(&node.identity, cert, &changed, &err), 0);
    load_again(&node);
    assert_string_equal(node.identity.cert, cert);
    free(cert);
    leave(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_renewed_pair_is_loaded),
        cmocka_unit_test(test_a_key_that_could_not_be_renamed_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
