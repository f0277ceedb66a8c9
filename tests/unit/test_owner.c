/* Root in a daemon's folder: becomes its owner, or leaves nothing behind that is root's. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/fs.h"
#include "common/owner.h"

#define OTHER 65534

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/panel-owner-test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(folder, NULL);
}

static void put(const char *name)
{
    auto_free char *path = fs_join(folder, name);
    assert_int_equal(fs_write_atomic(path, "x", 1, 0600, NULL), 0);
}

static uid_t owner_of(const char *name)
{
    auto_free char *path = fs_join(folder, name);
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_uid;
}

/* In a process of its own, since there is no way back. */
static void test_becomes_the_owner(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_false(owner_is_other(folder));
    assert_int_equal(owner_become(folder, NULL), 0);
    assert_int_equal(geteuid(), 0);
    assert_int_equal(chown(folder, OTHER, OTHER), 0);
    assert_true(owner_is_other(folder));
    pid_t child = fork();
    if (child == 0) {
        gid_t groups[8];
        bool ok = owner_become(folder, NULL) == 0 && getuid() == OTHER && geteuid() == OTHER &&
                  getegid() == OTHER && setuid(0) < 0;
        for (int n = getgroups(8, groups); ok && n > 0; n--)
            ok = groups[n - 1] != 0;
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_a_folder_that_is_not_there_is_nobodys(void **state)
{
    (void)state;
    assert_false(owner_is_other("/nowhere/at/all"));
    assert_int_equal(owner_become("/nowhere/at/all", NULL), 0);
    assert_int_equal(owner_give_back("/nowhere/at/all", NULL), 0);
}

static void test_gives_back_what_is_roots_and_nothing_else(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    auto_free char *sub = fs_join(folder, "sub");
    auto_free char *link_name = fs_join(folder, "link");
    auto_free char *twin = fs_join(folder, "twin");
    auto_free char *twin_of = fs_join(folder, "twin.of");
    auto_free char *others = fs_join(folder, "others");
    auto_free char *outside = fs_join("/tmp", "panel-owner-test.outside");
    assert_int_equal(fs_write_atomic(outside, "x", 1, 0600, NULL), 0);
    assert_int_equal(mkdir(sub, 0700), 0);
    put("file");
    put("sub/file");
    put("twin");
    put("others");
    assert_int_equal(link(twin, twin_of), 0);
    assert_int_equal(symlink(outside, link_name), 0);
    assert_int_equal(chown(others, 1, 1), 0);
    assert_int_equal(chown(folder, OTHER, OTHER), 0);
    assert_int_equal(owner_give_back(folder, NULL), 0);
    assert_int_equal(owner_of("file"), OTHER);
    assert_int_equal(owner_of("sub"), OTHER);
    assert_int_equal(owner_of("sub/file"), OTHER);
    assert_int_equal(owner_of("others"), 1);
    assert_int_equal(owner_of("twin"), 0);
    assert_int_equal(owner_of("link"), 0);
    struct stat st;
    assert_int_equal(stat(outside, &st), 0);
    assert_int_equal(st.st_uid, 0);
    unlink(outside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_becomes_the_owner, set_up, tear_down),
        cmocka_unit_test(test_a_folder_that_is_not_there_is_nobodys),
        cmocka_unit_test_setup_teardown(test_gives_back_what_is_roots_and_nothing_else, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
