/* common/ under torture: buffers, files, keys and certificates, the envelope. */
#include "tests/torture/torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/fs.h"
#include "common/json_writer.h"
#include "common/pki.h"

static char dir[64];
static char file[96];

static int set_up(void **state)
{
    (void)state;
    torture_folder(dir);
    snprintf(file, sizeof(file), "%s/file", dir);
    return crypto_init(NULL);
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

/* --- buffers -------------------------------------------------------------------------------- */

static int write_json(struct err *err)
{
    auto_strbuf struct strbuf sb = {0};
    jw_object_begin(&sb, NULL);
    for (int i = 0; i < 40; i++) {
        jw_string(&sb, "text", "a \"quoted\" text\n");
        jw_milli(&sb, "number", 1250);
        strbuf_fmt(&sb, ",\"f%d\":%d", i, i);
    }
    jw_object_end(&sb);
    auto_free char *text = strbuf_steal(&sb);
    return text ? 0 : err_nomem(err);
}

static int fill_twice(struct err *err)
{
    auto_strbuf struct strbuf sb = {0};
    int rc = 0;
    for (int round = 0; round < 2; round++) {
        strbuf_reset(&sb);
        for (int i = 0; i < 300; i++)
            strbuf_str(&sb, "0123456789");
        if (sb.failed)
            rc = err_nomem(err);
    }
    return sb.failed || sb.len == 3000 ? rc : -1;
}

static void test_buffers(void **state)
{
    (void)state;
    torture(&(struct torture){.name = "json_writer", .work = write_json});
    torture(&(struct torture){.name = "strbuf", .work = fill_twice});
}

/* --- files ----------------------------------------------------------------------------------- */

static bool holds(const char *text)
{
    auto_free char *is = NULL;
    assert_int_equal(fs_read(file, 100, &is, NULL, NULL), 0);
    return strcmp(is, text) == 0;
}

static int count_files(void)
{
    char command[128];
    snprintf(command, sizeof(command), "%s.tmp", file);
    return access(command, F_OK) == 0 ? 2 : 1;
}

static void put_old(void)
{
    assert_int_equal(fs_write_atomic(file, "old", 3, 0600, NULL), 0);
}

static int put_new(struct err *err)
{
    return fs_write_atomic(file, "a new text", 10, 0600, err);
}

static void old_or_new(int rc)
{
    assert_true(holds("a new text") || (rc < 0 && holds("old")));
    assert_int_equal(count_files(), 1);
}

static void nothing_yet(void)
{
    unlink(file);
}

static void new_or_nothing(int rc)
{
    assert_true(access(file, F_OK) == 0 ? holds("a new text") : rc < 0);
}

static int read_back(struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    if (fs_read(file, 100, &text, &len, err) < 0)
        return -1;
    return len == 3 && strcmp(text, "old") == 0 ? 0 : -1;
}

static int make_and_remove(struct err *err)
{
    auto_free char *deep = fs_join(dir, "a/b/c");
    auto_free char *top = fs_join(dir, "a");
    if (!deep || !top)
        return err_nomem(err);
    return fs_make_dir(deep, 0700, err) < 0 ? -1 : fs_remove_tree(top, err);
}

static int lock_it(struct err *err)
{
    auto_fd int fd = -1;
    return fs_lock(dir, "lock", &fd, err);
}

static void test_files(void **state)
{
    (void)state;
    torture(&(struct torture){"fs replace", put_old, put_new, old_or_new});
    torture(&(struct torture){"fs create", nothing_yet, put_new, new_or_nothing});
    torture(&(struct torture){"fs read", put_old, read_back, NULL});
    torture(&(struct torture){"fs tree", NULL, make_and_remove, NULL});
    torture(&(struct torture){"fs lock", NULL, lock_it, NULL});
}

/* --- keys and certificates ------------------------------------------------------------------- */

static char *ca_key;
static char *ca_cert;
static char *key;
static char *csr;

static int make_key(struct err *err)
{
    auto_free char *made = NULL;
    return pki_key_create(&made, err);
}

static int make_request(struct err *err)
{
    auto_free char *made = NULL;
    return pki_csr_create(key, "n1", &made, err);
}

static int make_ca(struct err *err)
{
    auto_free char *made = NULL;
    return pki_ca_create(ca_key, "panel", 10, &made, err);
}

static int sign(struct err *err)
{
    auto_free char *made = NULL;
    if (pki_sign(ca_key, ca_cert, csr, "n1", PKI_SERVER, 10, &made, err) < 0)
        return -1;
    return pki_check_pair(key, made, err) < 0 || pki_not_after(made, err) < 0 ? -1 : 0;
}

static void test_pki(void **state)
{
    (void)state;
    assert_int_equal(pki_key_create(&ca_key, NULL), 0);
    assert_int_equal(pki_key_create(&key, NULL), 0);
    assert_int_equal(pki_ca_create(ca_key, "panel", 10, &ca_cert, NULL), 0);
    assert_int_equal(pki_csr_create(key, "n1", &csr, NULL), 0);
    torture(&(struct torture){.name = "pki key", .work = make_key});
    torture(&(struct torture){.name = "pki request", .work = make_request});
    torture(&(struct torture){.name = "pki ca", .work = make_ca});
    torture(&(struct torture){.name = "pki sign", .work = sign});
    free(ca_key);
    free(key);
    free(ca_cert);
    free(csr);
}

/* --- the envelope ---------------------------------------------------------------------------- */

static int round_trip(struct err *err)
{
    Wire__PortMapping port = WIRE__PORT_MAPPING__INIT;
    Wire__PortMapping *ports[] = {&port, &port};
    char *env[] = {"A=1", "B=2"};
    Wire__InstanceSpec spec = WIRE__INSTANCE_SPEC__INIT;
    spec.image = "busybox";
    spec.n_ports = 2;
    spec.ports = ports;
    spec.n_env = 2;
    spec.env = env;
    Wire__Apply apply = WIRE__APPLY__INIT;
    apply.instance_id = "i1";
    apply.spec = &spec;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    envelope.protocol_version = WIRE_PROTOCOL_VERSION;
    envelope.body_case = WIRE__ENVELOPE__BODY_APPLY;
    envelope.apply = &apply;
    auto_free uint8_t *data = NULL;
    size_t len;
    char hash[65];
    if (envelope_spec_hash(&spec, hash, err) < 0 || envelope_pack(&envelope, &data, &len, err) < 0)
        return -1;
    Wire__Envelope *back = NULL;
    if (envelope_unpack(data, len, &back, err) < 0)
        return -1;
    envelope_free(back);
    return 0;
}

static void test_envelope(void **state)
{
    (void)state;
    torture(&(struct torture){.name = "envelope", .work = round_trip});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffers),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_pki),
        cmocka_unit_test(test_envelope),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    torture_evidence("I5", "buffers, files, keys, envelope");
    return failed;
}
