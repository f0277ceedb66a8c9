/* The agent's pure parts: what an image reference and a spec may be, what the Engine's words mean,
 * the progress of a pull, the journal of changes, and the removal of trees that strangers made. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/address.h"
#include "agent/container_spec.h"
#include "agent/docker.h"
#include "agent/docker_json.h"
#include "agent/failure.h"
#include "agent/instance.h"
#include "agent/tree.h"
#include "agent/volume.h"

static void test_image_references(void **state)
{
    (void)state;
    static const char *const good[] = {"busybox", "a/b:1", "localhost:5000/a_b/c-d:v1.2",
                                       "repo@sha256:0123456789abcdef"};
    static const char *const bad[] = {"",   "../etc", "a/../b", "a//b",  "/a",   "a/",
                                      "a:", "a b",    "a?b",    "a%2fb", "a/.b", "-x"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(docker_image_is_sane(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(docker_image_is_sane(bad[i]));
}

static bool is_near(const char *text)
{
    struct sockaddr_storage any = {0};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(&any, &in, sizeof(in));
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(&any, &in6, sizeof(in6));
    }
    return address_is_near((struct sockaddr *)&any);
}

static void test_near_addresses(void **state)
{
    (void)state;
    static const char *const near[] = {"127.0.0.1",
                                       "127.255.0.9",
                                       "0.0.0.0",
                                       "0.1.2.3",
                                       "169.254.169.254",
                                       "224.0.0.1",
                                       "239.1.1.1",
                                       "255.255.255.255",
                                       "100.100.100.200",
                                       "::",
                                       "::1",
                                       "fe80::1",
                                       "febf::1",
                                       "fec0::1",
                                       "ff02::1",
                                       "fd00:ec2::254",
                                       "::ffff:127.0.0.1",
                                       "::ffff:169.254.1.1",
                                       "64:ff9b::7f00:1",
                                       "::127.0.0.1"};
    static const char *const far[] = {"192.0.2.1",        "198.51.100.7", "8.8.8.8",
                                      "100.100.100.199",  "169.253.1.1",  "2001:db8::1",
                                      "::ffff:192.0.2.1", "fd12::1"};
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++)
        if (!is_near(near[i]))
            fail_msg("%s", near[i]);
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
        if (is_near(far[i]))
            fail_msg("%s", far[i]);
}

static Wire__InstanceSpec good_spec(void)
{
    Wire__InstanceSpec spec = WIRE__INSTANCE_SPEC__INIT;
    spec.image = "busybox";
    spec.memory_bytes = 64 << 20;
    spec.nano_cpus = 500000000;
    spec.volume_id = "v1";
    spec.mount_path = "/app/data";
    return spec;
}

static void test_specs_out_of_bounds_are_refused(void **state)
{
    (void)state;
    struct err err;
    Wire__InstanceSpec spec = good_spec();
    assert_int_equal(container_spec_check(&spec, &err), 0);
    static char *const bad_paths[] = {"", "/", "data", "/a/../b", "/..", "/a/..", "/a\nb"};
    for (size_t i = 0; i < sizeof(bad_paths) / sizeof(bad_paths[0]); i++) {
        spec.mount_path = bad_paths[i];
        assert_int_equal(container_spec_check(&spec, &err), -1);
        assert_string_equal(err.reason, "bad_spec");
    }
    spec = good_spec();
    spec.mount_path = "/a/..b";
    assert_int_equal(container_spec_check(&spec, &err), 0);
    spec.memory_bytes = 1 << 20;
    assert_int_equal(container_spec_check(&spec, &err), -1);
    spec = good_spec();
    spec.volume_id = "../v";
    assert_int_equal(container_spec_check(&spec, &err), -1);
    static const struct {
        char *uri, *path, *sum;
        bool good;
    } files[] = {
        {"http://x/y", "a/b", "", true},   {"HTTPS://x/y", "./a", "", true},
        {"file:///etc/x", "a", "", false}, {"http://x/a b", "a", "", false},
        {"http://x", "", "", false},       {"http://x", "/a", "", false},
        {"http://x", "../a", "", false},   {"http://x", "a/../b", "", false},
        {"http://x", "a/", "", false},     {"http://x", "a/..", "", false},
        {"http://x", "a\nb", "", false},   {"http://x", "a", "00", false},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        Wire__InstallFile file = WIRE__INSTALL_FILE__INIT;
        Wire__InstallFile *all[] = {&file};
        file.uri = files[i].uri;
        file.path = files[i].path;
        file.sha256 = files[i].sum;
        spec = good_spec();
        spec.install = all;
        spec.n_install = 1;
        assert_int_equal(container_spec_check(&spec, &err), files[i].good ? 0 : -1);
    }
    char *env[] = {"=x"};
    spec = good_spec();
    spec.env = env;
    spec.n_env = 1;
    assert_int_equal(container_spec_check(&spec, &err), -1);
}

static void test_one_container_port_on_two_host_ports(void **state)
{
    (void)state;
    Wire__PortMapping a = WIRE__PORT_MAPPING__INIT;
    Wire__PortMapping b = WIRE__PORT_MAPPING__INIT;
    a.container_port = b.container_port = 80;
    a.protocol = b.protocol = WIRE__PROTOCOL__PROTOCOL_TCP;
    a.host_port = 8001;
    b.host_port = 8002;
    Wire__PortMapping *ports[] = {&a, &b};
    Wire__InstanceSpec spec = good_spec();
    spec.ports = ports;
    spec.n_ports = 2;
    struct container_labels labels = {"p", "i", 3, "h", "b"};
    struct container_place place = {"/v", "127.0.0.1", "SIGINT", "local"};
    char *body = container_spec_body(&spec, &labels, &place);
    json_t *root = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    json_t *host = json_object_get(root, "HostConfig");
    json_t *list = json_object_get(json_object_get(host, "PortBindings"), "80/tcp");
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(json_integer_value(json_object_get(host, "MemorySwap")), 64 << 20);
    assert_null(json_object_get(root, "Cmd"));
    json_decref(root);
    free(body);
}

static void test_only_limits_are_no_part_of_the_base(void **state)
{
    (void)state;
    char base[65];
    char other[65];
    Wire__InstanceSpec spec = good_spec();
    assert_int_equal(container_spec_base_hash(&spec, base, NULL), 0);
    spec.memory_bytes *= 2;
    spec.nano_cpus *= 2;
    spec.resizes++;
    spec.pull_round++;
    assert_int_equal(container_spec_base_hash(&spec, other, NULL), 0);
    assert_string_equal(base, other);
    spec.pids_limit++;
    assert_int_equal(container_spec_base_hash(&spec, other, NULL), 0);
    assert_string_not_equal(base, other);
}

static void test_refusals_get_their_codes(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        const char *code;
    } rows[] = {
        {"listen tcp4 0.0.0.0:8001: bind: address already in use", "port_in_use"},
        {"Bind for 127.0.0.1:8001 failed: port is already allocated", "port_in_use"},
        {"exec: \"/x\": stat /x: no such file or directory: unknown", "bad_command"},
        {"exec: \"x\": executable file not found in $PATH: unknown", "bad_command"},
        {"something else", "start_failed"},
        {"failed to update store for object type *libnetwork.endpoint: open : no such file or "
         "directory",
         "start_failed"},
    };
    Wire__PortMapping port = WIRE__PORT_MAPPING__INIT;
    port.host_port = 8001;
    Wire__PortMapping *ports[] = {&port};
    Wire__InstanceSpec spec = good_spec();
    spec.ports = ports;
    spec.n_ports = 1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err;
        struct failure failure;
        err_set(&err, ERR_INTERNAL, "refused", "%s", rows[i].words);
        failure_of_start(&failure, &spec, &err);
        assert_string_equal(failure.code, rows[i].code);
        if (strcmp(failure.code, "port_in_use") == 0)
            assert_non_null(strstr(failure.message, "8001"));
    }
}

/* It becomes part of a request's path. */
static void test_a_created_container_has_an_id_of_dockers_shape(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}", "{\"Id\":\"..\"}", "{\"Id\":\"\"}", "{\"Id\":1}"};
    static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *answer = json_loads(bad[i], 0, NULL);
        assert_null(docker_json_created(answer));
        json_decref(answer);
    }
    json_t *answer = json_pack("{s:s}", "Id", id);
    assert_string_equal(docker_json_created(answer), id);
    json_decref(answer);
}

static void add_progress(struct docker_progress *progress, const char *text)
{
    json_t *item = json_loads(text, 0, NULL);
    docker_progress_add(progress, item);
    json_decref(item);
}

static void test_progress_never_falls(void **state)
{
    (void)state;
    struct docker_progress p = {0};
    add_progress(&p, "{\"status\":\"Pulling from x\",\"id\":\"1\"}");
    add_progress(&p, "{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":"
                     "{\"current\":50,\"total\":100}}");
    assert_int_equal(p.percent, 49);
    add_progress(&p, "{\"status\":\"Downloading\",\"id\":\"b\",\"progressDetail\":"
                     "{\"current\":0,\"total\":900}}");
    assert_int_equal(p.percent, 49);
    add_progress(&p, "{\"status\":\"Download complete\",\"id\":\"a\"}");
    add_progress(&p, "{\"status\":\"Pull complete\",\"id\":\"b\"}");
    assert_int_equal(p.percent, 99);
    add_progress(&p, "{\"status\":7,\"id\":{}}");
    docker_progress_fini(&p);
}

static void test_journal_keeps_the_order_of_changes(void **state)
{
    (void)state;
    struct instance_table table;
    instance_table_init(&table, NULL, NULL);
    struct instance *a = instance_insert(&table, "a");
    struct instance *b = instance_insert(&table, "b");
    uint64_t cursor = table.seq;
    assert_null(instance_changed_since(&table, cursor));
    instance_touch(&table, a);
    assert_ptr_equal(instance_changed_since(&table, cursor), a);
    assert_ptr_equal(instance_changed_since(&table, 0), b);
    assert_ptr_equal(b->next, a);
    assert_true(a->change_seq > b->change_seq);
    instance_drop(&table, a);
    assert_null(instance_changed_since(&table, cursor));
    instance_drop(&table, b);
}

static void end_removal(void *arg, const struct err *err)
{
    *(struct err *)arg = *err;
    ((struct err *)arg)->os_errno = -1; /* it has been called */
}

static bool removal_ended(void *arg)
{
    return ((struct err *)arg)->os_errno == -1;
}

/* A removal that failed half way has moved the volume into the trash already: the next one must
 * not take that for done. */
static void test_a_removal_that_failed_half_way_is_gone_on_with(void **state)
{
    (void)state;
    char dir[] = "/tmp/panel-volume-test.XXXXXX";
    char left[128];
    struct loop loop;
    struct err err = {0};
    struct err outcome = {0};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(loop_init(&loop, "/nowhere.sock", &err), 0);
    struct volumes *volumes = volumes_create(dir, &loop, &err);
    assert_non_null(volumes);
    assert_int_equal(volume_make(volumes, "v0", &err), 0);
    assert_int_equal(volume_remove(volumes, "v0", end_removal, &outcome, &err), 0);
    loop_run_for(&loop, 5000, removal_ended, &outcome); /* the trash has been emptied before */
    snprintf(left, sizeof(left), "%s/trash/v1", dir);
    assert_int_equal(mkdir(left, 0700), 0);
    outcome = (struct err){0};
    assert_int_equal(volume_remove(volumes, "v1", end_removal, &outcome, &err), 0);
    loop_run_for(&loop, 5000, removal_ended, &outcome);
    assert_int_equal(outcome.code, ERR_NONE);
    assert_int_equal(access(left, F_OK), -1);
    volumes_destroy(volumes);
    loop_fini(&loop);
    assert_int_equal(tree_remove(dir, &err), 0);
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void test_a_volume_that_was_half_made_is_made(void **state)
{
    (void)state;
    char dir[] = "/tmp/panel-volume-test.XXXXXX";
    char path[128];
    char inside[160];
    struct loop loop;
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(loop_init(&loop, "/nowhere.sock", &err), 0);
    struct volumes *volumes = volumes_create(dir, &loop, &err);
    assert_non_null(volumes);
    snprintf(path, sizeof(path), "%s/volumes/v1", dir);
    snprintf(inside, sizeof(inside), "%s/data", path);
    assert_int_equal(mkdir(path, 0700), 0); /* and then it was killed */
    assert_int_equal(volume_make(volumes, "v1", &err), 0);
    assert_int_equal(mode_of(path), 0777);
    assert_int_equal(mkdir(inside, 0700), 0);
    assert_int_equal(chmod(path, 0700), 0); /* the image's own choice */
    assert_int_equal(volume_make(volumes, "v1", &err), 0);
    assert_int_equal(mode_of(path), 0700);
    volumes_destroy(volumes);
    loop_fini(&loop);
    assert_int_equal(tree_remove(dir, &err), 0);
}

static void test_trees_deeper_than_any_path_are_removed(void **state)
{
    (void)state;
    char root[] = "/tmp/test-tree-XXXXXX";
    char home[4096];
    struct err err;
    assert_non_null(mkdtemp(root));
    assert_non_null(getcwd(home, sizeof(home)));
    assert_int_equal(chdir(root), 0);
    assert_int_equal(symlink("/etc", "link"), 0);
    for (int i = 0; i < 1500; i++) {
        assert_int_equal(mkdir("a-name-of-some-length", 0700), 0);
        assert_int_equal(mkdir(".moved.0", 0700), 0);
        assert_int_equal(chdir("a-name-of-some-length"), 0);
    }
    assert_int_equal(chdir(home), 0);
    assert_int_equal(tree_remove(root, &err), 0);
    assert_int_equal(access(root, F_OK), -1);
    assert_int_equal(tree_remove(root, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_references),
        cmocka_unit_test(test_near_addresses),
        cmocka_unit_test(test_specs_out_of_bounds_are_refused),
        cmocka_unit_test(test_one_container_port_on_two_host_ports),
        cmocka_unit_test(test_only_limits_are_no_part_of_the_base),
        cmocka_unit_test(test_refusals_get_their_codes),
        cmocka_unit_test(test_a_created_container_has_an_id_of_dockers_shape),
        cmocka_unit_test(test_progress_never_falls),
        cmocka_unit_test(test_journal_keeps_the_order_of_changes),
        cmocka_unit_test(test_a_removal_that_failed_half_way_is_gone_on_with),
        cmocka_unit_test(test_a_volume_that_was_half_made_is_made),
        cmocka_unit_test(test_trees_deeper_than_any_path_are_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
