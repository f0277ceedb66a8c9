/* Files whole or not there, folders, trees, locks: in a folder of the test's own. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/fs.h"

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/panel-unit-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static void test_write_and_read_back(void **state)
{
    (void)state;
    auto_free char *path = fs_join(dir, "file");
    auto_free char *data = NULL;
    size_t len = 0;
    assert_int_equal(fs_write_atomic(path, "one\0two", 7, 0600, NULL), 0);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(fs_read(path, 7, &data, &len, NULL), 0);
    assert_int_equal(len, 7);
    assert_memory_equal(data, "one\0two", 8);
    assert_int_equal(fs_write_atomic(path, "", 0, 0644, NULL), 0);
    assert_int_equal(mode_of(path), 0644);
    free(data);
    data = NULL;
    assert_int_equal(fs_read(path, 7, &data, NULL, NULL), 0);
    assert_string_equal(data, "");
}

static void test_a_half_written_one_is_replaced(void **state)
{
    (void)state;
    auto_free char *path = fs_join(dir, "file");
    auto_free char *tmp = fs_join(dir, "file.tmp");
    FILE *half = fopen(tmp, "w");
    fputs("half of something much longer", half);
    fclose(half);
    assert_int_equal(fs_write_atomic(path, "whole", 5, 0600, NULL), 0);
    auto_free char *data = NULL;
    assert_int_equal(fs_read(path, 100, &data, NULL, NULL), 0);
    assert_string_equal(data, "whole");
    assert_int_equal(access(tmp, F_OK), -1);
}

static void test_a_link_in_the_temporary_place_is_not_followed(void **state)
{
    (void)state;
    auto_free char *path = fs_join(dir, "file");
    auto_free char *tmp = fs_join(dir, "file.tmp");
    auto_free char *victim = fs_join(dir, "victim");
    assert_int_equal(fs_write_atomic(victim, "precious", 8, 0600, NULL), 0);
    assert_int_equal(symlink(victim, tmp), 0);
    struct err err = {0};
    fs_write_atomic(path, "x", 1, 0600, &err);
    auto_free char *data = NULL;
    assert_int_equal(fs_read(victim, 100, &data, NULL, NULL), 0);
    assert_string_equal(data, "precious");
}

static void test_reading_says_what_is_wrong(void **state)
{
    (void)state;
    auto_free char *path = fs_join(dir, "file");
    char *data = NULL;
    struct err err = {0};
    assert_int_equal(fs_read(path, 10, &data, NULL, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(fs_write_atomic(path, "0123456789x", 11, 0600, NULL), 0);
    assert_int_equal(fs_read(path, 10, &data, NULL, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_null(data);
}

static void test_folders_are_made_down_to_the_last(void **state)
{
    (void)state;
    auto_free char *path = fs_join(dir, "a/b/c");
    assert_int_equal(fs_make_dir(path, 0700, NULL), 0);
    assert_int_equal(mode_of(path), 0700);
    assert_int_equal(fs_make_dir(path, 0711, NULL), 0);
    assert_int_equal(mode_of(path), 0711);
    auto_free char *file = fs_join(dir, "file");
    auto_free char *below = fs_join(file, "x");
    assert_int_equal(fs_write_atomic(file, "", 0, 0600, NULL), 0);
    struct err err = {0};
    assert_int_equal(fs_make_dir(file, 0700, &err), -1);
    assert_int_equal(fs_make_dir(below, 0700, &err), -1);
    assert_int_equal(err.code, ERR_IO);
}

static void test_trees_go_without_following_links(void **state)
{
    (void)state;
    auto_free char *tree = fs_join(dir, "tree");
    auto_free char *deep = fs_join(dir, "tree/a/b/c/d");
    auto_free char *outside = fs_join(dir, "outside");
    auto_free char *kept = fs_join(dir, "outside/kept");
    auto_free char *link = fs_join(dir, "tree/a/link");
    assert_int_equal(fs_make_dir(deep, 0700, NULL), 0);
    assert_int_equal(fs_make_dir(outside, 0700, NULL), 0);
    assert_int_equal(fs_write_atomic(kept, "x", 1, 0600, NULL), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(fs_remove_tree(tree, NULL), 0);
    assert_int_equal(access(tree, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(fs_remove_tree(tree, NULL), 0);
    assert_int_equal(symlink(outside, tree), 0);
    assert_int_equal(fs_remove_tree(tree, NULL), 0);
    assert_int_equal(access(kept, F_OK), 0);
}

static void test_a_lock_is_one_owners(void **state)
{
    (void)state;
    int first = -1;
    int second = -1;
    struct err err = {0};
    assert_int_equal(fs_lock(dir, "lock", &first, NULL), 0);
    assert_int_equal(fs_lock(dir, "lock", &second, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(second, -1);
    assert_true(fcntl(first, F_GETFD) & FD_CLOEXEC);
    close(first);
    assert_int_equal(fs_lock(dir, "lock", &second, NULL), 0);
    close(second);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(test_write_and_read_back),
        WITH_DIR(test_a_half_written_one_is_replaced),
        WITH_DIR(test_a_link_in_the_temporary_place_is_not_followed),
        WITH_DIR(test_reading_says_what_is_wrong),
        WITH_DIR(test_folders_are_made_down_to_the_last),
        WITH_DIR(test_trees_go_without_following_links),
        WITH_DIR(test_a_lock_is_one_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
