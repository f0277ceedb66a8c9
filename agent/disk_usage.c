/* See disk_usage.h. Like tree.c it holds a bounded number of files open and needs no path longer
 * than a name; what lies deeper than that isn't counted. */
#include "agent/disk_usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"

#define DEPTH_MAX    64
#define THREAD_STACK (256 * 1024)
#define NICE         10

struct disk_usage {
    struct loop_task task; /* while busy it is the thread's */
    struct loop *loop;
    pthread_t thread;
    bool busy;
    atomic_bool stopping;
    char *dir;
    uint64_t bytes;
    void (*done)(void *arg, uint64_t bytes);
    void *arg;
};

/* A file with several names is met at each of them; each counts for its part, so that together they
 * are the whole, and no list of those that were met is needed. */
static uint64_t part_of(const struct stat *st)
{
    uint64_t bytes = (uint64_t)st->st_blocks * 512;
    return S_ISDIR(st->st_mode) || st->st_nlink < 2 ? bytes
                                                    : (bytes + st->st_nlink / 2) / st->st_nlink;
}

/* Takes dir_fd. */
static void add_folder(struct disk_usage *usage, int dir_fd, int depth)
{
    DIR *dir = fdopendir(dir_fd);
    if (!dir) {
        close(dir_fd);
        return;
    }
    const struct dirent *entry;
    while (!atomic_load_explicit(&usage->stopping, memory_order_relaxed) &&
           (entry = readdir(dir)) != NULL) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        usage->bytes += part_of(&st);
        if (!S_ISDIR(st.st_mode) || depth >= DEPTH_MAX)
            continue;
        int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            add_folder(usage, fd, depth + 1);
    }
    closedir(dir);
}

static void *measure(void *arg)
{
    struct disk_usage *usage = arg;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* on Linux: this thread's alone */
    int fd = open(usage->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        add_folder(usage, fd, 0);
    loop_post(usage->loop, &usage->task);
    return NULL;
}

static void measured(struct loop_task *task)
{
    struct disk_usage *usage = (struct disk_usage *)task;
    pthread_join(usage->thread, NULL);
    usage->busy = false;
    free(usage->dir);
    usage->dir = NULL;
    usage->done(usage->arg, usage->bytes);
}

struct disk_usage *disk_usage_create(struct loop *loop)
{
    struct disk_usage *usage = calloc(1, sizeof(*usage));
    if (!usage)
        return NULL;
    usage->loop = loop;
    usage->task.run = measured;
    return usage;
}

void disk_usage_destroy(struct disk_usage *usage)
{
    if (!usage)
        return;
    atomic_store(&usage->stopping, true);
    if (usage->busy)
        pthread_join(usage->thread, NULL);
    free(usage->dir);
    free(usage);
}

bool disk_usage_is_busy(const struct disk_usage *usage)
{
    return usage->busy;
}

int disk_usage_measure(struct disk_usage *usage, const char *dir,
                       void (*done)(void *arg, uint64_t bytes), void *arg, struct err *err)
{
    pthread_attr_t attr;
    if (usage->busy)
        return err_set(err, ERR_BUSY, "busy", "another folder is being measured");
    usage->dir = strdup(dir);
    if (!usage->dir)
        return err_nomem(err);
    usage->bytes = 0;
    usage->done = done;
    usage->arg = arg;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    int rc = pthread_create(&usage->thread, &attr, measure, usage);
    pthread_attr_destroy(&attr);
    if (rc) {
        free(usage->dir);
        usage->dir = NULL;
        return err_io(err, rc, "can't start a thread");
    }
    usage->busy = true;
    return 0;
}
