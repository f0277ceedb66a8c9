/* Control groups of both versions, in folders that look like /proc and /sys/fs/cgroup. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup.h"
#include "common/auto.h"
#include "common/fs.h"

#define ID "4f0a1b"

static char dir[64];
static char proc[128];
static char groups[128];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/panel-unit-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(proc, sizeof(proc), "%s/proc", dir);
    snprintf(groups, sizeof(groups), "%s/cgroup", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

/* A file, and the folders on the way to it. */
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", dir, path);
    for (char *at = full + strlen(dir) + 1; (at = strchr(at, '/')) != NULL; *at++ = '/') {
        *at = '\0';
        assert_int_equal(fs_make_dir(full, 0700, NULL), 0);
    }
    assert_int_equal(fs_write_atomic(full, text, strlen(text), 0600, NULL), 0);
}

static void put_network(void)
{
    put("proc/77/net/dev",
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"
        "    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0\n"
        "  eth0:1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0\n"
        "  eth1: 5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n");
}

static void test_version_2(void **state)
{
    (void)state;
    struct cgroup_sample sample;
    put_network();
    put("proc/77/cgroup", "0::/system.slice/docker-" ID ".scope\n");
#define GROUP "cgroup/system.slice/docker-" ID ".scope/"
    put(GROUP "cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n");
    put(GROUP "memory.current", "1000000\n");
    put(GROUP "memory.stat", "anon 600000\nfile 400000\ninactive_file 300000\n");
    put(GROUP "memory.max", "67108864\n");
    put(GROUP "pids.current", "3\n");
    put(GROUP "io.stat", "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n"
                         "8:16 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n");
    assert_true(cgroup_sample(proc, groups, 77, ID, &sample));
    assert_int_equal(sample.cpu_ns, 1500000);
    assert_int_equal(sample.memory_bytes, 700000);
    assert_int_equal(sample.memory_limit_bytes, 67108864);
    assert_int_equal(sample.pids, 3);
    assert_int_equal(sample.read_bytes, 110);
    assert_int_equal(sample.written_bytes, 220);
    assert_int_equal(sample.received_bytes, 1005);
    assert_int_equal(sample.sent_bytes, 2007);
    put(GROUP "memory.max", "max\n");
    assert_true(cgroup_sample(proc, groups, 77, ID, &sample));
    assert_int_equal(sample.memory_limit_bytes, 0);
#undef GROUP
}

static void test_version_1(void **state)
{
    (void)state;
    struct cgroup_sample sample;
    put_network();
    put("proc/77/cgroup", "12:pids:/docker/" ID "\n11:blkio:/docker/" ID "\n"
                          "4:cpu,cpuacct:/docker/" ID "\n3:memory:/docker/" ID "\n"
                          "1:name=systemd:/docker/" ID "\n0::/docker/" ID "\n");
    put("cgroup/cpuacct/docker/" ID "/cpuacct.usage", "123456789\n");
    put("cgroup/memory/docker/" ID "/memory.usage_in_bytes", "900\n");
    put("cgroup/memory/docker/" ID "/memory.stat",
        "cache 5\ninactive_file 1\ntotal_cache 5\ntotal_inactive_file 400\n");
    put("cgroup/memory/docker/" ID "/memory.limit_in_bytes", "9223372036854771712\n");
    put("cgroup/pids/docker/" ID "/pids.current", "12\n");
    put("cgroup/blkio/docker/" ID "/blkio.throttle.io_service_bytes",
        "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 0\n8:0 Async 12288\n8:0 Total 12288\n"
        "8:16 Read 1\n8:16 Write 2\nTotal 12291\n");
    assert_true(cgroup_sample(proc, groups, 77, ID, &sample));
    assert_int_equal(sample.cpu_ns, 123456789);
    assert_int_equal(sample.memory_bytes, 500);
    assert_int_equal(sample.memory_limit_bytes, 0);
    assert_int_equal(sample.pids, 12);
    assert_int_equal(sample.read_bytes, 4097);
    assert_int_equal(sample.written_bytes, 8194);
    assert_int_equal(sample.received_bytes, 1005);
}

static void test_what_is_not_there(void **state)
{
    (void)state;
    struct cgroup_sample sample;
    assert_false(cgroup_sample(proc, groups, 77, ID, &sample));
    put("proc/77/cgroup", "0::/system.slice/ssh.service\n"); /* the pid is another's by now */
    put("cgroup/system.slice/ssh.service/cpu.stat", "usage_usec 1\n");
    put("cgroup/system.slice/ssh.service/memory.current", "1\n");
    put("cgroup/system.slice/ssh.service/memory.stat", "inactive_file 0\n");
    assert_false(cgroup_sample(proc, groups, 77, ID, &sample));
    put("proc/77/cgroup", "0::/docker/" ID "\n"); /* its group is gone */
    assert_false(cgroup_sample(proc, groups, 77, ID, &sample));
    put("cgroup/docker/" ID "/cpu.stat", "usage_usec 5\n");
    put("cgroup/docker/" ID "/memory.current", "1\n");
    put("cgroup/docker/" ID "/memory.stat", "inactive_file 7\n");
    assert_true(cgroup_sample(proc, groups, 77, ID, &sample)); /* no more of it than that */
    assert_int_equal(sample.memory_bytes, 0);
    assert_int_equal(sample.pids, 0);
    assert_int_equal(sample.sent_bytes, 0);
}

static void test_nonsense(void **state)
{
    (void)state;
    struct cgroup_sample sample;
    const char *lines[] = {"", ":",           "::", ":::" ID,      "\n\n\n" ID,
                           ID, "0::" ID "\n", "0:", ":memory:" ID, ":,,,memory,:/" ID};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        put("proc/77/cgroup", lines[i]);
        (void)cgroup_sample(proc, groups, 77, ID, &sample);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_version_2, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version_1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
