/* SQLite's allocations and its calls to the system, made to fail. See torture.h. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/torture/torture.h"

static sqlite3_mem_methods sqlite_memory;

static void *sqlite_malloc(int size)
{
    return torture_hit(TORTURE_MEMORY, "sqlite malloc") ? NULL : sqlite_memory.xMalloc(size);
}

static void *sqlite_realloc(void *was, int size)
{
    return torture_hit(TORTURE_MEMORY, "sqlite realloc") ? NULL : sqlite_memory.xRealloc(was, size);
}

void torture_libraries(void)
{
    sqlite3_mem_methods memory;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory), SQLITE_OK);
    memory = sqlite_memory;
    memory.xMalloc = sqlite_malloc;
    memory.xRealloc = sqlite_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &memory), SQLITE_OK);
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_LOG, NULL, NULL), SQLITE_OK);
}

/* These are SQLite's: it is the only one to use them, and finds ours before libc's. They go past
 * the sanitizers, to whom files are nothing. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t);
    va_end(args);
    if (torture_hit(TORTURE_CALLS, "sqlite open")) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

ssize_t pread64(int fd, void *data, size_t len, off64_t at)
{
    if (torture_hit(TORTURE_CALLS, "sqlite pread")) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
    if (torture_hit(TORTURE_CALLS, "sqlite pwrite")) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, len, at);
}

int ftruncate64(int fd, off64_t len)
{
    if (torture_hit(TORTURE_CALLS, "sqlite ftruncate")) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_ftruncate, fd, len);
}

/* Nothing here is about power cuts. */
int fdatasync(int fd)
{
    (void)fd;
    if (torture_hit(TORTURE_CALLS, "sqlite fdatasync")) {
        errno = EIO;
        return -1;
    }
    return 0;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
