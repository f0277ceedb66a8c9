/* Removing what an instance left in its volume. See tree.h.
 *
 * A container may nest folders far deeper than a path can be long, or than a process may have
 * files open. So only names relative to open folders are used, and what lies below DEPTH_MAX is
 * first moved up to the root of the tree, where a later pass finds it at depth one. */
#include "agent/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"

#define DEPTH_MAX 64

struct removal {
    int root;
    unsigned long moved; /* gives what is moved up its name */
    int os_errno;        /* the first thing that couldn't be removed */
};

static void note(struct removal *removal)
{
    if (!removal->os_errno && errno != ENOENT)
        removal->os_errno = errno;
}

static void move_up(struct removal *removal, int dir, const char *name)
{
    char to[64];
    do {
        snprintf(to, sizeof(to), ".moved.%lu", removal->moved++);
    } while (faccessat(removal->root, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    if (renameat(dir, name, removal->root, to) < 0)
        note(removal);
}

static void empty_dir(struct removal *removal, int dir_fd, int depth);

static void remove_dir(struct removal *removal, int dir, const char *name, int depth)
{
    if (depth >= DEPTH_MAX) {
        move_up(removal, dir, name);
        return;
    }
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        note(removal);
        return;
    }
    empty_dir(removal, fd, depth + 1);
    if (unlinkat(dir, name, AT_REMOVEDIR) < 0)
        note(removal);
}

/* Takes dir_fd. */
static void empty_dir(struct removal *removal, int dir_fd, int depth)
{
    DIR *dir = fdopendir(dir_fd);
    if (!dir) {
        note(removal);
        close(dir_fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), name, 0) == 0 || errno == ENOENT)
            continue;
        if (errno == EISDIR || errno == EPERM)
            remove_dir(removal, dirfd(dir), name, depth);
        else
            note(removal);
    }
    closedir(dir);
}

int tree_remove(const char *path, struct err *err)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    auto_fd int root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0)
        return err_io(err, errno, "can't remove %s", path);
    struct removal removal = {.root = root};
    unsigned long moved;
    do {
        moved = removal.moved;
        int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return err_io(err, errno, "can't remove %s", path);
        empty_dir(&removal, fd, 0);
    } while (removal.moved != moved && !removal.os_errno);
    if (!removal.os_errno && rmdir(path) < 0 && errno != ENOENT)
        removal.os_errno = errno;
    return removal.os_errno ? err_io(err, removal.os_errno, "can't remove %s", path) : 0;
}
