/* PEM texts from outside: the request that a node joins with, the certificate that it is given. The
 * first byte picks one. */
#include <stdlib.h>
#include <string.h>

#include "common/pki.h"
#include "tests/fuzz/fuzz.h"

static char *ca_key;
static char *ca_cert;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    CHECK(pki_key_create(&ca_key, NULL) == 0);
    CHECK(pki_ca_create(ca_key, "fuzz", 10, &ca_cert, NULL) == 0);
    return 0;
}

static void try_request(const char *csr)
{
    struct err err = {0};
    char *cert = NULL;
    if (pki_sign(ca_key, ca_cert, csr, "n1", PKI_SERVER, 90, &cert, &err) < 0) {
        CHECK(!cert && err.code == ERR_INVALID && strcmp(err.reason, "bad_csr") == 0);
        return;
    }
    CHECK(pki_not_after(cert, &err) > 0);
    free(cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct err err = {0};
    uint8_t what = fuzz_byte(&in);
    char *pem = fuzz_rest(&in, NULL);
    if (what == 'r')
        try_request(pem);
    else if (what == 'c' && pki_not_after(pem, &err) == -1)
        CHECK(err.code == ERR_NONE || err.code == ERR_INVALID);
    else if (what == 'p')
        CHECK(pki_check_pair(ca_key, pem, &err) == 0 || err.code == ERR_INVALID);
    free(pem);
    return 0;
}
