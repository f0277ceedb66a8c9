/* What a folder takes of the disk. In the place of the loop stands what waits for its task. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/disk_usage.h"
#include "common/auto.h"
#include "common/fs.h"

#define BLOCK (64u * 1024u)

static char dir[64];
static struct loop the_loop;
static struct loop_task *posted;
static sem_t is_posted;

void loop_post(struct loop *loop, struct loop_task *task)
{
    assert_ptr_equal(loop, &the_loop);
    posted = task;
    sem_post(&is_posted);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/panel-usage-XXXXXX");
    sem_init(&is_posted, 0, 0);
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sem_destroy(&is_posted);
    return fs_remove_tree(dir, NULL);
}

static void take_bytes(void *arg, uint64_t bytes)
{
    *(uint64_t *)arg = bytes;
}

static uint64_t measure(void)
{
    struct err err;
    uint64_t bytes = UINT64_MAX;
    struct disk_usage *usage = disk_usage_create(&the_loop);
    assert_non_null(usage);
    assert_int_equal(disk_usage_measure(usage, dir, take_bytes, &bytes, &err), 0);
    assert_int_equal(disk_usage_measure(usage, dir, take_bytes, &bytes, &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    sem_wait(&is_posted);
    posted->run(posted);
    disk_usage_destroy(usage);
    return bytes;
}

static void make_file(const char *name, size_t len)
{
    auto_free char *path = fs_join(dir, name);
    auto_free char *data = malloc(len);
    memset(data, 'x', len);
    assert_int_equal(fs_write_atomic(path, data, len, 0600, NULL), 0);
}

static void test_files_folders_and_links(void **state)
{
    (void)state;
    auto_free char *folder = fs_join(dir, "folder");
    auto_free char *link = fs_join(dir, "folder/link");
    uint64_t empty = measure();
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(symlink("/", link), 0); /* not followed */
    uint64_t before = measure();
    make_file("folder/one", BLOCK);
    make_file("two", BLOCK);
    assert_int_equal(empty, 0);
    assert_int_equal(measure() - before, 2 * BLOCK);
}

static void test_a_file_with_several_names_counts_once(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "c", "folder/d", "folder/e", "folder/f", "folder/g"};
    auto_free char *folder = fs_join(dir, "folder");
    auto_free char *first = fs_join(dir, "a");
    assert_int_equal(mkdir(folder, 0700), 0);
    uint64_t before = measure();
    make_file("a", BLOCK);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        auto_free char *path = fs_join(dir, names[i]);
        assert_int_equal(link(first, path), 0);
    }
    uint64_t taken = measure() - before;
    assert_in_range(taken, BLOCK - ARRAY_LEN(names), BLOCK + ARRAY_LEN(names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_folders_and_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_with_several_names_counts_once, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
