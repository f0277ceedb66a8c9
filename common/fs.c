/* Files that are either whole or not there. See fs.h. */
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"

static int write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int sync_parent(const char *path, struct err *err)
{
    auto_free char *dir = strdup(path);
    if (!dir)
        return err_nomem(err);
    char *slash = strrchr(dir, '/');
    if (slash)
        *(slash == dir ? slash + 1 : slash) = '\0';
    auto_fd int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_io(err, errno, "can't sync the folder of %s", path);
    return 0;
}

int fs_commit(const char *temporary, const char *path, struct err *err)
{
    auto_fd int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_io(err, errno, "can't write %s", temporary);
    if (rename(temporary, path) < 0)
        return err_io(err, errno, "can't put %s in place", path);
    return sync_parent(path, err);
}

static int write_new(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return err_io(err, errno, "can't create %s", path);
    if (fchmod(fd, mode) < 0 || write_all(fd, data, len) < 0)
        return err_io(err, errno, "can't write %s", path);
    return 0;
}

int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    auto_free char *tmp = NULL;
    if (asprintf(&tmp, "%s.tmp", path) < 0) {
        tmp = NULL;
        return err_nomem(err);
    }
    if (write_new(tmp, data, len, mode, err) == 0 && fs_commit(tmp, path, err) == 0)
        return 0;
    unlink(tmp);
    return -1;
}

int fs_read(const char *path, size_t max, char **ret_data, size_t *ret_len, struct err *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "no_file", "%s is not there", path);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_io(err, errno, "can't read %s", path);
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return err_set(err, ERR_TOO_LARGE, "file_too_large", "%s is larger than %zu bytes", path,
                       max);
    size_t size = (size_t)st.st_size;
    size_t len = 0;
    auto_free char *data = malloc(size + 1);
    if (!data)
        return err_nomem(err);
    while (len < size) {
        ssize_t n = read(fd, data + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_io(err, errno, "can't read %s", path);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    data[len] = '\0';
    if (ret_len)
        *ret_len = len;
    *ret_data = steal_ptr(data);
    return 0;
}

int fs_make_dir(const char *path, mode_t mode, struct err *err)
{
    auto_free char *p = strdup(path);
    if (!p)
        return err_nomem(err);
    for (char *s = p + 1; *s; s++) {
        if (*s != '/')
            continue;
        *s = '\0';
        if (mkdir(p, 0755) < 0 && errno != EEXIST)
            return err_io(err, errno, "can't create the folder %s", p);
        *s = '/';
    }
    if (mkdir(p, mode) < 0 && errno != EEXIST)
        return err_io(err, errno, "can't create the folder %s", p);
    struct stat st;
    if (stat(p, &st) < 0)
        return err_io(err, errno, "can't look at the folder %s", p);
    if (!S_ISDIR(st.st_mode))
        return err_io(err, ENOTDIR, "%s", p);
    if ((st.st_mode & 07777) != mode && chmod(p, mode) < 0)
        return err_io(err, errno, "can't set the mode of %s", p);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int fs_remove_tree(const char *path, struct err *err)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
        return err_io(err, errno, "can't remove %s", path);
    return 0;
}

char *fs_join(const char *dir, const char *name)
{
    char *out;
    if (asprintf(&out, "%s/%s", dir, name) < 0)
        return NULL;
    return out;
}

int fs_lock(const char *dir, const char *name, int *ret_fd, struct err *err)
{
    auto_free char *path = fs_join(dir, name);
    if (!path)
        return err_nomem(err);
    auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_io(err, errno, "can't open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int why = errno;
        char holder[16] = "";
        if (why != EWOULDBLOCK)
            return err_io(err, why, "can't lock %s", path);
        if (read(fd, holder, sizeof(holder) - 1) <= 0)
            snprintf(holder, sizeof(holder), "unknown");
        return err_set(err, ERR_CONFLICT, "locked",
                       "%s is held by another process (pid %s): stop that one first", path, holder);
    }
    /* Only for a person to read, so it may fail. */
    if (ftruncate(fd, 0) == 0)
        (void)!dprintf(fd, "%ld", (long)getpid());
    *ret_fd = steal_fd(&fd);
    return 0;
}
