/* See owner.h. */
#include "common/owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"

#define DEPTH_MAX 4 /* no daemon of ours nests its own files deeper */

static bool find_owner(const char *dir, struct stat *ret)
{
    return geteuid() == 0 && stat(dir, ret) == 0 && S_ISDIR(ret->st_mode) && ret->st_uid != 0;
}

bool owner_is_other(const char *dir)
{
    struct stat st;
    return find_owner(dir, &st);
}

void owner_name(const char *dir, char *out, int size)
{
    struct stat st = {0};
    const struct passwd *user = stat(dir, &st) == 0 ? getpwuid(st.st_uid) : NULL;
    if (user)
        snprintf(out, (size_t)size, "%s", user->pw_name);
    else
        snprintf(out, (size_t)size, "uid %u", (unsigned)st.st_uid);
}

int owner_become(const char *dir, struct err *err)
{
    struct stat st;
    if (!find_owner(dir, &st))
        return 0;
    const struct passwd *user = getpwuid(st.st_uid);
    gid_t group = user ? user->pw_gid : st.st_gid;
    int rc = user ? initgroups(user->pw_name, group) : setgroups(0, NULL);
    if (rc < 0 || setresgid(group, group, group) < 0 ||
        setresuid(st.st_uid, st.st_uid, st.st_uid) < 0)
        return err_io(err, errno, "can't become the owner of %s", dir);
    return 0;
}

/* Takes dir_fd. */
static int give_folder(int dir_fd, const struct stat *to, int depth)
{
    DIR *dir = fdopendir(dir_fd);
    int rc = 0;
    if (!dir) {
        close(dir_fd);
        return -1;
    }
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        auto_fd int fd = openat(dirfd(dir), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0) {
            rc = errno == ENOENT ? 0 : -1;
            continue;
        }
        bool plain = S_ISREG(st.st_mode) && st.st_nlink == 1;
        if (st.st_uid == 0 && (plain || S_ISDIR(st.st_mode)))
            rc = fchownat(fd, "", to->st_uid, to->st_gid, AT_EMPTY_PATH);
        if (rc == 0 && S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            int sub = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            rc = sub < 0 ? -1 : give_folder(sub, to, depth + 1);
        }
    }
    int saved = errno;
    closedir(dir);
    errno = saved;
    return rc;
}

int owner_give_back(const char *dir, struct err *err)
{
    struct stat st;
    if (!find_owner(dir, &st))
        return 0;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || give_folder(fd, &st, 0) < 0)
        return err_io(err, errno, "can't give what is in %s to its owner", dir);
    return 0;
}
