/* Files that are either whole or not there. Any thread; the calls block on the disk. */
#ifndef COMMON_FS_H
#define COMMON_FS_H

#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

/* Write to a temporary name, fsync, rename, fsync the folder. */
int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err);

/* Put a finished file in its place: fsync it, rename it, fsync the folder. */
int fs_commit(const char *temporary, const char *path, struct err *err);

/* The whole file with a NUL after it, for the caller to free. ERR_NOT_FOUND when absent,
 * ERR_TOO_LARGE past max bytes. ret_len may be NULL. */
int fs_read(const char *path, size_t max, char **ret_data, size_t *ret_len, struct err *err);

/* mkdir -p; the last folder gets mode, also when it was there already. */
int fs_make_dir(const char *path, mode_t mode, struct err *err);

/* rm -rf without following links. Absent is success. */
int fs_remove_tree(const char *path, struct err *err);

/* "dir/name" for the caller to free; NULL when memory is out. */
char *fs_join(const char *dir, const char *name);

/* Take the exclusive lock of dir/name; *ret_fd holds it until closed.
 * ERR_CONFLICT when another process has it. */
int fs_lock(const char *dir, const char *name, int *ret_fd, struct err *err);

#endif
