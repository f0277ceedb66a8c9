/* The agent's state folder, specs and trees under torture. */
#include "tests/torture/torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/container_spec.h"
#include "agent/disk_usage.h"
#include "agent/identity.h"
#include "agent/install.h"
#include "agent/tree.h"
#include "agent/volume.h"
#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/pki.h"

static char root[64];
static char dir[96];
static char *ca_key;
static char *ca_cert;
static char *key;
static char *cert;

static char *signed_by_ca(const char *csr)
{
    char *made = NULL;
    assert_int_equal(pki_sign(ca_key, ca_cert, csr, "n1", PKI_SERVER, 10, &made, NULL), 0);
    return made;
}

static int set_up(void **state)
{
    (void)state;
    torture_libraries();
    assert_int_equal(crypto_init(NULL), 0);
    log_level_set(LOG_ERROR + 1); /* what fails here is asked for */
    torture_folder(root);
    snprintf(dir, sizeof(dir), "%s/state", root);
    auto_free char *csr = NULL;
    assert_int_equal(pki_key_create(&ca_key, NULL), 0);
    assert_int_equal(pki_ca_create(ca_key, "panel", 10, &ca_cert, NULL), 0);
    assert_int_equal(pki_key_create(&key, NULL), 0);
    assert_int_equal(pki_csr_create(key, "n1", &csr, NULL), 0);
    cert = signed_by_ca(csr);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(ca_key);
    free(ca_cert);
    free(key);
    free(cert);
    return fs_remove_tree(root, NULL);
}

/* --- identity -------------------------------------------------------------------------------- */

static struct identity identity;

static void load_again(void)
{
    struct err err = {0};
    if (identity_load(dir, &identity, &err) < 0)
        fail_msg("%s", err.msg);
}

static struct identity joined(void)
{
    return (struct identity){.dir = dir,
                             .panel_id = "p1",
                             .node_id = "n1",
                             .address = "127.0.0.1",
                             .port = "7400",
                             .listen = "127.0.0.1:7400",
                             .key = key,
                             .cert = cert,
                             .ca = ca_cert};
}

static void empty_folder(void)
{
    assert_int_equal(fs_remove_tree(dir, NULL), 0);
    assert_int_equal(fs_make_dir(dir, 0700, NULL), 0);
}

static int store_identity_of(struct err *err)
{
    struct identity all = joined();
    return identity_store(&all, err);
}

static void joined_or_not(int rc)
{
    struct err err = {0};
    int loaded = identity_load(dir, &identity, &err);
    if (loaded < 0)
        assert_int_equal(err.code, ERR_NOT_FOUND);
    else
        identity_fini(&identity);
    assert_true(rc < 0 || loaded == 0);
}

static void put_identity(void)
{
    empty_folder();
    assert_int_equal(store_identity_of(NULL), 0);
    load_again();
    assert_int_equal(identity_raise_epoch(&identity, 42, NULL), 0);
}

static void put_and_close(void)
{
    put_identity();
    identity_fini(&identity);
}

static int load(struct err *err)
{
    struct identity loaded;
    if (identity_load(dir, &loaded, err) < 0)
        return -1;
    bool whole = loaded.epoch == 42; /* no epoch is not an epoch of 0 */
    identity_fini(&loaded);
    return whole ? 0 : -1;
}

/* As one who doesn't care why. */
static int load_without_reason(struct err *err)
{
    struct identity loaded;
    (void)err;
    if (identity_load(dir, &loaded, NULL) == 0)
        identity_fini(&loaded);
    return 0;
}

static int raise_epoch(struct err *err)
{
    return identity_raise_epoch(&identity, 43, err);
}

static void is_raised(int rc)
{
    assert_int_equal(identity.epoch, 43);
    assert_int_equal(identity.epoch_due, rc < 0);
    if (rc < 0)
        assert_int_equal(identity_raise_epoch(&identity, 43, NULL), 0);
    identity_fini(&identity);
    load_again();
    assert_int_equal(identity.epoch, 43);
    identity_fini(&identity);
}

static int begin_renewal(struct err *err)
{
    auto_free char *csr = NULL;
    return identity_begin_renewal(&identity, &csr, err);
}

/* Whatever failed, both the agent that runs on and one that starts have a pair that fits, and can
 * be given a new certificate. */
static void renew(struct identity *at)
{
    struct err err = {0};
    auto_free char *csr = NULL;
    if (pki_check_pair(at->key, at->cert, &err) < 0 || identity_begin_renewal(at, &csr, &err) < 0)
        fail_msg("%s", err.msg);
    auto_free char *fresh = signed_by_ca(csr);
    bool changed;
    if (identity_install(at, fresh, &changed, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(changed);
    assert_int_equal(pki_check_pair(at->key, at->cert, NULL), 0);
}

static void can_renew(int rc)
{
    (void)rc;
    struct err err = {0};
    struct identity started;
    if (identity_load(dir, &started, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(started.epoch, 42);
    assert_int_equal(pki_check_pair(started.key, started.cert, NULL), 0);
    identity_fini(&started);
    renew(&identity);
    identity_fini(&identity);
    load_again();
    renew(&identity);
    identity_fini(&identity);
}

static char *two_cas;

static int trust_two(struct err *err)
{
    bool changed;
    return identity_install_ca(&identity, two_cas, &changed, err);
}

/* One or both, and whatever failed, the next try puts both in force, on the disk as well. */
static void trusts(int rc)
{
    assert_string_equal(identity.ca, rc < 0 ? ca_cert : two_cas);
    assert_int_equal(trust_two(NULL), 0);
    char digest[sizeof(identity.ca_digest)];
    memcpy(digest, identity.ca_digest, sizeof(digest));
    identity_fini(&identity);
    load_again();
    assert_string_equal(identity.ca, two_cas);
    assert_string_equal(identity.ca_digest, digest);
    identity_fini(&identity);
}

static char *new_cert;

static void ask_for_cert(void)
{
    auto_free char *csr = NULL;
    put_identity();
    assert_int_equal(identity_begin_renewal(&identity, &csr, NULL), 0);
    new_cert = signed_by_ca(csr);
}

static int install(struct err *err)
{
    bool changed;
    return identity_install(&identity, new_cert, &changed, err);
}

static void installed_or_not(int rc)
{
    if (rc == 0)
        assert_string_equal(identity.cert, new_cert);
    free(new_cert);
    can_renew(rc);
}

static void test_identity(void **state)
{
    (void)state;
    torture(&(struct torture){"identity store", empty_folder, store_identity_of, joined_or_not});
    torture(&(struct torture){"identity load", put_and_close, load, NULL});
    torture(
        &(struct torture){"identity load, no reason", put_and_close, load_without_reason, NULL});
    torture(&(struct torture){"identity epoch", put_identity, raise_epoch, is_raised});
    torture(&(struct torture){"renewal begin", put_identity, begin_renewal, can_renew});
    torture(&(struct torture){"renewal install", ask_for_cert, install, installed_or_not});
    auto_free char *other = NULL;
    assert_int_equal(pki_ca_create(ca_key, "other", 10, &other, NULL), 0);
    assert_true(asprintf(&two_cas, "%s%s", ca_cert, other) > 0);
    torture(&(struct torture){"other CAs", put_identity, trust_two, trusts});
    free(two_cas);
}

/* --- specs, trees ---------------------------------------------------------------------------- */

static int write_body(struct err *err)
{
    Wire__PortMapping port = WIRE__PORT_MAPPING__INIT;
    Wire__PortMapping *ports[] = {&port};
    char *env[] = {"A=1"};
    Wire__InstanceSpec spec = WIRE__INSTANCE_SPEC__INIT;
    spec.image = "busybox";
    spec.mount_path = "/app/data";
    spec.n_ports = 1;
    spec.ports = ports;
    spec.n_env = 1;
    spec.env = env;
    struct container_labels labels = {
        .panel_id = "p1", .instance_id = "i1", .generation = 1, .spec_hash = "h"};
    struct container_place place = {"/v", "", "SIGINT", "local"};
    auto_free char *body = container_spec_body(&spec, &labels, &place);
    return body ? 0 : err_nomem(err);
}

static void grow_tree(void)
{
    char path[128];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/tree/%d/deep", root, i);
        assert_int_equal(fs_make_dir(path, 0700, NULL), 0);
    }
    snprintf(path, sizeof(path), "%s/tree/file", root);
    assert_int_equal(fs_write_atomic(path, "x", 1, 0600, NULL), 0);
}

static int fell_tree(struct err *err)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/tree", root);
    return tree_remove(path, err);
}

static void is_felled(int rc)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/tree", root);
    assert_true(rc < 0 || access(path, F_OK) != 0);
    assert_int_equal(tree_remove(path, NULL), 0);
}

/* --- volumes --------------------------------------------------------------------------------- */

static void end_removal(void *arg, const struct err *err)
{
    *(struct err *)arg = *err;
    ((struct err *)arg)->os_errno = -1; /* it has been called */
}

static bool removal_ended(void *arg)
{
    return ((struct err *)arg)->os_errno == -1;
}

static int remove_with(struct loop *loop, struct err *err)
{
    struct err outcome = {0};
    struct volumes *volumes = volumes_create(root, loop, err);
    if (!volumes)
        return -1;
    int rc = volume_make(volumes, "v1", err);
    if (rc == 0)
        rc = volume_remove(volumes, "v1", end_removal, &outcome, err);
    if (rc == 0)
        loop_run_for(loop, 5000, removal_ended, &outcome);
    volumes_destroy(volumes);
    if (rc == 0 && outcome.code != ERR_NONE) {
        *err = outcome;
        rc = -1;
    }
    return rc;
}

static int make_and_remove_volume(struct err *err)
{
    struct loop loop;
    if (loop_init(&loop, "/nowhere.sock", err) < 0)
        return -1;
    int rc = remove_with(&loop, err);
    loop_fini(&loop);
    return rc;
}

/* Whatever failed: the same again removes all there is. */
static void volume_goes(int rc)
{
    struct err err = {0};
    auto_free char *volume = fs_join(root, "volumes/v1");
    auto_free char *grave = fs_join(root, "trash/v1");
    if (rc < 0 && make_and_remove_volume(&err) < 0)
        fail_msg("%s", err.msg);
    assert_int_not_equal(access(volume, F_OK), 0);
    assert_int_not_equal(access(grave, F_OK), 0);
}

static void test_volumes(void **state)
{
    (void)state;
    torture(&(struct torture){"volume", NULL, make_and_remove_volume, volume_goes});
}

static void test_specs_and_trees(void **state)
{
    (void)state;
    torture(&(struct torture){.name = "container spec", .work = write_body});
    torture(&(struct torture){"tree", grow_tree, fell_tree, is_felled});
}

/* --- threads beside the loop ----------------------------------------------------------------- */

struct beside {
    bool ended;
    struct err err;
};

static bool has_ended(void *arg)
{
    return ((struct beside *)arg)->ended;
}

static void end_measure(void *arg, uint64_t bytes)
{
    (void)bytes;
    ((struct beside *)arg)->ended = true;
}

static int measure_folder(struct err *err)
{
    struct beside beside = {0};
    struct loop loop;
    if (loop_init(&loop, "/nowhere.sock", err) < 0)
        return -1;
    struct disk_usage *usage = disk_usage_create(&loop);
    int rc = usage ? disk_usage_measure(usage, root, end_measure, &beside, err) : err_nomem(err);
    if (rc == 0)
        loop_run_for(&loop, 5000, has_ended, &beside);
    disk_usage_destroy(usage);
    loop_fini(&loop);
    return rc;
}

static void end_install(void *arg, const struct err *err)
{
    struct beside *beside = arg;
    beside->ended = true;
    beside->err = *err;
}

static int install_with(struct loop *loop, struct err *err)
{
    struct beside beside = {0};
    struct installs *installs;
    struct install_limits limits = {.bytes_max = 1000, .seconds_max = 10};
    Wire__InstanceSpec spec = WIRE__INSTANCE_SPEC__INIT;
    spec.volume_id = "v1";
    spec.install_round = 7;
    installs = installs_create(root, loop, &limits, err);
    if (!installs)
        return -1;
    install_forget(installs, "v1");
    int rc = install_start(installs, &spec, root, end_install, &beside, err) ? 0 : -1;
    if (rc == 0)
        loop_run_for(loop, 5000, has_ended, &beside);
    if (rc == 0 && beside.err.code != ERR_NONE) {
        *err = beside.err;
        rc = -1;
    }
    installs_destroy(installs);
    return rc;
}

/* Of no files, so what is left is what surrounds them. */
static int install_nothing(struct err *err)
{
    struct loop loop;
    if (loop_init(&loop, "/nowhere.sock", err) < 0)
        return -1;
    int rc = install_with(&loop, err);
    loop_fini(&loop);
    return rc;
}

/* Nothing counts as done that wasn't: the same again is due, and is done. */
static void install_is_done_or_due(int rc)
{
    struct err err = {0};
    auto_free char *done = fs_join(root, "installs/v1.done");
    auto_free char *text = NULL;
    if (rc < 0 && install_nothing(&err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(fs_read(done, 64, &text, NULL, NULL), 0);
    assert_string_equal(text, "7\n");
}

static void test_threads_beside_the_loop(void **state)
{
    (void)state;
    torture(&(struct torture){.name = "disk usage", .work = measure_folder});
    torture(&(struct torture){"install", NULL, install_nothing, install_is_done_or_due});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_specs_and_trees),
        cmocka_unit_test(test_volumes),
        cmocka_unit_test(test_threads_beside_the_loop),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    torture_evidence("I5", "the agent's identity and its renewal, specs, trees, volumes, installs");
    return failed;
}
